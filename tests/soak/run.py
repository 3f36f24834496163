#!/usr/bin/env python3
"""The long tests, for as long as they are given: run.py TARGET --minutes M [--night] [--only PART,...].

Every part gets its share of the time, with seeds that no earlier run of this commit had, and what it counted is added to what earlier runs of
this commit counted: in ${XDG_STATE_HOME:-~/.local/state}/baseload-soak/COMMIT, with the fuzzers' corpora and whatever was found. The exit
status is 1 when anything was. After a night it is told which of a night's counts the commit has come to; that fails nothing.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import time

import fuzz
from mutants import below, rates

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHAOS = ROOT / "tests" / "chaos"
# What a night should come to; a commit's runs add up to it.
WANTED = {
    "crash: kills": 5_000,
    "torn: variants": 50_000,
    "fuzz: executions": 130_000_000,
    "misbehave: requests": 200_000,
    "memory: requests": 500_000,
    "simulated: seeds": 20_000,
    "simulated: seeds run twice": 200,
    "simulated: faults": 100_000,
    "simulated: requests": 2_000_000,
    "properties: histories of each": 1_000_000,
    "plans: instances": 20_000,
}
# A kind of torn write is one test; so many variants of each take about a second on two cores.
TORN_KINDS, TORN_A_SECOND = 5, 5
# Of the requests between upstreams and clients that misbehave, so many are to meet a fault, and so many of those that could be are to be answered.
FAULTED_LEAST, GOODPUT_LEAST = 0.3, 0.999
# Seeds of the simulation at a time, of which so many are run twice, beside it; as many as every case has to come up in.
SEEDS, TWICE = 240, 20
# Histories of each property at a time, and how many may be thrown away for each test as saying nothing.
HISTORIES, REJECTS = 5_000, 1_000_000
# Histories of books at a time, and instances of plans; of these so many are solved with each change.
BOOKS, PLANS, PLANNED = 200, 50, 500
PURE = "package(/^(market|dispatch|dialect|fleet)$/)"


class Soak:
    """One run: where things are, and what it counted."""

    def __init__(self, options):
        os.environ["CHECK_BOOKS"] = str(options.target.resolve() / "debug" / "examples" / "check_books")
        self.target, self.seconds = options.target.resolve(), 60 * options.minutes
        self.baseload = self.target / "debug" / "baseload"
        self.folder = state_folder() / commit()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sums = collections.Counter(read(self.folder / "counts.json"))
        self.seed = f"{self.sums['runs']}"
        self.sums["runs"] += 1
        self.counts, self.found = collections.Counter(), []

    def script(self, name, path, *arguments):
        """A script that writes what it counted, and tells what it found; whether that was nothing."""
        written = self.folder / f"{name}.json"
        written.unlink(missing_ok=True)
        done = self.run(sys.executable, path, *arguments, "--seed", self.seed, "--json", written)
        self.count(name, read(written))
        if done:
            self.found.append(f"{name} ended with {done}")
        return not done

    def count(self, name, counts):
        """Adds what a part counted."""
        for what, count in counts.items():
            self.counts[f"{name}: {what}"] += count

    def run(self, *command, **environment):
        """A command to its end; its exit status."""
        return subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}, check=False).returncode

    def tests(self, chosen, **environment):
        """Tests of the crates; whether they passed."""
        # Of the whole workspace: a part of it would have its dependencies built anew, with other features.
        command = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast", "-E", chosen]
        return not self.run(*command, **{name: str(setting) for name, setting in environment.items()})

    def again_and_again(self, name, seconds, once):
        """Runs `once()` for so long, or until it finds something; it gives what it counted, or nothing where a test failed."""
        until = time.monotonic() + seconds
        while counted := once():
            self.count(name, counted)
            if time.monotonic() > until:
                return
        self.found.append(f"{name}: a test failed")

    def save(self):
        """Adds this run to the commit's sums."""
        total = self.sums + self.counts
        (self.folder / "counts.json").write_text(json.dumps(total, indent=1, sort_keys=True))
        return total


def crash(soak, seconds):
    """Kills at random moments."""
    soak.script("crash", CHAOS / "crash.py", soak.baseload, "--kills", 10**9, "--seconds", seconds)


def disk(soak, seconds):
    """The disk full."""
    soak.script("disk", CHAOS / "disk.py", soak.baseload, "--rounds", 10**9, "--seconds", seconds)


def every(soak, seconds):
    """Every single call to the disk refused."""
    soak.script("every", CHAOS / "every.py", soak.baseload, "--rounds", 10**9, "--seconds", seconds)


def replicas(soak, seconds):
    """Replicas on one PostgreSQL, killed."""
    soak.script("replicas", CHAOS / "replicas.py", soak.baseload, "--rounds", 10**9, "--seconds", seconds)


def batched(soak, seconds):
    """Batches through kills, on a disk that refuses calls."""
    soak.script("batched", CHAOS / "batched.py", soak.baseload, "--rounds", 10**9, "--seconds", seconds)


def misbehave(soak, seconds):
    """Upstreams and clients that misbehave."""
    if not soak.script("misbehave", CHAOS / "misbehave.py", soak.baseload, "--rounds", 10**9, "--seconds", seconds):
        return
    counts = of_part("misbehave", soak.counts)
    faulted = sum(count for what, count in counts.items() if what.startswith("fault: "))
    if faulted < FAULTED_LEAST * counts["requests"]:
        soak.found.append(f"misbehave: only {faulted} of {counts['requests']} requests met a fault")
    healthy, answered = counts["with a healthy upstream: requests"], counts["with a healthy upstream: answered"]
    if answered < GOODPUT_LEAST * healthy:
        soak.found.append(f"misbehave: only {answered} of {healthy} requests with a healthy upstream were answered whole")


def torn(soak, seconds):
    """Writes torn and lost."""
    variants = max(100, int(seconds * TORN_A_SECOND))
    passed = soak.tests("package(ledger) & test(suffix::)", BASELOAD_TORN_VARIANTS=variants)
    soak.count("torn", {"variants": TORN_KINDS * variants if passed else 0})
    if not passed:
        soak.found.append("torn: a test failed")


def simulated(soak, seconds):
    """A simulated network, with seeds that were not run before."""
    written = soak.folder / "simulated.txt"

    def once():
        fresh = soak.sums["simulated: seeds"] + soak.counts["simulated: seeds"]
        chosen = "package(gateway) & test(/^simulation::(whatever|the_same_seed)/)"
        if not soak.tests(chosen, SIM_FROM=fresh, SIM_SEEDS=SEEDS, SIM_TWICE=TWICE, SIM_COUNTS=written):
            return None
        cases = (line.split(maxsplit=1) for line in written.read_text().splitlines())
        return {"seeds": SEEDS, "seeds run twice": TWICE, **{case: int(count) for count, case in cases}}

    soak.again_and_again("simulated", seconds, once)


def properties(soak, seconds):
    """Histories of the pure core's properties."""

    def once():
        passed = soak.tests(PURE, PROPTEST_CASES=HISTORIES, PROPTEST_MAX_GLOBAL_REJECTS=REJECTS)
        return {"histories of each": HISTORIES} if passed else None

    soak.again_and_again("properties", seconds, once)


def books(soak, seconds):
    """Histories of books: closed, corrected, carried on with other fleet files."""

    def once():
        chosen = "package(ledger) & test(/^(billing|history)::/)"
        return {"histories of each": BOOKS} if soak.tests(chosen, PROPTEST_CASES=BOOKS) else None

    soak.again_and_again("books", seconds, once)


def plans(soak, seconds):
    """Plans against a second formulation, of instances that were not solved before."""

    def once():
        fresh = PLANNED + soak.sums["plans: instances"] + soak.counts["plans: instances"]
        reference, program = soak.target / "debug" / "examples" / "reference", ROOT / "tests" / "plan" / "run.py"
        failed = soak.run(sys.executable, program, reference, "--from", fresh, "--random", PLANS)
        return None if failed else {"instances": PLANS}

    soak.again_and_again("plans", seconds, once)


def mutants(soak, seconds):
    """Mutants of the crates that price and decide: how many of them the tests notice."""
    first = soak.sums["mutants: shards"]
    soak.script("mutants", ROOT / "tests" / "soak" / "mutants.py", "--first", first, "--seconds", seconds)
    tried = of_part("mutants", soak.sums + soak.counts)
    for rate in rates(tried):
        print(f"mutants of this commit: {rate}", flush=True)
    soak.found += [f"mutants: {rate}" for rate in below(tried)]


def fuzzed(soak, seconds):
    """Any bytes."""
    executed, found = fuzz.run(ROOT, soak.target, soak.folder, soak.seed, seconds)
    soak.count("fuzz", executed)
    soak.found += found


def memory(soak, seconds):
    """Half a million requests on one gateway, twice: memory at most so much, and flat."""
    program = ROOT / "tests" / "bench" / "gateway" / "soak.py"
    soak.script("memory", program, soak.target / "release", "--seconds", seconds)


# Each part's share of the time.
PARTS = {
    crash: 0.2,
    simulated: 0.18,
    fuzzed: 0.2,
    misbehave: 0.08,
    torn: 0.07,
    disk: 0.05,
    every: 0.03,
    batched: 0.03,
    replicas: 0.04,
    memory: 0.08,
    properties: 0.05,
    books: 0.03,
    plans: 0.03,
    mutants: 0.04,
}


def of_part(name, counts):
    """What a part counted, by the names that it gave."""
    return {what.removeprefix(f"{name}: "): count for what, count in counts.items() if what.startswith(f"{name}: ")}


def night(total):
    """What a commit's runs have come to of each of a night's counts, in words."""
    for what, wanted in WANTED.items():
        yield f"{'reached' if total[what] >= wanted else 'NOT reached'}: {total[what]:,} of {wanted:,} {what}"


def state_folder():
    """Where the sums of all commits are: outside the clone."""
    return pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state") / "baseload-soak"


def commit():
    """The commit that is tested; with changes that are in none, that is said."""
    git = lambda *arguments: subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return (git("rev-parse", "--short=12", "HEAD") or "none") + ("-changed" if git("status", "--porcelain") else "")


def read(path):
    """A JSON file, or nothing."""
    return json.loads(path.read_text()) if path.exists() else {}


def main():
    """Every part in turn, then the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=pathlib.Path, help="cargo's target directory")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--night", action="store_true", help="say which of a night's counts are reached")
    parser.add_argument("--only", default=",".join(part.__name__ for part in PARTS))
    options = parser.parse_args()
    soak, only = Soak(options), options.only.split(",")
    parts = {part: share for part, share in PARTS.items() if part.__name__ in only}
    for part, share in parts.items():
        seconds, began = soak.seconds * share / sum(parts.values()), time.monotonic()
        print(f"== soak: {part.__name__}, {seconds:.0f} s: {part.__doc__}", flush=True)
        part(soak, seconds)
        print(f"== soak: {part.__name__} took {time.monotonic() - began:.0f} s", flush=True)
        total = soak.save()
    print(f"\n{'this run':>14}{'this commit':>14}{'a night':>14}  {soak.folder}")
    for what in sorted(set(total) - {"runs"}):
        print(f"{soak.counts[what]:>14,}{total[what]:>14,}{WANTED.get(what, ''):>14}  {what}")
    for line in night(total) if options.night else ():
        print(line)
    for finding in soak.found:
        print(f"FOUND {finding}")
    sys.exit(bool(soak.found))


if __name__ == "__main__":
    main()
