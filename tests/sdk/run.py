#!/usr/bin/env python3
"""Runs the SDK tests against `baseload demo` and the real model, and against `baseload up` in front of a scripted upstream,
then asks the ledgers: run.py BASELOAD [api].

The last line counts both suites and the ledger's checks: `sdk: N passed, N failed`.
"""

import datetime
import decimal
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback
import urllib.error
import urllib.request

import polars

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import service  # noqa: E402
import batches  # noqa: E402
import retried  # noqa: E402
from upstream import Upstream  # noqa: E402

SUITE_SECONDS = 900
KEY_SECONDS = 30

# What each model of the scripted upstream can do, by its name there.
ALL = ["chat", "completions", "tools", "json-schema", "vision", "logprobs", "multiple-choices"]
MODELS = {
    "chatty": ALL,
    "responder": ["chat", "responses", "tools"],
    "embedder": ["embeddings"],
    "plain": ["chat"],
    "cutter": ["chat"],
    "html": ["chat"],
    "garbage": ["chat"],
    "busy": ["chat"],
    "held": ["chat"],
}


def fleet(at, models=MODELS):
    """A fleet file of hosted endpoints, one for each model of the scripted upstream, all paid by the token."""
    yield 'format = 1\nname = "scripted"\ncurrency = "USD"\n[parties.scripted]\nroles = ["supplier"]\n[regions.home]\njurisdiction = "EU"\n'
    for name, able in models.items():
        aliases = 'aliases = ["named"]\n' if name == "chatty" else ""
        yield f'[models.{name}]\n{aliases}parameters = "1 B"\ncontext = 8192\ncapabilities = {json.dumps(able)}\n'
        yield f'[endpoints.{name}]\nmodel = "{name}"\nregion = "home"\nurl = "{at}/v1"\n'
    yield '[contracts.tokens]\nparty = "scripted"\npreset = "on-demand"\nstart = 2026-01-01\nend = 2031-01-01\n'
    yield f'endpoints = {json.dumps(sorted(models))}\ninput = "1 USD/1M tokens"\ncached = "0.50 USD/1M tokens"\noutput = "2 USD/1M tokens"\n'
    yield 'rounding = "0.000001 USD"\n'


def suite(command, environment, passed, failed):
    """Runs a suite, shows what it prints, and reads its counts from there."""
    done = subprocess.run(command, env=environment, cwd=HERE, text=True, capture_output=True, timeout=SUITE_SECONDS, check=False)
    print(done.stdout + done.stderr, flush=True)
    count = [sum(map(int, re.findall(pattern, done.stdout + done.stderr, re.MULTILINE))) for pattern in (passed, failed)]
    if done.returncode != 0 and count[1] == 0:
        count[1] = 1
    return count


def python(environment, file):
    command = [sys.executable, "-m", "unittest", "-v", f"python/{file}.py"]
    ran, failed = suite(command, environment, r"^Ran (\d+) tests?", r"(?:failures|errors)=(\d+)")
    return [max(0, ran - failed), failed]


def node(environment, file):
    command = ["node", "--test", "--test-reporter=tap", f"node/{file}.test.mjs"]
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


def ledger_has_the_tokens(binary, state, noted):
    """Each request that an SDK noted is in the ledger with the tokens that its upstream said, in one answered attempt."""
    attempts = service.attempts(binary, state)
    lines = [json.loads(line) for line in noted.read_text(encoding="utf-8").splitlines()]
    assert lines, "no suite noted a request"
    for request, tokens in lines:
        (row,) = attempts.get(request, [None])
        assert row, f"{request} is not in the ledger"
        settled = row["settled"]
        got = [settled[name] for name in ("input_tokens", "cached_tokens", "output_tokens")]
        assert (settled["outcome"], settled["known"], got) == ("answered", "reported", tokens), f"{request}: {settled}"


def parquet_says_what_json_says(binary, state):
    """Another program's reader finds in the Parquet export what JSON has: to the nano-unit and the microsecond."""
    export = lambda *more: service.run(binary, "ledger", "export", "--state", str(state), *more)  # noqa: E731
    file = state.parent / "focus.parquet"
    before, rows = None, []
    while before != rows:  # A period may just have closed.
        before = json.loads(export("--format", "json"))["rows"]
        export("--format", "parquet", "--out", str(file))
        rows = json.loads(export("--format", "json"))["rows"]
    read = polars.read_parquet(file)
    assert rows and read.columns == list(rows[0]), f"{len(rows)} rows; columns {read.columns}"
    assert read.height == len(rows)
    for name, kind in read.schema.items():
        for written, row in zip(read[name].to_list(), rows):
            said = row[name]
            if said is not None and kind == polars.Decimal:
                said = decimal.Decimal(said)
            elif said is not None and kind == polars.Datetime:
                said = datetime.datetime.fromisoformat(said.replace("Z", "+00:00"))
            assert written == said, f"{name}: {written!r} in Parquet, {said!r} in JSON"


def checked(name, check, *arguments):
    try:
        check(*arguments)
    except AssertionError:
        print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
        return [0, 1]
    print(f"ok   {name}", flush=True)
    return [1, 0]


def demo(binary):
    """The suites against the demo and the real model."""
    with tempfile.TemporaryDirectory(prefix="baseload-sdk-") as folder:
        state, ids = pathlib.Path(folder) / "state", pathlib.Path(folder) / "ids"
        with service.Service(binary, state, ["demo", "--plain", "--for", "1800"]) as running:
            environment = {**os.environ, **running.environment, "REQUEST_IDS": str(ids)}
            counts = [python(environment, "test_openai"), node(environment, "openai")]
        return counts + [
            checked("the ledger has each answer exactly once", ledger_has_each_answer_once, binary, state, ids),
            checked("the ledger is whole and decisions replay", service.ledger_is_whole, binary, state),
            checked("Parquet says what JSON says", parquet_says_what_json_says, binary, state),
        ]


def api(binary):
    """The suites against `baseload up` in front of a scripted upstream."""
    with tempfile.TemporaryDirectory(prefix="baseload-api-") as folder, Upstream() as upstream:
        state, noted, file = (pathlib.Path(folder) / name for name in ("state", "noted", "fleet.toml"))
        file.write_text("".join(fleet(upstream.at)), encoding="utf-8")
        with service.Service(binary, state, ["up", str(file)]) as up:
            key = key_in_use(binary, state, up)
            environment = {**os.environ, **up.environment, "OPENAI_API_KEY": key, "UPSTREAM": upstream.at, "REQUEST_TOKENS": str(noted)}
            counts = [python(environment, "test_api"), node(environment, "api")]
        return counts + [
            checked("the ledger has the tokens of each answer", ledger_has_the_tokens, binary, state, noted),
            checked("the ledger is whole and decisions replay", service.ledger_is_whole, binary, state),
        ]


def late(binary):
    """The suites of clients that are less patient than their model."""
    with tempfile.TemporaryDirectory(prefix="baseload-late-") as folder, Upstream() as upstream:
        state, file = (pathlib.Path(folder) / name for name in ("state", "fleet.toml"))
        file.write_text("".join(fleet(upstream.at, dict.fromkeys(retried.CALLS, ["chat"]))), encoding="utf-8")
        with service.Service(binary, state, ["up", str(file)]) as up:
            environment = {**os.environ, **up.environment, "OPENAI_API_KEY": key_in_use(binary, state, up)}
            counts = [python(environment, "test_retried"), node(environment, "retried")]
        return counts + [
            checked("each retried call is booked as it was billed", retried.booked_as_billed, binary, state, upstream),
            checked("the ledger is whole and decisions replay", service.ledger_is_whole, binary, state),
        ]


def killed(binary):
    """A batch over a kill."""
    with tempfile.TemporaryDirectory(prefix="baseload-batch-") as folder, Upstream() as upstream:
        state, file = (pathlib.Path(folder) / name for name in ("state", "fleet.toml"))
        file.write_text("".join(fleet(upstream.at)), encoding="utf-8")
        key_of = lambda up: key_in_use(binary, state, up)  # noqa: E731
        return [checked("a batch survives a kill", batches.survives_a_kill, binary, state, file, upstream, key_of)]


def key_in_use(binary, state, up):
    """A new key, once the gateway knows it."""
    key = service.run(binary, "key", "create", "sdk", "--scope", "inference", "--scope", "read", "--state", str(state)).strip()
    service.poll("key in use", KEY_SECONDS, lambda: good_key(up.environment["OPENAI_BASE_URL"], key))
    return key


def good_key(base, key):
    """Whether the gateway knows a key by now."""
    request = urllib.request.Request(f"{base}/models", headers={"authorization": f"Bearer {key}"})
    try:
        return urllib.request.urlopen(request, timeout=10).status == 200
    except urllib.error.HTTPError:
        return False


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    counts = ([] if "api" in sys.argv[2:] else demo(binary)) + killed(binary) + api(binary) + late(binary)
    passed, failed = map(sum, zip(*counts))
    print(f"sdk: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
