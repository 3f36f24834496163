"""The official OpenAI Python SDK, unmodified, against the gateway that OPENAI_BASE_URL names."""

import json
import os
import pathlib
import unittest

import openai

CASES = json.loads((pathlib.Path(__file__).parent.parent / "cases.json").read_text())
CHAT = CASES["chat"]


def answered(request_id):
    """Notes a request that was answered: the ledger must have it, exactly once."""
    with open(os.environ["REQUEST_IDS"], "a", encoding="utf-8") as ids:
        ids.write(f"{request_id}\n")


class OpenAi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = openai.OpenAI(max_retries=0, timeout=120)
        cls.model = next(iter(cls.client.models.list())).id

    def chat(self, **extra):
        return self.client.chat.completions.create(model=self.model, **CHAT, **extra)

    def test_chat(self):
        answer = self.chat()
        answered(answer._request_id)
        self.assertEqual(answer.object, "chat.completion")
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertTrue(answer.choices[0].message.content.strip())
        self.assertIn(answer.choices[0].finish_reason, ("stop", "length"))
        usage = answer.usage
        self.assertGreater(usage.prompt_tokens, 0)
        self.assertTrue(0 < usage.completion_tokens <= CHAT["max_tokens"])
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)

    def stream(self, **extra):
        raw = self.client.chat.completions.with_raw_response.create(model=self.model, stream=True, **CHAT, **extra)
        answered(raw.headers["x-request-id"])
        chunks = list(raw.parse())
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertTrue(text.strip())
        reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
        self.assertEqual(len(reasons), 1)
        return text, chunks

    def test_stream_without_usage(self):
        _, chunks = self.stream()
        self.assertTrue(all(chunk.choices for chunk in chunks), "a client that did not ask for usage gets no chunk without choices")
        self.assertTrue(all(chunk.usage is None for chunk in chunks))

    def test_stream_with_usage(self):
        _, chunks = self.stream(stream_options={"include_usage": True})
        *rest, last = chunks
        self.assertTrue(all(chunk.usage is None for chunk in rest))
        self.assertEqual(last.choices, [])
        self.assertTrue(0 < last.usage.completion_tokens <= CHAT["max_tokens"])

    def test_stream_says_what_chat_says(self):
        text, _ = self.stream()
        answer = self.chat()
        answered(answer._request_id)
        self.assertEqual(text, answer.choices[0].message.content)

    def test_completion(self):
        answer = self.client.completions.create(model=self.model, prompt="One, two, three,", max_tokens=8, temperature=0)
        answered(answer._request_id)
        self.assertEqual(answer.object, "text_completion")
        self.assertTrue(answer.choices[0].text)

    def test_models(self):
        ids = [model.id for model in self.client.models.list()]
        self.assertIn(self.model, ids)
        self.assertEqual(self.client.models.retrieve(self.model).id, self.model)

    def test_headers_say_where_and_who_pays(self):
        raw = self.client.chat.completions.with_raw_response.create(model=self.model, **CHAT)
        answered(raw.headers["x-request-id"])
        for name in CASES["headers"]:
            self.assertTrue(raw.headers.get(name), name)

    def test_service_tiers(self):
        for tier in CASES["tiers"]:
            with self.subTest(tier):
                answered(self.chat(service_tier=tier)._request_id)

    def refused(self, case, client, **request):
        expected = CASES["errors"][case]
        with self.assertRaises(getattr(openai, expected["class"])) as caught:
            client.chat.completions.create(**{**CHAT, "model": self.model, **request})
        error = caught.exception
        self.assertEqual((error.status_code, error.code, error.param), (expected["status"], expected["code"], expected["param"]))
        self.assertTrue(error.request_id)
        self.assertTrue(error.body["message"])

    def test_wrong_key(self):
        self.refused("wrong_key", self.client.with_options(api_key="bl-wrong"))

    def test_unknown_model(self):
        self.refused("unknown_model", self.client, model="no-such-model")

    def test_too_long(self):
        words = "word " * CASES["too_long_words"]
        self.refused("too_long", self.client, messages=[{"role": "user", "content": words}])

    def test_async_requests_at_once(self):
        import asyncio

        async def ask_all():
            async with openai.AsyncOpenAI(max_retries=0, timeout=120) as client:
                return await asyncio.gather(*(client.chat.completions.create(model=self.model, **CHAT) for _ in range(4)))

        for answer in asyncio.run(ask_all()):
            answered(answer._request_id)
            self.assertTrue(answer.choices[0].message.content.strip())


if __name__ == "__main__":
    unittest.main()
