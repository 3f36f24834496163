"""The books checked beside a running service and offline, and what was changed behind the program's back."""

import contextlib
import shutil
import sqlite3

import operated
import service

# What somebody may have done to one attempt's rows.
PLANTED = {
    "the tokens of a settlement": "UPDATE settlement SET output = output + 1",
    "its list cost": "UPDATE settlement SET list = list + 1",
    "who pays": "UPDATE attempt SET contract = 'dear'",
    "a posting": "UPDATE posting SET used = used + 1",
    "a posting that is gone": "DELETE FROM posting",
}


class Verified(operated.Operated):
    def test_the_books_of_a_running_service_are_whole_and_a_change_is_found(self):
        with self.up() as up:
            client = self.client(up)
            for _ in range(3):
                self.booked(self.ask(client))
            self.assertEqual(self.live(up), "0 wrong")
            plant(self.state, PLANTED["the tokens of a settlement"], self.booked(self.ask(client)))
            self.assertNotEqual(self.live(up, expect=3), "0 wrong")

    def test_what_was_changed_in_a_copy_is_found_offline(self):
        with self.up() as up:
            request = self.booked(self.ask(self.client(up)))
        self.assertEqual(self.offline(self.state), "0 wrong")
        for what, change in PLANTED.items():
            copy = shutil.copytree(self.state, self.folder / what)
            plant(copy, change, request)
            self.assertNotEqual(self.offline(copy, expect=3), "0 wrong", what)
        self.assertEqual(self.offline(self.state), "0 wrong")

    def booked(self, answer):
        """Waits until an answer stands in the ledger, and gives its request."""
        request = answer.headers["x-request-id"]
        settled = lambda: request in service.attempts(operated.BASELOAD, self.state)  # noqa: E731
        service.poll("attempt in the ledger", 30, settled)
        service.poll("settlement in the ledger", 30, lambda: service.attempts(operated.BASELOAD, self.state)[request][0]["settled"])
        return request

    def live(self, up, expect=0):
        return service.run(operated.BASELOAD, "ledger", "verify", "--live", up.at, expect=expect).splitlines()[-1]

    def offline(self, state, expect=0):
        return service.run(operated.BASELOAD, "ledger", "verify", "--state", str(state), expect=expect).splitlines()[-1]


def plant(state, change, request):
    """Changes rows of one request with SQLite itself, once what guards them there is out of the way."""
    with contextlib.closing(sqlite3.connect(state / "ledger.db")) as database, database:
        for (guard,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{guard}"')
        changed = database.execute(f"{change} WHERE request = ?", (bytes.fromhex(request.removeprefix("req_")),))
        assert changed.rowcount > 0, f"{request} has no such row"
