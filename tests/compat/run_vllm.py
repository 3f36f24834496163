#!/usr/bin/env python3
"""The real vLLM behind Baseload, on this machine's CPU with a tiny model made here: run_vllm.py BASELOAD VLLM_PYTHON.

The last line counts the tests: `vllm: N passed, N failed`. A vLLM that does not start is a failure, and says why.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import service  # noqa: E402
import vllm_cases  # noqa: E402
import vllm_messages  # noqa: E402
import vllm_server  # noqa: E402

FLEET = """format = 1
name = "vllm"
currency = "USD"
[parties.p]
roles = ["supplier"]
[models.tiny]
parameters = "1 B"
context = {context}
capabilities = ["chat", "completions", "tools", "json-schema", "logprobs", "multiple-choices", "responses"]
[models.vectors]
parameters = "1 B"
context = {context}
capabilities = ["embeddings"]
[models.astray]
parameters = "1 B"
context = {context}
[endpoints.tiny]
model = "tiny"
url = "{served}"
upstream_model = "served"
key = {{ env = "COMPAT_VLLM_KEY" }}
[endpoints.vectors]
model = "vectors"
url = "{vectors}"
key = {{ env = "COMPAT_VLLM_KEY" }}
[endpoints.astray]
model = "astray"
url = "{served}"
upstream_model = "what vLLM does not serve"
key = {{ env = "COMPAT_VLLM_KEY" }}
[models.messages]
parameters = "1 B"
context = {context}
[endpoints.messages]
model = "messages"
url = "{served}"
dialect = "anthropic"
upstream_model = "served"
key = {{ env = "COMPAT_VLLM_KEY" }}
key_as = "bearer"
[models.keyed]
parameters = "1 B"
context = {context}
[endpoints.keyed]
model = "keyed"
url = "{served}"
dialect = "anthropic"
upstream_model = "served"
key = {{ env = "COMPAT_VLLM_KEY" }}
[contracts.tokens]
party = "p"
preset = "on-demand"
endpoints = ["tiny", "vectors", "astray", "messages", "keyed"]
input = "1 USD/1M tokens"
cached = "0.10 USD/1M tokens"
output = "2 USD/1M tokens"
start = 2026-01-01
end = 2036-01-01
"""


@contextlib.contextmanager
def world(binary, python, folder):
    """Two vLLMs and Baseload in front of them."""
    subprocess.run([python, HERE / "tiny_model.py", folder / "model"], check=True)
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, arguments in [("served", vllm_server.GENERATES), ("vectors", vllm_server.EMBEDS)]:
            servers[name] = vllm_server.Vllm(python, folder, name, arguments)
            stack.callback(servers[name].stop)
        for server in servers.values():
            server.wait()
        fleet, state = folder / "fleet.toml", folder / "state"
        places = {name: server.base for name, server in servers.items()}
        fleet.write_text(FLEET.format(context=vllm_server.CONTEXT, **places), encoding="utf-8")
        os.environ["COMPAT_VLLM_KEY"] = vllm_server.KEY
        key = service.run(binary, "key", "create", "compat", "--state", str(state)).split()[0]
        gateway = stack.enter_context(service.Service(binary, state, ["up", str(fleet)]))
        yield vllm_cases.World(gateway=gateway, key=key, **servers)


def books_are_whole(world):
    """Each answer is in the ledger once with what vLLM reported, each that was left with no more than it made, each refused one with nothing."""
    binary, state = world.gateway.binary, world.gateway.state
    service.ledger_is_whole(binary, state)
    attempts = service.attempts(binary, state)
    settled = {request: [row["settled"] for row in rows if row["settled"]] for request, rows in attempts.items()}
    assert world.reported and world.gone and world.refused, "tests noted what they asked"
    for request, tokens in world.reported.items():
        rows = settled.get(request, [])
        found = [(row["outcome"], row["known"], tuple(row[f"{kind}_tokens"] for kind in ("input", "cached", "output"))) for row in rows]
        assert found == [("answered", "reported", tokens)], f"{request}: vLLM reported {tokens}; the ledger has {found}"
    for request, generated in world.gone.items():
        rows = settled.get(request, [])
        assert [(row["outcome"], row["known"]) for row in rows] == [("client gone", "counted")], f"{request}: {rows}"
        assert 15 <= rows[0]["output_tokens"] <= generated, f"{request}: vLLM made {generated}; the ledger has {rows}"
    for request in world.refused:
        rows = settled.get(request, [])
        assert [(row["outcome"], row["input_tokens"], row["output_tokens"]) for row in rows] == [("failed", 0, 0)], f"{request}: {rows}"


def main():
    binary, python = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).absolute()
    with tempfile.TemporaryDirectory(prefix="baseload-vllm-") as name:
        with world(binary, python, pathlib.Path(name)) as vllm_cases.WORLD:
            # The last of the other cases stops vLLM.
            suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromModule, (vllm_messages, vllm_cases)))
            result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
        failed = len(result.failures) + len(result.errors)
        passed = result.testsRun - failed
        try:
            books_are_whole(vllm_cases.WORLD)
            passed += 1
            print("ok   the ledger has what vLLM reported", flush=True)
        except AssertionError as problem:
            failed += 1
            print(f"FAIL the ledger has what vLLM reported: {problem}", flush=True)
    print(f"vllm: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
