// The kinds of time pictures: stacked bars with a forecast and a budget line, and lines. Category axes only: the labels
// come finished from the server.
import { chart } from "./chart.js";
import { h } from "./dom.js";
import { compact, unitText } from "./format.js";
import { t } from "./i18n.js";

// A name keeps its colour from screen to screen: by hash, moved on only when a neighbour already has it.
export function colours(names, ink) {
  const taken = new Set();
  const found = new Map();
  for (const name of [...names].filter((one) => one !== "other").sort()) {
    let place = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7) % ink.series.length;
    while (taken.has(place) && taken.size < ink.series.length) place = (place + 1) % ink.series.length;
    taken.add(place);
    found.set(name, ink.series[place]);
  }
  if (names.includes("other")) found.set("other", ink.rest);
  return found;
}

// What the smaller ones are together has no name of its own.
export function labelOf(one) {
  return one.label || (one.name === "other" ? t("other") : one.name);
}

function dot(colour) {
  return h("i", { class: "dot", css: { background: colour } });
}

function tip(data, found) {
  const rows = found.filter(
    (item) =>
      item.value !== null && item.value !== undefined && !item.seriesId?.startsWith("hidden") && item.value !== "-",
  );
  const body = rows.map((item) =>
    h(
      "div",
      { class: "tip-row" },
      dot(item.color),
      h("span", {}, item.seriesName),
      h("b", {}, unitText(item.value, data.kind, data.currency)),
    ),
  );
  const place = found.length ? found[0].dataIndex : -1;
  const total = data.total && data.total[place];
  const sum =
    rows.length > 1 &&
    total !== undefined &&
    total !== null &&
    h(
      "div",
      { class: "tip-row sum" },
      h("span", {}, t("Total")),
      h("b", {}, unitText(total, data.kind, data.currency)),
    );
  return h("div", { class: "tip" }, h("div", { class: "tip-head" }, found.length ? found[0].name : ""), sum, body);
}

function frame(data, labels, ink) {
  const edge = { lineStyle: { color: ink.line }, show: true };
  return {
    grid: { left: 4, right: 10, top: 14, bottom: 2, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: {
      type: "category",
      data: labels,
      axisLine: { lineStyle: { color: ink.strong } },
      axisTick: { show: false },
      axisLabel: { color: ink.muted, hideOverlap: true, fontSize: 11 },
    },
    yAxis: {
      type: "value",
      splitLine: edge,
      splitNumber: 4,
      axisLabel: { color: ink.muted, fontSize: 11, formatter: (value) => compact(value, data.kind, data.currency) },
    },
    tooltip: {
      trigger: "axis",
      confine: true,
      transitionDuration: 0,
      backgroundColor: ink.surface,
      borderColor: ink.strong,
      borderWidth: 1,
      padding: 10,
      extraCssText: "box-shadow: 0 4px 18px rgb(0 0 0 / 12%); border-radius: 8px;",
      axisPointer: {
        type: data.pointer || "shadow",
        shadowStyle: { color: ink.line, opacity: 0.45 },
        lineStyle: { color: ink.strong },
      },
      textStyle: { color: ink.text, fontSize: 12 },
      formatter: (found) => tip(data, found),
    },
  };
}

// A line across the whole width; it has no value of its own to point at.
function budgetLine(data, labels, ink) {
  if (!data.budget) return [];
  const lineStyle = { color: ink.bad, type: "dashed", width: 1 };
  return [
    {
      type: "line",
      id: "hidden-budget",
      data: labels.map(() => data.budget.limit),
      symbol: "none",
      silent: true,
      lineStyle,
    },
  ];
}

function band(data, labels, ink) {
  if (!data.forecast) return [];
  const lead = labels.length - data.forecast.labels.length;
  const gap = new Array(lead).fill(null);
  const low = [...gap, ...data.forecast.low];
  const width = [...gap, ...data.forecast.high.map((high, index) => high - data.forecast.low[index])];
  const hidden = { type: "line", stack: "band", symbol: "none", lineStyle: { opacity: 0 }, silent: true };
  return [
    { ...hidden, id: "hidden-low", name: t("Low"), data: low },
    { ...hidden, id: "hidden-width", name: t("High"), data: width, areaStyle: { color: ink.accent, opacity: 0.14 } },
    {
      type: "line",
      id: "forecast",
      name: t("Forecast"),
      data: [...gap, ...data.forecast.mid],
      symbol: "none",
      lineStyle: { color: ink.accent, width: 1.5, type: "dashed" },
      itemStyle: { color: ink.accent },
    },
  ];
}

function bars(data, ink) {
  const labels = [...data.labels, ...(data.forecast ? data.forecast.labels : [])];
  const found = colours(
    data.series.map((one) => one.name),
    ink,
  );
  const stacked = data.series.map((one) => ({
    type: "bar",
    stack: "all",
    name: labelOf(one),
    data: one.values,
    barMaxWidth: 44,
    barCategoryGap: "28%",
    itemStyle: {
      color: found.get(one.name),
      borderColor: ink.surface,
      borderWidth: data.labels.length > 60 ? 0 : 0.75,
    },
    emphasis: { disabled: true },
  }));
  return {
    ...frame(data, labels, ink),
    series: [...stacked, ...band(data, labels, ink), ...budgetLine(data, labels, ink)],
  };
}

function lines(data, ink) {
  const named = data.tones
    ? new Map(data.series.map((one) => [one.name, ink[data.tones[one.name]] || data.tones[one.name]]))
    : colours(
        data.series.map((one) => one.name),
        ink,
      );
  const series = data.series.map((one) => ({
    type: "line",
    name: labelOf(one),
    data: one.values,
    symbol: "circle",
    symbolSize: 5,
    showSymbol: one.values.length < 2,
    connectNulls: false,
    lineStyle: { color: named.get(one.name), width: 2, type: one.dashed ? "dashed" : "solid" },
    itemStyle: { color: named.get(one.name) },
    emphasis: { disabled: true },
  }));
  return { ...frame({ ...data, pointer: "line" }, data.labels, ink), series };
}

// Charts with a legend made of words in the page, so that it can be read, wrapped and printed.
function withLegend(picture, swatches) {
  const legend = h("ul", { class: "legend" });
  const element = h("div", { class: "plot" }, picture.element, legend);
  return {
    element,
    update(data) {
      legend.replaceChildren(
        ...swatches(data).map(([slot, words]) => h("li", {}, h("i", { class: `dot ${slot}` }), words)),
      );
      picture.update(data);
    },
    dispose: picture.dispose,
  };
}

// The same hash as above, as the name of a class whose colour the stylesheet gives: it follows the theme by itself.
function slots(data) {
  const slotted = colours(
    data.series.map((one) => one.name),
    { series: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `slot-${n}`), rest: "slot-rest" },
  );
  return data.series.map((one) => [slotted.get(one.name), labelOf(one)]);
}

export function stackedBars(size) {
  const extra = (data) => [
    ...(data.forecast ? [["slot-band", t("Forecast, 80% range")]] : []),
    ...(data.budget
      ? [
          [
            "slot-budget",
            t("Budget {name}: {limit}", {
              name: data.budget.name,
              limit: unitText(data.budget.limit, data.kind, data.currency),
            }),
          ],
        ]
      : []),
  ];
  return withLegend(chart(bars, size), (data) => [...slots(data), ...extra(data)]);
}

export function linePlot(size) {
  const toned = (data) =>
    data.series.map((one) => [`tone-${data.tones[one.name]}${one.dashed ? " dashed" : ""}`, one.label || one.name]);
  return withLegend(chart(lines, size), (data) => (data.tones ? toned(data) : slots(data)));
}
