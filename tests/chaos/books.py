"""One state directory through its lives: how it is run, and what its ledger must say beside what clients and upstreams saw."""

import asyncio
import contextlib
import decimal
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess

import scripted

START_SECONDS = 60
# The checkers of testkit: `make test` and `make soak` build them and say where they are.
CHECKER = pathlib.Path(os.environ.get("CHECK_BOOKS", "target/debug/examples/check_books"))
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
# A third endpoint has a pool of its own, that is paid for whether used or not, and few slots: the others are asked too.
HELD = """[sites.s]
region = "r"
power = "1 kW"
energy = "0.10 USD/kWh"
[accelerators.a]
peak = "100 TFLOP/s"
memory = "80 GB"
bandwidth = "2 TB/s"
power = "400 W"
runs = ["serving"]
[profiles.m]
model = "m"
accelerator = "a"
prefill = "9000 tokens/s"
decode = "60 tokens/s"
decode_batch = "2000 tokens/s"
slots = 2
start = "1 s"
basis = "measured"
[pools.{name}]
site = "s"
accelerator = "a"
count = 1
executor = {{ kind = "kubernetes" }}
[endpoints.{name}]
model = "m"
pool = "{name}"
url = "http://127.0.0.1:{port}/v1"
slots = 2
queue = 2
profile = "m"
[contracts.{name}]
party = "p"
preset = "reserved"
pools = ["{name}"]
count = 1
rate = "2 USD/accelerator-hour"
start = 2026-01-01
end = 2060-01-01
"""
# Of an answer: at most so many tokens (those that are read, and those that are generated), at the dearest of these prices.
PRICES = ("0.60", "0.70")
ANSWER_USD = decimal.Decimal(PRICES[-1]) / 1_000_000 * (scripted.READ_MAX + scripted.EVENTS_MAX)
HELD_SPANS = "SELECT endpoint, from_us, to_us FROM held WHERE id IN (SELECT source FROM posting)"


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
        # Of the key that has one, and how many clients ask by it at once.
        self.budget, self.bounded_clients = None, 0
        # A clock that jumps goes over the same time again, and over the periods of budgets.
        self.is_even = True
        # So many whole answers may be booked as interrupted: their ends were in memory when the process was killed, as no disk took them.
        self.untold = 0

    def found(self, ports, budget=None, bounded_clients=0):
        """Writes the fleet and makes the state directory, with a key, and one that has a budget for so many clients if one is given."""
        terms = zip(self.upstreams, ports, PRICES)
        parts = [ENDPOINT.format(name=upstream.name, port=port, price=price) for upstream, port, price in terms]
        parts += [HELD.format(name=upstream.name, port=port) for upstream, port in list(zip(self.upstreams, ports))[len(PRICES) :]]
        self.fleet.write_text(FLEET + "".join(parts))
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.state.chmod(0o700)
        self.key = self.run("key", "create", "chaos").strip()
        if budget:
            self.budget, self.bounded_clients = budget, bounded_clients
            self.bounded_key = self.run("key", "create", "bounded", "--budget", budget).strip()

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
        calls = [call for upstream in self.upstreams for calls in upstream.calls.values() for call in calls]
        check(shown, map(called, calls), map(told, self.answers), self.untold, self.held(), budget=self.bound())
        return shown

    def held(self):
        """What the ledger says is held; none of it where the clock jumps."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            return ledger.execute(HELD_SPANS).fetchall() if self.is_even else []

    def bound(self):
        """The key that has a budget, for its checker; none where the clock jumps. Attempts under way when the last began may take more than was
        set aside for them, and so may those that their clients left, while these ask again."""
        return bounded(self.bounded_number(), self.budget, 2 * self.bounded_clients * ANSWER_USD) if self.budget and self.is_even else None

    def bounded_number(self):
        """The number of the key that has a budget."""
        return next(key["id"] for key in json.loads(self.run("key", "list", "--json"))["keys"] if key["name"] == "bounded")

    def left(self, shown):
        """What the rows of a ledger leave of the budget, in USD."""
        number = self.bounded_number()
        spent = sum(decimal.Decimal(row["settled"]["list_cost"]) for row in shown if row["key"] == number)
        return decimal.Decimal(self.budget.split()[0]) - spent

    async def close(self):
        """The last start: it recovers, ends when it is asked to, and leaves books that are whole and complete: their rows."""
        process = await self.start()
        try:
            await self.until_up(process)
            shown = self.compare()
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(START_SECONDS):
                await process.wait()
        finally:
            await kill(process)
        self.verify()
        self.run("decision", "replay", "--all")
        return shown


async def kill(process):
    """Ends it as the kernel would."""
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()


def called(call):
    """A call of a scripted upstream, as the checkers want it: every answer that came to its end told what it took."""
    reported = list(call.tokens) if call.whole else None
    of = {"request": call.request, "endpoint": call.endpoint, "streamed": call.streamed}
    return {**of, "read": 0, "generated": call.generated, "reported": reported}


def told(answer):
    """What a client was told, as the checkers want it."""
    usage = list(answer.tokens) if answer.whole else None
    of = {"request": answer.request, "endpoint": answer.endpoint, "status": answer.status}
    return {**of, "delivered": answer.events, "usage": usage, "whole": answer.whole}


def check(attempts, calls, answers, untold=0, held=(), left_out=None, budget=None):
    """Holds a ledger beside the calls of upstreams and the answers of clients, by the checkers of testkit; as many whole answers as `untold` says may
    be booked as interrupted. Of what is held: endpoints, each from when to when in microseconds, with at most `left_out` milliseconds between.
    Of a key with a budget: what `bounded` gives."""
    spans = [{"endpoint": endpoint, "from": begin, "to": end} for endpoint, begin, end in held]
    document = {"attempts": attempts, "calls": list(calls), "told": list(answers), "untold": untold, "held": spans, "left_out": left_out, "budget": budget}
    done = subprocess.run([CHECKER], input=json.dumps(document), capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise Finding(f"{CHECKER.name}: {done.stdout[:4_000]}{done.stderr}")


def bounded(key, budget, beyond):
    """A key by its number, with its budget and how much may be spent beyond that, for the checkers."""
    return {"key": key, "budget": budget, "beyond": f"{beyond} USD"}
