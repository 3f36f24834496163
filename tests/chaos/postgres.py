"""A PostgreSQL of a test's own, on a socket in a folder of its own, as `testkit`'s is."""

import os
import pathlib
import pwd
import subprocess

VERSIONS = pathlib.Path("/usr/lib/postgresql")
PORT = 5432


class Postgres:
    """A running PostgreSQL; the server refuses to be root, and is the user `postgres` where we are."""

    def __init__(self, folder):
        self.folder, self.data = folder, folder / "data"
        self.programs = max(VERSIONS.glob("[0-9]*"), key=lambda path: int(path.name)) / "bin"
        self.before = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.before = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.run("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync")
        self.start()

    def start(self):
        """Starts it, and waits until it answers."""
        options = f"-k {self.folder} -p {PORT} -c listen_addresses= -c fsync=off -c shared_buffers=16MB -c max_connections=50"
        self.run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.folder / "log", "-o", options, "start")

    def stop(self):
        """Ends it, and with it every connection."""
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def address(self):
        """The address over its socket."""
        return f"postgres://postgres@{str(self.folder).replace('/', '%2F')}:{PORT}/postgres"

    def sql(self, text):
        """The rows that a statement gives, as lists of columns."""
        place = ["-h", self.folder, "-p", PORT, "-d", "postgres", "-U", "postgres"]
        rows = self.run("psql", *place, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text)
        return [row.split("|") for row in rows.splitlines()]

    def run(self, program, *arguments):
        """What one of its programs says."""
        command = [*self.before, self.programs / program, *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")
        return done.stdout
