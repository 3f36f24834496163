#!/usr/bin/env python3
"""Kills engines and baseload itself under load, and looks whether the promises hold: kill.py BASELOAD.

The last line counts the checks: `chaos: N passed, N failed`.
"""

import concurrent.futures
import os
import pathlib
import signal
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import openai  # noqa: E402
import service  # noqa: E402

BINARY = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
CLIENTS = 6
# Long enough that a kill meets answers under way, short enough for two cores.
TOKENS_MAX = 24
KILLS = 3
COMEBACK_SECONDS = 120


class Load:
    """Clients that ask again and again, and what became of each request."""

    def __init__(self, running):
        environment = running.environment
        self.client = openai.OpenAI(
            base_url=environment["OPENAI_BASE_URL"], api_key=environment["OPENAI_API_KEY"], max_retries=0, timeout=120
        )
        self.model = next(iter(self.client.models.list())).id
        self.over = threading.Event()
        self.changed = threading.Condition()
        self.answered, self.failures = [], []
        self.clients = concurrent.futures.ThreadPoolExecutor(CLIENTS)

    def __enter__(self):
        self.running = [self.clients.submit(self._ask_on) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *_):
        self.over.set()
        for client in self.running:
            client.result(timeout=180)
        self.clients.shutdown()

    def _ask_on(self):
        while not self.over.is_set():
            self._ask()

    def _ask(self):
        """One streamed request: a failure is noted with whether content had come before it."""
        content = False
        try:
            raw = self.client.chat.completions.with_raw_response.create(
                model=self.model, messages=[{"role": "user", "content": "Count."}], max_tokens=TOKENS_MAX, stream=True
            )
            for _ in raw.parse():
                content = True
        except Exception as error:  # A broken stream surfaces as an error of the HTTP library beneath the SDK.
            self._note(self.failures, (content, repr(error)))
        else:
            self._note(self.answered, raw.headers["x-request-id"])

    def _note(self, where, what):
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def until(self, what, seconds, holds):
        """Waits until `holds()`; looks again at the end of each request."""
        with self.changed:
            if not self.changed.wait_for(holds, timeout=seconds):
                raise AssertionError(f"no {what} within {seconds} s: {len(self.answered)} answers, failures {self.failures[-5:]}")

    def more_answers(self, count):
        enough = len(self.answered) + count
        self.until(f"{count} more answers", COMEBACK_SECONDS, lambda: len(self.answered) >= enough)


class Kill(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baseload-kill-")
        self.addCleanup(folder.cleanup)
        self.state = pathlib.Path(folder.name) / "state"

    def service(self):
        return service.Service(BINARY, self.state, ["demo", "--plain", "--for", "1800"])

    def test_an_engine_killed_under_load_costs_no_unanswered_request(self):
        with self.service() as running, Load(running) as load:
            for _ in range(KILLS):
                load.more_answers(CLIENTS)
                victim, process = service.poll("busy engine", COMEBACK_SECONDS, lambda: busiest(running))
                os.kill(process, signal.SIGKILL)
                # Traffic moves to the engines that are left, and the one killed comes back.
                load.more_answers(CLIENTS)
                service.poll("engine in its place", COMEBACK_SECONDS, lambda: running.engines().get(victim, process) != process)
                service.poll("endpoint up, each of them", COMEBACK_SECONDS, running.all_up)
        unanswered = [error for content, error in load.failures if not content]
        self.assertEqual(unanswered, [], "a request that had sent no content fails only when no engine is left")
        service.ledger_is_whole(BINARY, self.state)
        attempts = service.attempts(BINARY, self.state)
        moved = [request for request in load.answered if len(attempts[request]) > 1]
        self.assertTrue(moved or load.failures, "no kill met a request under way, so nothing was tried here")
        print(f"{KILLS} engines killed: {len(load.answered)} answers, {len(moved)} of them moved, {len(load.failures)} cut", flush=True)

    def test_baseload_killed_under_load_leaves_the_ledger_whole(self):
        with self.service() as running, Load(running) as load:
            load.more_answers(CLIENTS)
            engines = running.engines()
            self.assertEqual(running.stop(signal.SIGKILL), -signal.SIGKILL)
        answers = load.answered
        service.poll("end of the engines", COMEBACK_SECONDS, lambda: not any(map(is_running, engines.values())))
        with self.service() as running, Load(running) as load:
            load.more_answers(CLIENTS)
        service.ledger_is_whole(BINARY, self.state)
        kept = service.attempts(BINARY, self.state)
        lost = [request for request in answers + load.answered if request not in kept]
        self.assertEqual(lost, [], "what was answered in either life is in the books")

    def test_an_interrupt_leaves_no_process_behind(self):
        with self.service() as running:
            engines = running.engines()
            self.assertTrue(engines)
            self.assertIn(running.stop(signal.SIGINT), (0, 130))
        self.assertFalse([engine for engine in engines.values() if is_running(engine)])


def busiest(running):
    """The endpoint with the most requests under way, and its engine; nothing while all are idle."""
    busy = [(endpoint["outstanding"], endpoint["endpoint"]) for endpoint in running.endpoints() if endpoint["outstanding"]]
    engines = running.engines()
    return next(((name, engines[name]) for _, name in sorted(busy, reverse=True) if name in engines), None)


def is_running(process):
    """Whether the process lives; one that only waits to be reaped does not."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Kill)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"chaos: {result.testsRun - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
