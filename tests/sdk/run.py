#!/usr/bin/env python3
"""Runs the SDK tests against `baseload demo` and the real model, then asks the ledger: run.py BASELOAD.

The last line counts both suites and the ledger's checks: `sdk: N passed, N failed`.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import service  # noqa: E402

SUITE_SECONDS = 900


def suite(command, environment, passed, failed):
    """Runs a suite, shows what it prints, and reads its counts from there."""
    done = subprocess.run(command, env=environment, cwd=HERE, text=True, capture_output=True, timeout=SUITE_SECONDS, check=False)
    print(done.stdout + done.stderr, flush=True)
    count = [sum(map(int, re.findall(pattern, done.stdout + done.stderr, re.MULTILINE))) for pattern in (passed, failed)]
    if done.returncode != 0 and count[1] == 0:
        count[1] = 1
    return count


def python(environment):
    command = [sys.executable, "-m", "unittest", "-v", "python/test_openai.py"]
    ran, failed = suite(command, environment, r"^Ran (\d+) tests?", r"(?:failures|errors)=(\d+)")
    return [max(0, ran - failed), failed]


def node(environment):
    command = ["node", "--test", "--test-reporter=tap", "node/openai.test.mjs"]
    return suite(command, environment, r"^# pass (\d+)", r"^# (?:fail|cancelled) (\d+)")


def ledger_has_each_answer_once(binary, state, ids):
    """What a client was answered is in the ledger: its attempts numbered from 1, each settled, only the last with an answer."""
    asked = ids.read_text(encoding="utf-8").split()
    assert asked, "no suite noted a request"
    assert len(asked) == len(set(asked)), "two requests got the same id"
    attempts = service.attempts(binary, state)
    for request in asked:
        rows = sorted(attempts.get(request, []), key=lambda row: row["attempt"])
        outcomes = [row["settled"] and row["settled"]["outcome"] for row in rows]
        numbered = [row["attempt"] for row in rows] == list(range(1, len(rows) + 1))
        once = outcomes and outcomes[-1] in ("answered", "client gone") and set(outcomes[:-1]) <= {"failed"}
        assert numbered and once, f"{request} was answered once; the ledger has {rows}"


def checked(name, check, *arguments):
    try:
        check(*arguments)
    except AssertionError:
        print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
        return [0, 1]
    print(f"ok   {name}", flush=True)
    return [1, 0]


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="baseload-sdk-") as folder:
        state, ids = pathlib.Path(folder) / "state", pathlib.Path(folder) / "ids"
        with service.Service(binary, state, ["demo", "--plain", "--for", "1800"]) as demo:
            environment = {**os.environ, **demo.environment, "REQUEST_IDS": str(ids)}
            counts = [python(environment), node(environment)]
        counts += [
            checked("the ledger has each answer exactly once", ledger_has_each_answer_once, binary, state, ids),
            checked("the ledger is whole and decisions replay", service.ledger_is_whole, binary, state),
        ]
    passed, failed = map(sum, zip(*counts))
    print(f"sdk: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
