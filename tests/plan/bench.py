#!/usr/bin/env python3
"""Planning the reference instance, here and in linopy, in one run: bench.py FOLDER, where testkit's examples are built.

Every figure is processor time, never the clock's; both sides run the same HiGHS on one thread. linopy is measured as it is
and with its sparse path, and the better one is compared. Laying out the instance's arrays is left out of linopy's build.
"""

import json
import pathlib
import resource
import subprocess
import sys
import time
import warnings

REPEATS = 3
SCENARIOS = "2000"


def timed(does):
    begun = time.process_time()
    result = does()
    return time.process_time() - begun, result


def linopy_figures(sparse):
    """Best of some builds, and one solve from the beginning; in a process of its own, for its memory."""
    warnings.filterwarnings("ignore", message="Sparse .* backing densified")
    from formulation import Formulation
    from tables import Tables

    tables = Tables(json.loads(sys.stdin.readline())["instance"])
    builds = [timed(lambda: Formulation(tables, sparse=sparse).build()) for _ in range(REPEATS)]
    model = builds[-1][1]
    solve, _ = timed(lambda: model.solve("highs", io_api="direct", output_flag=False, threads=1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"build_s": min(seconds for seconds, _ in builds), "solve_s": solve, "objective": model.objective.value, "peak_kb": peak}
    print("figures " + json.dumps({**figures, "columns": model.nvars, "rows": model.ncons}))


def output(*command, stdin=None):
    return subprocess.run(command, input=stdin, text=True, stdout=subprocess.PIPE, check=True).stdout


def main():
    if sys.argv[1] == "--linopy":
        return linopy_figures(sys.argv[2] == "sparse")
    examples = pathlib.Path(sys.argv[1])
    ours = json.loads(output(examples / "bench_plan", "10"))
    stated = output(examples / "reference", "dump", "0", "0")
    theirs = {}
    for path in ("dense", "sparse"):
        said = output(sys.executable, __file__, "--linopy", path, stdin=stated)
        theirs[path] = json.loads(said.split("figures ", 1)[1])
    ours_again = json.loads(output(examples / "bench_plan", "10"))
    best = min(theirs.values(), key=lambda one: one["build_s"])
    build = min(ours["build_s"], ours_again["build_s"])
    cold = min(ours["build_and_solve_s"], ours_again["build_and_solve_s"])
    cold_theirs = min(one["build_s"] + one["solve_s"] for one in theirs.values())
    print(f"reference here     {ours['columns']} columns, {ours['rows']} rows, {ours['entries']} entries; optimum {ours['objective']:.6f}")
    print(f"reference, linopy  {best['columns']} columns, {best['rows']} rows; optimum {best['objective']:.6f}")
    print("processor time                     here      linopy     ratio")
    print(f"build                        {build * 1e3:8.2f} ms {best['build_s'] * 1e3:8.0f} ms {best['build_s'] / build:8.0f}x"
          f"   (dense {theirs['dense']['build_s'] * 1e3:.0f} ms, sparse {theirs['sparse']['build_s'] * 1e3:.0f} ms)")
    print(f"build and cold solve         {cold:8.2f} s  {cold_theirs:8.2f} s  {cold_theirs / cold:8.2f}x")
    both, what_if_cold = (ours, ours_again), min(ours["what_if_cold_s"], ours_again["what_if_cold_s"])
    asked = {
        "a site's power in one month": [one["month"] for one in both],
        "six months of it and of a demand": [one["half_year"] for one in both],
        "the same, first in its session": [one["first"] for one in both],
    }
    for what, answers in asked.items():
        answer = min(answers, key=lambda one: one["seconds"])
        print(f"{what:<33} {answer['seconds'] * 1e3:5.0f} ms, {answer['how']}, {answer['iterations']} iterations;"
              f" {what_if_cold / answer['seconds']:.0f}x from the beginning")
    print(f"from the beginning {what_if_cold:.2f} s, {max(one['what_if_apart'] for one in both):.1e} apart;"
          f" a session begins in {min(one['session_s'] for one in both):.2f} s")
    print(f"peak memory                  {ours['peak_kb_first'] * 1.024e-3:8.1f} MB {best['peak_kb'] * 1.024e-3:8.1f} MB"
          f"   ({ours['peak_kb_built'] * 1.024e-3:.1f} MB here before the solve, {ours['peak_kb_warm'] * 1.024e-3:.1f} MB with what-ifs after it,"
          f" {ours['peak_kb'] * 1.024e-3:.1f} MB with a solve from the beginning after them)")
    print(output(examples / "bench_scenarios", SCENARIOS), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
