// The Vercel AI SDK with its OpenAI-compatible and its Anthropic provider.
import assert from "node:assert/strict";
import test from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ADMIN, SENTENCE, URL, wasCut } from "./stack.mjs";

const openai = createOpenAICompatible({ name: "tollway", baseURL: `${URL}/v1`, apiKey: ADMIN, includeUsage: true, supportsStructuredOutputs: true });
const anthropic = createAnthropic({ baseURL: `${URL}/v1`, apiKey: ADMIN });

for (const [name, provider] of [["openai-compatible", openai], ["anthropic", anthropic]])
  for (const p of ["o", "a"]) {
    const model = (behaviour) => provider(`${p}-${behaviour}`);

    test(`${name} ${p}: plain and streamed`, async () => {
      const plain = await generateText({ model: model("ok"), prompt: "hi", maxRetries: 0 });
      assert.equal(plain.text, SENTENCE);
      assert.equal(plain.finishReason, "stop");
      const stream = streamText({ model: model("ok"), prompt: "hi", maxRetries: 0 });
      const kinds = new Set();
      let text = "";
      for await (const part of stream.fullStream) {
        kinds.add(part.type);
        if (part.type === "text-delta") text += part.text;
      }
      assert.equal(text, SENTENCE);
      assert.ok(!kinds.has("error"));
      assert.ok((await stream.totalUsage).outputTokens > 0);
    });

    test(`${name} ${p}: a tool loop of the client's own`, async () => {
      const look_up = tool({ description: "d", inputSchema: z.object({ q: z.string() }), execute: async ({ q }) => `found ${q}` });
      const stream = streamText({ model: model("tool"), prompt: '{"q": "toll"}', tools: { look_up }, stopWhen: stepCountIs(3), maxRetries: 0 });
      await stream.consumeStream();
      assert.match(await stream.text, /tool said: .*found toll/);
      assert.equal((await stream.steps).length, 2);
    });

    test(`${name} ${p}: errors and aborts`, async () => {
      await assert.rejects(generateText({ model: model("s500"), prompt: "hi", maxRetries: 0 }), (error) => APICallError.isInstance(error) && error.statusCode >= 500);
      let failed;
      const cut = streamText({ model: model("cut"), prompt: "hi", maxRetries: 0, onError: ({ error }) => { failed = error; } });
      await cut.consumeStream();
      assert.ok(failed);
      const controller = new AbortController();
      const slow = streamText({ model: model("slow-100"), prompt: "hi", maxRetries: 0, abortSignal: controller.signal });
      let seen = 0;
      for await (const part of slow.fullStream) if (part.type === "text-delta" && ++seen === 4) controller.abort();
      await wasCut("slow-100");
    });
  }

test("openai-compatible: structured output", async () => {
  const { object } = await generateObject({ model: openai("o-echo"), prompt: '{"road": "A1"}', schema: z.object({ road: z.string() }), maxRetries: 0 });
  assert.deepEqual(object, { road: "A1" });
});
