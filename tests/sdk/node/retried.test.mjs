// The official OpenAI Node SDK, less patient than the model: what its caller gets. The ledger is looked at afterwards.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import OpenAI from "openai";

const cases = JSON.parse(readFileSync(new URL("../cases.json", import.meta.url), "utf8")).retried;
const client = new OpenAI({ timeout: cases.timeout_ms, maxRetries: cases.retries });

const asked = (model, words) => ({ model, max_tokens: cases.max_tokens, messages: [{ role: "user", content: `Node, ${words}` }] });

test("what is late once is answered the second time", async () => {
  const answer = await client.chat.completions.create(asked("late", "whole"));
  assert.equal(answer.choices[0].message.content, "scripted answer");
});

test("a stream that is late once is answered the second time", async () => {
  let text = "";
  for await (const event of await client.chat.completions.create({ ...asked("late", "streamed"), stream: true })) {
    text += event.choices[0].delta.content ?? "";
  }
  assert.equal(text, "scripted answer");
});

test("what is never in time is given up", async () => {
  await assert.rejects(client.chat.completions.create(asked("never", "whole")), OpenAI.APIConnectionTimeoutError);
});

test("a stream may be left", async () => {
  // Leaving the loop hangs up.
  for await (const event of await client.chat.completions.create({ ...asked("stalling", "streamed"), stream: true })) {
    if (event.choices[0].delta.content) break;
  }
});
