// The cards: one number each, its change against the same span before, its shape over the period.
import { fill, h } from "../dom.js";
import { brief, changeText, compact, estimate, figureOf, grouped, unitText } from "../format.js";
import { t } from "../i18n.js";
import { spark } from "../spark.js";

// id → words, kind, and whether more is good (1), bad (-1) or neither (0).
const MONEY = [
  ["spend_today", "Spend today", "money", 0],
  ["spend_period", "Spend in the period", "money", 0],
  ["month_to_date", "Month to date", "money", 0],
  ["forecast", "Month forecast", "money", 0],
];
const FLOW = [
  ["calls", "Calls", "count", 0],
  ["success_rate", "Success rate", "percent", 1],
  ["tokens", "Tokens", "count", 0],
  ["cache_share", "Cache share", "percent", 1],
  ["latency_p95_ms", "Latency p95", "ms", -1],
  ["ttft_p95_ms", "First token p95", "ms", -1],
  ["tool_calls", "Tool calls", "count", 0],
  ["cache_hits", "Cache hits", "count", 0],
];

function trend(one, kind, good) {
  if (one.change === null || one.change === undefined) return h("span", { class: "change dim" }, t("no span before"));
  const judged = good && Math.abs(one.change) >= 0.05 ? (one.change * good > 0 ? "better" : "worse") : "";
  return h(
    "span",
    { class: `change ${judged}` },
    changeText(one.change, kind),
    h("span", { class: "dim" }, ` ${t("against before")}`),
  );
}

// A second line for what belongs to a figure and has no card of its own.
const MORE = {
  spend_period: ({ spend_period: spent, calls }, currency) =>
    calls.value > 0 && t("{sum} for 1,000 calls", { sum: brief((1000 * spent.value) / calls.value, currency) }),
  success_rate: ({ errors }) => errors && t("{n} errors", { n: grouped(errors.value) }),
  tokens: ({ input_tokens: input, output_tokens: output }) =>
    input && output && t("{input} in, {output} out", { input: compact(input.value), output: compact(output.value) }),
  cache_share: ({ reasoning_tokens: reasoning, output_tokens: output }) =>
    reasoning?.value > 0 &&
    t("{share} of the output is reasoning", { share: unitText((100 * reasoning.value) / output.value, "percent") }),
};

function card(id, cards, words, kind, good, currency, big) {
  const one = cards[id];
  const more = MORE[id]?.(cards, currency);
  const range =
    one.low !== undefined &&
    one.low !== null &&
    h("span", { class: "range" }, `${brief(one.low, currency)} – ${brief(one.high, currency)}`);
  return h(
    "div",
    { class: big ? "card big" : "card", data: { card: id } },
    h("dt", {}, words),
    h("dd", { class: "value" }, range ? estimate(one.value, currency) : figureOf(one.value, kind, currency)),
    h("dd", { class: "foot" }, range || trend(one, kind, good)),
    h("dd", { class: "shape" }, spark(one.spark)),
    more && h("dd", { class: "more" }, more),
  );
}

export function cards() {
  const money = h("dl", { class: "cards money" });
  const flow = h("dl", { class: "cards flow" });
  const element = h("section", { "aria-label": t("Key figures") }, money, flow);
  let last = null;
  const draw = (data) => {
    const make =
      (big) =>
      ([id, words, kind, good]) =>
        data.cards[id] && card(id, data.cards, t(words), kind, good, data.currency, big);
    fill(money, MONEY.map(make(true)));
    fill(flow, FLOW.map(make(false)));
  };
  return {
    element,
    update(data) {
      last = data;
      draw(data);
    },
    // Today's spend is known at once; everything else comes with the next refresh.
    live(message) {
      if (!last || !message.today || !last.cards.spend_today) return;
      last = {
        ...last,
        cards: { ...last.cards, spend_today: { ...last.cards.spend_today, value: message.today.cost } },
      };
      draw(last);
    },
  };
}
