#!/usr/bin/env python3
"""Compares plans with a second formulation: run.py REFERENCE, the example of `testkit`.

First the formulation itself, on instances small enough to solve by hand; then the reference instance and random ones.
A problem without yes or no must agree to 1e-9 of its optimum; one with it within both gaps, and to 1e-9 once the choices
that Rust made are fixed and only they are left to choose. The last line counts: `plan: N passed, M failed`.
"""

import argparse
import functools
import json
import multiprocessing
import subprocess
import sys
import traceback

import by_hand
from formulation import Formulation
from tables import Tables

RANDOM = 500
# Instances that a worker takes at a time.
AT_ONCE = 5
EQUAL = 1e-9
GAP = 1e-8
FEASIBLE = 1e-9


def solved(model):
    """The best there is of a model of the second formulation."""
    status, condition = model.solve(
        "highs", io_api="direct", output_flag=False, threads=1, mip_rel_gap=GAP, mip_feasibility_tolerance=FEASIBLE,
        primal_feasibility_tolerance=FEASIBLE, dual_feasibility_tolerance=FEASIBLE,
    )
    assert (status, condition) == ("ok", "optimal"), f"the second formulation ended {status}, {condition}"
    return model.objective.value


def optimum(instance):
    """The best there is, by the second formulation."""
    return solved(Formulation(Tables(instance)).build())


def compare(name, instance, answer):
    """Holds what Rust found against the second formulation; returns the relative difference."""
    assert "error" not in answer, f"{name}: {answer['error']}"
    formulation = Formulation(Tables(instance))
    found, expected = answer["objective"], solved(formulation.build())
    scale = max(1.0, abs(expected))
    difference = abs(found - expected) / scale
    allowed = EQUAL if answer["whole"] == 0 else max(EQUAL, answer["gap"] + GAP)
    assert difference <= allowed, f"{name}: Rust found {found!r}, Python {expected!r}: {difference:.2e} apart, {allowed:.0e} allowed"
    if answer["taken"]:
        formulation.fix([round(taken) for taken in answer["taken"]])
        chosen = solved(formulation.model)
        apart = abs(found - chosen) / scale
        assert apart <= allowed, f"{name}: as Rust chose {answer['taken']}, Rust found {found!r}, Python {chosen!r}: {apart:.2e} apart"
    return difference


def compare_some(reference, instances):
    """Has Rust solve some instances and holds each of them against the second formulation: whether each passed."""
    answers = lines(reference, "solve", stdin="\n".join(instances))
    passed = []
    for line, answer in zip(map(json.loads, instances), map(json.loads, answers), strict=True):
        assert line["name"] == answer["name"], "an answer for each instance, in order"
        passed.append(counted(line["name"], compare, line["name"], line["instance"], answer))
    return passed


def counted(name, check, *arguments):
    """One line for one check: whether it passed."""
    try:
        said = check(*arguments)
    except AssertionError:
        print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
        return False
    print(f"ok   {name}{f' ({said:.1e} apart)' if isinstance(said, float) else ''}", flush=True)
    return True


def lines(*command, stdin=None):
    """What a command writes, line by line."""
    return subprocess.run(command, input=stdin, text=True, stdout=subprocess.PIPE, check=True).stdout.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", help="the example `reference` of testkit, built")
    parser.add_argument("--random", type=int, default=RANDOM, help="how many random instances")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the seed of the first of them")
    asked = parser.parse_args()
    results = [counted(f"by hand: {name}", case, optimum) for name, case in by_hand.CASES]
    instances = lines(asked.reference, "dump", str(asked.first), str(asked.random))
    some = [instances[at : at + AT_ONCE] for at in range(0, len(instances), AT_ONCE)]
    with multiprocessing.Pool() as workers:
        for passed in workers.imap(functools.partial(compare_some, asked.reference), some):
            results.extend(passed)
    passed = sum(results)
    print(f"plan: {passed} passed, {len(results) - passed} failed", flush=True)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
