// The receipt of one answer: what the headers and the stream said at once, and what the ledger booked a moment later.
import { ask, query } from "../api.js";
import { fill, h } from "../dom.js";
import { grouped, money, unitText } from "../format.js";
import { t } from "../i18n.js";
import { linkTo } from "../place.js";

const TRIES = 12;
const PAUSE_MS = 500;

async function booked(request) {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const found = await ask(query("/api/ai_usage/events", { request_id: request, limit: 100 })).catch(() => null);
    if (!found) return null;
    if (found.events.length) return found.events;
    await new Promise((wake) => setTimeout(wake, PAUSE_MS));
  }
  return null;
}

function costOf(found) {
  const paid = found.filter((one) => one.kind === "model");
  if (paid.some((one) => one.unpriced)) return h("b", {}, t("no price"));
  const nano = paid.reduce((sum, one) => sum + BigInt(Math.round((one.cost || 0) * 1e9)), 0n);
  return h("b", { data: { cost: "yes" } }, money(Number(nano) / 1e9, paid.length ? paid[0].currency : "CNY"));
}

export async function receipt(place, { usage, headers, first, whole, finish }) {
  const fact = (words, value) =>
    value !== null &&
    value !== undefined &&
    value !== "" &&
    h("span", {}, `${words} `, typeof value === "string" ? h("b", {}, value) : value);
  const named = (name) => headers.get(name);
  const route = [named("x-tollway-provider"), named("x-tollway-model")].filter(Boolean).join("/");
  const known = [
    usage &&
      fact(
        t("Tokens"),
        t("{input} in, {output} out", {
          input: grouped(usage.prompt_tokens ?? usage.input_tokens ?? 0),
          output: grouped(usage.completion_tokens ?? usage.output_tokens ?? 0),
        }),
      ),
    fact(t("Route"), route),
    fact(t("Attempts"), named("x-tollway-attempts")),
    fact(t("Cache"), named("x-tollway-cache")),
    fact(t("First token"), first === null ? null : unitText(first, "ms")),
    fact(t("Whole"), unitText(whole, "ms")),
    fact(t("Ended by"), finish),
  ];
  const draw = (more) => fill(place, h("div", { class: "receipt" }, known, more));
  draw(fact(t("Cost"), t("being booked…")));
  const request = named("x-request-id");
  const found = request ? await booked(request) : null;
  if (!found) {
    draw(fact(t("Cost"), t("not known here")));
    return;
  }
  const tools = found.filter((one) => one.kind === "tool").map((one) => one.model);
  const session = found.find((one) => one.session_id);
  draw([
    fact(t("Cost"), costOf(found)),
    tools.length > 0 && fact(t("Tools used"), tools.join(", ")),
    session && h("a", { href: linkTo("session", { id: session.session_id }) }, t("Session")),
  ]);
}
