// Sessions: find one, then read it as a timeline of calls, tools and cache hits with what each cost.
import { ask, query } from "../api.js";
import { fill, h } from "../dom.js";
import { panel } from "../figure.js";
import { clockOf, count, grouped, momentOf, money, secondsText, unitText } from "../format.js";
import { t } from "../i18n.js";
import { listen } from "../live.js";
import { loader, paced } from "../load.js";
import { changed, go, linkTo } from "../place.js";
import { saveCsv, table } from "../table.js";

const REFRESH_MS = 3000;
const COLUMNS = [
  "time",
  "offset_ms",
  "kind",
  "status",
  "provider",
  "model",
  "requested_model",
  "attempt",
  "input_tokens",
  "output_tokens",
  "cache_read_tokens",
  "reasoning_tokens",
  "cost",
  "currency",
  "duration_ms",
  "ttft_ms",
  "usage_source",
  "function",
  "request_id",
  "event_id",
  "error_msg",
];

function finder(current) {
  const submit = (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get("id").trim();
    if (id) go(linkTo("session", { id }));
  };
  return h(
    "form",
    { class: "controls", submit },
    h(
      "label",
      { class: "field" },
      h("span", {}, t("Session id")),
      h("input", { name: "id", value: current, size: 34, autocomplete: "off", data: { key: "session-id" } }),
    ),
    h("button", { class: "button", type: "submit" }, t("Open")),
  );
}

function sessionsPanel(data) {
  const columns = [
    {
      key: "session_id",
      label: t("Session"),
      kind: "text",
      show: (row) => h("a", { href: linkTo("session", { id: row.session_id }) }, row.session_id),
    },
    { key: "user_id", label: t("User"), kind: "text" },
    { key: "calls", label: t("Calls"), kind: "count" },
    { key: "tokens", label: t("Tokens"), kind: "count" },
    { key: "cost", label: t("Cost"), kind: "money" },
    { key: "first_at", label: t("First"), kind: "tight", show: (row) => momentOf(row.first_at) },
    { key: "last_at", label: t("Last"), kind: "tight", show: (row) => momentOf(row.last_at) },
  ];
  const csv = h(
    "button",
    {
      type: "button",
      class: "quiet",
      click: () => saveCsv("tollway-sessions", columns, data.sessions),
      data: { key: "csv-sessions" },
    },
    "CSV",
  );
  return panel(
    t("Latest sessions"),
    { actions: csv, wide: true, name: "sessions" },
    table({
      caption: t("Latest sessions"),
      columns,
      rows: data.sessions,
      currency: data.currency || "CNY",
      sortable: true,
      empty: t("No session yet. Send session_id with a call, and its calls stand together here."),
    }),
  );
}

function tokens(event) {
  if (event.total_tokens === null || event.total_tokens === undefined) return t("tokens not known");
  const parts = [
    t("{n} in", { n: grouped(event.input_tokens ?? 0) }),
    t("{n} out", { n: grouped(event.output_tokens ?? 0) }),
  ];
  if (event.cache_read_tokens) parts.push(t("{n} from cache", { n: grouped(event.cache_read_tokens) }));
  if (event.reasoning_tokens) parts.push(t("{n} reasoning", { n: grouped(event.reasoning_tokens) }));
  return parts.join(" · ");
}

const TONES = { ok: "good", aborted: "warn", interrupted: "warn", error: "bad" };
const KINDS = { model: "Model call", tool: "Tool call", cache: "Cache hit", correction: "Correction" };

// How long after the session's first event: exact while it is short.
function offsetText(ms) {
  return `+${ms < 10000 ? unitText(ms, "ms") : secondsText(ms / 1000)}`;
}

// `moment` writes the time: with its day when the session has seen more than one.
function eventRow(event, moment) {
  const kind = [event.kind, event.status === "error" ? "failed" : ""].join(" ").trim();
  const facts = [
    event.kind === "model" && tokens(event),
    event.duration_ms !== null && unitText(event.duration_ms, "ms"),
    event.ttft_ms !== null &&
      event.ttft_ms !== undefined &&
      t("first token {time}", { time: unitText(event.ttft_ms, "ms") }),
    event.attempt > 1 && t("attempt {n}", { n: event.attempt }),
    event.requested_model &&
      event.requested_model !== event.model &&
      t("asked for {name}", { name: event.requested_model }),
    event.usage_source === "estimated" && t("tokens estimated"),
    event.function && t("for {name}", { name: event.function }),
  ];
  return h(
    "li",
    { class: kind, data: { event: event.event_id } },
    h(
      "div",
      { class: "line" },
      h("time", {}, moment(event.time)),
      event.offset_ms !== undefined && h("span", { class: "dim small" }, offsetText(event.offset_ms)),
      h("strong", {}, event.model || t("(none)")),
      h("span", { class: "dim" }, `${t(KINDS[event.kind] || event.kind)} · ${event.provider ?? "–"}`),
      h("span", { class: `state ${TONES[event.status] || "plain"}` }, t(event.status)),
      h(
        "span",
        { class: "cost" },
        event.unpriced ? h("span", { class: "state warn" }, t("no price")) : money(event.cost, event.currency),
      ),
    ),
    h(
      "div",
      { class: "facts" },
      facts.filter(Boolean).map((fact) => h("span", {}, fact)),
      event.error_msg && h("span", { class: "wrong" }, event.error_msg),
    ),
  );
}

function timelinePanel(data) {
  const oneDay = momentOf(data.first_at).slice(0, 10) === momentOf(data.last_at).slice(0, 10);
  const moment = oneDay ? clockOf : (stamp) => momentOf(stamp).slice(5);
  const item = (words, value) => h("div", {}, h("dt", {}, words), h("dd", {}, value));
  const columns = COLUMNS.map((key) => ({ key, label: key }));
  const csv = h(
    "button",
    {
      type: "button",
      class: "quiet",
      click: () => saveCsv(`tollway-session-${data.session_id}`, columns, data.events),
      data: { key: "csv-session" },
    },
    "CSV",
  );
  const summary = t("{n} events from {from} to {to}.", {
    n: data.events.length,
    from: momentOf(data.first_at),
    to: momentOf(data.last_at),
  });
  return [
    h(
      "dl",
      { class: "totals" },
      item(t("Calls"), count(data.calls)),
      item(t("Tokens"), count(data.tokens)),
      item(t("Cost"), money(data.cost, data.currency)),
      item(t("Tool calls"), count(data.tool_calls)),
      item(t("Cache hits"), count(data.cache_hits)),
    ),
    panel(
      data.session_id,
      { actions: csv, wide: true, name: "timeline" },
      h("p", { class: "summary" }, data.events.length ? summary : t("Nothing is booked for this session.")),
      h(
        "ol",
        { class: "timeline" },
        data.events.map((event) => eventRow(event, moment)),
      ),
    ),
  ];
}

export function mount(main, { values }) {
  let place = values;
  const find = h("div", {});
  const body = h("div", {});
  fill(main, h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Sessions"))), find, body);
  const load = loader(body, {
    get: (signal) =>
      place.get("id")
        ? ask(query(`/api/ai_usage/session/${encodeURIComponent(place.get("id"))}/timeline`, { limit: 500 }), {
            signal,
          })
        : ask(query("/api/ai_usage/sessions", { days: place.get("days") || 7, limit: 50 }), { signal }),
    show: (data, room) =>
      fill(
        room,
        place.get("id")
          ? [h("p", { class: "lead" }, h("a", { href: changed({ id: null }) }, t("All sessions"))), timelinePanel(data)]
          : sessionsPanel(data),
      ),
  });
  // An open session may still be going on: its timeline follows.
  const refresh = paced(() => load.run({ quiet: true }), REFRESH_MS);
  const unlisten = listen(() => place.get("id") && refresh.poke());
  const update = (next) => {
    place = next;
    fill(find, finder(place.get("id") || ""));
    load.run();
  };
  update(values);
  return {
    update,
    dispose() {
      unlisten();
      refresh.dispose();
      load.dispose();
    },
  };
}
