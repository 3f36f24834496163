// The official OpenAI Node SDK, unmodified, against the gateway that OPENAI_BASE_URL names.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { before, test } from "node:test";

import OpenAI from "openai";

const cases = JSON.parse(readFileSync(new URL("../cases.json", import.meta.url), "utf8"));
const chat = cases.chat;
const client = new OpenAI({ maxRetries: 0, timeout: 120_000 });
let model;

// Notes a request that was answered: the ledger must have it, exactly once.
const answered = (id) => appendFileSync(process.env.REQUEST_IDS, `${id}\n`);

before(async () => {
  model = (await client.models.list()).data[0].id;
});

test("chat", async () => {
  const answer = await client.chat.completions.create({ model, ...chat });
  answered(answer._request_id);
  assert.equal(answer.object, "chat.completion");
  assert.ok(answer.choices[0].message.content.trim());
  assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  assert.ok(answer.usage.completion_tokens > 0 && answer.usage.completion_tokens <= chat.max_tokens);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

async function stream(extra) {
  const { data, response } = await client.chat.completions.create({ model, ...chat, stream: true, ...extra }).withResponse();
  answered(response.headers.get("x-request-id"));
  const chunks = [];
  for await (const chunk of data) chunks.push(chunk);
  assert.ok(chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("").trim());
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason).length, 1);
  return chunks;
}

test("stream without usage", async () => {
  const chunks = await stream({});
  assert.ok(chunks.every((chunk) => chunk.choices.length > 0 && !chunk.usage));
});

test("stream with usage", async () => {
  const chunks = await stream({ stream_options: { include_usage: true } });
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.completion_tokens > 0 && last.usage.completion_tokens <= chat.max_tokens);
  assert.ok(chunks.every((chunk) => !chunk.usage));
});

test("a stream that its reader leaves", async () => {
  const { data, response } = await client.chat.completions.create({ model, ...chat, max_tokens: 200, stream: true }).withResponse();
  answered(response.headers.get("x-request-id"));
  for await (const chunk of data) {
    if (chunk.choices[0]?.delta?.content) break;
  }
});

test("models", async () => {
  const ids = (await client.models.list()).data.map((one) => one.id);
  assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(model)).id, model);
});

test("headers say where and who pays", async () => {
  const response = await client.chat.completions.create({ model, ...chat }).asResponse();
  answered(response.headers.get("x-request-id"));
  for (const name of cases.headers) assert.ok(response.headers.get(name), name);
  assert.equal((await response.json()).object, "chat.completion");
});

test("service tiers", async () => {
  for (const tier of cases.tiers) {
    const answer = await client.chat.completions.create({ model, ...chat, service_tier: tier });
    answered(answer._request_id);
  }
});

const requests = {
  wrong_key: [client.withOptions({ apiKey: "bl-wrong" }), {}],
  unknown_model: [client, { model: "no-such-model" }],
  too_long: [client, { messages: [{ role: "user", content: "word ".repeat(cases.too_long_words) }] }],
};

for (const [name, expected] of Object.entries(cases.errors)) {
  test(`error: ${name}`, async () => {
    const [asker, request] = requests[name];
    await assert.rejects(asker.chat.completions.create({ model, ...chat, ...request }), (error) => {
      assert.ok(error instanceof OpenAI[expected.class], error.constructor.name);
      assert.deepEqual([error.status, error.code, error.param], [expected.status, expected.code, expected.param]);
      assert.ok(error.requestID);
      return true;
    });
  });
}
