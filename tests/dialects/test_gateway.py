"""OpenAI's SDK, unmodified, talks to the gateway in front of each fake: one table of cases, whatever the vendor speaks."""

import json
import unittest

import clients
import openai
import service
import vendor

PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{clients.PNG}"}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": clients.SCHEMA}}


class Gateway:
    """What holds of every vendor."""

    MODEL = ""

    def setUp(self):
        self.client = clients.WORLD.openai()
        self.fake = clients.WORLD.fake(self.MODEL)

    def create(self, said="Hello", messages=None, **extra):
        messages = messages or [{"role": "system", "content": "Be short."}, {"role": "user", "content": said}]
        return self.client.chat.completions.create(model=self.MODEL, messages=messages, **extra)

    def usage(self, usage):
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (18, 9, 27))
        self.assertEqual(usage.prompt_tokens_details.cached_tokens, 5)

    def test_text(self):
        answer = self.create(temperature=0.25, top_p=0.5, stop=["END", "STOP"], max_tokens=77)
        clients.answered(answer._request_id)
        choice = answer.choices[0]
        self.assertEqual((choice.message.content, choice.message.role, choice.finish_reason), (vendor.TEXT, "assistant", "stop"))
        self.assertEqual((answer.object, type(answer.created)), ("chat.completion", int))
        self.usage(answer.usage)
        self.sent(self.fake.last.body)
        self.assertNotIn(clients.WORLD.key, json.dumps(self.fake.last.headers))

    def test_stream(self):
        raw = self.client.chat.completions.with_raw_response.create(
            model=self.MODEL, messages=[{"role": "user", "content": "Hello"}], stream=True, stream_options={"include_usage": True}
        )
        chunks = list(raw.parse())
        clients.answered(raw.headers["x-request-id"])
        text, _, finish, usage = clients.told(chunks)
        self.assertEqual((text, finish, chunks[-1].choices), (vendor.TEXT, ["stop"], []))
        self.assertEqual(len(usage), 1)
        self.usage(usage[0])

    def test_stream_without_usage(self):
        text, _, finish, usage = clients.told(self.create(stream=True))
        self.assertEqual((text, finish, usage), (vendor.TEXT, ["stop"], []))

    def test_calls_of_tools_and_their_results(self):
        asked = [{"role": "user", "content": "please call both"}]
        answer = self.create(messages=asked, tools=clients.TOOLS, tool_choice="auto")
        clients.answered(answer._request_id)
        message = answer.choices[0].message
        self.assertEqual((answer.choices[0].finish_reason, message.content), ("tool_calls", "I look."))
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]
        self.assertEqual(calls, [("get_weather", clients.ARGUMENTS), ("get_time", {})])
        self.assertEqual(len({call.id for call in message.tool_calls}), 2)
        results = [{"role": "tool", "tool_call_id": call.id, "content": f"<{call.function.name}>"} for call in message.tool_calls]
        again = self.create(messages=[*asked, message.model_dump(exclude_none=True), *results], tools=clients.TOOLS)
        self.assertTrue(again.choices[0].message.content.startswith(vendor.TEXT))
        self.assertIn("<get_time>", again.choices[0].message.content)

    def test_stream_of_calls(self):
        text, calls, finish, _ = clients.told(self.create("please call both", tools=clients.TOOLS, tool_choice="required", stream=True))
        self.assertEqual((text, finish), ("I look.", ["tool_calls"]))
        self.assertEqual(calls, [("get_weather", clients.ARGUMENTS), ("get_time", {})])

    def test_a_named_tool(self):
        choice = {"type": "function", "function": {"name": "get_weather"}}
        self.assertEqual(self.create("please", tools=clients.TOOLS, tool_choice=choice).choices[0].finish_reason, "tool_calls")

    def test_json_by_schema(self):
        answer = self.create("Where?", response_format=FORMAT)
        self.assertEqual(json.loads(answer.choices[0].message.content), {"city": "Oslo"})
        self.assertIn("additionalProperties", json.dumps(self.fake.last.body))

    def test_a_picture(self):
        said = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}]
        self.assertEqual(self.create(messages=said).choices[0].message.content, vendor.TEXT)
        self.assertIn(clients.PNG, json.dumps(self.fake.last.body))

    def test_why_it_ends(self):
        for said, reason in [("please be long", "length"), ("please be filtered", "content_filter")]:
            self.assertEqual(self.create(said).choices[0].finish_reason, reason)
            self.assertEqual(clients.told(self.create(said, stream=True))[2], [reason])

    def test_what_kind_of_busy_is_told(self):
        # A supplier that takes no more of what is ours is one thing, one that has too much to do another.
        for said, want in (("please be slow down", (429, "overloaded")), ("please be overloaded", (503, "no_capacity"))):
            for stream in (False, True):
                with self.subTest(said, stream=stream), self.assertRaises(openai.APIStatusError) as caught:
                    list(self.create(said, stream=stream))
                self.rest()
                self.assertEqual((caught.exception.status_code, caught.exception.code), want)

    def test_the_vendors_refusal_is_told(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.create("please be bad request")
        self.assertEqual((caught.exception.body["message"], caught.exception.type), ("as you asked", "invalid_request_error"))

    def test_our_own_account_is_no_fault_of_the_client(self):
        with self.assertRaises(openai.InternalServerError) as caught:
            self.create("please be no credit")
        self.assertNotIn("credit balance", str(caught.exception))
        self.rest()

    def test_a_cut_stream_ends_with_an_error(self):
        with self.assertRaises(openai.APIError) as caught:
            list(self.create("please be cut", stream=True))
        self.assertEqual(caught.exception.code, "upstream_lost")
        self.rest()

    def rest(self):
        """Answers well again, so that no breaker stays open; a rest that the vendor asked for is waited for."""


        def up():
            try:
                return self.create().choices
            except (openai.InternalServerError, openai.RateLimitError):
                return False

        service.poll("answer", 20, up)

    def refused(self, param, count=1, **extra):
        before = self.fake.count()
        with self.assertRaises(openai.BadRequestError) as caught:
            self.create(**extra)
        self.assertEqual((caught.exception.param, caught.exception.code), (param, "unsupported_value"))
        self.assertEqual(self.fake.count(), before, "a refused request is no call")


class OnAnthropic(Gateway, unittest.TestCase):
    MODEL = "claude"

    def sent(self, body):
        self.assertEqual(body["system"], [{"type": "text", "text": "Be short."}])
        self.assertEqual((body["temperature"], body["top_p"], body["max_tokens"]), (0.25, 0.5, 77))
        self.assertEqual((body["stop_sequences"], body["model"]), (["END", "STOP"], "claude-fake-1"))

    def test_max_tokens_is_asked_for_where_the_client_said_none(self):
        self.create()
        self.assertEqual(self.fake.last.body["max_tokens"], 4000)

    def test_effort_and_user(self):
        self.create(reasoning_effort="low", user="u-1")
        self.assertEqual((self.fake.last.body["output_config"], self.fake.last.body["metadata"]), ({"effort": "low"}, {"user_id": "u-1"}))

    def test_what_it_cannot_say_is_refused(self):
        self.refused("seed", seed=5)
        self.refused("temperature", temperature=1.5)
        self.refused("presence_penalty", presence_penalty=0.5)
        self.refused("response_format", response_format={"type": "json_object"})
        self.refused("reasoning_effort", reasoning_effort="minimal")
        self.refused("logit_bias", logit_bias={"1": 5})
        self.refused("messages[0].name", messages=[{"role": "user", "content": "x", "name": "me"}])
        self.refused("top_k", extra_body={"top_k": 3})
        detailed = {"type": "image_url", "image_url": {**PICTURE["image_url"], "detail": "high"}}
        self.refused("messages[0].content[0].image_url.detail", messages=[{"role": "user", "content": [detailed]}])


class OnGemini(Gateway, unittest.TestCase):
    MODEL, AT = "gemini", "/v1"

    def sent(self, body):
        self.assertEqual(body["systemInstruction"], {"parts": [{"text": "Be short."}]})
        config = body["generationConfig"]
        self.assertEqual((config["temperature"], config["topP"], config["maxOutputTokens"]), (0.25, 0.5, 77))
        self.assertEqual(config["stopSequences"], ["END", "STOP"])
        self.assertTrue(self.fake.last.path.startswith(f"{self.AT}/models/gemini-fake-1:generateContent"))

    def test_seed_penalties_choices_and_effort(self):
        answer = self.create(seed=5, presence_penalty=0.5, n=2, reasoning_effort="low")
        config = self.fake.last.body["generationConfig"]
        self.assertEqual((config["seed"], config["presencePenalty"], config["candidateCount"]), (5, 0.5, 2))
        self.assertEqual(config["thinkingConfig"], {"thinkingLevel": "LOW"})
        self.assertEqual([choice.index for choice in answer.choices], [0, 1])
        self.assertEqual(answer.usage.completion_tokens_details.reasoning_tokens, 3)

    def test_the_signature_of_a_call_comes_back(self):
        asked = [{"role": "user", "content": "please call"}]
        message = self.create(messages=asked, tools=clients.TOOLS).choices[0].message
        call = message.tool_calls[0]
        self.assertEqual(call.extra_content["google"]["thought_signature"], "c2ln")
        # What we answered goes back as the SDK has it, with every field that it shows.
        self.create(messages=[*asked, message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "7"}], tools=clients.TOOLS)
        parts = self.fake.last.body["contents"][1]["parts"]
        self.assertEqual(parts[1]["thoughtSignature"], "c2ln")

    def test_what_it_cannot_say_is_refused(self):
        self.refused("user", user="u-1")
        self.refused("parallel_tool_calls", tools=clients.TOOLS, parallel_tool_calls=False)
        self.refused("reasoning_effort", reasoning_effort="xhigh")
        far = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
        self.refused("messages[0].content[0]", messages=[{"role": "user", "content": [far]}])


class OnAzure(Gateway, unittest.TestCase):
    MODEL = "gpt"

    def sent(self, body):
        self.assertEqual(self.fake.last.path, "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21")
        self.assertEqual((body["model"], body["max_tokens"]), ("my-deployment", 77))

    def test_the_request_is_what_the_vendors_own_sdk_sends(self):
        asked = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0.5}
        self.create(**asked)
        ours = self.fake.last
        clients.WORLD.direct_azure().chat.completions.create(model="my-deployment", **asked)
        theirs = self.fake.last
        self.assertEqual((ours.path, ours.body, ours.headers["api-key"]), (theirs.path, theirs.body, theirs.headers["api-key"]))
        self.assertNotIn("authorization", ours.headers)

    def test_unknown_fields_pass(self):
        self.create(seed=5, logit_bias={"1": 5}, user="u-1")
        self.assertEqual(self.fake.last.body["logit_bias"], {"1": 5})


class OnAzureV1(OnAzure):
    MODEL = "gpt-v1"

    def sent(self, body):
        self.assertEqual((self.fake.last.path, body["model"]), ("/openai/v1/chat/completions", "my-deployment"))

    def test_the_request_is_what_the_vendors_own_sdk_sends(self):
        self.create()
        self.assertEqual(self.fake.last.headers["api-key"], vendor.KEY)


class OnVertex(OnGemini):
    MODEL, AT = "vertex", "/v1/projects/lab/locations/europe-west4/publishers/google"


class OnOci(OnAzure):
    MODEL = "oci"

    def sent(self, body):
        self.assertEqual((self.fake.last.path, body["model"]), (f"{self.fake.PATH}/chat/completions", self.fake.MODEL))

    def test_the_request_is_what_the_vendors_own_sdk_sends(self):
        asked = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0.5}
        self.create(**asked)
        ours = self.fake.last
        clients.WORLD.direct_surface(self.fake).chat.completions.create(model=self.fake.MODEL, **asked)
        theirs = self.fake.last
        self.assertEqual((ours.path, ours.body), (theirs.path, theirs.body))
        for name in ("authorization", "openai-project"):
            self.assertEqual(ours.headers.get(name), theirs.headers.get(name), name)


class OnVertexOpenAi(OnOci):
    MODEL = "vertex-openai"


class Mixed(unittest.TestCase):
    """A model of two endpoints: the cheap one's dialect can't say everything."""

    def test_what_one_dialect_cannot_say_goes_to_another(self):
        world, asked = clients.WORLD, {"model": "mixed", "messages": [{"role": "user", "content": "Hello"}]}
        chat = world.openai().chat.completions.with_raw_response
        self.assertEqual(chat.create(**asked).headers["x-baseload-endpoint"], "mixed-claude")
        self.assertEqual(chat.create(seed=5, **asked).headers["x-baseload-endpoint"], "mixed-gpt")
        self.assertEqual(world.azure.last.body["seed"], 5)
