// openai-node, as its users write it.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ADMIN, SENTENCE, URL, wasCut } from "./stack.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: ADMIN, maxRetries: 0, timeout: 20000 });
const said = (text) => [{ role: "user", content: text }];
const tools = [{ type: "function", function: { name: "look_up", parameters: { type: "object", properties: { q: { type: "string" } } } } }];

for (const p of ["o", "a"]) {
  test(`${p}: plain and streamed`, async () => {
    const plain = await client.chat.completions.create({ model: `${p}-ok`, messages: said("hi") });
    assert.equal(plain.choices[0].message.content, SENTENCE);
    const stream = client.chat.completions.stream({ model: `${p}-ok`, messages: said("hi"), stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, SENTENCE);
    assert.ok((await stream.totalUsage()).total_tokens > 0);
  });

  test(`${p}: a tool loop run by the client's own helper`, async () => {
    let asked;
    const runner = client.chat.completions.runTools({
      model: `${p}-tool`,
      messages: said('{"q": "toll"}'),
      tools: [{ type: "function", function: { ...tools[0].function, parse: JSON.parse, function: (args) => { asked = args; return "42"; } } }],
    });
    assert.equal(await runner.finalContent(), "tool said: 42");
    assert.deepEqual(asked, { q: "toll" });
  });

  test(`${p}: structured output`, async () => {
    const Toll = z.object({ road: z.string(), price: z.number() });
    const answer = await client.chat.completions.parse({ model: `${p}-echo`, messages: said('{"road": "A1", "price": 3}'), response_format: zodResponseFormat(Toll, "toll") });
    assert.deepEqual(answer.choices[0].message.parsed, { road: "A1", price: 3 });
  });

  test(`${p}: errors are the SDK's own types`, async () => {
    await assert.rejects(client.chat.completions.create({ model: `${p}-s429`, messages: said("hi") }), OpenAI.RateLimitError);
    await assert.rejects(client.chat.completions.create({ model: `${p}-s500`, messages: said("hi") }), OpenAI.InternalServerError);
    await assert.rejects(async () => {
      for await (const _ of await client.chat.completions.create({ model: `${p}-cut`, messages: said("hi"), stream: true }));
    }, OpenAI.APIError);
  });

  test(`${p}: an aborted stream and a timeout cut the provider`, async () => {
    const stream = await client.chat.completions.create({ model: `${p}-slow-100`, messages: said("hi"), stream: true });
    let seen = 0;
    for await (const _ of stream) if (++seen === 4) break;
    await wasCut("slow-100");
    await assert.rejects(client.chat.completions.create({ model: `${p}-hang`, messages: said("hi") }, { timeout: 800 }), OpenAI.APIConnectionTimeoutError);
    await wasCut("hang");
  });
}

test("refusals of ours are the SDK's own types", async () => {
  await assert.rejects(client.chat.completions.create({ model: "nobody", messages: said("hi") }), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
  await assert.rejects(client.chat.completions.create({ model: "o-ok", messages: [] }), (error) => error instanceof OpenAI.BadRequestError && error.param === "messages");
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  assert.ok(models.includes("o-ok"));
});
