"""Other clients, unmodified: Azure's class of OpenAI's SDK, and LangChain."""

import unittest

import clients
import vendor
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

MODELS = ["claude", "gemini", "gpt", "gpt-v1", "oci", "vertex", "vertex-openai"]


class AzureClass(unittest.TestCase):
    def test_it_talks_to_the_gateway_as_to_azure(self):
        client = clients.WORLD.azure_openai()
        for model in MODELS:
            with self.subTest(model):
                asked = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
                answer = client.chat.completions.create(**asked)
                clients.answered(answer._request_id)
                self.assertEqual(answer.choices[0].message.content, vendor.TEXT)
                self.assertEqual(clients.told(client.chat.completions.create(stream=True, **asked))[0], vendor.TEXT)


class LangChain(unittest.TestCase):
    def chat(self, model):
        return ChatOpenAI(model=model, base_url=clients.WORLD.base, api_key=clients.WORLD.key, max_retries=0)

    def test_whole_and_streamed(self):
        asked = [SystemMessage("Be short."), HumanMessage("Hello")]
        for model in MODELS:
            with self.subTest(model):
                answer = self.chat(model).invoke(asked)
                self.assertEqual((answer.content, answer.usage_metadata["input_tokens"]), (vendor.TEXT, 18))
                self.assertEqual("".join(chunk.content for chunk in self.chat(model).stream(asked)), vendor.TEXT)

    def test_tools(self):
        tools = [tool["function"] for tool in clients.TOOLS]
        for model in MODELS:
            with self.subTest(model):
                answer = self.chat(model).bind_tools(tools).invoke("please call both")
                self.assertEqual([(call["name"], call["args"]) for call in answer.tool_calls], [("get_weather", clients.ARGUMENTS), ("get_time", {})])
