"""Fakes of surfaces that speak another vendor's API elsewhere: Oracle's and Vertex's of OpenAI's, and Vertex's of Gemini's.
Origin: spec-derived, official-sdk-generated: as the fakes that they are built on; paths, keys and names of models are those of the
published guides; the list around Vertex's errors is as its users report them of OpenAI's SDK."""

import vendor
from conforms import expect
from fake_azure import Azure
from fake_gemini import STATUS, Gemini

PROJECT = "/projects/lab/locations/europe-west4"


def check_bearer(asked):
    """Fails unless the key is a bearer's, and nowhere else."""
    expect(asked.headers.get("authorization") == f"Bearer {vendor.KEY}", "authorization: is wrong")
    expect(not {"api-key", "x-goog-api-key"} & asked.headers.keys(), "the key is said twice")


class OpenAiSurface(Azure):
    """OpenAI's chat completions at another vendor's."""

    PATH, MODEL, FILTERS, PROJECT = "", "", False, None

    def check_address(self, asked):
        expect(asked.path == f"{self.PATH}/chat/completions", f"{asked.path}: no such path")
        check_bearer(asked)
        expect(asked.headers.get("openai-project") == self.PROJECT, "openai-project: is wrong")
        expect(asked.body.get("model") == self.MODEL, f"{asked.body.get('model')}: no such model")


class Oci(OpenAiSurface):
    """Oracle's, with a key of its Generative AI, and a project."""

    PATH, MODEL, PROJECT = "/openai/v1", "xai.grok-fake-1", "ocid1.generativeaiproject.fake"


class VertexOpenAi(OpenAiSurface):
    """Vertex's, whose errors are Google's in a list."""

    PATH, MODEL = f"/v1{PROJECT}/endpoints/openapi", "google/gemini-fake-1"

    def error(self, status, message):
        return [{"error": {"code": status, "message": message, "status": STATUS.get(status, "UNAUTHENTICATED")}}]


class Vertex(Gemini):
    """Vertex's generateContent, of Google's models, with a token."""

    MODELS = rf"/v1(beta1)?{PROJECT}/publishers/google/models/"

    def check_key(self, asked):
        check_bearer(asked)
