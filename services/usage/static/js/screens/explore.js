// Explore: one measure, grouped by one dimension, over any range, against the period before.
import { ask, query } from "../api.js";
import { DIMENSIONS, filterBar, select } from "../controls.js";
import { fill, h } from "../dom.js";
import { figure } from "../figure.js";
import { brief, changeText, exact, figureOf, unitText } from "../format.js";
import { t } from "../i18n.js";
import { nameOf } from "../names.js";
import { loader } from "../load.js";
import { changed, FILTERS, filtersOf, go } from "../place.js";
import { labelOf, linePlot, stackedBars } from "../plots.js";
import { panel } from "../figure.js";
import { saveCsv, table } from "../table.js";

const MEASURES = {
  cost: ["Cost", "money"],
  calls: ["Calls", "count"],
  tokens: ["Tokens", "count"],
  input_tokens: ["Input tokens", "count"],
  output_tokens: ["Output tokens", "count"],
  cache_read_tokens: ["Tokens read from cache", "count"],
  cache_write_tokens: ["Tokens written to cache", "count"],
  reasoning_tokens: ["Reasoning tokens", "count"],
  success_rate: ["Success rate", "percent"],
  errors: ["Errors", "count"],
  requests: ["Requests", "count"],
  unpriced: ["Events without a price", "count"],
  latency_p95_ms: ["Latency p95", "ms"],
  ttft_p95_ms: ["First token p95", "ms"],
  tool_calls: ["Tool calls", "count"],
};
const BUCKETS = { auto: "Automatic", hour: "Hour", day: "Day", week: "Week", month: "Month" };
const SPANS = { 7: "7 days", 30: "30 days", 90: "90 days" };

// What the ledger keeps: latency in total and by model, tool calls in total, everything else by every dimension.
function dimensionsOf(measure) {
  if (measure === "tool_calls") return ["none"];
  if (MEASURES[measure][1] === "ms") return ["none", "model"];
  return ["none", ...FILTERS];
}

function choices(values) {
  const measure = values.get("measure") in MEASURES ? values.get("measure") : "cost";
  const dimensions = dimensionsOf(measure);
  const by = values.get("by") || "model";
  const asked = {
    measure,
    by: dimensions.includes(by) ? by : dimensions.at(-1),
    bucket: values.get("bucket") || "auto",
    from: values.get("from") || "",
    to: values.get("to") || "",
    compare: values.get("compare") === "0" ? "0" : "1",
  };
  if (!asked.from) asked.days = values.get("days") || "30";
  return asked;
}

function controls(asked, data) {
  const set = (name) => (value) => go(changed({ [name]: value }));
  const date = (name, words) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, words),
      h("input", {
        type: "date",
        value: asked[name] || (data ? data[name] : ""),
        data: { key: `date-${name}` },
        change: (event) =>
          event.target.value &&
          go(
            changed({
              from: asked.from || (data && data.from),
              to: asked.to || (data && data.to),
              days: null,
              [name]: event.target.value,
            }),
          ),
      }),
    );
  return [
    select(
      t("Measure"),
      Object.entries(MEASURES).map(([name, [words]]) => [name, t(words)]),
      asked.measure,
      set("measure"),
    ),
    select(
      t("Grouped by"),
      dimensionsOf(asked.measure).map((name) => [name, t(name === "none" ? "nothing" : DIMENSIONS[name])]),
      asked.by,
      set("by"),
    ),
    select(
      t("Span"),
      [...Object.entries(SPANS).map(([days, words]) => [days, t(words)]), ["", t("from – to")]],
      asked.days || "",
      (value) => value && go(changed({ days: value, from: null, to: null })),
    ),
    date("from", t("From")),
    date("to", t("To")),
    select(
      t("Step"),
      Object.entries(BUCKETS).map(([name, words]) => [name, t(words)]),
      asked.bucket,
      set("bucket"),
    ),
    h(
      "label",
      { class: "check" },
      h("input", {
        type: "checkbox",
        checked: asked.compare === "1",
        change: (event) => set("compare")(event.target.checked ? null : "0"),
        data: { key: "compare" },
      }),
      t("Compare with the period before"),
    ),
  ];
}

// Sums stack; rates and percentiles must not, they are drawn as lines.
function stacks(measure) {
  return MEASURES[measure][1] === "money" || MEASURES[measure][1] === "count";
}

function spoken(value, kind, currency) {
  return kind === "money" ? brief(value, currency) : unitText(value, kind);
}

function picture(data) {
  const kind = MEASURES[data.measure][1];
  // Without groups the one series has no name of its own: it is the measure.
  const alone = data.by === "none" || kind === "ms";
  const label = (one) => (alone ? t(MEASURES[data.measure][0]) : labelOf({ name: nameOf(data.by, one) }) || t("(none)"));
  const columns = [
    { key: "time", label: t("Time") },
    ...data.series.map((one, place) => ({ key: `s${place}`, label: label(one), kind })),
  ];
  const total = data.labels.map((_, place) => data.series.reduce((sum, one) => sum + (one.values[place] || 0), 0));
  const rows = data.labels.map((time, place) => ({
    time,
    ...Object.fromEntries(data.series.map((one, slot) => [`s${slot}`, one.values[place]])),
  }));
  const words = {
    measure: t(MEASURES[data.measure][0]),
    from: data.from,
    to: data.to,
    total: spoken(data.total, kind, data.currency),
  };
  const series = data.series.map((one) => ({ ...one, name: one.name ?? t("(none)"), label: label(one) }));
  return {
    labels: data.labels,
    series,
    total: stacks(data.measure) ? total : undefined,
    kind,
    currency: data.currency,
    columns,
    rows,
    summary: t("{measure} from {from} to {to}: {total}.", words),
  };
}

function before(data) {
  const kind = MEASURES[data.measure][1];
  const now = data.labels.map((_, place) => {
    const known = data.series.map((one) => one.values[place]).filter((value) => value !== null && value !== undefined);
    return stacks(data.measure) ? known.reduce((sum, value) => sum + value, 0) : known.length === 1 ? known[0] : null;
  });
  const series = [
    { name: "now", label: t("This period"), values: now },
    {
      name: "before",
      label: t("Period before"),
      values: data.labels.map((_, place) => data.previous.values[place] ?? null),
      dashed: true,
    },
  ];
  const columns = [
    { key: "time", label: t("Time") },
    { key: "now", label: t("This period"), kind },
    { key: "then", label: t("Time before") },
    { key: "before", label: t("Period before"), kind },
  ];
  const rows = data.labels.map((time, place) => ({
    time,
    now: now[place],
    then: data.previous.labels[place],
    before: data.previous.values[place],
  }));
  const words = {
    from: data.previous_from,
    to: data.previous_to,
    total: spoken(data.previous.total, kind, data.currency),
  };
  return {
    labels: data.labels,
    series,
    tones: { now: "accent", before: "muted" },
    kind,
    currency: data.currency,
    columns,
    rows,
    summary: t("The period before, {from} to {to}: {total}.", words),
  };
}

function totals(data) {
  const kind = MEASURES[data.measure][1];
  const item = (words, value) => h("div", {}, h("dt", {}, words), h("dd", {}, value));
  const found = [item(t("{from} to {to}", data), figureOf(data.total, kind, data.currency))];
  if (data.previous) {
    const known = data.previous.total && data.total !== null;
    const change = known
      ? kind === "percent"
        ? data.total - data.previous.total
        : (100 * (data.total - data.previous.total)) / data.previous.total
      : null;
    found.push(
      item(
        t("{from} to {to}", { from: data.previous_from, to: data.previous_to }),
        figureOf(data.previous.total, kind, data.currency),
      ),
      item(t("Change"), changeText(change, kind) || "–"),
    );
  }
  return h("dl", { class: "totals" }, found, item(t("Zone"), h("span", { class: "small" }, data.timezone)));
}

function rowsOf(data) {
  const kind = MEASURES[data.measure][1];
  const by = data.by;
  const lead = (row) => (row.name === null ? t("(none)") : nameOf(by, row));
  const columns = [
    { key: "name", label: t(DIMENSIONS[by] || "Name"), kind: "text", show: lead },
    { key: "calls", label: t("Calls"), kind: "count" },
    { key: "tokens", label: t("Tokens"), kind: "count" },
    { key: "input_tokens", label: t("Input"), kind: "count" },
    { key: "output_tokens", label: t("Output"), kind: "count" },
    { key: "cache_read_tokens", label: t("Cached"), kind: "count" },
    { key: "cost", label: t("Cost"), kind: "money" },
    { key: "success_rate", label: t("Success"), kind: "percent" },
    data.rows.some((row) => row.latency_p95_ms !== null && row.latency_p95_ms !== undefined) && {
      key: "latency_p95_ms",
      label: t("p95 ms"),
      kind: "ms",
    },
    data.previous && { key: "previous", label: t("Before"), kind },
    data.previous && {
      key: "change",
      label: t("Change"),
      kind: "percent",
      show: (row) => (row.change === null || row.change === undefined ? exact(null) : changeText(row.change, kind)),
    },
  ].filter(Boolean);
  const csv = h(
    "button",
    {
      type: "button",
      class: "quiet",
      click: () => saveCsv(`tollway-${data.measure}-by-${by}`, columns, data.rows),
      data: { key: "csv-rows" },
    },
    "CSV",
  );
  return panel(
    t("Every group"),
    { note: t("{n} rows", { n: data.rows.length }), actions: csv, wide: true, name: "rows" },
    table({ caption: t("Every group"), columns, rows: data.rows, currency: data.currency, sortable: true }),
  );
}

export function mount(main, { values }) {
  let place = values;
  let shown = [];
  const filters = filterBar();
  const bar = h("div", { class: "controls" });
  const body = h("div", {});
  fill(
    main,
    h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Explore"))),
    bar,
    filters.element,
    body,
  );

  const load = loader(body, {
    get: (signal) =>
      ask(query("/api/ai_usage/explore", { ...range(choices(place)), top: 8, ...filtersOf(place) }), { signal }),
    show(data, room) {
      clear();
      fill(bar, controls(choices(place), data));
      const chief = figure(
        t(MEASURES[data.measure][0]),
        stacks(data.measure) ? stackedBars({ height: "tall" }) : linePlot({ height: "tall" }),
        { wide: true, name: "explore" },
      );
      const then =
        data.previous && (stacks(data.measure) || data.series.length === 1)
          ? figure(t("Against the period before"), linePlot({}), { wide: true, name: "compare" })
          : null;
      shown = [chief, then].filter(Boolean);
      fill(
        room,
        totals(data),
        shown.map((one) => one.element),
        data.rows.length ? rowsOf(data) : null,
      );
      chief.update(picture(data));
      if (then) then.update(before(data));
    },
  });

  function clear() {
    for (const one of shown) one.dispose();
    shown = [];
  }

  function update(next) {
    place = next;
    fill(bar, controls(choices(place), null));
    filters.update(place);
    load.run();
  }

  update(values);
  return {
    update,
    dispose: () => {
      load.dispose();
      clear();
    },
  };
}

// The server knows today's date in the reporting zone; the page asks by number of days.
function range(asked) {
  const { days, ...rest } = asked;
  return days ? { ...rest, from: "", to: "", days } : rest;
}
