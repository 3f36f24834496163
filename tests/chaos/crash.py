#!/usr/bin/env python3
"""Kills `baseload up` at random moments, at work and while it starts: crash.py BASELOAD [--kills N] [--seconds S] [--seed S] [--json FILE].

After each kill the books are verified as they lie there. The next start recovers, and its ledger is held against what clients were told and what
upstreams generated: each answer once and to the token, each call of an upstream once, nothing twice, nothing left open. So are the time of an
endpoint that is held, used or not, and what a key spends that has a budget. Where libfaketime is here, every third state directory lives by a clock
that jumps, between its lives and under their requests.
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import random
import sys
import tempfile
import time

import scripted
from books import ANSWER_USD, Books, Finding, kill, left_out

# Kills of one state directory: its books grow, and each check reads all of them.
LIVES = 20
# Longest time at work before a kill; every fourth kill comes while the service starts.
WORK_SECONDS = 0.35
# Clients that ask, and those of them whose key has a budget: spent within a few lives, and every later one has to know that it is.
CLIENTS, BOUNDED = 8, 2
BUDGET = "0.02 USD/year"
# Where the clock may stand: as it is, off, asleep for a while, over a month's end, a leap day, and past what 32 bits hold.
CLOCKS = ["+0", "+6h", "-1h", "-10m", "+1h", "-26h", "+31d", "@2027-10-31 00:59:59", "@2028-02-29 23:59:58", "@2038-01-19 03:14:06"]
CLOCK = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


class Clock:
    """The clock of one state directory: the machine's, or one that jumps."""

    def __init__(self, library, folder, dice):
        self.library, self.file, self.dice, self.jumps = library, folder / "clock", dice, 0

    def environment(self):
        """The environment of a process that lives by it; its timers go on evenly, as a monotonic clock does."""
        if not self.library:
            return None
        self.jump()
        own = {"LD_PRELOAD": str(self.library), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1"}
        return {**os.environ, **own, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def jump(self):
        """Stands elsewhere."""
        if self.library:
            # Replaced whole: a reader never sees half of it.
            draft = self.file.with_suffix(".new")
            draft.write_text(self.dice.choice(CLOCKS))
            draft.rename(self.file)
            self.jumps += 1


def compared_after_each_kill(books, counts):
    """The ledger of a service that has just recovered, held against what clients and upstreams saw."""
    shown = books.compare()
    counts["attempts compared"] += len(shown)
    interrupted = sum(row["settled"]["outcome"] == "interrupted" for row in shown)
    counts["attempts found in flight"] += interrupted - books.interrupted
    books.interrupted = interrupted


async def life(books, clock, dice, counts, starting):
    """One start, recovery, comparison, work, and the kill."""
    books.environment = clock.environment()
    began = time.monotonic()
    process = await books.start()
    try:
        if starting:
            await scripted.after(dice.random() * books.start_seconds * 1.2)
            counts["killed while starting"] += 1
            return
        port = await books.until_up(process)
        books.start_seconds = time.monotonic() - began
        compared_after_each_kill(books, counts)
        await work(books, clock, dice, counts, process, port)
    finally:
        await kill(process)
        counts["kills"] += 1


async def work(books, clock, dice, counts, process, port):
    """Requests, and the kill under them."""
    keys = [(books.key, CLIENTS - BOUNDED), (books.bounded_key, BOUNDED)]
    crowds = [scripted.Clients(port, key, f"{dice.random()}", count) for key, count in keys]
    asking = asyncio.gather(*(clients.run() for clients in crowds))
    await scripted.after(dice.random() * WORK_SECONDS / 2)
    clock.jump()
    await scripted.after(dice.random() * WORK_SECONDS / 2)
    await kill(process)
    for clients in crowds:
        clients.over = True
    await asking
    answers = [answer for clients in crowds for answer in clients.answers]
    books.answers += answers
    counts["killed at work"] += 1
    counts["requests"] += len(answers)
    counts["answers, each in the books once"] += sum(answer.whole for answer in answers)


async def lives(baseload, library, seed, kills, counts, until):
    """One state directory, killed again and again, and in the end closed in good order."""
    dice = random.Random(seed)
    upstreams = [scripted.Upstream(name, seed) for name in ("east", "west", "north")]
    ports = [await upstream.start() for upstream in upstreams]
    with tempfile.TemporaryDirectory(prefix="baseload-crash-") as made:
        folder = pathlib.Path(made)
        books, clock = Books(baseload, folder, upstreams), Clock(library, folder, dice)
        books.start_seconds, books.is_even = 0.2, library is None
        books.found(ports, BUDGET, BOUNDED)
        for number in range(kills):
            await life(books, clock, dice, counts, starting=number % 4 == 3)
            books.verify()
            if time.monotonic() > until:
                break
        books.environment = None
        shown = await books.close()
        counts["budgets spent"] += books.left(shown) < ANSWER_USD
        counts["spans of held time"] += len(books.held())
    counts["jumps of the clock"] += clock.jumps
    for upstream in upstreams:
        upstream.stop()
        for fault, count in upstream.faults.items():
            counts[f"upstream faults: {fault}"] += count


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("baseload", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long, however many kills those were")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--json", type=pathlib.Path, help="write the counts there")
    parser.add_argument("--clock", type=pathlib.Path, default=CLOCK, help="libfaketime")
    return parser.parse_args()


def main():
    """Kills until there were enough, or it was long enough, and prints how many of what."""
    options, counts = arguments(), collections.Counter()
    library = options.clock and options.clock.resolve()
    until, number, found = time.monotonic() + options.seconds, 0, []
    while counts["kills"] < options.kills and time.monotonic() < until and not found:
        seed = f"{options.seed}-{number}"
        clock, kills = library if number % 3 == 1 else None, min(LIVES, options.kills - counts["kills"])
        try:
            if not library and number == 0:
                left_out("crash: clocks that jump, as libfaketime is not here")
            asyncio.run(lives(options.baseload.resolve(), clock, seed, kills, counts, until))
        except (Finding, TimeoutError) as finding:
            found.append(f"of seed {seed}: {finding!r}")
        number += 1
    tried = ("attempts found in flight", "budgets spent", "spans of held time")
    found += [f"no {what}, so nothing of that was tried here" for what in tried if not found and counts["kills"] >= 50 and not counts[what]]
    for what, count in sorted(counts.items()):
        print(f"crash: {count:>9} {what}")
    for finding in found:
        print(f"crash: FOUND {finding}")
    print(f"crash: {counts['kills']} passed, {len(found)} failed", flush=True)
    if options.json:
        options.json.write_text(json.dumps({**counts, "findings": len(found)}))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
