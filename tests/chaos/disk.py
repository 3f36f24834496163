#!/usr/bin/env python3
"""Takes the disk away from `baseload up` under load, or its files, and gives them back: disk.py BASELOAD [--rounds N] [--seconds S] [--seed S] [--json FILE].

- **small**: there was never room for what the journal keeps ahead. All work is refused, and taken as soon as there is room, without a restart.
- **filled**: others fill the disk under load. What is answered goes on into what is kept; room again, and the books catch up.
- **killed**: the same, and a kill before there is room.
- **limited**: no file may grow past a limit that is hit in the middle of a write (RLIMIT_FSIZE), and then a kill.
- **refused**: one call that writes, syncs or makes room fails, once or ever after, on the journal, the database or both (strace), from the start on.
- **scarce**: it may open too few files for all its clients: they wait for one another, and none is refused.

An endpoint is held through all of it, used or not, and some clients' key has a budget. A small disk is a tmpfs; where none can be mounted the first three are left out, and said to be; where CI runs that is a finding.
"""

import asyncio
import collections
import contextlib
import os
import pathlib
import random
import subprocess
import tempfile
import time

import rounds
import scripted
from books import ANSWER_USD, START_SECONDS, Books, Finding, kill, left_out
from refusals import drawn, until_up_or_ended

DISK_BYTES = 48 << 20
# Less than the journal keeps ahead, and more than the files of an empty state directory.
SCANT_BYTES = 6 << 20
PATIENCE_SECONDS = 1.0
# Clients at once, and those of them whose key has a budget: some dozen answers cost that.
CLIENTS, BOUNDED = 8, 2
BUDGET = "0.004 USD/year"
# Enough for a few connections; and more clients than that.
FILES, CROWD = 110, 150
SCARCE = 'ulimit -n {files}; exec "$0" "$@"'
LIMITED = 'trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@"'


class Disk:
    """A small disk, with ballast that others put on it."""

    def __init__(self, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(self.folder)]
        self.mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        self.ballast = self.folder / "ballast"

    def fill(self, leave=0):
        """Takes all that is free but `leave`."""
        # Without a buffer: what one still holds when the disk is full is written again as it is closed, and refused again.
        with open(self.ballast, "ab", buffering=0) as ballast:
            free = os.statvfs(self.folder)
            with contextlib.suppress(OSError):
                os.posix_fallocate(ballast.fileno(), 0, max(1, ballast.tell() + free.f_bfree * free.f_frsize - leave))
            with contextlib.suppress(OSError):
                while not leave:
                    ballast.write(bytes(1 << 16))

    def free(self):
        """Gives all of it back."""
        self.ballast.unlink(missing_ok=True)

    def unmount(self):
        """Gives the disk back."""
        if self.mounted:
            subprocess.run(["umount", str(self.folder)], check=False)


async def asked(books, port, seconds, dice, count=CLIENTS - BOUNDED, bounded=BOUNDED):
    """What clients hear for a while, so many of them by the key that has a budget: answers, refusals by status."""
    crowds = [scripted.Clients(port, key, dice.random(), some) for key, some in ((books.key, count), (books.bounded_key, bounded))]
    asking = asyncio.gather(*(clients.run() for clients in crowds))
    await scripted.after(seconds)
    for clients in crowds:
        clients.over = True
    # Who waits for an upstream that says nothing hangs up.
    await asyncio.wait([asking], timeout=PATIENCE_SECONDS)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    answers = [answer for clients in crowds for answer in clients.answers]
    books.answers += answers
    heard = collections.Counter(answer.status for answer in answers)
    if odd := set(heard) - {200, 429, 500, 502, 503}:
        raise Finding(f"clients heard {odd}: {heard}")
    return heard


async def until_answered(books, port, dice):
    """Asks until there are answers again; there is room, so they must come."""
    until = time.monotonic() + START_SECONDS
    while not (await asked(books, port, 0.3, dice))[200]:
        if time.monotonic() > until:
            raise Finding("there is room again, and no answer")


async def small(books, disk, dice, counts):
    """Too little room from the start."""
    disk.fill(SCANT_BYTES)
    process = await books.start()
    try:
        port = await books.until_up(process)
        heard = await asked(books, port, 0.5, dice)
        if heard[200] or not heard[503]:
            raise Finding(f"with no room to keep ahead, clients heard {heard}")
        counts["requests refused for want of room"] += heard[503]
        disk.free()
        await until_answered(books, port, dice)
    finally:
        await kill(process)


async def filled(books, disk, dice, counts, killed=False):
    """Filled by others under load."""
    process = await books.start()
    try:
        port = await books.until_up(process)
        await asked(books, port, 0.3 * dice.random(), dice)
        filling = asyncio.create_task(asked(books, port, 1.0, dice))
        await scripted.after(0.3 * dice.random())
        disk.fill()
        heard = await filling
        counts["answers with the disk full"] += heard[200]
        counts["requests refused for want of room"] += heard[503]
        if not killed:
            disk.free()
            await until_answered(books, port, dice)
    finally:
        await kill(process)
    books.verify_when_there_is_room(disk)


async def limited(books, _disk, dice, counts):
    """A write fails in the middle, in whichever file reaches the limit first."""
    books.before = ["sh", "-c", LIMITED.format(blocks=dice.randint(300, 1_500))]
    process = await books.start()
    books.before = []
    try:
        port = await books.until_up(process)
        heard = await asked(books, port, 1.0 + dice.random(), dice)
        counts["requests refused for want of room"] += heard[503]
        counts["answers under a limit"] += heard[200]
    finally:
        await kill(process)
    books.verify()


async def refused(books, _disk, dice, counts):
    """Whatever call fails, and whenever, the program says so or goes on, and its books are whole."""
    refusals = drawn(books.state, books.fleet.with_name("strace.log"), dice)
    books.before, books.fault = refusals.command(), refusals
    process = await books.start()
    books.before = []
    try:
        if port := await until_up_or_ended(books, process, refusals, counts):
            heard = await asked(books, port, 0.5 + dice.random(), dice)
            counts["answers where a call failed"] += heard[200]
            counts["requests refused where a call failed"] += heard[503]
            if refusals.for_good:
                # Nothing new begins after the first end that is refused.
                books.untold = CLIENTS
            else:
                await until_answered(books, port, dice)
    finally:
        await kill(process)
        counts["calls that failed"] += refusals.made()
    books.verify()


async def scarce(books, _disk, dice, counts):
    """A crowd, and files for a few of it at once."""
    for upstream in books.upstreams:
        upstream.replies = {"whole": 60, "stream": 40}
    books.before = ["sh", "-c", SCARCE.format(files=FILES)]
    process = await books.start()
    books.before = []
    try:
        port = await books.until_up(process)
        heard = await asked(books, port, 1.0, dice, CROWD, 0)
        if set(heard) != {200}:
            raise Finding(f"with files for a few of them at once, clients heard {heard}")
        counts["answers with few files"] += heard[200]
    finally:
        await kill(process)
    books.verify()


class SmallBooks(Books):
    """Books on a disk that may be full."""

    def verify_when_there_is_room(self, disk):
        """As they lie there; the check itself needs room for the database's own files."""
        disk.free()
        self.verify()


ROUNDS = {"small": small, "filled": filled, "killed": lambda *given: filled(*given, killed=True), "limited": limited, "refused": refused, "scarce": scarce}
# What needs a disk of its own.
ON_SMALL_DISK = ("small", "filled", "killed")


async def round_of(baseload, number, seed, counts):
    """One state directory, one fault, and what is left of the books; whether there was a disk for it."""
    kind = list(ROUNDS)[number % len(ROUNDS)]
    dice = random.Random(seed)
    upstreams = [scripted.Upstream(name, seed) for name in ("east", "west", "north")]
    ports = [await upstream.start() for upstream in upstreams]
    with tempfile.TemporaryDirectory(prefix="baseload-disk-") as made:
        folder = pathlib.Path(made)
        disk = Disk(folder) if kind in ON_SMALL_DISK else None
        try:
            books = SmallBooks(baseload, folder, upstreams, disk.folder / "state" if disk else None)
            if disk and not disk.mounted:
                left_out(f"{kind}, as no small disk can be mounted here")
                return False
            books.found(ports, BUDGET, BOUNDED)
            await ROUNDS[kind](books, disk, dice, counts)
            shown = await books.close()
            counts["budgets spent"] += books.left(shown) < ANSWER_USD
            counts["spans of held time"] += len(books.held())
            counts["answers, each in the books once"] += sum(answer.whole for answer in books.answers)
            counts[f"{kind}: rounds"] += 1
            return True
        except Finding as finding:
            raise Finding(f"{kind}: {finding} ({books.fault})" if books.fault else f"{kind}: {finding}") from finding
        finally:
            if disk:
                disk.unmount()
            for upstream in upstreams:
                upstream.stop()


if __name__ == "__main__":
    rounds.run("disk", 12, round_of)
