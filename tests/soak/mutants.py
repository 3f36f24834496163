#!/usr/bin/env python3
"""Mutants of `market` and `dispatch`, one shard of them after the other: mutants.py --first N [--seconds S] [--seed S] [--json FILE].

Each mutant is a small change of the code, and the crate's own tests should fail with it. What they don't notice is printed; how many those are
is counted by crate, as the bar that `below` holds a crate to is its own. There are 200 shards in all, so that the runs of a commit come to all of them.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# At least so many in a hundred of a crate's mutants are to be noticed, once so many of them were tried.
CRATES = {"market": 95, "dispatch": 85}
TRIED_LEAST = 200
SHARDS = 200
# Of each property: a mutant is noticed by fewer histories than a fault that is in the code.
HISTORIES = 1_000
ENDINGS = ("caught", "missed", "timeout", "unviable")
# How cargo-mutants ends where mutants were missed or took too long: it says so of them.
TOLD = (0, 2, 3)


def shard(index, folder):
    """How many mutants of a shard ended how, by crate; nothing where the tests fail without any."""
    command = ["cargo", "mutants", "--output", folder, "--shard", f"{index}/{SHARDS}", "--no-times", "--colors", "never", "--gitignore=true"]
    command += [option for crate in CRATES for option in ("--package", crate)]
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    done = subprocess.run(command, cwd=ROOT, env={**environment, "PROPTEST_CASES": str(HISTORIES)}, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in TOLD:
        return None
    said = {ending: (pathlib.Path(folder) / "mutants.out" / f"{ending}.txt").read_text().splitlines() for ending in ENDINGS}
    for mutant in said["missed"] + said["timeout"]:
        print(f"mutants: not noticed: {mutant}", flush=True)
    return collections.Counter(f"{ending} in {crate_of(mutant)}" for ending, mutants in said.items() for mutant in mutants)


def crate_of(mutant):
    """The crate of a mutant: each line begins with the path of its file."""
    return next(crate for crate in CRATES if f"/{crate}/src/" in f"/{mutant}")


def rate(counts, crate):
    """How many of a crate's mutants were tried, and of a hundred how many noticed. One that takes too long is not noticed, and one that doesn't
    compile is none."""
    caught, missed, timeout = (counts.get(f"{ending} in {crate}", 0) for ending in ("caught", "missed", "timeout"))
    tried = caught + missed + timeout
    return tried, 100 * caught / max(1, tried)


def rates(counts):
    """Each crate's rate beside its bar, in words."""
    told = {crate: rate(counts, crate) for crate in CRATES}
    return [f"{crate}: {noticed:.1f} % of {tried} noticed, of at least {CRATES[crate]} %" for crate, (tried, noticed) in told.items()]


def below(counts):
    """The crates that are below their bars, where enough of their mutants were tried, in words."""
    told = dict(zip(CRATES, rates(counts)))
    return [told[crate] for crate in CRATES if rate(counts, crate)[0] >= TRIED_LEAST and rate(counts, crate)[1] < CRATES[crate]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="the first shard, of as many as there are")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", help="not used: shards are taken in their order")
    parser.add_argument("--json", type=pathlib.Path)
    asked = parser.parse_args()
    until, counts, index = time.monotonic() + asked.seconds, collections.Counter(), asked.first
    while True:
        with tempfile.TemporaryDirectory() as folder:
            counted = shard(index % SHARDS, folder)
        if counted is None:
            break
        counts.update({**counted, "shards": 1})
        index += 1
        if time.monotonic() > until:
            break
    if asked.json:
        asked.json.write_text(json.dumps(counts))
    for told in rates(counts):
        print(f"mutants: {told}", flush=True)
    if counted is None:
        print("mutants: cargo-mutants ended without an answer, as where tests fail on the code as it is", flush=True)
    return int(counted is None)


if __name__ == "__main__":
    sys.exit(main())
