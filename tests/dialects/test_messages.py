"""Anthropic's SDK, unmodified, against the gateway's /v1/messages, in front of each fake."""

import json
import unittest

import anthropic
import clients
import service
import vendor

TOOLS = [
    {"name": "get_weather", "description": "The weather in a city.", "input_schema": clients.TOOLS[0]["function"]["parameters"]},
    {"name": "get_time", "input_schema": {"type": "object", "properties": {}}},
]


class Messages:
    """What holds of every vendor."""

    MODEL = ""

    def setUp(self):
        self.client = clients.WORLD.messages()
        self.fake = clients.WORLD.fake(self.MODEL)

    def asked(self, said="Hello", **extra):
        return {"model": self.MODEL, "max_tokens": 77, "messages": [{"role": "user", "content": said}], **extra}

    def usage(self, usage):
        read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        self.assertEqual((usage.input_tokens + read + written, read, usage.output_tokens), (18, 5, 9))

    def test_text(self):
        message = self.client.messages.create(**self.asked(system="Be short.", stop_sequences=["END"]))
        clients.answered(message._request_id)
        self.assertEqual((message.content[-1].text, message.stop_reason, message.role), (vendor.TEXT, "end_turn", "assistant"))
        self.usage(message.usage)
        self.assertIn("Be short.", json.dumps(self.fake.last.body))
        self.assertIn("END", json.dumps(self.fake.last.body))

    def test_stream(self):
        with self.client.messages.stream(**self.asked()) as stream:
            text = "".join(stream.text_stream)
            message = stream.get_final_message()
        clients.answered(stream.response.headers["x-request-id"])
        self.assertEqual((text, message.stop_reason), (vendor.TEXT, "end_turn"))
        self.usage(message.usage)

    def test_the_order_of_events(self):
        names = [event.type for event in self.client.messages.create(stream=True, **self.asked())]
        self.assertEqual((names[0], names[-2:]), ("message_start", ["message_delta", "message_stop"]))
        self.assertEqual(names.count("content_block_start"), names.count("content_block_stop"))

    def test_calls_of_tools_and_their_results(self):
        asked = self.asked("please call both", tools=TOOLS, tool_choice={"type": "any"})
        message = self.client.messages.create(**asked)
        clients.answered(message._request_id)
        self.called(message)
        with self.client.messages.stream(**asked) as stream:
            self.called(stream.get_final_message())
        uses = [block for block in message.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": use.id, "content": f"<{use.name}>"} for use in uses]
        turns = [
            asked["messages"][0],
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]},
            {"role": "user", "content": results},
        ]
        again = self.client.messages.create(**{**asked, "messages": turns, "tool_choice": {"type": "auto"}})
        self.assertIn("<get_time>", again.content[-1].text)

    def called(self, message):
        uses = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
        self.assertEqual(uses, [("get_weather", clients.ARGUMENTS), ("get_time", {})])
        self.assertEqual(message.stop_reason, "tool_use")

    def test_a_picture(self):
        source = {"type": "base64", "media_type": "image/png", "data": clients.PNG}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
        message = self.client.messages.create(**self.asked(messages=[{"role": "user", "content": content}]))
        self.assertEqual(message.content[-1].text, vendor.TEXT)
        self.assertIn(clients.PNG, json.dumps(self.fake.last.body))

    def test_why_it_ends(self):
        for said, reason in [("please be long", "max_tokens"), ("please be filtered", "refusal")]:
            self.assertEqual(self.client.messages.create(**self.asked(said)).stop_reason, reason)

    def failed(self, kind, status, name, said="Hello", client=None, **extra):
        with self.assertRaises(kind) as caught:
            (client or self.client).messages.create(**self.asked(said, **extra))
        error = caught.exception
        self.assertEqual((error.status_code, error.body["type"], error.body["error"]["type"]), (status, "error", name))
        self.assertTrue(error.request_id)

    def test_errors_come_in_its_envelope(self):
        wrong = self.client.with_options(api_key="bl-wrong")
        self.failed(anthropic.AuthenticationError, 401, "authentication_error", client=wrong)
        self.failed(anthropic.NotFoundError, 404, "not_found_error", model="no-such-model")
        self.failed(anthropic.BadRequestError, 400, "invalid_request_error", "please be bad request")
        self.failed(anthropic.APIStatusError, 503, "overloaded_error", "please be overloaded")
        self.rest()

    def test_a_cut_stream_ends_with_an_error(self):
        with self.assertRaises(anthropic.APIError), self.client.messages.stream(**self.asked("please be cut")) as stream:
            stream.get_final_message()
        self.rest()

    def rest(self):
        def up():
            try:
                return self.client.messages.create(**self.asked()).content
            except (anthropic.InternalServerError, anthropic.RateLimitError):
                return False

        service.poll("answer", 20, up)


class OnAnthropic(Messages, unittest.TestCase):
    MODEL = "claude"

    def test_the_body_passes_untouched(self):
        extra = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "inference_geo": "global"}
        content = [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]
        asked = self.asked(messages=[{"role": "user", "content": content}], extra_body=extra, extra_headers={"anthropic-beta": "x-2026"})
        message = self.client.messages.create(**asked)
        self.assertEqual(message.content[0].type, "thinking")
        got = self.fake.last
        want = {"max_tokens": 77, "messages": [{"role": "user", "content": content}], "model": "claude-fake-1", **extra}
        self.assertEqual((got.body, got.headers["anthropic-beta"]), (want, "x-2026"))

    def test_what_it_streams_passes_untouched(self):
        names = [event.type for event in self.client.messages.create(stream=True, **self.asked())]
        self.assertIn("signature_delta", json.dumps(names + self.deltas()))

    def deltas(self):
        events = self.client.messages.create(stream=True, **self.asked())
        return [event.delta.type for event in events if event.type == "content_block_delta"]


class Translated(Messages):
    """What holds where the vendor speaks another dialect."""

    def refused(self, what, **extra):
        before = self.fake.count()
        with self.assertRaises(anthropic.BadRequestError) as caught:
            self.client.messages.create(**self.asked(**extra))
        self.assertIn(what, caught.exception.body["error"]["message"])
        self.assertEqual(self.fake.count(), before, "a refused request is no call")

    def test_what_it_cannot_say_is_refused(self):
        self.refused("thinking", thinking={"type": "enabled", "budget_tokens": 1024})
        self.refused("messages", messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": "The"}])
        block = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
        self.refused("messages[0].content[0]", messages=[{"role": "user", "content": [block]}])
        self.refused("tools[0].type", tools=[{"type": "web_search_20250305", "name": "web_search"}])

    def test_where_to_cache_is_only_a_hint(self):
        content = [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]
        self.assertTrue(self.client.messages.create(**self.asked(messages=[{"role": "user", "content": content}])).content)


class OnAzure(Translated, unittest.TestCase):
    MODEL = "gpt"


class OnAzureV1(Translated, unittest.TestCase):
    MODEL = "gpt-v1"

    def test_the_most_tokens_have_their_newer_name(self):
        self.client.messages.create(**self.asked())
        self.assertEqual(self.fake.last.body["max_completion_tokens"], 77)


class OnOci(Translated, unittest.TestCase):
    MODEL = "oci"


class OnVertexOpenAi(Translated, unittest.TestCase):
    MODEL = "vertex-openai"


class OnGemini(Translated, unittest.TestCase):
    MODEL = "gemini"

    def test_top_k_can_be_said(self):
        self.client.messages.create(**self.asked(extra_body={"top_k": 3}))
        self.assertEqual(self.fake.last.body["generationConfig"]["topK"], 3)


class OnVertex(OnGemini):
    MODEL = "vertex"


class Mixed(unittest.TestCase):
    """A model of two endpoints, of which one speaks Anthropic's own dialect."""

    def test_what_only_its_own_dialect_says_goes_there(self):
        asked = {"model": "mixed", "max_tokens": 2000, "messages": [{"role": "user", "content": "Hello"}]}
        raw = clients.WORLD.messages().messages.with_raw_response
        answer = raw.create(thinking={"type": "enabled", "budget_tokens": 1024}, **asked)
        self.assertEqual(answer.headers["x-baseload-endpoint"], "mixed-claude")

    def test_tokens_are_not_counted_for_it(self):
        with self.assertRaises(anthropic.NotFoundError):
            clients.WORLD.messages().messages.count_tokens(model="claude", messages=[{"role": "user", "content": "x"}])
