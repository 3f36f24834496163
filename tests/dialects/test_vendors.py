"""Each vendor's official SDK, unmodified, talks to its fake: proves the fake."""

import json
import unittest

import anthropic
import clients
import openai
import vendor
from google.genai import errors, types


class AnthropicSdk(unittest.TestCase):
    def setUp(self):
        self.client = clients.WORLD.direct_anthropic()
        self.asked = {"model": "claude-fake-1", "max_tokens": 64}

    def test_whole(self):
        message = self.client.messages.create(messages=[{"role": "user", "content": "Hello"}], system="Be short.", **self.asked)
        self.assertEqual((message.content[-1].text, message.stop_reason), (vendor.TEXT, "end_turn"))
        self.assertEqual(message.usage.cache_read_input_tokens, 5)

    def test_stream_of_a_call(self):
        tools = [{"name": "get_weather", "input_schema": {"type": "object"}}]
        asked = {"messages": [{"role": "user", "content": "please call both"}], "tools": tools, **self.asked}
        with self.client.messages.stream(**asked) as stream:
            message = stream.get_final_message()
        uses = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
        self.assertEqual(uses, [("get_weather", clients.ARGUMENTS), ("get_time", {})])
        self.assertEqual(message.usage.output_tokens, 9)

    def test_errors(self):
        with self.assertRaises(anthropic.APIStatusError) as caught:
            self.client.messages.create(messages=[{"role": "user", "content": "please be overloaded"}], **self.asked)
        self.assertEqual((caught.exception.status_code, caught.exception.body["error"]["type"]), (529, "overloaded_error"))
        with self.assertRaises(anthropic.BadRequestError):
            self.client.messages.create(messages=[{"role": "user", "content": "x"}], extra_body={"seed": 1}, **self.asked)


class GeminiSdk(unittest.TestCase):
    def setUp(self):
        # A client that nobody holds closes itself.
        self.client = clients.WORLD.direct_gemini()
        self.models = self.client.models

    def test_whole(self):
        config = types.GenerateContentConfig(system_instruction="Be short.", temperature=0.5, max_output_tokens=64, stop_sequences=["x"])
        answer = self.models.generate_content(model="gemini-fake-1", contents="Hello", config=config)
        self.assertEqual((answer.text, answer.candidates[0].finish_reason), (vendor.TEXT, types.FinishReason.STOP))

    def test_stream(self):
        text = "".join(chunk.text or "" for chunk in self.models.generate_content_stream(model="gemini-fake-1", contents="Hello"))
        self.assertEqual(text, vendor.TEXT)

    def test_call(self):
        declared = types.FunctionDeclaration(name="get_weather", parameters_json_schema={"type": "object"})
        config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
        answer = self.models.generate_content(model="gemini-fake-1", contents="please call", config=config)
        self.assertEqual([(call.name, call.args) for call in answer.function_calls], [("get_weather", clients.ARGUMENTS)])

    def test_errors(self):
        with self.assertRaises(errors.ClientError) as caught:
            self.models.generate_content(model="gemini-fake-1", contents="please be slow down")
        self.assertEqual((caught.exception.code, caught.exception.status), (429, "RESOURCE_EXHAUSTED"))


class VertexSdk(GeminiSdk):
    def setUp(self):
        self.client = clients.WORLD.direct_vertex()
        self.models = self.client.models


class SurfaceSdk:
    """OpenAI's own SDK on a surface of another vendor's."""

    def setUp(self):
        self.chat = clients.WORLD.direct_surface(self.fake()).chat.completions
        self.asked = {"model": self.fake().MODEL, "messages": [{"role": "user", "content": "Hello"}]}

    def test_whole(self):
        self.assertEqual(self.chat.create(**self.asked).choices[0].message.content, vendor.TEXT)

    def test_stream(self):
        text, _, finish, usage = clients.told(self.chat.create(stream=True, stream_options={"include_usage": True}, **self.asked))
        self.assertEqual((text, finish, usage[0].prompt_tokens), (vendor.TEXT, ["stop"], 18))

    def test_another_model_is_not_known(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat.create(**{**self.asked, "model": "other"})
        self.assertIn("other: no such model", caught.exception.response.text)


class OciSdk(SurfaceSdk, unittest.TestCase):
    def fake(self):
        return clients.WORLD.oci


class VertexOpenAiSdk(SurfaceSdk, unittest.TestCase):
    def fake(self):
        return clients.WORLD.vertex_openai


class AzureSdk(unittest.TestCase):
    def setUp(self):
        self.chat = clients.WORLD.direct_azure().chat.completions
        self.asked = {"model": "my-deployment", "messages": [{"role": "user", "content": "please call both"}], "tools": clients.TOOLS}

    def test_whole(self):
        answer = self.chat.create(**self.asked)
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in answer.choices[0].message.tool_calls]
        self.assertEqual(calls, [("get_weather", clients.ARGUMENTS), ("get_time", {})])

    def test_stream(self):
        text, calls, finish, usage = clients.told(self.chat.create(stream=True, stream_options={"include_usage": True}, **self.asked))
        self.assertEqual((text, finish, len(calls), usage[0].prompt_tokens), ("I look.", ["tool_calls"], 2, 18))

    def test_another_deployment_is_not_found(self):
        with self.assertRaises(openai.BadRequestError):
            self.chat.create(**{**self.asked, "model": "other"})
