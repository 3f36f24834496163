"""Calls to the kernel that fail for one program and some of its files, by strace's fault injection."""

import asyncio
import collections
import errno
import os
import re

from books import START_SECONDS, Finding

WRITES = ("write", "writev", "pwrite64", "pwritev")
SYNCS = ("fsync", "fdatasync")
ROOM = ("fallocate", "ftruncate")
CALLS = [WRITES, SYNCS, ROOM, WRITES + SYNCS + ROOM]
# The number of a thread's first call that fails, drawn evenly over its powers of two: those of a start, and those under load.
POWERS = 9
# The same for files that few calls are made on.
FEW_POWERS = 4
SEGMENTS = 3


def files_of(state):
    """The files that a state directory's journal has, and those of its database."""
    journal, database = state / "journal", state / "ledger.db"
    segments = [journal / f"{number:08}.bl" for number in range(SEGMENTS)]
    return [journal, *segments], [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]


def drawn(state, log, dice, more=()):
    """Refusals that a seed chooses: of the journal, the database or both; with more files, of these or of all."""
    journal, database = files_of(state)
    own = [state, *journal, *database]
    paths = dice.choice([list(more), [*more, *own]] if more else [journal, database, own])
    calls, error = dice.choice(CALLS), dice.choice((errno.ENOSPC, errno.EIO))
    first, for_good = int(2 ** ((FEW_POWERS if more else POWERS) * dice.random())), dice.random() < 0.5
    return Refusals(log, paths, calls, error, first, for_good)


class Refusals:
    """Which calls on which files fail, how, from which on, and whether ever after."""

    def __init__(self, log, paths, calls, error, first, for_good):
        self.log, self.paths, self.calls, self.error, self.first, self.for_good = log, paths, calls, error, first, for_good

    def command(self):
        """What to put before the program: it stays our child, and strace ends with it."""
        fault = f"inject={','.join(self.calls)}:error={errno.errorcode[self.error]}:when={self.first}{'+' if self.for_good else ''}"
        return [*watching(self.log, self.paths, self.calls), "-e", fault]

    def made(self):
        """How many calls failed so far."""
        return self.log.read_text().count("(INJECTED)") if self.log.exists() else 0

    def __str__(self):
        kinds = sorted({path.suffix or path.name for path in self.paths})
        often = "all from" if self.for_good else "only"
        return f"{'/'.join(self.calls)} on {'/'.join(kinds)}: {os.strerror(self.error)}, {often} the {self.first}th"


def watching(log, paths, calls):
    """What to put before a program to have its calls on these files written down."""
    only = [part for path in paths for part in ("-P", str(path))]
    return ["strace", "-D", "-f", "--seccomp-bpf", "-q", "-o", str(log), *only, "-e", f"trace={','.join(calls)}"]


def most(log):
    """The most calls that one thread made, by name."""
    made = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
    found = {}
    for (_, call), count in made.items():
        found[call] = max(count, found.get(call, 0))
    return found


async def until_up_or_ended(books, process, refusals, counts):
    """Its port; or nothing where a failed call ended its start, which has to say so."""
    try:
        return await books.until_up(process)
    except Finding as finding:
        if process.returncode is None:
            await asyncio.wait_for(process.wait(), START_SECONDS)
        if process.returncode <= 0 or str(books.state) not in str(finding) or not refusals.made():
            raise
        counts["starts ended by a call that failed"] += 1
        return None
