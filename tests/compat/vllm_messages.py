"""vLLM's own Messages as an upstream of dialect `anthropic`, whose key vLLM takes as a bearer's only (`key_as = "bearer"`)."""

import anthropic
import openai
import vllm_server
from vllm_cases import Case, joined, tokens

PART = {"type": "text", "text": "na\u00efve \u65e5\u672c"}
HELLO = [{"role": "user", "content": "say"}]
CHAT = {"model": "messages", "messages": HELLO, "temperature": 0, "max_tokens": 9}
# What is asked beside the model and the messages.
ASKED = {
    "text": {"max_tokens": 9},
    "a system's word": {"max_tokens": 9, "system": "Be short."},
    "turns": {"max_tokens": 9, "messages": [*HELLO, {"role": "assistant", "content": "what"}, {"role": "user", "content": [PART]}]},
    "a stop": {"max_tokens": 1000, "stop_sequences": ["a", "e", "q", "Z"]},
}


def heard(message):
    """What a message says, without its name."""
    return [block.text for block in message.content], message.stop_reason, message.usage.input_tokens, message.usage.output_tokens


class OwnMessages(Case):
    """Anthropic's SDK with vLLM and through us, and chats told in its words."""

    def setUp(self):
        super().setUp()
        at = str(self.world.ours.base_url).removesuffix("/v1/")
        self.ours = anthropic.Anthropic(base_url=at, api_key=self.world.key, max_retries=0)
        self.direct = anthropic.Anthropic(base_url=self.world.served.base.removesuffix("/v1"), auth_token=vllm_server.KEY, max_retries=0)

    def ask(self, client, how="create", **extra):
        model = "messages" if client is self.ours else "served"
        asked = {"model": model, "messages": HELLO, **extra, "extra_body": {"temperature": 0, **extra.get("extra_body", {})}}
        return getattr(client.messages, how)(**asked)

    def note(self, request, usage):
        """The ledger is to have what vLLM reported."""
        cached = usage.cache_read_input_tokens or 0
        self.world.reported[request] = usage.input_tokens + cached, cached, usage.output_tokens

    def test_whole_and_streamed(self):
        for name, extra in ASKED.items():
            with self.subTest(name):
                want, got = self.ask(self.direct, **extra), self.ask(self.ours, **extra)
                self.note(got._request_id, got.usage)
                self.assertEqual(heard(got), heard(want))
                with self.ask(self.ours, "stream", **extra) as stream:
                    request, last = stream.response.headers["x-request-id"], stream.get_final_message()
                self.note(request, last.usage)
                self.assertEqual(heard(last), heard(want))

    def test_chats(self):
        want = self.chat(self.world.direct, max_tokens=9)
        got = self.world.ours.chat.completions.create(**CHAT)
        self.world.reported[got._request_id] = tokens(got.usage)
        self.assertEqual(got.choices[0].message.content, want.choices[0].message.content)
        self.assertEqual(tokens(got.usage)[::2], tokens(want.usage)[::2])

    def test_chats_streamed(self):
        want = self.chat(self.world.direct, max_tokens=9)
        stream = self.world.ours.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True})
        request = stream.response.headers["x-request-id"]
        said, usages = joined(stream)
        self.world.reported[request] = tokens(usages[-1])
        self.assertEqual(said[0]["content"], want.choices[0].message.content)
        self.assertEqual(tokens(usages[-1])[::2], tokens(want.usage)[::2])

    def test_what_vllm_refuses(self):
        wrong = {"max_tokens": vllm_server.CONTEXT + 1}
        for client in (self.direct, self.ours):
            with self.assertRaises(anthropic.BadRequestError) as caught:
                self.ask(client, **wrong)
        self.assertEqual(caught.exception.body["error"]["type"], "invalid_request_error")
        self.world.refused.append(caught.exception.request_id)

    def test_its_key_in_anthropics_header_is_refused(self):
        with self.assertRaises(openai.InternalServerError) as caught:
            self.world.ours.chat.completions.create(model="keyed", messages=HELLO, max_tokens=9)
        self.assertEqual((caught.exception.status_code, caught.exception.code), (503, "no_capacity"))
        self.world.refused.append(caught.exception.request_id)
