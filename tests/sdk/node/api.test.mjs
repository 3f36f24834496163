// The official OpenAI Node SDK against a gateway in front of a scripted upstream: what it gets, what the upstream got.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";

const cases = JSON.parse(readFileSync(new URL("../cases.json", import.meta.url), "utf8")).api;
const client = new OpenAI({ maxRetries: 0, timeout: 60_000, adminAPIKey: process.env.OPENAI_API_KEY });
const calls = { chat: client.chat.completions, completions: client.completions, responses: client.responses, embeddings: client.embeddings };
const WAIT_MS = 60_000;

// Notes a request with the tokens that the ledger must have for it.
const note = (id, call) => {
  const tokens = cases.usage[call === "embeddings" ? "embeddings" : "chat"];
  appendFileSync(process.env.REQUEST_TOKENS, `${JSON.stringify([id, tokens])}\n`);
};

// The bodies that the upstream got for a request.
const heard = async (id) => (await (await fetch(`${process.env.UPSTREAM}/heard/${id}`)).json()).map((one) => one.body);

const at = (value, path) => path.split(".").reduce((inner, part) => inner[part], value);

for (const row of cases.rows) {
  test(row.name, async () => {
    const { data, response } = await calls[row.call].create({ ...row.request, ...row.extra }).withResponse();
    const id = response.headers.get("x-request-id");
    note(id, row.call);
    for (const [path, want] of Object.entries(row.answer)) assert.deepEqual(at(data, path), want, path);
    const [body, ...more] = await heard(id);
    assert.equal(more.length, 0);
    for (const [name, want] of Object.entries(row.sent ?? { ...row.request, ...row.extra })) assert.deepEqual(body[name], want, name);
  });
}

for (const row of cases.streams) {
  test(`stream: ${row.name}`, async () => {
    const { data, response } = await calls[row.call].create({ ...row.request, stream: true }).withResponse();
    note(response.headers.get("x-request-id"), row.call);
    const events = [];
    for await (const event of data) events.push(event);
    const last = events.at(-1);
    if (row.call === "responses") {
      assert.deepEqual(events.map((event) => event.type), row.events);
      assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
      assert.equal(last.response.usage.output_tokens, 2);
      const deltas = events.filter((event) => event.type === "response.output_text.delta");
      assert.equal(deltas.map((event) => event.delta).join(""), row.text ?? "");
      return;
    }
    const deltas = events.filter((event) => event.choices.length > 0).map((event) => event.choices[0].delta);
    if (row.text) {
      assert.equal(deltas.map((delta) => delta.content ?? "").join(""), row.text);
      assert.equal(Boolean(last.usage), row.usage);
      assert.equal(last.choices.length === 0, row.usage);
    } else {
      assert.deepEqual(deltas.flatMap((delta) => delta.tool_calls ?? []).map((call) => call.function.arguments), row.pieces);
    }
  });
}

for (const row of cases.cut) {
  test(`a cut stream is an error: ${row.call}`, async () => {
    // An endpoint of which several streams in a row are cut is left alone.
    await calls[row.call].create(row.request);
    await assert.rejects(
      async () => {
        for await (const event of await calls[row.call].create({ ...row.request, stream: true })) assert.ok(event);
      },
      (error) => error instanceof OpenAI.APIError && error.code === row.code,
    );
  });
}

for (const row of cases.refused) {
  test(`refused: ${row.call} of ${row.request.model}, ${row.param ?? row.code}`, async () => {
    await assert.rejects(calls[row.call].create(row.request), (error) => {
      assert.equal(error.status, row.status);
      assert.equal(error.param ?? undefined, row.param);
      assert.equal(error.code, row.code ?? error.code);
      assert.ok(!JSON.stringify(error.error).includes("secret-host"));
      assert.ok(error.requestID);
      return true;
    });
  });
}

test("models with their aliases", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, cases.models);
  assert.equal((await client.models.retrieve("named")).object, "model");
});

async function batched(lines) {
  const text = lines.map((line) => JSON.stringify(line)).join("\n");
  const file = await client.files.create({ file: await toFile(Buffer.from(text), "in.jsonl"), purpose: "batch" });
  assert.equal(file.bytes, Buffer.byteLength(text));
  let batch = await client.batches.create({ input_file_id: file.id, endpoint: cases.batch.endpoint, completion_window: "24h" });
  const deadline = performance.now() + WAIT_MS;
  while (!["completed", "failed", "expired"].includes(batch.status)) {
    assert.ok(performance.now() < deadline, JSON.stringify(batch));
    batch = await client.batches.retrieve(batch.id);
  }
  return batch;
}

test("a batch", async () => {
  const batch = await batched(cases.batch.lines);
  assert.deepEqual([batch.status, batch.request_counts], ["completed", { total: 2, completed: 2, failed: 0 }]);
  const text = await (await client.files.content(batch.output_file_id)).text();
  const lines = text.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => line.custom_id).sort(), ["one", "two"]);
  for (const line of lines) note(line.response.request_id, "chat");
  assert.equal((await client.files.delete(batch.output_file_id)).deleted, true);
});

test("a flawed batch", async () => {
  const batch = await batched(cases.batch.flawed);
  assert.deepEqual(batch.errors.data.map((flaw) => [flaw.code, flaw.param, flaw.line]), cases.batch.flaws);
});

test("usage and costs", async () => {
  const usage = client.admin.organization.usage;
  const start = Math.floor(Date.now() / 1000) - 120;
  note((await client.embeddings.create({ model: "embedder", input: "hi" }).withResponse()).response.headers.get("x-request-id"), "embeddings");
  const deadline = performance.now() + WAIT_MS;
  let found = [];
  while (found.length === 0) {
    assert.ok(performance.now() < deadline);
    const page = await usage.embeddings({ start_time: start, bucket_width: "1h", group_by: ["model"] });
    found = page.data.flatMap((bucket) => bucket.results);
  }
  assert.deepEqual([...new Set(found.map((result) => result.model))], ["embedder"]);
  const costs = await usage.costs({ start_time: start - 86_400, group_by: ["line_item"] });
  const spent = costs.data.flatMap((bucket) => bucket.results).filter((result) => result.line_item === "tokens");
  assert.ok(spent.at(-1).amount.value > 0);
});
