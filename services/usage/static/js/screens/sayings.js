// What the ledger says in sentences, said in the reader's language and with numbers as they are read. A kind of advice or
// alert that is not known here is shown in the ledger's own words.
import { brief, grouped, unitText } from "../format.js";
import { t } from "../i18n.js";

const share = (value) => unitText(value, "percent");

const ADVICE = {
  cheaper_model: ({ facts, currency }) => ({
    title: facts.function
      ? t("Use {model} instead of {instead_of} for {function}", facts)
      : t("Use {model} instead of {instead_of} for calls without a function", facts),
    text: t(
      "{model} succeeded in {rate} of {calls} calls, {instead_of} in {rate_now} of {calls_now}. The same tokens at its price would have cost {cost_then} instead of {cost_now}.",
      {
        ...facts,
        rate: share(facts.success_rate),
        rate_now: share(facts.success_rate_now),
        calls: grouped(facts.calls),
        calls_now: grouped(facts.calls_now),
        cost_then: brief(facts.cost_then, currency),
        cost_now: brief(facts.cost_now, currency),
      },
    ),
  }),
  cacheable_input: ({ facts }) => ({
    title: t("Let {model} read repeated input from its cache", facts),
    text: t(
      "{calls} calls sent {tokens} input tokens each on average, and {share} of them came from the cache. Constant parts belong at the beginning.",
      { calls: grouped(facts.calls), tokens: grouped(facts.input_tokens), share: share(facts.cache_share) },
    ),
  }),
  waste: ({ facts, currency }) => ({
    title: t("Answers that were paid for and lost"),
    text: t("{calls} of {attempts} attempts did not end well ({told}): {cost}.", {
      calls: grouped(facts.calls),
      attempts: grouped(facts.attempts),
      told: Object.entries(facts.by_status)
        .map(([status, calls]) => `${grouped(calls)} ${t(status)}`)
        .join(", "),
      cost: brief(facts.cost, currency),
    }),
  }),
};

// How it was found is one fixed sentence for each kind.
export function adviceSaid(one) {
  return { ...one, ...(one.facts && ADVICE[one.kind]?.(one)), method: t(one.method) };
}

const ALERTS = {
  budget: (one) =>
    t("{budget}: {spent} of {limit} spent, {threshold} reached", {
      budget: one.name ? `${one.budget} (${one.name})` : one.budget,
      spent: brief(one.spent, one.currency),
      limit: brief(one.limit, one.currency),
      threshold: share(one.threshold),
    }),
  unpriced: (one) =>
    one.threshold
      ? t(
          "Calls of {model} came without a split of their tokens, or in a bucket or currency that has no price: what they cost is missing from every total",
          { model: one.name || t("(none)") },
        )
      : t("{model} has no price: what it costs is missing from every total", { model: one.name || t("(none)") }),
};

export function alertSaid(one) {
  return ALERTS[one.kind]?.(one) ?? (one.text || one.budget);
}
