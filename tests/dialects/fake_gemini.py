"""A fake Gemini. Origin: spec-derived, official-sdk-generated: requests are held to the types of the official SDK
(`google-genai`), answers are built of them; statuses are those of the published documentation."""

import json
import re

import pydantic
from google.genai import types

import vendor
from conforms import expect

BODY = {
    "contents": list[types.Content],
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "safetySettings": list[types.SafetySetting],
    "cachedContent": str,
    "labels": dict,
}
STATUS = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


class Gemini(vendor.Vendor):
    """generateContent and streamGenerateContent."""

    MODELS = r"/v1(beta)?/models/"

    def check_key(self, asked):
        """Fails unless the key stands where it belongs."""
        expect(asked.headers.get("x-goog-api-key") == vendor.KEY, "x-goog-api-key: is wrong")

    def check(self, asked):
        path = self.MODELS + r"[\w.-]+:(generateContent|streamGenerateContent\?alt=sse)"
        expect(re.fullmatch(path, asked.path), f"{asked.path}: no such path")
        self.check_key(asked)
        extra = asked.body.keys() - BODY.keys()
        expect(not extra, f"unknown names {sorted(extra)}")
        expect(asked.body.get("contents"), "contents: is missing")
        for name, value in asked.body.items():
            # The types take both spellings; the service's documentation has this one.
            expect("_" not in name, f"{name}: is no field")
            pydantic.TypeAdapter(BODY[name]).validate_python(value)
        called = []
        for index, content in enumerate(asked.body["contents"]):
            expect(content.get("role") in ("user", "model"), f"contents[{index}].role: is none of user and model")
            for part in content["parts"]:
                expect(len(part.keys() - {"thoughtSignature", "thought"}) == 1, f"contents[{index}]: a part says one thing")
                called += [part["functionCall"]["name"]] if "functionCall" in part else []
                if "functionResponse" in part:
                    expect(part["functionResponse"]["name"] in called, f"contents[{index}]: answers a function that was not called")

    def error(self, status, message):
        return {"error": {"code": status, "message": message, "status": STATUS[status]}}

    def serve(self, request, asked):
        body = asked.body
        last = body["contents"][-1]["parts"]
        said = " ".join(part.get("text", "") for part in last)
        results = [part["functionResponse"] for part in last if "functionResponse" in part]
        config = body.get("generationConfig") or {}
        plan = vendor.plan(said, bool(body.get("tools")), bool(results), config.get("responseMimeType") == "application/json")
        failures = {"overloaded": 503, "slow down": 429, "bad request": 400, "broken": 500}
        if plan.does in failures:
            return vendor.answer(request, failures[plan.does], self.error(failures[plan.does], "as you asked"))
        if plan.does == "no credit":
            detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
            error = self.error(400, "API key not valid. Please pass a valid API key.")
            return vendor.answer(request, 400, {"error": {**error["error"], "details": [detail]}})
        count = config.get("candidateCount") or 1
        whole = response([candidate(plan, results, index) for index in range(count)])
        if "alt=sse" not in asked.path:
            return vendor.answer(request, 200, dump(whole))
        return vendor.stream(request, list(events(whole)), cut_after=2 if plan.does == "cut" else None)


def candidate(plan, results, index):
    """The parts of an answer, and why it ends."""
    reason = types.FinishReason.STOP
    if plan.does == "call":
        arguments = {"city": "Troms\u00f8", "days": 3, "exact": 0.1}
        parts = [
            types.Part(text="I look."),
            types.Part(function_call=types.FunctionCall(name="get_weather", args=arguments), thought_signature=b"sig"),
        ]
        if "please call both" in plan.said:
            parts.append(types.Part(function_call=types.FunctionCall(id="own-id", name="get_time", args={})))
    elif plan.does == "json":
        parts = [types.Part(text='{"city":"Oslo"}')]
    elif plan.does == "long":
        parts, reason = [types.Part(text="and so on")], types.FinishReason.MAX_TOKENS
    elif plan.does == "filtered":
        parts, reason = [types.Part(text="I")], types.FinishReason.SAFETY
    else:
        told = "".join(str(result["response"].get("output", "")) for result in results)
        half = len(vendor.TEXT) // 2
        parts = [types.Part(text="hidden", thought=True), types.Part(text=vendor.TEXT[:half]), types.Part(text=vendor.TEXT[half:] + told)]
    return types.Candidate(index=index, content=types.Content(role="model", parts=parts), finish_reason=reason)


def response(candidates):
    usage = types.GenerateContentResponseUsageMetadata(
        prompt_token_count=18, cached_content_token_count=5, candidates_token_count=6, thoughts_token_count=3, total_token_count=27
    )
    return types.GenerateContentResponse(response_id="fake-response", model_version="gemini-fake", candidates=candidates, usage_metadata=usage)


def events(whole):
    """One event for each part, the end with the last."""
    pieces = []
    for one in whole.candidates:
        for index, part in enumerate(one.content.parts):
            last = index == len(one.content.parts) - 1
            content = types.Content(role="model", parts=[part])
            piece = types.Candidate(index=one.index, content=content, finish_reason=one.finish_reason if last else None)
            pieces.append(response([piece]))
    for piece in pieces:
        yield f"data: {dump(piece)}\r\n\r\n"


def dump(value):
    fields = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(fields)
