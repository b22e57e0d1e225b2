// Where the Tollway under test is, and what its scripted provider saw.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

export const URL = process.env.TOLLWAY_URL;
export const ADMIN = process.env.TOLLWAY_ADMIN_TOKEN;
export const SENTENCE = "Tollway carries every word of this answer from the provider to the client unharmed.";

export async function wasCut(model) {
  const end = Date.now() + 3000;
  for (;;) {
    const { calls } = await (await fetch(`${process.env.PROVIDER_URL}/ledger`)).json();
    if (calls.filter((call) => call.model === model).at(-1)?.cut) return;
    assert.ok(Date.now() < end, `the upstream call of ${model} is cut`);
    await pause(50);
  }
}
