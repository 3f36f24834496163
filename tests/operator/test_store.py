"""A state directory that a newer program has brought forward."""

import contextlib
import shutil
import sqlite3

import operated
import service

NEWER = 99


class Newer(operated.Operated):
    def test_a_store_of_a_newer_program_is_refused_with_its_code_and_nothing_is_changed(self):
        with self.up() as up:
            request = self.ask(self.client(up)).headers["x-request-id"]
        newer = shutil.copytree(self.state, self.folder / "newer")
        with contextlib.closing(sqlite3.connect(newer / "ledger.db")) as database:
            database.execute(f"PRAGMA user_version = {NEWER}")
        before = contents(newer)
        commands = [
            ("up", str(self.fleet), "--listen", "127.0.0.1:0"),
            ("key", "create", "late"),
            ("key", "list"),
            ("ledger", "show"),
            ("ledger", "export"),
            ("ledger", "shadow"),
            ("ledger", "correct", request, "--input", "1", "--output", "1", "--why", "late", "--who", "nobody"),
            ("ledger", "verify"),
            ("decision", "show", request),
        ]
        for command in commands:
            said = self.refused(*command, "--state", str(newer))
            self.assertTrue("BL0801" in said and f"version {NEWER}" in said, (command, said))
            self.assertEqual(contents(newer), before, command)
        self.assertIn("store of a newer program", service.run(operated.BASELOAD, "explain", "BL0801"))
        service.ledger_is_whole(operated.BASELOAD, self.state)


def contents(folder):
    """Every file below a folder, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
