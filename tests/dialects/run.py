#!/usr/bin/env python3
"""Runs the tests of the dialects against fake vendors: run.py BASELOAD.

Each vendor's official SDK talks to its fake unmodified, which proves the fake; then the gateway talks to the same fake.
The last line counts the tests: `dialects: N passed, N failed`.
"""

import contextlib
import os
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import clients  # noqa: E402
import service  # noqa: E402
import test_clients  # noqa: E402
import test_gateway  # noqa: E402
import test_messages  # noqa: E402
import test_vendors  # noqa: E402
import vendor  # noqa: E402
from fake_anthropic import Anthropic  # noqa: E402
from fake_azure import Azure  # noqa: E402
from fake_gemini import Gemini  # noqa: E402
from fake_surfaces import Oci, Vertex, VertexOpenAi  # noqa: E402

FAKES = {"anthropic": Anthropic, "gemini": Gemini, "azure": Azure, "oci": Oci, "vertex": Vertex, "vertex_openai": VertexOpenAi}
SUITES = [test_vendors, test_gateway, test_messages, test_clients]


@contextlib.contextmanager
def world(binary, folder):
    """The fake vendors, and the gateway in front of them."""
    os.environ["VENDOR_KEY"] = vendor.KEY
    with contextlib.ExitStack() as stack:
        fakes = {name: stack.enter_context(kind()) for name, kind in FAKES.items()}
        text = (HERE / "fleet.toml").read_text(encoding="utf-8")
        for name, fake in fakes.items():
            text = text.replace(f'"{name.upper()}/', f'"{fake.origin}/').replace(f'"{name.upper()}"', f'"{fake.origin}"')
        fleet, state = folder / "fleet.toml", folder / "state"
        fleet.write_text(text, encoding="utf-8")
        key = service.run(binary, "key", "create", "tests", "--state", str(state)).split()[0]
        with service.Service(binary, state, ["up", str(fleet)]) as running:
            base = running.environment["OPENAI_BASE_URL"]
            yield clients.World(**fakes, base=base, key=key)


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="baseload-dialects-") as name:
        folder = pathlib.Path(name)
        with world(binary, folder) as clients.WORLD:
            suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromModule(module) for module in SUITES)
            result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
        failed = len(result.failures) + len(result.errors)
        passed = result.testsRun - failed - len(result.skipped)
        try:
            clients.books_are_whole(binary, folder / "state")
            passed += 1
            print("ok   the books have every answer once, with its vendor's usage", flush=True)
        except AssertionError as problem:
            failed += 1
            print(f"FAIL the books have every answer once, with its vendor's usage: {problem}", flush=True)
    print(f"dialects: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
