"""A fake Azure OpenAI: the deployments of its older surface and the v1 surface. Origin: spec-derived,
official-sdk-generated: requests are held to the types of the official SDK (`openai`), answers are built of them."""

import json
import re

from openai.types import chat
from openai.types.chat import chat_completion, chat_completion_chunk, completion_create_params
from openai.types.completion_usage import CompletionUsage, PromptTokensDetails

import vendor
from conforms import conforms, expect

DEPLOYMENT = re.compile(r"/openai/deployments/(?P<name>[\w.-]+)/chat/completions\?api-version=2024-10-21")
USAGE = CompletionUsage(
    prompt_tokens=18, completion_tokens=9, total_tokens=27, prompt_tokens_details=PromptTokensDetails(cached_tokens=5)
)


class Azure(vendor.Vendor):
    """Chat completions."""

    # Whether answers say what a filter of content found.
    FILTERS = True

    def check(self, asked):
        self.check_address(asked)
        conforms(asked.body, completion_create_params.CompletionCreateParams)

    def check_address(self, asked):
        """Fails unless the request came to a path that there is, with the key where it belongs."""
        if asked.path == "/openai/v1/chat/completions":
            bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
            expect(vendor.KEY in (bearer, asked.headers.get("api-key")), "the key is wrong")
        else:
            deployment = DEPLOYMENT.fullmatch(asked.path)
            expect(deployment, f"{asked.path}: Resource not found")
            expect(deployment["name"] == "my-deployment", "The API deployment for this resource does not exist.")
            expect(asked.headers.get("api-key") == vendor.KEY, "api-key: is wrong")

    def error(self, status, message):
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": str(status)}}

    def serve(self, request, asked):
        body = asked.body
        last = body["messages"][-1]
        said = text_of(last)
        tooled = last["role"] == "tool"
        schema = (body.get("response_format") or {}).get("type", "text") != "text"
        plan = vendor.plan(said, bool(body.get("tools")), tooled, schema)
        failures = {"overloaded": 503, "slow down": 429, "bad request": 400, "broken": 500, "no credit": 401}
        if plan.does in failures:
            headers = [("retry-after-ms", "10"), ("x-ratelimit-remaining-requests", "-1")]
            return vendor.answer(request, failures[plan.does], self.error(failures[plan.does], "as you asked"), headers)
        message, reason = say(plan, said if tooled else "")
        if not body.get("stream"):
            choice = chat_completion.Choice(index=0, message=message, finish_reason=reason, logprobs=None)
            whole = chat.ChatCompletion(
                id="chatcmpl-fake", object="chat.completion", created=1, model="gpt-fake", choices=[choice], usage=USAGE
            )
            # Azure adds these to what the SDK's types know.
            found = {"prompt_filter_results": []} if self.FILTERS else {}
            return vendor.answer(request, 200, {**json.loads(whole.model_dump_json()), **found})
        wants = (body.get("stream_options") or {}).get("include_usage")
        told = list(events(message, reason, wants))
        # Azure begins with the results of its filter, which have no choices.
        return vendor.stream(request, told if self.FILTERS else told[1:], cut_after=4 if plan.does == "cut" else None)


def say(plan, told):
    if plan.does == "call":
        calls = [("call_fake01", "get_weather", '{"city": "Troms\u00f8", "days": 3, "exact": 0.1}')]
        if "please call both" in plan.said:
            calls.append(("call_fake02", "get_time", "{}"))
        made = [{"id": id, "type": "function", "function": {"name": name, "arguments": text}} for id, name, text in calls]
        return chat.ChatCompletionMessage(role="assistant", content="I look.", tool_calls=made), "tool_calls"
    if plan.does == "json":
        return chat.ChatCompletionMessage(role="assistant", content='{"city":"Oslo"}'), "stop"
    if plan.does == "long":
        return chat.ChatCompletionMessage(role="assistant", content="and so on"), "length"
    if plan.does == "filtered":
        return chat.ChatCompletionMessage(role="assistant", content="I"), "content_filter"
    return chat.ChatCompletionMessage(role="assistant", content=vendor.TEXT + told), "stop"


def events(message, reason, wants_usage):
    def chunk(delta, finish=None):
        choice = chat_completion_chunk.Choice(index=0, delta=delta, finish_reason=finish)
        return show([choice], None)

    def show(choices, usage):
        whole = chat.ChatCompletionChunk(
            id="chatcmpl-fake", object="chat.completion.chunk", created=1, model="gpt-fake", choices=choices, usage=usage
        )
        return f"data: {whole.model_dump_json(exclude_none=True)}\n\n"

    yield show([], None)
    yield chunk({"role": "assistant", "content": ""})
    text = message.content or ""
    for at in range(0, len(text), 7):
        yield chunk({"content": text[at : at + 7]})
    for index, call in enumerate(message.tool_calls or []):
        function = call.function
        yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": {"name": function.name, "arguments": ""}}]})
        for at in range(0, len(function.arguments), 5):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": function.arguments[at : at + 5]}}]})
    yield chunk({}, reason)
    if wants_usage:
        yield show([], USAGE)
    yield "data: [DONE]\n\n"


def text_of(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
