// The frame around every picture: a title, a sentence that says what it shows, the picture, and on demand the table
// behind it and its CSV.
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { saveCsv, table } from "./table.js";

let counter = 0;

export function panel(title, { note, actions, wide = false, level = "h2", name = "" } = {}, ...children) {
  counter += 1;
  const id = `panel-${counter}`;
  const head = h(
    "div",
    { class: "panel-head" },
    h(level, { id }, title),
    note && h("span", { class: "note" }, note),
    actions && h("div", { class: "actions" }, actions),
  );
  return h(
    "section",
    { class: wide ? "panel wide" : "panel", "aria-labelledby": id, data: { panel: name } },
    head,
    children,
  );
}

// `plot` makes the picture: {element, update(data)}. The data given to update is {summary, columns, rows, currency, …}.
export function figure(title, plot, { note, wide, name = "figure" } = {}) {
  let shown = false;
  let current = { columns: [], rows: [] };
  const summary = h("p", { class: "summary" });
  const behind = h("div", { class: "behind", hidden: true });
  const toggle = h(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-expanded": "false",
      "aria-label": t("Table: {title}", { title }),
      data: { key: `table-${name}` },
    },
    icon("table"),
    h("span", {}, t("Table")),
  );
  const csv = h(
    "button",
    { type: "button", class: "quiet", "aria-label": t("CSV: {title}", { title }), data: { key: `csv-${name}` } },
    icon("download"),
    h("span", {}, "CSV"),
  );
  const drawTable = () => {
    if (shown)
      fill(behind, table({ caption: title, columns: current.columns, rows: current.rows, currency: current.currency }));
  };
  toggle.addEventListener("click", () => {
    shown = !shown;
    behind.hidden = !shown;
    plot.element.hidden = shown;
    toggle.setAttribute("aria-expanded", String(shown));
    drawTable();
    if (!shown) plot.update(current);
  });
  csv.addEventListener("click", () => saveCsv(`tollway-${name}`, current.columns, current.rows));
  const element = panel(title, { note, wide, actions: [toggle, csv], name }, summary, plot.element, behind);
  return {
    element,
    update(data) {
      current = data;
      summary.textContent = data.summary;
      if (!shown) plot.update(data);
      drawTable();
    },
    dispose() {
      if (plot.dispose) plot.dispose();
    },
  };
}
