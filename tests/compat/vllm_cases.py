"""OpenAI's SDK, unmodified, talks to Baseload in front of the real vLLM; what it hears is what vLLM says to it directly."""

import base64
import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import signal
import unittest
import uuid

import anthropic
import openai
import service
import vllm_server

WORLD = None
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "boolean"}}, "required": ["a", "b"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "pick", "strict": True, "parameters": SCHEMA}}
CALLED = {"id": "call-1", "type": "function", "function": {"name": "pick", "arguments": "{}"}}
# More than two blocks of vLLM's cache, which are 128 tokens each.
LONG = "A text that is long enough to fill blocks of the cache. " * 6

# Tokens that nobody waits for.
ENDLESS = 16_000
# What must end by itself: the likeliest token over and over may never do.
DRAWN = {"seed": 4, "temperature": 1.0, "max_tokens": 200}

# What is asked beside the model and the messages.
CHATS = {
    "as short as can be": {"max_tokens": 1},
    "max_completion_tokens": {"max_completion_tokens": 5},
    "seed": {"seed": 11, "temperature": 1.0, "max_tokens": 20},
    "stop": {"seed": 3, "temperature": 1.0, "stop": ["a", "e", "q", "Z"], "max_tokens": 1000},
    "n": {"n": 3, "seed": 5, "temperature": 1.0, "max_tokens": 7},
    "logprobs": {"logprobs": True, "top_logprobs": 3, "max_tokens": 4},
    "penalties and a bias": {"presence_penalty": 0.5, "frequency_penalty": 0.25, "logit_bias": {"70": 80, "71": 79}, "max_tokens": 8},
    "JSON by schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "pair", "schema": SCHEMA}}, **DRAWN},
    "a named tool": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "pick"}}, **DRAWN},
    "a tool of its choice": {"tools": [TOOL], "tool_choice": "auto", "max_tokens": 9},
    "what only vLLM has": {
        "max_tokens": 12,
        "extra_body": {"ignore_eos": True, "min_p": 0.01, "top_k": 9, "repetition_penalty": 1.1, "min_tokens": 12, "return_token_ids": True},
    },
    "a choice of words": {"max_tokens": 50, "extra_body": {"structured_outputs": {"choice": ["yes", "no"]}}},
    "a pattern": {"max_tokens": 50, "extra_body": {"structured_outputs": {"regex": "[ab]{7}"}}},
    "thoughts": {"max_tokens": 20, "extra_body": {"ignore_eos": True, "chat_template_kwargs": {"thinking": True}}},
    "a field that nobody knows": {"max_tokens": 3, "extra_body": {"nobody_knows": {"stream": True, "model": "x"}}},
    "turns": {
        "max_tokens": 5,
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "na\u00efve \u65e5\u672c \U0001f600 \"quoted\" \\ \u0000"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALLED]},
            {"role": "tool", "tool_call_id": "call-1", "content": "7"},
        ],
    },
}
COMPLETIONS = {
    "text": {"prompt": "say", "max_tokens": 6},
    "tokens": {"prompt": [65, 66, 67], "max_tokens": 6},
    "several": {"prompt": ["one", "another"], "max_tokens": 6},
    "several of tokens": {"prompt": [[65, 66], [67]], "max_tokens": 6, "n": 2, "seed": 1, "temperature": 1.0},
    "echo and logprobs": {"prompt": "say", "max_tokens": 3, "echo": True, "logprobs": 2},
    "what only vLLM has": {"prompt": "say", "extra_body": {"ignore_eos": True, "min_tokens": 16, "structured_outputs": {"regex": "[0-9]{20}"}}},
}
WRONG = {
    "temperature": {"temperature": 7},
    "top_p": {"top_p": 3},
    "top_logprobs": {"logprobs": True, "top_logprobs": 5000},
    "a schema that is none": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}},
    "a tool that isn't there": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
    "a role that nobody has": {"messages": [{"role": "user", "content": {"wrong": True}}]},
    "vLLM's own": {"extra_body": {"min_p": 9}},
    "more than there is room for": {"max_tokens": vllm_server.CONTEXT + 1},
}


@dataclasses.dataclass
class World:
    """The two servers, and Baseload in front of them."""

    served: vllm_server.Vllm
    vectors: vllm_server.Vllm
    gateway: service.Service
    key: str

    def __post_init__(self):
        # By our request's id: what vLLM reported (input, cached, output); what was asked but never answered.
        self.reported, self.gone, self.refused = {}, {}, []
        self.ours = openai.OpenAI(base_url=self.gateway.environment["OPENAI_BASE_URL"], api_key=self.key, max_retries=0, timeout=120)
        self.direct = openai.OpenAI(base_url=self.served.base, api_key=vllm_server.KEY, max_retries=0, timeout=120)
        self.embeds = openai.OpenAI(base_url=self.vectors.base, api_key=vllm_server.KEY, max_retries=0, timeout=120)

    def rows(self, request):
        """The settlements of a request in the ledger, once it has any."""

        def settled():
            rows = service.attempts(self.gateway.binary, self.gateway.state).get(request, [])
            return [row["settled"] for row in rows if row["settled"]]

        return service.poll(f"settlement of {request}", 30, settled)


def tokens(usage):
    """What usage says: input, cached, output."""
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    return usage.prompt_tokens, cached or 0, getattr(usage, "completion_tokens", 0) or 0


def salted(body):
    """A body for which vLLM finds nothing in its cache, unless it says otherwise itself."""
    return {**body, "extra_body": {"cache_salt": str(uuid.uuid4()), **body.get("extra_body", {})}}


def told(answer):
    """An answer without what differs each time: names and times."""
    said = json.loads(answer.model_dump_json())
    for call in [call for choice in said.get("choices", []) for call in (choice.get("message") or {}).get("tool_calls") or []]:
        call.pop("id")
    return {name: value for name, value in said.items() if name not in ("id", "created", "created_at", "model")}


def joined(chunks):
    """What a stream says for each choice: text, thoughts, arguments, why it ends; and the usage that it tells."""
    said, usages = {}, []
    for chunk in chunks:
        usages += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            parts = said.setdefault(choice.index, {"content": "", "reasoning": "", "arguments": "", "finish": []})
            delta = getattr(choice, "delta", None)
            parts["content"] += (delta.content if delta else choice.text) or ""
            parts["reasoning"] += getattr(delta, "reasoning", None) or ""
            parts["arguments"] += "".join(call.function.arguments or "" for call in getattr(delta, "tool_calls", None) or [])
            parts["finish"] += [choice.finish_reason] if choice.finish_reason else []
    return said, usages


class Case(unittest.TestCase):
    """What the tests share."""

    maxDiff = None

    def setUp(self):
        self.world = WORLD

    def chat(self, client, **extra):
        ours = client is self.world.ours
        body = {"model": "tiny" if ours else "served", "messages": [{"role": "user", "content": "say"}], "temperature": 0, **extra}
        return client.chat.completions.create(**salted(body))

    def completion(self, client, **extra):
        return client.completions.create(**salted({"model": "tiny" if client is self.world.ours else "served", "temperature": 0, **extra}))

    def whole(self, create, **extra):
        """The same question to vLLM and through us: the same answer."""
        want, got = create(self.world.direct, **extra), create(self.world.ours, **extra)
        self.world.reported[got._request_id] = tokens(got.usage)
        self.assertEqual(told(got), told(want))
        self.assertTrue(got.choices)

    def stream(self, create, options, want_usages, **extra):
        """The same as streams; whether usage is told is as the client asked, and the ledger has it either way."""
        asked = {"stream": True, **({"stream_options": options} if options else {}), **extra}
        want = joined(create(self.world.direct, **{**asked, "stream_options": {"include_usage": True}}))
        stream = create(self.world.ours, **asked)
        request = stream.response.headers["x-request-id"]
        got, usages = joined(stream)
        self.world.reported[request] = tokens(want[1][-1])
        self.assertEqual(got, want[0])
        self.assertTrue(all(parts["finish"] for parts in got.values()), got)
        self.assertEqual(bool(usages), want_usages)
        if usages:
            self.assertEqual(tokens(usages[-1]), tokens(want[1][-1]))


class Answers(Case):
    """Answers as vLLM gives them."""

    def test_models(self):
        names = [model.id for model in self.world.ours.models.list()]
        self.assertEqual(sorted(names), ["astray", "keyed", "messages", "tiny", "vectors"])
        self.assertEqual([model.id for model in self.world.direct.models.list()], ["served"])

    def test_chats(self):
        for name, extra in CHATS.items():
            with self.subTest(name):
                self.whole(self.chat, **extra)

    def test_chats_streamed_with_usage(self):
        for name, extra in CHATS.items():
            with self.subTest(name):
                self.stream(self.chat, {"include_usage": True}, True, **extra)

    def test_chats_streamed_without_usage(self):
        for options in (None, {"include_usage": False}):
            for name, extra in CHATS.items():
                with self.subTest(name, options=options):
                    self.stream(self.chat, options, False, **extra)

    def test_usage_in_every_chunk(self):
        self.stream(self.chat, {"include_usage": True, "continuous_usage_stats": True}, True, max_tokens=9)

    def test_completions(self):
        for name, extra in COMPLETIONS.items():
            with self.subTest(name):
                self.whole(self.completion, **extra)
                self.stream(self.completion, {"include_usage": True}, True, **extra)
                self.stream(self.completion, None, False, **extra)

    def test_what_was_asked_was_done(self):
        # The comparisons above hold too where vLLM heeds nothing on either side: here it shows that it does.
        said = {name: self.chat(self.world.ours, **extra) for name, extra in CHATS.items()}
        for answer in said.values():
            self.world.reported[answer._request_id] = tokens(answer.usage)
        first = {name: answer.choices[0] for name, answer in said.items()}
        self.assertEqual(len(said["n"].choices), 3)
        self.assertEqual(first["stop"].finish_reason, "stop")
        self.assertEqual([len(one.top_logprobs) for one in first["logprobs"].logprobs.content], [3] * 4)
        self.assertEqual(set(json.loads(first["JSON by schema"].message.content)), {"a", "b"})
        self.assertEqual(set(json.loads(first["a named tool"].message.tool_calls[0].function.arguments)), {"a", "b"})
        self.assertEqual(len(first["what only vLLM has"].token_ids), 12)
        self.assertIn(first["a choice of words"].message.content, ("yes", "no"))
        self.assertRegex(first["a pattern"].message.content, "^[ab]{7}$")
        self.assertTrue(first["thoughts"].message.reasoning)
        self.assertIsNone(first["thoughts"].message.content)

    def test_cached_input(self):
        asked = {"messages": [{"role": "user", "content": LONG}], "max_tokens": 4, "extra_body": {"cache_salt": self.id()}}
        for streamed in (False, True, False):
            if streamed:
                stream = self.chat(self.world.ours, stream=True, stream_options={"include_usage": True}, **asked)
                request, usage = stream.response.headers["x-request-id"], joined(stream)[1][-1]
            else:
                answer = self.chat(self.world.ours, **asked)
                request, usage = answer._request_id, answer.usage
            self.world.reported[request] = tokens(usage)
        self.assertGreaterEqual(usage.prompt_tokens_details.cached_tokens, 256)

    def test_embeddings(self):
        for asked in ("say", ["say", "hello"], [65, 66, 67], [[65], [66, 67]]):
            with self.subTest(asked):
                want = self.world.embeds.embeddings.create(model="vectors", input=asked)
                got = self.world.ours.embeddings.create(model="vectors", input=asked)
                self.world.reported[got._request_id] = tokens(got.usage)
                self.assertEqual(told(got), told(want))
        numbers = self.world.ours.embeddings.create(model="vectors", input="say", encoding_format="float")
        packed = self.world.ours.embeddings.create(model="vectors", input="say", encoding_format="base64")
        for answer in (numbers, packed):
            self.world.reported[answer._request_id] = tokens(answer.usage)
        self.assertEqual(len(base64.b64decode(packed.data[0].embedding)), 4 * len(numbers.data[0].embedding))

    def test_responses(self):
        """Passed through; vLLM keeps nothing of them."""
        asked = {"model": "tiny", "input": "say", "temperature": 0, "max_output_tokens": 9}
        want = self.world.direct.responses.create(**{**asked, "model": "served", "store": False})
        got = self.world.ours.responses.create(**asked)
        self.assertEqual(got.output_text, want.output_text)
        with self.world.ours.responses.create(**asked, stream=True) as stream:
            request, events = stream.response.headers["x-request-id"], list(stream)
        self.assertEqual("".join(event.delta for event in events if event.type == "response.output_text.delta"), want.output_text)
        for name, usage in ((got._request_id, got.usage), (request, events[-1].response.usage)):
            self.assertEqual((usage.input_tokens, usage.output_tokens), (want.usage.input_tokens, want.usage.output_tokens))
            self.world.reported[name] = usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens

    def test_messages(self):
        """Anthropic's SDK hears a chat with vLLM in its own words."""
        client = anthropic.Anthropic(base_url=str(self.world.ours.base_url).removesuffix("/v1/"), api_key=self.world.key, max_retries=0)
        asked = {"model": "tiny", "max_tokens": 9, "extra_body": {"temperature": 0}, "messages": [{"role": "user", "content": "say"}]}
        want = self.chat(self.world.direct, max_tokens=9)
        got = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            request, last = stream.response.headers["x-request-id"], stream.get_final_message()
        for name, message in ((got._request_id, got), (request, last)):
            self.assertEqual("".join(block.text for block in message.content), want.choices[0].message.content)
            self.assertEqual((message.usage.input_tokens, message.usage.output_tokens), tokens(want.usage)[::2])
            self.world.reported[name] = tokens(want.usage)


class Faults(Case):
    """What goes wrong."""

    def test_what_vllm_refuses_is_told_as_it_words_it(self):
        for name, extra in WRONG.items():
            for streamed in (False, True):
                with self.subTest(name, streamed=streamed):
                    heard = []
                    for client in (self.world.direct, self.world.ours):
                        # Some flaws vLLM finds only when it has begun to stream; it hasn't said anything then, and we answer with the status.
                        with self.assertRaises(openai.APIError if client is self.world.direct else openai.BadRequestError) as caught:
                            list(self.chat(client, **{"max_tokens": 5, **extra}, stream=streamed))
                        heard.append(caught.exception)
                    want, got = heard
                    self.assertEqual((got.body["message"], got.type, got.param), (want.body["message"], want.type, want.param))
                    self.assertEqual(got.code, str(want.code))
                    self.world.refused.append(got.request_id)

    def test_what_never_reaches_vllm(self):
        before = self.world.served.metric("http_requests_total", handler="/v1/chat/completions")
        for extra, param in (
            ({"max_tokens": -5}, "max_tokens"),
            ({"stream_options": {"include_usage": 5}, "stream": True}, "stream_options.include_usage"),
            ({"messages": [{"role": "user", "content": LONG * 1000}]}, "messages"),
        ):
            with self.assertRaises(openai.BadRequestError) as caught:
                self.chat(self.world.ours, **extra)
            self.assertEqual(caught.exception.param, param)
        self.assertEqual(self.world.served.metric("http_requests_total", handler="/v1/chat/completions"), before)

    def test_a_model_that_vllm_does_not_have_is_our_fault(self):
        with self.assertRaises(openai.InternalServerError) as caught:
            self.world.ours.chat.completions.create(model="astray", messages=[{"role": "user", "content": "say"}])
        self.assertEqual((caught.exception.status_code, caught.exception.code), (503, "no_capacity"))

    def dropped(self, leave):
        """vLLM drops a request whose client went away; gives what `leave` gave, and what vLLM had generated."""
        served = self.world.served
        # Where the machine is busy, vLLM may have generated all before it looks at its connections.
        for _ in range(8):
            before = served.metric("vllm:generation_tokens_total"), len(served.aborts())
            left = leave()
            service.poll("quiet in vLLM", 90, served.is_idle)
            generated = served.metric("vllm:generation_tokens_total") - before[0]
            if len(served.aborts()) > before[1] and generated < ENDLESS:
                return left, generated
        raise AssertionError("vLLM generated to the end each time")

    def test_a_client_that_hangs_up_on_a_stream(self):
        for name, extra in {"text": {}, "thoughts": {"chat_template_kwargs": {"thinking": True}}}.items():
            with self.subTest(name):
                (request, chunk), generated = self.dropped(lambda extra=extra: self.hang_up(40, **extra))
                self.assertTrue(any(chunk.id in dropped for dropped in self.world.served.aborts()), chunk.id)
                self.world.gone[request] = generated

    def hang_up(self, count, **extra):
        """Hears so many chunks of a long answer and goes away."""
        stream = self.chat(self.world.ours, stream=True, max_tokens=ENDLESS, extra_body={"ignore_eos": True, **extra})
        for _, chunk in zip(range(count), stream, strict=False):
            pass
        stream.response.close()
        return stream.response.headers["x-request-id"], chunk

    def test_a_client_that_does_not_wait_for_a_whole_answer(self):
        def impatient():
            at = self.world.ours.base_url
            connection = http.client.HTTPConnection(at.host, at.port, timeout=0.5)
            body = {"model": "tiny", "messages": [{"role": "user", "content": "say"}], "max_tokens": ENDLESS, "ignore_eos": True}
            head = {"authorization": f"Bearer {self.world.key}", "content-type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), head)
            # Where the machine is so busy that this program wakes up after the answer has come, it is another try.
            with contextlib.suppress(TimeoutError):
                connection.getresponse()
            connection.close()

        self.dropped(impatient)


class Sums(Case):
    """The ledger beside vLLM's own counters."""

    def test_many_at_once(self):
        served = self.world.served
        names = ("vllm:prompt_tokens_total", "vllm:prompt_tokens_cached_total", "vllm:generation_tokens_total")
        service.poll("quiet in vLLM", 30, served.is_idle)
        before = [served.metric(name) for name in names]

        def ask(number):
            extra = {"messages": [{"role": "user", "content": f"{LONG} {number % 5}"}], "max_tokens": 20 + number, "extra_body": {"ignore_eos": True}}
            if number % 2:
                stream = self.chat(self.world.ours, stream=True, **extra)
                list(stream)
                return stream.response.headers["x-request-id"]
            return self.chat(self.world.ours, **extra)._request_id

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            requests = list(pool.map(ask, range(48)))
        rows = [row for request in requests for row in self.world.rows(request)]
        self.assertEqual({row["known"] for row in rows}, {"reported"})
        sums = [sum(row[f"{kind}_tokens"] for row in rows) for kind in ("input", "cached", "output")]
        service.poll("vLLM's counters", 30, lambda: sums == [served.metric(name) - was for name, was in zip(names, before, strict=True)])


class TheEnd(Case):
    """The last test of all, by its name: vLLM is told to stop with work in hand, and ends that politely."""

    def test_vllm_is_told_to_stop(self):
        endless = {"max_tokens": ENDLESS, "extra_body": {"ignore_eos": True}}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            whole = pool.submit(self.chat, self.world.ours, **endless)
            stream = self.chat(self.world.ours, stream=True, **endless)
            next(stream)
            service.poll("both in work", 30, lambda: self.world.served.metric("vllm:num_requests_running") == 2)
            self.world.served.process.send_signal(signal.SIGTERM)
            with self.assertRaises(openai.APIError) as cut:
                list(stream)
            with self.assertRaises(openai.InternalServerError) as refused:
                whole.result()
        self.assertEqual((cut.exception.code, refused.exception.code), ("upstream_lost", "no_capacity"))
        rows = self.world.rows(stream.response.headers["x-request-id"])
        self.assertEqual([(row["outcome"], row["known"]) for row in rows], [("cut", "counted")])
