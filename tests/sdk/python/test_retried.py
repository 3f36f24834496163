"""The official OpenAI and Anthropic SDKs for Python, less patient than the model: what their callers get. The ledger is looked at
afterwards."""

import json
import os
import pathlib
import unittest

import anthropic
import openai

CASES = json.loads((pathlib.Path(__file__).parent.parent / "cases.json").read_text())["retried"]
BASE = os.environ["OPENAI_BASE_URL"]
PATIENCE = {"timeout": CASES["timeout_ms"] / 1000, "max_retries": CASES["retries"]}


class Retried:
    """What holds of each SDK."""

    def asked(self, model, **extra):
        words = f"{type(self).__name__}, {self._testMethodName}"
        return {"model": model, "max_tokens": CASES["max_tokens"], "messages": [{"role": "user", "content": words}], **extra}

    def test_what_is_late_once_is_answered_the_second_time(self):
        self.assertEqual(self.text(self.create(**self.asked("late"))), "scripted answer")

    def test_a_stream_that_is_late_once_is_answered_the_second_time(self):
        events = self.create(stream=True, **self.asked("late"))
        self.assertEqual("".join(map(self.piece, events)), "scripted answer")

    def test_what_is_never_in_time_is_given_up(self):
        with self.assertRaises(self.LATE):
            self.create(**self.asked("never"))

    def test_a_stream_may_be_left(self):
        with self.create(stream=True, **self.asked("stalling")) as events:
            self.assertEqual(next(filter(None, map(self.piece, events))), "scripted ")


class OpenAi(Retried, unittest.TestCase):
    LATE = openai.APITimeoutError

    def setUp(self):
        self.create = openai.OpenAI(**PATIENCE).chat.completions.create

    def text(self, answer):
        return answer.choices[0].message.content

    def piece(self, event):
        return event.choices[0].delta.content or ""


class Anthropic(Retried, unittest.TestCase):
    LATE = anthropic.APITimeoutError

    def setUp(self):
        at = BASE.removesuffix("/v1")
        self.create = anthropic.Anthropic(base_url=at, api_key=os.environ["OPENAI_API_KEY"], **PATIENCE).messages.create

    def text(self, answer):
        return answer.content[0].text

    def piece(self, event):
        return event.delta.text if event.type == "content_block_delta" else ""


if __name__ == "__main__":
    unittest.main()
