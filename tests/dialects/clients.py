"""The official SDKs, unmodified, as clients of the gateway and of the fakes."""

import dataclasses
import json

import anthropic
import openai
import service
import vendor
from google import genai
from google.genai import types
from google.oauth2 import credentials

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "exact": {"type": "number"}},
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}},
]
ARGUMENTS = {"city": "Troms\u00f8", "days": 3, "exact": 0.1}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
# A picture of one pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WORLD = None
# Answers that came whole, by the gateway's id: the books must have them.
ANSWERED = {}


@dataclasses.dataclass
class World:
    """The fakes, and where the gateway is."""

    anthropic: object
    gemini: object
    azure: object
    oci: object
    vertex: object
    vertex_openai: object
    base: str
    key: str

    def openai(self, **extra):
        return openai.OpenAI(base_url=self.base, api_key=self.key, max_retries=0, timeout=60, **extra)

    def azure_openai(self):
        return openai.AzureOpenAI(
            azure_endpoint=self.base.removesuffix("/v1"), api_key=self.key, api_version="2024-10-21", max_retries=0, timeout=60
        )

    def messages(self):
        return anthropic.Anthropic(base_url=self.base.removesuffix("/v1"), api_key=self.key, max_retries=0, timeout=60)

    def fake(self, model):
        own = {"claude": self.anthropic, "gemini": self.gemini, "oci": self.oci, "vertex": self.vertex, "vertex-openai": self.vertex_openai}
        return own.get(model, self.azure)

    def direct_anthropic(self):
        return anthropic.Anthropic(base_url=self.anthropic.origin, api_key=vendor.KEY, max_retries=0)

    def direct_gemini(self):
        options = types.HttpOptions(base_url=self.gemini.origin)
        return genai.Client(api_key=vendor.KEY, http_options=options)

    def direct_vertex(self):
        options = types.HttpOptions(base_url=self.vertex.origin)
        token = credentials.Credentials(vendor.KEY)
        return genai.Client(vertexai=True, project="lab", location="europe-west4", credentials=token, http_options=options)

    def direct_surface(self, fake):
        return openai.OpenAI(base_url=f"{fake.origin}{fake.PATH}", api_key=vendor.KEY, project=fake.PROJECT, max_retries=0)

    def direct_azure(self):
        return openai.AzureOpenAI(azure_endpoint=self.azure.origin, api_key=vendor.KEY, api_version="2024-10-21", max_retries=0)


def answered(request_id):
    """Notes an answer that came whole."""
    assert request_id and request_id.startswith("req_"), request_id
    ANSWERED[request_id] = True


def told(chunks):
    """What a stream of OpenAI's says: text, calls, why it ends, usage."""
    text, calls, finish, usage = "", {}, [], []
    for chunk in chunks:
        usage += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or []:
                name, arguments = calls.get(call.index, ("", ""))
                calls[call.index] = (name + (call.function.name or ""), arguments + (call.function.arguments or ""))
    return text, [(name, json.loads(arguments)) for name, arguments in calls.values()], finish, usage


def books_are_whole(binary, state):
    """Every answer is in the ledger once, its tokens as its vendor reported them; the books agree with the journal."""
    service.ledger_is_whole(binary, state)
    attempts = service.attempts(binary, state)
    assert ANSWERED, "no test noted an answer"
    for request in ANSWERED:
        rows = [row for row in attempts.get(request, []) if row["settled"] and row["settled"]["outcome"] == "answered"]
        assert len(rows) == 1, f"{request} was answered once; the ledger has {attempts.get(request)}"
        assert rows[0]["settled"]["known"] == "reported", rows[0]
        tokens = [rows[0]["settled"][f"{kind}_tokens"] for kind in ("input", "cached", "output")]
        assert tokens == [18, 5, 9], rows[0]
