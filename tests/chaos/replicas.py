#!/usr/bin/env python3
"""Three `baseload up` on one PostgreSQL, killed one at a time under load: replicas.py BASELOAD [--rounds N] [--seconds S] [--seed S] [--json FILE].

They share a budget, and units that are paid for whether used or not. Who is killed comes back at once, or after its lease was taken back. At the end
each one's books are whole, all copies together have each attempt once and each instant of the units at most once, and the budget is overspent by no
more than the leases that were taken back. PostgreSQL stays: cut off from it for ten seconds and killed in the next, a replica may post that one twice.
"""

import asyncio
import decimal
import json
import os
import pathlib
import random
import signal
import tempfile

import rounds
import scripted
from books import START_SECONDS, Books, Finding, bounded, called, check, kill, said, told
from postgres import Postgres

NAMES = ("one", "two", "three")
KILLS = 10
WORK_SECONDS = 1.5
# A lease is taken back after 15 s: each time so many kills are over, who was killed stays away for longer.
LONG_EVERY, LONG_SECONDS = 5, 17
REPLIES = {"whole": 45, "stream": 35, "busy": 5, "broken": 5, "drop": 5, "cut": 5}
# What an answer costs at most, and what the budget is: spent before the last kill.
ANSWER_USD = decimal.Decimal(scripted.EVENTS_MAX)
BUDGET_USD = decimal.Decimal(4_000)
BUDGET = f"{BUDGET_USD} USD/year"
# Of what nobody held a lease is at most so much.
LEASE_SHARE = 16
FLEET = """format = 1
name = "replicas"
currency = "USD"
[regions.r]
jurisdiction = "EU"
[models.m]
parameters = "8 B"
context = 8192
capabilities = ["chat"]
[models.held]
parameters = "8 B"
context = 8192
[parties.p]
roles = ["supplier"]
[endpoints.east]
model = "m"
region = "r"
url = "http://127.0.0.1:{port}/v1"
slots = 64
queue = 64
[contracts.east]
party = "p"
preset = "on-demand"
input = "0 USD/1M tokens"
output = "1000000 USD/1M tokens"
endpoints = ["east"]
start = 2026-01-01
end = 2060-01-01
[endpoints.units]
model = "held"
region = "r"
url = "http://127.0.0.1:{port}/v1"
[contracts.units]
party = "p"
preset = "provisioned"
endpoints = ["units"]
units = 10
tokens_per_unit_minute = 100
rate = "1 USD/unit-hour"
start = 2026-01-01
end = 2060-01-01
"""
# The request and the attempt of each settlement in the copies.
SETTLED = """SELECT 'req_' || right(split_part(body, E'\\t', 2), 32), split_part(split_part(body, E'\\n', 1), E'\\t', 3)
    FROM (SELECT convert_from(text, 'UTF8') AS body FROM baseload.entry WHERE kind = 'settlement') AS settled"""
KEEPER = "SELECT replica FROM baseload.keeper"
# A record that says only that nothing is held any more posts nothing.
HELD = """SELECT split_part(body, E'\\t', 4), split_part(body, E'\\t', 5), split_part(body, E'\\t', 2)
    FROM (SELECT convert_from(text, 'UTF8') AS body FROM baseload.entry WHERE kind = 'held') AS held
    WHERE position(E'\\nposting\\t' IN body) > 0"""
# Who takes over begins where the one before was to end, 10 s after it was last heard of; what that one held until then is lost with it.
GAP_MS_MAX = 15_000


class Replica:
    """One state directory, and the process on it while it lives."""

    def __init__(self, baseload, folder, name, address, upstream):
        self.books = Books(baseload, folder, [upstream], folder / name)
        self.books.environment = {**os.environ, "BASELOAD_SHARE": address}
        self.process, self.work = None, None
        # What clients heard by the key that has a budget.
        self.bounded = []

    def name(self):
        """The name under which it takes part."""
        return (self.books.state / "replica").read_text().strip()

    async def up(self, keys, seed):
        """Starts, and has clients ask: some by a key that has a budget, some by one that has none."""
        self.process = await self.books.start()
        port = await self.books.until_up(self.process)
        self.clients = [scripted.Clients(port, key, f"{seed} {key}", 2) for key in keys]
        self.work = asyncio.gather(*(clients.run() for clients in self.clients))

    async def down(self, how):
        """Ends, and so do its clients."""
        self.process.send_signal(how)
        async with asyncio.timeout(START_SECONDS):
            await self.process.wait()
        for clients in self.clients:
            clients.over = True
            self.books.answers += clients.answers
        self.bounded += self.clients[-1].answers
        await self.work


class World:
    """All replicas, what they share, and who asks them."""

    def __init__(self, baseload, folder, postgres, seed):
        self.baseload, self.folder, self.postgres, self.dice = baseload, folder, postgres, random.Random(seed)
        self.upstream = scripted.Upstream("east", seed, REPLIES)
        self.all = [Replica(baseload, folder, name, postgres.address(), self.upstream) for name in NAMES]

    async def start(self):
        """Each of them, once the keys are known."""
        (self.folder / "fleet.toml").write_text(FLEET.format(port=await self.upstream.start()))
        first = self.all[0].books
        first.state.mkdir(mode=0o700)
        keys = [first.run("key", "create", "free"), first.run("key", "create", "bounded", "--budget", BUDGET)]
        self.keys = [key.strip() for key in keys]
        for replica in self.all:
            await replica.up(self.keys, self.dice.random())

    def keeper(self):
        """Who posts held time now."""
        name = self.postgres.sql(KEEPER)[0][0]
        return next(replica for replica in self.all if replica.name() == name)

    async def kill(self, number, counts):
        """Kills one, every second time the one that posts held time, and starts it again."""
        await scripted.after(WORK_SECONDS * self.dice.random())
        keeper = self.keeper()
        killed = keeper if number % 2 else self.dice.choice(self.all)
        await killed.down(signal.SIGKILL)
        killed.books.verify()
        counts["kills"] += 1
        counts["kills of who posts held time"] += killed is keeper
        if number % LONG_EVERY == LONG_EVERY - 1:
            await scripted.after(LONG_SECONDS)
            counts["leases taken back"] += 1
        await killed.up(self.keys, self.dice.random())

    async def end(self):
        """All of them, in good order."""
        for replica in self.all:
            await replica.down(signal.SIGINT)
        self.upstream.stop()

    def check(self, counts):
        """What the books of each and of all say."""
        for replica in self.all:
            replica.books.verify()
        share = ("--share", self.postgres.address())
        said(self.baseload, "ledger", "verify", *share)
        shown = json.loads(said(self.baseload, "ledger", "show", *share, "--json", "--limit", "10000000"))["attempts"]
        self.check_attempts(shown, counts)
        self.check_held(counts)

    def check_attempts(self, shown, counts):
        """Each call is one attempt, with one settlement in all copies, and each answer is booked as it was told."""
        answers = [answer for replica in self.all for answer in replica.books.answers]
        calls = [call for calls in self.upstream.calls.values() for call in calls]
        rows = {(row["request"], row["attempt"]): row for row in shown}
        copied = [(request, int(attempt)) for request, attempt in self.postgres.sql(SETTLED)]
        if lost := set(copied) - set(rows):
            raise Finding(f"settled in the copies, and not in the ledger of all: {lost}")
        # A row for each settlement: one that two of them have is booked twice.
        booked = [rows[attempt] for attempt in copied] + [row for attempt, row in rows.items() if attempt not in set(copied)]
        check(booked, map(called, calls), map(told, answers), budget=self.budget(shown, counts))
        counts["attempts, each in the copies once"] += len(shown)
        counts["answers, each in the copies once"] += sum(answer.whole for answer in answers)

    def budget(self, shown, counts):
        """The key that has a budget, for its checker: at most so much more may be spent as leases that were taken back could have been."""
        answers = [answer for replica in self.all for answer in replica.bounded]
        answered = {answer.request for answer in answers if answer.status == 200}
        numbers = {row["key"] for row in shown if row["request"] in answered}
        if len(numbers) != 1:
            raise Finding(f"one key has the numbers {numbers} in the ledger of all")
        spent = sum(decimal.Decimal(row["settled"]["list_cost"]) for row in shown if row["key"] in numbers and row["settled"])
        refused = sum(answer.status == 429 for answer in answers)
        counts["refused for the budget"] += refused
        beyond = KILLS // LONG_EVERY * max(BUDGET_USD / LEASE_SHARE, ANSWER_USD)
        print(f"replicas: spent {spent} of {BUDGET_USD} USD, and {beyond} more at most may be", flush=True)
        if spent < BUDGET_USD / 2 or not refused:
            raise Finding(f"only {spent} USD spent of {BUDGET_USD}, so nothing was tried here")
        return bounded(numbers.pop(), BUDGET, beyond)

    def check_held(self, counts):
        """No instant is posted twice, by whoever it was, and none left out for longer than it takes to take over."""
        held = [(endpoint, int(begin), int(end)) for begin, end, endpoint in self.postgres.sql(HELD)]
        check([], [], [], held=held, left_out=GAP_MS_MAX)
        posted = sum(end - begin for _, begin, end in held)
        counts["held time: ms"] += posted // 1_000
        counts["held time that kills left out: ms"] += (max(end for *_, end in held) - min(begin for _, begin, _ in held) - posted) // 1_000


async def round_of(baseload, _number, seed, counts):
    """One PostgreSQL and its replicas."""
    with tempfile.TemporaryDirectory(prefix="baseload-replicas-") as made, tempfile.TemporaryDirectory(prefix="baseload-postgres-") as database:
        postgres = Postgres(pathlib.Path(database))
        world = World(baseload, pathlib.Path(made), postgres, seed)
        try:
            await world.start()
            for number in range(KILLS):
                await world.kill(number, counts)
            await world.end()
            world.check(counts)
        finally:
            for replica in world.all:
                if replica.process:
                    await kill(replica.process)
            postgres.stop()
    return True


if __name__ == "__main__":
    rounds.run("replicas", 1, round_of)
