// @anthropic-ai/sdk, as its users write it.
import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { ADMIN, SENTENCE, URL, wasCut } from "./stack.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: ADMIN, maxRetries: 0, timeout: 20000 });
const said = (text) => [{ role: "user", content: text }];
const tools = [{ name: "look_up", description: "d", input_schema: { type: "object", properties: { q: { type: "string" } } } }];

for (const p of ["a", "o"]) {
  const ask = { max_tokens: 100, messages: said("hi") };

  test(`${p}: plain and streamed`, async () => {
    const plain = await client.messages.create({ ...ask, model: `${p}-ok` });
    assert.equal(plain.content[0].text, SENTENCE);
    const final = await client.messages.stream({ ...ask, model: `${p}-ok` }).finalMessage();
    assert.equal(final.content[0].text, SENTENCE);
    assert.equal(final.stop_reason, "end_turn");
  });

  test(`${p}: a tool loop of the client's own`, async () => {
    const messages = said('{"q": "toll"}');
    const turn = await client.messages.stream({ ...ask, model: `${p}-tool`, messages, tools }).finalMessage();
    const call = turn.content.find((block) => block.type === "tool_use");
    assert.deepEqual(call.input, { q: "toll" });
    messages.push({ role: "assistant", content: turn.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "42" }] });
    const answer = await client.messages.create({ ...ask, model: `${p}-tool`, messages, tools });
    assert.equal(answer.content[0].text, "tool said: 42");
  });

  test(`${p}: structured output arrives`, async () => {
    const schema = { type: "object", properties: { road: { type: "string" } }, required: ["road"], additionalProperties: false };
    const answer = await client.messages.create({ ...ask, model: `${p}-echo`, messages: said('{"road": "A1"}'), output_config: { format: { type: "json_schema", schema } } });
    assert.deepEqual(JSON.parse(answer.content[0].text), { road: "A1" });
  });

  test(`${p}: errors are the SDK's own types`, async () => {
    await assert.rejects(client.messages.create({ ...ask, model: `${p}-s429` }), Anthropic.RateLimitError);
    await assert.rejects(client.messages.create({ ...ask, model: `${p}-s500` }), Anthropic.InternalServerError);
    await assert.rejects(client.messages.stream({ ...ask, model: `${p}-cut` }).finalMessage(), Anthropic.APIError);
  });

  test(`${p}: an aborted stream and a timeout cut the provider`, async () => {
    const stream = client.messages.stream({ ...ask, model: `${p}-slow-100` });
    let seen = 0;
    for await (const event of stream) if (event.type === "content_block_delta" && ++seen === 4) break;
    await wasCut("slow-100");
    await assert.rejects(client.messages.create({ ...ask, model: `${p}-hang` }, { timeout: 800 }), Anthropic.APIConnectionTimeoutError);
    await wasCut("hang");
  });
}

test("refusals of ours are the SDK's own types", async () => {
  await assert.rejects(client.messages.create({ model: "nobody", max_tokens: 5, messages: said("hi") }), (error) => error instanceof Anthropic.NotFoundError && Boolean(error.requestID));
  await assert.rejects(client.messages.create({ model: "a-ok", max_tokens: 5, messages: [] }), Anthropic.BadRequestError);
});
