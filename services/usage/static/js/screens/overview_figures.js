// The pictures of the overview: spend over time, when calls come, how long they take, and who and what they are for.
import { DIMENSIONS } from "../controls.js";
import { h } from "../dom.js";
import { figure } from "../figure.js";
import { brief, unitText } from "../format.js";
import { busiest, heatMap, hourLabel, WEEKDAYS } from "../heat.js";
import { rankedBars } from "../bars.js";
import { t } from "../i18n.js";
import { nameOf } from "../names.js";
import { here, linkTo } from "../place.js";
import { labelOf, linePlot, stackedBars } from "../plots.js";

const BROKEN_DOWN = ["model", "function", "user", "anchor", "key", "provider"];

function sum(values) {
  return values.reduce((total, value) => total + (value || 0), 0);
}

function spendOf(data) {
  const { spend, currency } = data;
  const top = spend.series
    .filter((one) => one.name !== "other")
    .map((one) => ({ name: one.name, cost: sum(one.values) }))
    .sort((a, b) => b.cost - a.cost)[0];
  const total = data.cards.spend_period ? data.cards.spend_period.value : null;
  const words = {
    total: brief(total, currency),
    from: data.period.from,
    to: data.period.to,
    name: top && top.name,
  };
  const summary =
    top && top.cost
      ? t("{total} from {from} to {to}; the largest part is {name}.", words)
      : t("{total} from {from} to {to}.", words);
  const columns = [
    { key: "time", label: t("Time") },
    ...spend.series.map((one, index) => ({ key: `s${index}`, label: labelOf(one), kind: "money" })),
    { key: "total", label: t("Total"), kind: "money" },
  ];
  const rows = spend.labels.map((time, place) => ({
    time,
    total: spend.total[place],
    ...Object.fromEntries(spend.series.map((one, index) => [`s${index}`, one.values[place]])),
  }));
  const forecast =
    spend.forecast && spend.forecast.labels.length && data.period.bucket === "day" ? spend.forecast : null;
  return {
    ...spend,
    forecast: forecast && near(forecast, spend.labels.length),
    budget: withinReach(spend.budget, spend.total),
    kind: "money",
    currency,
    summary,
    columns,
    rows,
  };
}

// A budget far above the bars would flatten them: its line is drawn when it is within reach.
function withinReach(budget, totals) {
  const highest = Math.max(...totals.map((one) => one || 0), 0);
  return budget && budget.limit && budget.limit <= highest * 4 ? budget : null;
}

// The forecast is shown for as many days ahead as fit beside what is known.
function near(forecast, known) {
  const days = Math.max(2, Math.min(forecast.labels.length, Math.ceil(known / 2)));
  return {
    labels: forecast.labels.slice(0, days),
    mid: forecast.mid.slice(0, days),
    low: forecast.low.slice(0, days),
    high: forecast.high.slice(0, days),
  };
}

function heatOf(data) {
  const cells = data.heatmap.calls;
  const found = busiest(cells);
  const summary = found
    ? t("Busiest: {day} at {hour} with {n} calls.", {
        day: t(WEEKDAYS[found.day]),
        hour: hourLabel(found.hour),
        n: unitText(found.value, "count"),
      })
    : t("No calls in this period.");
  const columns = [
    { key: "day", label: t("Weekday") },
    ...[...Array(24).keys()].map((hour) => ({ key: `h${hour}`, label: hourLabel(hour), kind: "count" })),
  ];
  const rows = cells.map((row, day) => ({
    day: t(WEEKDAYS[day]),
    ...Object.fromEntries(row.map((value, hour) => [`h${hour}`, value])),
  }));
  return { cells, kind: "count", summary, columns, rows };
}

function latencyOf(data) {
  const { latency } = data;
  const p95 = data.cards.latency_p95_ms ? data.cards.latency_p95_ms.value : null;
  const ttft = data.cards.ttft_p95_ms ? data.cards.ttft_p95_ms.value : null;
  const told =
    ttft === null
      ? "95 of 100 calls end within {p95}."
      : "95 of 100 calls end within {p95}; the first token comes within {ttft}.";
  const summary = t(told, { p95: unitText(p95, "ms"), ttft: unitText(ttft, "ms") });
  const kinds = [
    ["p95", t("Duration p95")],
    ["p50", t("Duration p50")],
    ["ttft_p95", t("First token p95")],
    ["ttft_p50", t("First token p50")],
  ];
  const series = kinds.map(([name, label]) => ({
    name,
    label,
    values: latency[name] || [],
    dashed: name.endsWith("p50"),
  }));
  const columns = [
    { key: "time", label: t("Time") },
    ...kinds.map(([name, label]) => ({ key: name, label, kind: "ms" })),
  ];
  const rows = latency.labels.map((time, place) => ({
    time,
    ...Object.fromEntries(kinds.map(([name]) => [name, (latency[name] || [])[place] ?? null])),
  }));
  const tones = { p95: "accent", p50: "accent", ttft_p95: "muted", ttft_p50: "muted" };
  return { labels: latency.labels, series, tones, kind: "ms", summary, columns, rows };
}

export function dimensionLink(by, name) {
  if (name === null) return null;
  if (by === "session") return linkTo("session", { id: name });
  const values = new URLSearchParams({ days: here().values.get("days") || "7", [by]: name });
  return linkTo("overview", values);
}

function breakdownOf(by, data) {
  const found = (data.breakdowns[by] || []).map((one) => ({ ...one, label: nameOf(by, one) }));
  const bars = found.map((one) => ({ ...one, value: one.cost }));
  const first = found[0];
  const label = first && (first.label || first.name || t("(none)"));
  const summary = first
    ? t("{name} leads with {cost}.", { name: label, cost: brief(first.cost, data.currency) })
    : t("Nothing here yet.");
  const columns = [
    { key: "name", label: t(DIMENSIONS[by]) },
    { key: "calls", label: t("Calls"), kind: "count" },
    { key: "tokens", label: t("Tokens"), kind: "count" },
    { key: "cost", label: t("Cost"), kind: "money" },
    { key: "share", label: t("Share"), kind: "percent" },
    { key: "previous_cost", label: t("Before"), kind: "money" },
    { key: "success_rate", label: t("Success"), kind: "percent" },
  ];
  return {
    bars,
    kind: "money",
    currency: data.currency,
    summary,
    columns,
    rows: found,
    link: (one) => dimensionLink(by, one.name),
  };
}

export function pictures() {
  const spend = figure(t("Spend over time"), stackedBars({ height: "tall" }), { wide: true, name: "spend", note: "" });
  const heat = figure(t("When calls come"), heatMap(), { name: "heatmap" });
  const latency = figure(t("Latency"), linePlot({}), { name: "latency" });
  const broken = BROKEN_DOWN.map((by) => [
    by,
    figure(t("Spend by {dimension}", { dimension: t(DIMENSIONS[by]).toLowerCase() }), rankedBars({ most: 6 }), {
      name: `by-${by}`,
    }),
  ]);
  const element = h(
    "div",
    {},
    spend.element,
    h("div", { class: "pair" }, heat.element, latency.element),
    h(
      "div",
      { class: "grid" },
      broken.map(([, one]) => one.element),
    ),
  );
  const all = [spend, heat, latency, ...broken.map(([, one]) => one)];
  return {
    element,
    update(data) {
      const narrowed = data.heatmap === null || data.heatmap === undefined;
      heat.element.hidden = narrowed;
      latency.element.hidden = !data.latency;
      spend.update(spendOf(data));
      if (!narrowed) heat.update(heatOf(data));
      if (data.latency) latency.update(latencyOf(data));
      for (const [by, one] of broken) {
        one.element.hidden = narrowed && !(data.breakdowns[by] || []).length;
        one.update(breakdownOf(by, data));
      }
    },
    dispose: () => all.forEach((one) => one.dispose()),
  };
}
