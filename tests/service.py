"""Starts `baseload` for a test, on a free port and in a folder of its own, and ends it again."""

import json
import pathlib
import re
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_SECONDS = 90
STOP_SECONDS = 30


class Service:
    """A running `baseload demo` or `baseload up`. Its output is kept, and shown when something goes wrong."""

    def __init__(self, binary, state, arguments):
        self.binary, self.state = str(binary), pathlib.Path(state)
        self.command = [self.binary, *arguments, "--listen", "127.0.0.1:0", "--state", str(self.state)]
        self.lines = []
        self.environment = {}
        # Where it is asked how it is: in the clear, as `baseload status` speaks.
        self.at = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        )
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.until("an address", START_SECONDS, self._find_address)
        poll("endpoint up, each of them", START_SECONDS, self.all_up)
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGINT)

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append("(its output ended)")
            self.changed.notify_all()

    def _find_address(self):
        for line in self.lines:
            found = dict(re.findall(r"(OPENAI_BASE_URL|OPENAI_API_KEY)=(\S+)", line))
            self.environment.update(found)
            if url := re.search(r"https?://127\.0\.0\.1:\d+", line):
                self.environment.setdefault("OPENAI_BASE_URL", url.group() + "/v1")
            if status := re.search(r"baseload status --at (\S+)", line):
                self.at = status.group(1)
        base = self.environment.get("OPENAI_BASE_URL", "")
        if base.startswith("http:"):
            self.at = base.removeprefix("http://").removesuffix("/v1")
        return self.at is not None

    def endpoints(self):
        """How its endpoints stand, as `baseload status` has it."""
        return json.loads(run(self.binary, "status", "--json", "--at", self.at))["endpoints"]

    def all_up(self):
        """Whether every endpoint answers."""
        return all(endpoint["health"] == "up" for endpoint in self.endpoints())

    def until(self, what, seconds, holds):
        """Waits until `holds()`; looks again at each line printed."""
        with self.changed:
            done = self.changed.wait_for(lambda: holds() or self.process.poll() is not None, timeout=seconds)
            if not done or not holds():
                tail = "\n".join(self.lines[-40:])
                raise AssertionError(f"no {what} within {seconds} s; {' '.join(self.command)} said:\n{tail}")

    def stop(self, how):
        """Ends the service and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"did not end within {STOP_SECONDS} s of {how.name}") from None

    def engines(self):
        """The process ids of its engines, by endpoint, as /proc has them (Linux)."""
        found = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue  # It ended while we looked.
            if parent == self.process.pid and (name := re.search(r"--port-file\0[^\0]*?([^/\0]+)\.port\0", command)):
                found[name.group(1)] = int(folder.name)
        return found


def run(binary, *arguments, expect=0):
    """Runs a command of the binary to its end and returns what it printed on stdout."""
    done = subprocess.run([str(binary), *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    if done.returncode != expect:
        raise AssertionError(f"baseload {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def attempts(binary, state):
    """Every attempt in the ledger, by request."""
    shown = json.loads(run(binary, "ledger", "show", "--json", "--limit", "1000000", "--state", str(state)))
    by_request = {}
    for row in shown["attempts"]:
        by_request.setdefault(row["request"], []).append(row)
    return by_request


def ledger_is_whole(binary, state):
    """Fails unless the books agree with the journal and each decision replays to itself."""
    run(binary, "ledger", "verify", "--state", str(state))
    run(binary, "decision", "replay", "--all", "--state", str(state))


def poll(what, seconds, holds):
    """Looks until `holds()` gives something, for things that announce themselves nowhere."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {seconds} s")
        pause.wait(0.05)
    return found
