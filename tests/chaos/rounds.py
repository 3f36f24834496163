"""Rounds of a chaos test, each with a seed of its own, until there were enough, or it was long enough, or one found something."""

import argparse
import asyncio
import collections
import json
import pathlib
import sys
import time

from books import Finding


def run(name, usual, one, seed="1"):
    """Runs `one(baseload, number, seed, counts)` as often as the command line says, `usual` times unless told and by `seed` unless told, prints the
    counts and exits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("baseload", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=usual)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", default=seed)
    parser.add_argument("--json", type=pathlib.Path)
    options, counts, found, passed = parser.parse_args(), collections.Counter(), [], 0
    until = time.monotonic() + options.seconds
    for number in range(options.rounds):
        seed = f"{options.seed}-{number}"
        if time.monotonic() > until or found:
            break
        try:
            # A round that a machine lacks something for says so in its counts, and did not pass.
            passed += asyncio.run(one(options.baseload.resolve(), number, seed, counts))
        except (Finding, TimeoutError) as finding:
            found.append(f"seed {seed}: {finding!r}")
    for what, count in sorted(counts.items()):
        print(f"{name}: {count:>9} {what}")
    for finding in found:
        print(f"{name}: FOUND {finding}")
    print(f"{name}: {passed} passed, {len(found)} failed", flush=True)
    if options.json:
        options.json.write_text(json.dumps({**counts, "findings": len(found)}))
    sys.exit(bool(found))
