// Budgets & keys: what is used of every budget, and making, changing and revoking client keys with the admin token.
import { ask } from "../api.js";
import { dialog, field } from "../controls.js";
import { copy, fill, h, toast } from "../dom.js";
import { panel } from "../figure.js";
import { exact, grouped, momentOf, money, moneyText } from "../format.js";
import { t } from "../i18n.js";
import { loader } from "../load.js";
import { absent, elsewhere, notice } from "../states.js";
import { table } from "../table.js";
import { budgetList } from "./budgets.js";
import { alertSaid } from "./sayings.js";

const LISTS = ["models", "tools", "default_tools"];
const NUMBERS = ["requests_per_minute", "tokens_per_minute", "budget_per_day", "budget_per_month"];

function keyFields(key, currency) {
  const list = (name) => (key[name] || []).join(", ");
  const per = (name) => key[name] ?? "";
  return h(
    "div",
    { class: "form" },
    field(t("Name"), { name: "name", required: true, value: key.name || "", autocomplete: "off" }),
    field(t("Owner"), { name: "owner", value: key.owner || "", autocomplete: "off" }),
    field(
      t("Models"),
      { name: "models", value: list("models"), autocomplete: "off" },
      t("comma-separated; empty: all"),
    ),
    field(t("Tools"), { name: "tools", value: list("tools"), autocomplete: "off" }, t("comma-separated; empty: all")),
    field(t("Tools on by default"), { name: "default_tools", value: list("default_tools"), autocomplete: "off" }),
    field(t("Requests per minute"), {
      name: "requests_per_minute",
      type: "number",
      min: 1,
      value: per("requests_per_minute"),
    }),
    field(t("Tokens per minute"), {
      name: "tokens_per_minute",
      type: "number",
      min: 1,
      value: per("tokens_per_minute"),
    }),
    field(t("Budget per day ({currency})", { currency }), {
      name: "budget_per_day",
      type: "number",
      min: 0,
      step: "any",
      value: per("budget_per_day"),
    }),
    field(t("Budget per month ({currency})", { currency }), {
      name: "budget_per_month",
      type: "number",
      min: 0,
      step: "any",
      value: per("budget_per_month"),
    }),
    field(
      t("Expires at"),
      { name: "expires_at", value: key.expires_at || "", placeholder: "2027-01-01T00:00:00Z", autocomplete: "off" },
      t("ISO 8601; empty: never"),
    ),
  );
}

// What the form says, as the API's fields; for a change only what differs.
function keyBody(form, key = {}) {
  const body = {};
  for (const [name, text] of form) {
    const value = String(text).trim();
    let next = value === "" ? null : value;
    if (next !== null && LISTS.includes(name))
      next = value
        .split(",")
        .map((one) => one.trim())
        .filter(Boolean);
    if (next !== null && NUMBERS.includes(name)) next = Number(value);
    const before = key[name]?.length === 0 ? null : (key[name] ?? null);
    if (JSON.stringify(next) !== JSON.stringify(before)) body[name] = next;
  }
  return body;
}

// What is spent of a budget; until that is known, the budget alone.
function spentOf(limit, spent, currency) {
  if (limit === null || limit === undefined) return h("span", { class: "none" }, "–");
  if (spent === undefined) return money(limit, currency);
  const used = limit ? (100 * spent) / limit : 100;
  const tone = used >= 100 ? "bad" : used >= 80 ? "warn" : "good";
  return [
    money(spent, currency),
    h("span", { class: "dim" }, ` / ${moneyText(limit, currency)}`),
    h(
      "div",
      { class: "bar-track", "aria-hidden": "true" },
      used > 0 && h("div", { class: `bar-fill ${tone}`, css: { "inline-size": `${Math.min(100, used)}%` } }),
    ),
  ];
}

function rates(key) {
  const found = [
    key.requests_per_minute && t("{n} requests", { n: grouped(key.requests_per_minute) }),
    key.tokens_per_minute && t("{n} tokens", { n: grouped(key.tokens_per_minute) }),
  ].filter(Boolean);
  return found.length ? found.map((one) => h("div", { class: "num" }, one)) : h("span", { class: "none" }, t("none"));
}

function keyTable(keys, { edit, revoke, currency, standings }) {
  const budget = (name, spent) => (row) => spentOf(row[name], standings.get(row.id)?.[spent], currency);
  const some = (value, none) => (value && value.length ? value.join(", ") : h("span", { class: "none" }, none));
  const actions = (row) =>
    h(
      "span",
      { class: "row-actions" },
      h(
        "button",
        {
          type: "button",
          class: "quiet",
          click: () => edit(row),
          "aria-label": t("Edit {name}", { name: row.name }),
          data: { key: `edit-${row.id}` },
        },
        t("Edit"),
      ),
      h(
        "button",
        {
          type: "button",
          class: "quiet bad",
          click: () => revoke(row),
          "aria-label": t("Revoke {name}", { name: row.name }),
          data: { key: `revoke-${row.id}` },
        },
        t("Revoke"),
      ),
    );
  const columns = [
    {
      key: "name",
      label: t("Name"),
      kind: "text",
      show: (row) => [row.name, h("span", { class: "dim mono small below", title: row.id }, `…${row.id.slice(-8)}`)],
    },
    { key: "owner", label: t("Owner"), kind: "text" },
    { key: "models", label: t("Models"), kind: "clip", show: (row) => some(row.models, t("all")) },
    { key: "tools", label: t("Tools"), kind: "clip", show: (row) => some(row.tools, t("all")) },
    { key: "rates", label: t("Per minute"), show: rates },
    { key: "day", label: t("Spent today"), kind: "money", show: budget("budget_per_day", "spent_today") },
    { key: "month", label: t("Spent this month"), kind: "money", show: budget("budget_per_month", "spent_this_month") },
    {
      key: "expires_at",
      label: t("Expires"),
      kind: "tight",
      show: (row) => (row.expires_at ? momentOf(String(row.expires_at)).slice(0, 10) : t("never")),
    },
    { fixed: true, key: "actions", show: actions },
  ];
  return table({
    caption: t("Keys"),
    columns,
    rows: keys,
    empty: t("No keys yet: without one, and without TOKEN, client surfaces are open on loopback."),
  });
}

function shownOnce(made) {
  return h(
    "div",
    { class: "once", role: "status" },
    h("strong", {}, t("The key of {name}: it is shown this once.", { name: made.name })),
    h("code", {}, made.key),
    h("div", {}, h("button", { type: "button", class: "button", click: () => copy(made.key, t("Copied")) }, t("Copy"))),
  );
}

// What the keys with a budget have spent; a list does not tell it, so only the first of many are asked for.
async function standingsOf(keys) {
  const bounded = keys.filter((key) => key.budget_per_day !== null || key.budget_per_month !== null).slice(0, 20);
  const told = await Promise.all(
    bounded.map((key) => ask(`/admin/keys/${encodeURIComponent(key.id)}`).catch(() => key)),
  );
  return new Map(told.filter((key) => key.standing).map((key) => [key.id, key.standing]));
}

function keysPart(currency) {
  const once = h("div", {});
  const room = h("div", {});
  const add = h(
    "button",
    { type: "button", class: "button primary", click: create, hidden: true, data: { key: "create-key" } },
    t("Create key"),
  );
  const element = panel(t("Keys"), { actions: add, wide: true, name: "keys" }, once, room);
  async function load() {
    try {
      const found = await ask("/admin/keys");
      add.hidden = false;
      const draw = (standings) => fill(room, keyTable(found.keys, { edit, revoke, currency, standings }));
      draw(new Map());
      draw(await standingsOf(found.keys));
    } catch (error) {
      add.hidden = true;
      if (absent(error)) fill(room, elsewhere());
      else if (error.status === 401 || error.status === 403)
        fill(
          room,
          notice(
            "info",
            t("Keys need the admin token"),
            t("Sign in with the admin token to see and change them."),
            h(
              "button",
              { type: "button", class: "button", click: () => dispatchEvent(new CustomEvent("tollway:login")) },
              t("Sign in"),
            ),
          ),
        );
      else
        fill(
          room,
          notice(
            "bad",
            t("Something failed"),
            error.message,
            h("button", { type: "button", class: "button", click: load }, t("Try again")),
          ),
        );
    }
  }
  function create() {
    const send = async (form) => {
      const body = Object.fromEntries(Object.entries(keyBody(form)).filter(([, value]) => value !== null));
      const made = await ask("/admin/keys", { method: "POST", body });
      fill(once, shownOnce(made));
      await load();
    };
    dialog(t("Create key"), keyFields({}, currency), { confirm: t("Create key"), send });
  }
  function edit(key) {
    const send = async (form) => {
      await ask(`/admin/keys/${encodeURIComponent(key.id)}`, { method: "PATCH", body: keyBody(form, key) });
      toast(t("Changed {name}.", { name: key.name }));
      await load();
    };
    dialog(t("Edit {name}", { name: key.name }), keyFields(key, currency), { confirm: t("Save"), send });
  }
  function revoke(key) {
    const send = async () => {
      await ask(`/admin/keys/${encodeURIComponent(key.id)}`, { method: "DELETE" });
      toast(t("Revoked {name}.", { name: key.name }));
      await load();
    };
    dialog(
      t("Revoke {name}?", { name: key.name }),
      h("p", {}, t("Calls with this key are refused from now on. What it spent stays in the ledger.")),
      { confirm: t("Revoke"), tone: "bad", send },
    );
  }
  load();
  return element;
}

export function mount(main) {
  const body = h("div", {});
  fill(main, h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Budgets & keys"))), body);
  const load = loader(body, {
    get: (signal) => ask("/api/ai_usage/budgets", { signal }),
    show(data, room) {
      const currency = data.currency || (data.budgets[0] && data.budgets[0].currency) || "CNY";
      const columns = [
        { key: "at", label: t("Time"), kind: "tight", show: (row) => momentOf(row.at) },
        {
          key: "state",
          label: t("State"),
          show: (row) => h("span", { class: `state ${row.state === "resolved" ? "good" : "bad"}` }, t(row.state)),
        },
        { key: "text", label: t("What"), kind: "clip", show: alertSaid },
        {
          key: "threshold",
          label: t("Threshold"),
          kind: "percent",
          show: (row) => exact(row.kind === "budget" ? row.threshold : null, "percent"),
        },
        { key: "spent", label: t("Spent"), kind: "money" },
        { key: "limit", label: t("Limit"), kind: "money" },
      ];
      fill(
        room,
        panel(t("Budgets"), { wide: true, name: "budgets" }, budgetList(data.budgets)),
        keysPart(currency),
        panel(
          t("Alerts"),
          { wide: true, name: "alerts" },
          table({ caption: t("Alerts"), columns, rows: data.alerts || [], currency, empty: t("No alerts.") }),
        ),
      );
    },
  });
  load.run();
  return { dispose: load.dispose };
}
