// Budgets as the ledger sees them: how much is used, what comes next, when it starts again.
import { DIMENSIONS } from "../controls.js";
import { h } from "../dom.js";
import { brief, momentOf, money, moneyText, unitText } from "../format.js";
import { t } from "../i18n.js";

const TONES = { ok: "good", warning: "warn", exceeded: "bad" };
const STATES = { ok: "within", warning: "near", exceeded: "exceeded" };
const PERIODS = { day: "per day", month: "per month" };

function budget(one) {
  const used = Math.max(0, one.used || 0);
  const tone = TONES[one.state] || "good";
  const scope = one.scope === "total" || !one.scope ? t("everything") : `${t(DIMENSIONS[one.scope] || one.scope)} ${one.scope_value ?? ""}`;
  const facts = [
    t(PERIODS[one.period] || one.period),
    scope,
    one.projected !== null &&
      one.projected !== undefined &&
      t("heading for {sum}", { sum: brief(one.projected, one.currency) }),
    one.resets_at && t("starts again {time}", { time: momentOf(one.resets_at).slice(5, 16) }),
  ];
  const marks = (one.thresholds || [])
    .filter((mark) => mark < 100)
    .map((mark) => h("i", { class: "threshold", css: { "inset-inline-start": `${mark}%` } }));
  return h(
    "li",
    { class: "budget" },
    h(
      "div",
      { class: "bar-words" },
      h("strong", { class: "bar-name" }, one.name),
      h("span", { class: `state ${tone}` }, t(STATES[one.state] || one.state)),
      h("span", { class: "num" }, unitText(used, "percent")),
    ),
    h(
      "div",
      {
        class: "bar-track tall",
        role: "img",
        "aria-label": t("{used} used of {limit}", {
          used: moneyText(one.spent, one.currency),
          limit: moneyText(one.limit, one.currency),
        }),
      },
      used > 0 && h("div", { class: `bar-fill ${tone}`, css: { "inline-size": `${Math.min(100, used)}%` } }),
      marks,
    ),
    h(
      "div",
      { class: "bar-words small" },
      h("span", {}, money(one.spent, one.currency), ` ${t("of")} `, money(one.limit, one.currency)),
      h("span", { class: "dim grow-right" }, facts.filter(Boolean).join(" · ")),
    ),
  );
}

export function budgetList(found, most = 100) {
  if (!found.length)
    return h("p", { class: "nothing" }, t("No budgets. Set one on a key, or under usage.alerts in the configuration."));
  return h("ul", { class: "budgets" }, found.slice(0, most).map(budget));
}
