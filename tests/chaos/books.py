"""One state directory through its lives: how it is run, and what its ledger must say beside what clients and upstreams saw."""

import asyncio
import collections
import json
import os
import re
import signal
import subprocess

START_SECONDS = 60
FLEET = """format = 1
name = "chaos"
currency = "USD"
[regions.r]
jurisdiction = "EU"
[models.m]
parameters = "8 B"
context = 8192
capabilities = ["chat"]
[parties.p]
roles = ["supplier"]
"""
ENDPOINT = """[endpoints.{name}]
model = "m"
region = "r"
url = "http://127.0.0.1:{port}/v1"
slots = 64
queue = 64
[contracts.{name}]
party = "p"
preset = "on-demand"
input = "{price} USD/1M tokens"
output = "{price} USD/1M tokens"
endpoints = ["{name}"]
start = 2026-01-01
end = 2060-01-01
"""


class Finding(Exception):
    """A promise that did not hold."""


def left_out(what):
    """Says what is left out, as this machine lacks what it takes; a finding where CI runs, as nobody reads there what was left out."""
    if os.environ.get("CI"):
        raise Finding(f"left out: {what}")
    print(f"left out: {what}", flush=True)


def said(baseload, *arguments):
    """What a command of the program says, which must succeed."""
    command = [str(baseload), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise Finding(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Books:
    """One state directory and the program that runs on it."""

    def __init__(self, baseload, folder, upstreams, state=None):
        self.baseload, self.upstreams = str(baseload), upstreams
        self.fleet, self.state = folder / "fleet.toml", state or folder / "state"
        self.answers, self.interrupted = [], 0
        # Put before the command, and into its environment: limits and clocks.
        self.before, self.environment = [], None
        # What is made to go wrong, for people to read.
        self.fault = None
        # So many whole answers may be booked as interrupted: their ends were in memory when the process was killed, as no disk took them.
        self.untold = 0

    def found(self, ports):
        """Writes the fleet and makes the state directory, with a key."""
        terms = zip(self.upstreams, ports, ("0.60", "0.70"))
        parts = [ENDPOINT.format(name=upstream.name, port=port, price=price) for upstream, port, price in terms]
        self.fleet.write_text(FLEET + "".join(parts))
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.state.chmod(0o700)
        self.key = self.run("key", "create", "chaos").strip()

    def run(self, *arguments):
        """A command of the program on this state directory, and what it said."""
        return said(self.baseload, *arguments, "--state", self.state)

    async def start(self):
        """A process that has just begun to start."""
        command = [*self.before, self.baseload, "up", str(self.fleet), "--listen", "127.0.0.1:0", "--state", str(self.state)]
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self.environment,
        )

    async def until_up(self, process):
        """Its port, once it listens."""
        said = ""
        async with asyncio.timeout(START_SECONDS):
            while line := (await process.stdout.readline()).decode():
                said += line
                if found := re.match(r"listening on http://127\.0\.0\.1:(\d+)/", line):
                    return int(found.group(1))
        raise Finding(f"it does not start: {said}")

    def verify(self):
        """The books as they lie there: whole, whatever was going on."""
        self.run("ledger", "verify")

    def compare(self):
        """The rows of a ledger that is at rest, once they agree with what clients and upstreams saw."""
        shown = json.loads(self.run("ledger", "show", "--json", "--limit", "10000000"))["attempts"]
        rows = collections.defaultdict(list)
        for row in shown:
            rows[row["request"]].append(row)
        for request, attempts in rows.items():
            check_request(attempts, [call for upstream in self.upstreams for call in upstream.calls.get(request, [])])
        for upstream in self.upstreams:
            for request, calls in upstream.calls.items():
                if request not in rows:
                    raise Finding(f"{len(calls)} calls of {upstream.name} for {request} are not in the ledger")
        for answer in self.answers:
            attempts = rows.get(answer.request, [])
            if self.untold and answer.whole and any(row["settled"]["outcome"] == "interrupted" for row in attempts):
                self.untold -= 1
            else:
                check_answer(answer, attempts)
        return shown

    async def close(self):
        """The last start: it recovers, ends when it is asked to, and leaves books that are whole and complete."""
        process = await self.start()
        try:
            await self.until_up(process)
            self.compare()
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(START_SECONDS):
                await process.wait()
        finally:
            await kill(process)
        self.verify()
        self.run("decision", "replay", "--all")


async def kill(process):
    """Ends it as the kernel would."""
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()


def check_request(attempts, calls):
    """The attempts of one request beside the calls that upstreams got for it."""
    request = attempts[0]["request"]
    if len({row["attempt"] for row in attempts}) != len(attempts):
        raise Finding(f"{request} has an attempt twice: {attempts}")
    if any(row["settled"] is None for row in attempts):
        raise Finding(f"{request} has an attempt that is open: {attempts}")
    for endpoint in {call.endpoint for call in calls}:
        called = sum(call.endpoint == endpoint for call in calls)
        booked = sum(row["endpoint"] == endpoint for row in attempts)
        if called > booked:
            raise Finding(f"{request} called {endpoint} {called} times, and {booked} are in the ledger")
    for row in attempts:
        settled = row["settled"]
        tokens = (settled["input_tokens"], settled["output_tokens"])
        if settled["known"] == "reported" and tokens not in [call.tokens for call in calls if call.endpoint == row["endpoint"]]:
            raise Finding(f"{request} is billed {tokens}, which {row['endpoint']} never told: {attempts}")
    if sum(row["settled"]["outcome"] == "answered" for row in attempts) > 1:
        raise Finding(f"{request} is answered twice: {attempts}")


def check_answer(answer, attempts):
    """What one client was told beside the attempts of its request."""
    if answer.whole:
        ended = [row["settled"] for row in attempts if row["settled"]["outcome"] == "answered"]
        booked = [(settled["known"], settled["input_tokens"], settled["output_tokens"]) for settled in ended]
        if booked != [("reported", *answer.tokens)]:
            raise Finding(f"a client was told {answer.tokens} for {answer.request}, and the ledger has {attempts}")
    elif answer.events:
        most = max((row["settled"]["output_tokens"] for row in attempts), default=0)
        if most < answer.events:
            raise Finding(f"a client got {answer.events} events of {answer.request}, and the ledger has {attempts}")
