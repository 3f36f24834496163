"""The official OpenAI Python SDK against a gateway in front of a scripted upstream: what it gets, what the upstream got."""

import json
import os
import pathlib
import time
import unittest
import urllib.request

import openai

CASES = json.loads((pathlib.Path(__file__).parent.parent / "cases.json").read_text())["api"]
WAIT_SECONDS = 60


def note(request_id, call):
    """Notes a request with the tokens that the ledger must have for it."""
    tokens = CASES["usage"]["embeddings" if call == "embeddings" else "chat"]
    with open(os.environ["REQUEST_TOKENS"], "a", encoding="utf-8") as noted:
        noted.write(json.dumps([request_id, tokens]) + "\n")


def heard(request_id):
    """The bodies that the upstream got for a request."""
    with urllib.request.urlopen(f"{os.environ['UPSTREAM']}/heard/{request_id}", timeout=10) as reply:
        return [one["body"] for one in json.load(reply)]


def at(value, path):
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)]
        else:
            value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        key = os.environ["OPENAI_API_KEY"]
        cls.client = openai.OpenAI(max_retries=0, timeout=60, admin_api_key=key)
        calls = cls.client
        cls.calls = {"chat": calls.chat.completions, "completions": calls.completions, "responses": calls.responses, "embeddings": calls.embeddings}

    def test_rows(self):
        for row in CASES["rows"]:
            with self.subTest(row["name"]):
                raw = self.calls[row["call"]].with_raw_response.create(**row["request"], extra_body=row.get("extra"))
                note(raw.headers["x-request-id"], row["call"])
                answer = raw.parse()
                plain = {**answer.to_dict(), "output_text": getattr(answer, "output_text", None)}
                for path, want in row["answer"].items():
                    self.assertEqual(at(plain, path), want, path)
                (body,) = heard(raw.headers["x-request-id"])
                for name, want in row.get("sent", {**row["request"], **row.get("extra", {})}).items():
                    self.assertEqual(body[name], want, name)

    def test_streams(self):
        for row in CASES["streams"]:
            with self.subTest(row["name"]):
                raw = self.calls[row["call"]].with_raw_response.create(**row["request"], stream=True)
                note(raw.headers["x-request-id"], row["call"])
                events = list(raw.parse())
                if row["call"] == "responses":
                    self.assertEqual([event.type for event in events], row["events"])
                    self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
                    self.assertEqual(events[-1].response.usage.output_tokens, 2)
                    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
                    self.assertEqual(text, row.get("text", ""))
                    continue
                deltas = [event.choices[0].delta for event in events if event.choices]
                if "text" in row:
                    self.assertEqual("".join(delta.content or "" for delta in deltas), row["text"])
                    self.assertEqual(events[-1].usage is not None, row["usage"])
                    self.assertEqual(events[-1].choices == [], row["usage"])
                else:
                    pieces = [call.function.arguments for delta in deltas for call in delta.tool_calls or []]
                    self.assertEqual(pieces, row["pieces"])

    def test_a_cut_stream_is_an_error(self):
        for row in CASES["cut"]:
            # An endpoint of which several streams in a row are cut is left alone.
            self.calls[row["call"]].create(**row["request"])
            with self.subTest(row["call"]), self.assertRaises(openai.APIError) as caught:
                list(self.calls[row["call"]].create(**row["request"], stream=True))
            self.assertEqual(caught.exception.code, row["code"])

    def test_what_is_refused_says_why(self):
        for row in CASES["refused"]:
            with self.subTest(row), self.assertRaises(openai.APIStatusError) as caught:
                self.calls[row["call"]].create(**row["request"])
            error = caught.exception
            self.assertEqual((error.status_code, error.param), (row["status"], row.get("param")))
            self.assertEqual(error.code, row.get("code", error.code))
            self.assertNotIn("<html", error.message)
            self.assertNotIn("secret-host", str(error.body))
            self.assertTrue(error.request_id)

    def test_a_retried_call_is_three_requests(self):
        with self.assertRaises(openai.InternalServerError) as caught:
            self.client.with_options(max_retries=2).chat.completions.create(model="html", messages=[])
        self.assertEqual(caught.exception.response.request.headers["x-stainless-retry-count"], "2")

    def test_responses_have_a_helper_for_streams(self):
        with self.client.responses.stream(model="chatty", input="hi") as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        self.assertEqual((kinds[-1], final.output_text), ("response.completed", "scripted answer"))

    def test_models_with_their_aliases(self):
        models = list(self.client.models.list())
        self.assertEqual([model.id for model in models], CASES["models"])
        one = self.client.models.retrieve("named")
        self.assertEqual((one.id, one.object, bool(one.owned_by), one.created > 0), ("named", "model", True, True))

    def until(self, batch, *statuses):
        deadline = time.monotonic() + WAIT_SECONDS
        while (batch := self.client.batches.retrieve(batch.id)).status not in statuses:
            self.assertLess(time.monotonic(), deadline, batch)
        return batch

    def batch(self, lines):
        text = "\n".join(json.dumps(line) for line in lines).encode()
        file = self.client.files.create(file=("in.jsonl", text), purpose="batch")
        self.assertEqual((file.bytes, file.filename, file.purpose), (len(text), "in.jsonl", "batch"))
        endpoint = CASES["batch"]["endpoint"]
        return self.client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"a": "b"})

    def test_a_batch(self):
        batch = self.until(self.batch(CASES["batch"]["lines"]), "completed", "failed", "expired")
        self.assertEqual((batch.status, batch.metadata), ("completed", {"a": "b"}))
        self.assertEqual((batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed), (2, 2, 0))
        lines = [json.loads(line) for line in self.client.files.content(batch.output_file_id).text.splitlines()]
        self.assertEqual(sorted(line["custom_id"] for line in lines), ["one", "two"])
        for line in lines:
            note(line["response"]["request_id"], "chat")
            self.assertEqual((line["response"]["status_code"], line["error"]), (200, None))
            self.assertEqual(line["response"]["body"]["choices"][0]["message"]["content"], "scripted answer")
        self.assertIn(batch.id, [one.id for one in self.client.batches.list(limit=1)])
        self.assertIn(batch.output_file_id, [one.id for one in self.client.files.list(purpose="batch_output")])
        self.assertTrue(self.client.files.delete(batch.output_file_id).deleted)

    def test_a_flawed_batch(self):
        batch = self.until(self.batch(CASES["batch"]["flawed"]), "failed", "completed")
        self.assertEqual([[flaw.code, flaw.param, flaw.line] for flaw in batch.errors.data], CASES["batch"]["flaws"])

    def test_usage_and_costs(self):
        for call, model, usage in (("chat", "chatty", "completions"), ("embeddings", "embedder", "embeddings")):
            with self.subTest(call):
                asked = {"messages": []} if call == "chat" else {"input": "hi"}
                note(self.calls[call].with_raw_response.create(model=model, **asked).headers["x-request-id"], call)
                report = getattr(self.client.admin.organization.usage, usage)
                deadline = time.monotonic() + WAIT_SECONDS
                found = []
                # The ledger follows the journal within a commit window.
                while not found:
                    self.assertLess(time.monotonic(), deadline)
                    page = report(start_time=int(time.time()) - 120, bucket_width="1h", group_by=["model", "api_key_id"], models=[model])
                    found = [result for bucket in page.data for result in bucket.results]
                self.assertEqual({result.model for result in found}, {model})
                tokens = CASES["usage"][call]
                requests = sum(result.num_model_requests for result in found)
                self.assertEqual(sum(result.input_tokens for result in found), requests * tokens[0])
        costs = self.client.admin.organization.usage.costs(start_time=int(time.time()) - 86_400, group_by=["line_item"], limit=2)
        last = [result for bucket in costs.data for result in bucket.results]
        self.assertIn("tokens", {result.line_item for result in last})
        spent = [result for result in last if result.line_item == "tokens"][-1]
        self.assertGreater(spent.amount.value, 0)
        self.assertEqual(spent.amount.currency, "usd")


if __name__ == "__main__":
    unittest.main()
