"""Calls to the kernel that fail for one program and some of its files, by strace's fault injection."""

import asyncio
import errno
import os

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


class Refusals:
    """Which calls on the files of a state directory fail, how, from which on, and whether ever after."""

    def __init__(self, state, log, dice, more=()):
        self.log = log
        journal, database = state / "journal", state / "ledger.db"
        segments = [journal / f"{number:08}.bl" for number in range(SEGMENTS)]
        databases = [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]
        own = [[journal, *segments], databases, [state, journal, *segments, *databases]]
        self.paths = dice.choice([list(more), [*more, *own[-1]]] if more else own)
        self.calls, self.error = dice.choice(CALLS), dice.choice((errno.ENOSPC, errno.EIO))
        self.first, self.for_good = int(2 ** ((FEW_POWERS if more else POWERS) * dice.random())), dice.random() < 0.5

    def command(self):
        """What to put before the program: it stays our child, and strace ends with it."""
        calls = ",".join(self.calls)
        fault = f"inject={calls}:error={errno.errorcode[self.error]}:when={self.first}{'+' if self.for_good else ''}"
        paths = [part for path in self.paths for part in ("-P", str(path))]
        return ["strace", "-D", "-f", "--seccomp-bpf", "-q", "-o", str(self.log), *paths, "-e", f"trace={calls}", "-e", fault]

    def made(self):
        """How many calls failed so far."""
        return self.log.read_text().count("(INJECTED)") if self.log.exists() else 0

    def __str__(self):
        kinds = sorted({path.suffix or path.name for path in self.paths})
        often = "all from" if self.for_good else "only"
        return f"{'/'.join(self.calls)} on {'/'.join(kinds)}: {os.strerror(self.error)}, {often} the {self.first}th"


async def until_up_or_ended(books, process, refusals, counts):
    """Its port; or nothing where a failed call ended its start, which has to say so."""
    try:
        return await books.until_up(process)
    except Finding as finding:
        if process.returncode is None:
            await asyncio.wait_for(process.wait(), START_SECONDS)
        if process.returncode <= 0 or "state directory" not in str(finding) or not refusals.made():
            raise
        counts["starts ended by a call that failed"] += 1
        return None
