// What needs a hand: movers, budgets, alerts, advice, the router's targets and the tools.
import { DIMENSIONS } from "../controls.js";
import { fill, h } from "../dom.js";
import { panel } from "../figure.js";
import { brief, grouped, momentOf, money, moneyText, NOTHING, unitText } from "../format.js";
import { t } from "../i18n.js";
import { budgetList } from "./budgets.js";
import { dimensionLink } from "./overview_figures.js";
import { routerPanel } from "./router.js";
import { adviceSaid, alertSaid } from "./sayings.js";

function nothing(words) {
  return h("p", { class: "nothing" }, words);
}

function moverRows(data) {
  return (data.movers || []).map((one) =>
    h(
      "li",
      {},
      h("span", { class: "dim" }, t(DIMENSIONS[one.by] || one.by)),
      h(
        "span",
        { class: "grow" },
        one.name === null
          ? t("(none)")
          : h("a", { href: dimensionLink(one.by, one.name), data: { key: `mover-${one.by}-${one.name}` } }, one.name),
      ),
      h(
        "span",
        { class: "num", title: `${moneyText(one.previous, data.currency)} → ${moneyText(one.cost, data.currency)}` },
        one.delta > 0 ? "+" : "",
        money(one.delta, data.currency),
      ),
    ),
  );
}

function alertRows(data) {
  return (data.alerts || [])
    .slice(0, 6)
    .map((one) =>
      h(
        "li",
        {},
        h(
          "span",
          { class: `state ${one.state === "resolved" ? "good" : "bad"}` },
          one.state === "resolved" ? t("resolved") : t("firing"),
        ),
        h("span", { class: "grow" }, alertSaid(one)),
        h("time", { class: "dim" }, momentOf(one.at).slice(5, 16)),
      ),
    );
}

function adviceRows(data) {
  return (data.advice || []).slice(0, 4).map(adviceSaid).map((one) =>
    h(
      "li",
      { class: "stack" },
      h("strong", {}, one.title),
      h("span", {}, one.text),
      h("details", { class: "small dim" }, h("summary", {}, t("How this was found")), one.method),
      h(
        "span",
        { class: "dim small" },
        [
          one.sample_size !== undefined && t("{n} calls looked at", { n: grouped(one.sample_size) }),
          one.saving !== null &&
            one.saving !== undefined &&
            t("about {saving} in {days} days", {
              saving: brief(one.saving, one.currency || data.currency),
              days: one.period_days,
            }),
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
  );
}

function toolRows(data) {
  return (data.tools || []).map((one) =>
    h(
      "li",
      {},
      h("span", { class: "grow mono" }, one.name),
      h(
        "span",
        { class: "num dim" },
        one.p95_ms === null || one.p95_ms === undefined ? NOTHING : `p95 ${unitText(one.p95_ms, "ms")}`,
      ),
      h("span", { class: `num ${one.success_rate < 95 ? "worse" : ""}` }, unitText(one.success_rate, "percent")),
      h("span", { class: "num" }, grouped(one.calls)),
    ),
  );
}

function list(rows, none, shape = "") {
  return rows.length ? h("ul", { class: `list ${shape}` }, rows) : nothing(none);
}

export function side(who) {
  const rooms = { movers: h("div"), budgets: h("div"), alerts: h("div"), advice: h("div"), tools: h("div") };
  const router = routerPanel(who);
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "grid" },
      panel(t("Top movers"), { note: t("against the span before"), name: "movers" }, rooms.movers),
      panel(t("Budgets"), { name: "budgets" }, rooms.budgets),
      panel(t("Alerts"), { name: "alerts" }, rooms.alerts),
    ),
    h("div", { class: "pair" }, router.element, panel(t("Tool calls"), { note: t("latency, success, number"), name: "tools" }, rooms.tools)),
    panel(t("Advice"), { note: t("each stands alone, never add them up"), wide: true, name: "advice" }, rooms.advice),
  );
  return {
    element,
    update(data) {
      fill(rooms.movers, list(moverRows(data), t("Nothing moved.")));
      fill(rooms.budgets, budgetList(data.budgets || [], 5));
      fill(rooms.alerts, list(alertRows(data), t("No alerts.")));
      fill(rooms.advice, list(adviceRows(data), t("No advice: too little data, or nothing to save."), "columns"));
      fill(rooms.tools, list(toolRows(data), t("No tool calls in this period.")));
    },
    dispose: router.dispose,
  };
}
