#!/usr/bin/env python3
"""A short run of `baseload up`, again for each call that it makes on its files, and that one fails: every.py BASELOAD [--rounds N] [--seconds S] [--seed S] [--json FILE].

First the run is watched: how often each thread writes, syncs and makes room (strace). Then the first such call of each thread fails, the second,
and so on to the last, for want of room or by a broken disk, once or ever after. As many rounds as are asked for come from all over the list, from
where the seed says on: another place each time, unless told. Whatever failed, the program says so or goes on, and its books are whole and complete.
"""

import asyncio
import errno
import pathlib
import random
import signal
import tempfile
import time

import rounds
import scripted
from books import START_SECONDS, Books, Finding, kill
from refusals import ROOM, SYNCS, WRITES, Refusals, files_of, most, until_up_or_ended, watching

REQUESTS = 6
REPLIES = {"whole": 60, "stream": 40}
# Threads share the work a little differently each time: so many calls more than were seen are tried.
MORE = 2
# Steps of such a width through the list come by all of it, and nowhere near where they were just before.
WIDTH = 0.618
# The calls of the run, in the order that they are tried in.
TRIED = []


class Short:
    """The run: its books, and upstreams that do nothing wrong."""

    def __init__(self, baseload, folder):
        self.upstreams = [scripted.Upstream(name, "1", REPLIES) for name in ("east", "west")]
        self.books, self.log = Books(baseload, folder, self.upstreams), folder / "strace.log"

    async def found(self):
        """A new state directory."""
        self.books.found([await upstream.start() for upstream in self.upstreams])
        journal, database = files_of(self.books.state)
        self.paths = [self.books.state, *journal, *database]

    async def ask(self, port, count):
        """Requests one after the other, and how many were answered."""
        clients = scripted.Clients(port, self.books.key, "1", 1)
        for _ in range(count):
            await clients.ask()
        self.books.answers += clients.answers
        heard = [answer.status for answer in clients.answers]
        if odd := set(heard) - {200, 503}:
            raise Finding(f"a client heard {odd}")
        return heard.count(200)

    async def end(self, process):
        """Ends it in good order."""
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(START_SECONDS):
            await process.wait()

    def stop(self):
        """Nobody listens any more."""
        for upstream in self.upstreams:
            upstream.stop()


async def watch(short, seed):
    """All the calls of a run in which none fails: each with how it is to fail, those beside each other far apart, from where the seed says on."""
    short.books.before = watching(short.log, short.paths, WRITES + SYNCS + ROOM)
    process = await short.books.start()
    try:
        await short.ask(await short.books.until_up(process), REQUESTS)
        await short.end(process)
    finally:
        await kill(process)
    made = sorted(most(short.log).items())
    ways = [(error, for_good) for for_good in (False, True) for error in (errno.ENOSPC, errno.EIO)]
    tried = [(call, number, *way) for way in ways for call, count in made for number in range(1, count + MORE + 1)]
    begin = random.Random(seed).random()
    return [tried[place] for place in sorted(range(len(tried)), key=lambda place: (place * WIDTH - begin) % 1)]


async def refused(short, tried, counts):
    """The run with a call that fails."""
    call, number, error, for_good = tried
    refusals = Refusals(short.log, short.paths, (call,), error, number, for_good)
    short.books.before, short.books.fault = refusals.command(), refusals
    process = await short.books.start()
    short.books.before = []
    try:
        if port := await until_up_or_ended(short.books, process, refusals, counts):
            counts["answers where a call failed"] += await short.ask(port, REQUESTS)
            if for_good:
                # The end of one request may be only in memory.
                short.books.untold = 1
            else:
                async with asyncio.timeout(START_SECONDS):
                    while not await short.ask(port, 1):
                        await scripted.after(0.05)
            await short.end(process)
    finally:
        await kill(process)
    counts["calls that failed"] += refusals.made()
    counts["rounds in which none did"] += not refusals.made()
    short.books.verify()


async def round_of(baseload, number, seed, counts):
    """One call of the list fails."""
    with tempfile.TemporaryDirectory(prefix="baseload-every-") as made:
        short = Short(baseload, pathlib.Path(made))
        try:
            await short.found()
            if not TRIED:
                TRIED.extend(await watch(short, seed))
                print(f"every: {len(TRIED)} ways in which a call of the run may fail, by --seed {seed.rpartition('-')[0]}", flush=True)
                return True
            await refused(short, TRIED[number % len(TRIED)], counts)
            await short.books.close()
            return True
        except (Finding, TimeoutError) as finding:
            raise Finding(f"{finding!r} ({short.books.fault})") from finding
        finally:
            short.stop()


if __name__ == "__main__":
    rounds.run("every", 80, round_of, seed=str(int(time.time())))
