#!/usr/bin/env python3
"""Runs the program as those do who operate it, a process for each test: run.py BASELOAD.

The last line counts the tests: `operator: N passed, N failed`.
"""

import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "sdk")]
import operated  # noqa: E402
import test_certificates  # noqa: E402
import test_keys  # noqa: E402
import test_shadow  # noqa: E402
import test_store  # noqa: E402
import test_verify  # noqa: E402

SUITES = [test_keys, test_verify, test_shadow, test_store, test_certificates]


def main():
    operated.BASELOAD = str(pathlib.Path(sys.argv[1]).resolve())
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromModule(module) for module in SUITES)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"operator: {result.testsRun - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
