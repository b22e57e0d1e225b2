// What needs a hand: movers, budgets, alerts, advice, the router's targets and the tools.
import { ask } from "../api.js";
import { DIMENSIONS } from "../controls.js";
import { fill, h } from "../dom.js";
import { panel } from "../figure.js";
import { grouped, momentOf, money, moneyText, NOTHING, unitText } from "../format.js";
import { t } from "../i18n.js";
import { absent, elsewhere } from "../states.js";
import { budgetList } from "./budgets.js";
import { dimensionLink } from "./overview_figures.js";

const ROUTER_MS = 10000;

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
        h("span", { class: "grow" }, one.text || one.budget),
        h("time", { class: "dim" }, momentOf(one.at).slice(5, 16)),
      ),
    );
}

function adviceRows(data) {
  return (data.advice || [])
    .slice(0, 4)
    .map((one) =>
      h(
        "li",
        { class: "stack" },
        h("strong", {}, one.title),
        h("span", {}, one.text),
        h(
          "span",
          { class: "dim small" },
          [
            one.method,
            one.sample_size !== undefined && t("{n} calls looked at", { n: grouped(one.sample_size) }),
            one.saving !== null &&
              one.saving !== undefined &&
              t("about {saving} in {days} days", {
                saving: moneyText(one.saving, one.currency || data.currency),
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

function list(rows, none) {
  return rows.length ? h("ul", { class: "list" }, rows) : nothing(none);
}

export function routerRows(found) {
  return Object.entries(found.models || {}).flatMap(([model, one]) =>
    (one.targets || []).map((target) => ({ model, ...target })),
  );
}

function targetRow(one) {
  const cooling = one.cooling_seconds > 0 || one.state === "cooling" || one.cooldown_seconds > 0;
  const left = one.cooling_seconds || one.cooldown_seconds;
  return h(
    "li",
    {},
    h(
      "span",
      { class: `state ${cooling ? "bad" : "good"}` },
      cooling ? (left ? t("cooling {n} s", { n: Math.ceil(left) }) : t("cooling")) : t("ready"),
    ),
    h(
      "span",
      { class: "grow" },
      one.model,
      h(
        "span",
        { class: "dim" },
        ` → ${one.provider}/${one.target_model || one.upstream_model || one.name || one.model}`,
      ),
    ),
    one.success_rate !== null &&
      one.success_rate !== undefined &&
      h("span", { class: "num" }, unitText(one.success_rate, "percent")),
  );
}

function routerPanel() {
  const room = h("div", {}, nothing(t("Loading…")));
  const element = panel(t("Router"), { name: "router" }, room);
  async function refresh() {
    try {
      const rows = routerRows(await ask("/admin/router"));
      fill(room, list(rows.slice(0, 10).map(targetRow), t("No targets are configured.")));
    } catch (error) {
      if (absent(error)) fill(room, elsewhere());
      else
        fill(
          room,
          nothing(
            error.status === 401 || error.status === 403
              ? t("The router's state needs the admin token.")
              : t("The router's state is not known: {reason}", { reason: error.message }),
          ),
        );
    }
  }
  refresh();
  const timer = setInterval(refresh, ROUTER_MS);
  return { element, dispose: () => clearInterval(timer) };
}

export function side() {
  const rooms = { movers: h("div"), budgets: h("div"), alerts: h("div"), advice: h("div"), tools: h("div") };
  const router = routerPanel();
  const element = h(
    "div",
    { class: "grid" },
    panel(t("Top movers"), { note: t("against the span before"), name: "movers" }, rooms.movers),
    panel(t("Budgets"), { name: "budgets" }, rooms.budgets),
    panel(t("Alerts"), { name: "alerts" }, rooms.alerts),
    router.element,
    panel(t("Tool calls"), { name: "tools" }, rooms.tools),
    panel(t("Advice"), { note: t("each stands alone, never add them up"), name: "advice" }, rooms.advice),
  );
  return {
    element,
    update(data) {
      fill(rooms.movers, list(moverRows(data), t("Nothing moved.")));
      fill(rooms.budgets, budgetList(data.budgets || [], 5));
      fill(rooms.alerts, list(alertRows(data), t("No alerts.")));
      fill(rooms.advice, list(adviceRows(data), t("No advice: too little data, or nothing to save.")));
      fill(rooms.tools, list(toolRows(data), t("No tool calls in this period.")));
    },
    dispose: router.dispose,
  };
}
