"""A fake Anthropic. Origin: spec-derived, official-sdk-generated: requests are held to the types of the official SDK
(`anthropic`), answers are built of them; statuses and the order of events are those of the published documentation."""

import json

import anthropic.types as types
from anthropic.types import message_create_params

import vendor
from conforms import conforms, expect

# By API version, what it takes that the SDK's types don't name: 2026-10-21, which the SDK sends, dropped these.
VERSIONS = {"2023-06-01": frozenset({"temperature", "top_p", "top_k"}), "2026-10-21": frozenset()}
USAGE = types.Usage(input_tokens=11, cache_read_input_tokens=5, cache_creation_input_tokens=2, output_tokens=9)
ERRORS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}


class Anthropic(vendor.Vendor):
    """Messages, whole and streamed."""

    def check(self, asked):
        expect(asked.path == "/v1/messages", f"{asked.path}: no such path")
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        expect(vendor.KEY in (asked.headers.get("x-api-key"), bearer), "x-api-key: is wrong")
        version = asked.headers.get("anthropic-version")
        expect(version in VERSIONS, f"anthropic-version: {version} is none")
        conforms(asked.body, message_create_params.MessageCreateParams, also=VERSIONS[version])
        previous = None
        for index, message in enumerate(asked.body["messages"]):
            results = [block for block in blocks(message) if block["type"] == "tool_result"]
            uses = {block["id"] for block in blocks(previous or {}) if block["type"] == "tool_use"}
            expect({result["tool_use_id"] for result in results} <= uses, f"messages.{index}: a tool_result without its tool_use before it")
            expect(len(results) == len(uses), f"messages.{index}: a tool_use without its tool_result after it")
            expect(all(block.get("text", "x") for block in blocks(message)), f"messages.{index}: text content blocks must be non-empty")
            previous = message

    def error(self, status, message):
        return {"type": "error", "error": {"type": ERRORS[status], "message": message}, "request_id": "req_fake"}

    def serve(self, request, asked):
        body = asked.body
        last = blocks(body["messages"][-1])
        said = " ".join(block.get("text", "") for block in last)
        result = [block for block in last if block["type"] == "tool_result"]
        schema = (body.get("output_config") or {}).get("format")
        plan = vendor.plan(said, bool(body.get("tools")), bool(result), schema)
        failures = {"overloaded": 529, "slow down": 429, "bad request": 400, "broken": 500}
        if plan.does in failures and not body.get("stream"):
            status = failures[plan.does]
            headers = [("retry-after", "1")] if status == 429 else []
            return vendor.answer(request, status, self.error(status, "as you asked"), headers)
        if plan.does == "no credit":
            return vendor.answer(request, 400, self.error(400, "Your credit balance is too low to access the API."))
        content, reason = say(plan, result)
        message = types.Message(
            id="msg_fake01", type="message", role="assistant", model=body["model"], content=content,
            stop_reason=reason, stop_sequence=None, usage=USAGE,
        )
        if not body.get("stream"):
            return vendor.answer(request, 200, message.model_dump_json())
        return vendor.stream(request, list(self.events(message, plan)), cut_after=9 if plan.does == "cut" else None)

    def events(self, message, plan):
        """The events of a message, in the order that the documentation gives."""
        start = message.model_copy(update={"content": [], "stop_reason": None, "usage": USAGE.model_copy(update={"output_tokens": 1})})
        yield event("message_start", {"type": "message_start", "message": start.model_dump(mode="json")})
        yield event("ping", {"type": "ping"})
        if plan.does in ("overloaded", "slow down", "broken"):
            kind = {"overloaded": 529, "slow down": 429, "broken": 500}[plan.does]
            yield event("error", self.error(kind, "as you asked"))
            return
        for index, block in enumerate(message.content):
            empty, deltas = begin(block)
            yield event("content_block_start", {"type": "content_block_start", "index": index, "content_block": empty})
            for delta in deltas:
                yield event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
            yield event("content_block_stop", {"type": "content_block_stop", "index": index})
        delta = {"stop_reason": message.stop_reason, "stop_sequence": None}
        yield event("message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": USAGE.output_tokens}})
        yield event("message_stop", {"type": "message_stop"})


def say(plan, result):
    """The content of an answer, and why it ends."""
    if plan.does == "call":
        inputs = {"city": "Troms\u00f8", "days": 3, "exact": 0.1}
        calls = [("toolu_fake01", "get_weather", inputs)]
        if "please call both" in plan.said:
            calls.append(("toolu_fake02", "get_time", {}))
        use = [types.ToolUseBlock(type="tool_use", id=id, name=name, input=input) for id, name, input in calls]
        return [types.TextBlock(type="text", text="I look."), *use], "tool_use"
    if plan.does == "json":
        return [types.TextBlock(type="text", text='{"city":"Oslo"}')], "end_turn"
    if plan.does == "long":
        return [types.TextBlock(type="text", text="and so on")], "max_tokens"
    if plan.does == "filtered":
        return [types.TextBlock(type="text", text="I")], "refusal"
    told = "".join(str(part.get("text", "")) for block in result for part in blocks(block))
    thought = types.ThinkingBlock(type="thinking", thinking="hidden", signature="c2ln")
    return [thought, types.TextBlock(type="text", text=vendor.TEXT + told)], "end_turn"


def begin(block):
    """A block as its stream begins it, and its deltas."""
    whole = block.model_dump(mode="json", exclude_none=True)
    if block.type == "text":
        cut = [block.text[at : at + 7] for at in range(0, len(block.text), 7)]
        return {**whole, "text": ""}, [{"type": "text_delta", "text": piece} for piece in cut]
    if block.type == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": block.thinking}, {"type": "signature_delta", "signature": block.signature}]
        return {**whole, "thinking": "", "signature": ""}, deltas


    text = json.dumps(block.input) if block.input else ""
    cut = ["", *(text[at : at + 5] for at in range(0, len(text), 5))]
    return {**whole, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in cut]


def blocks(message):
    """A message's content, as blocks."""
    content = message.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def event(name, data):


    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
