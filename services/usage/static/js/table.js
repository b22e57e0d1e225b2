// Tables and their CSV: the exact numbers behind every picture.
import { fill, h, save } from "./dom.js";
import { exact, plain } from "./format.js";
import { t } from "./i18n.js";

const NUMBERS = new Set(["money", "count", "percent", "ms"]);

function cell(row, column, currency, first) {
  const value = row[column.key];
  const inner = column.show
    ? column.show(row)
    : NUMBERS.has(column.kind)
      ? exact(value, column.kind, row.currency || currency)
      : (value ?? "–");
  const kind = NUMBERS.has(column.kind) ? "right" : column.kind || "";
  return h(first ? "th" : "td", { class: kind, scope: first ? "row" : undefined }, inner);
}

function ordered(rows, columns, order) {
  if (!order) return rows;
  const { key, down } = order;
  const numeric = NUMBERS.has((columns.find((one) => one.key === key) || {}).kind);
  const known = (row) => row[key] !== null && row[key] !== undefined;
  return [...rows].sort((a, b) => {
    if (known(a) !== known(b)) return known(a) ? -1 : 1;
    const difference = numeric ? a[key] - b[key] : String(a[key]).localeCompare(String(b[key]));
    return down ? -difference : difference;
  });
}

// A table that can be sorted by every column with a `kind`; `caption` is read out, and seen when `captioned`.
export function table({ caption, columns, rows, currency, captioned = false, sortable = false, empty }) {
  let order = null;
  const body = h("tbody");
  const head = h("thead");
  const draw = () => {
    fill(
      head,
      h(
        "tr",
        {},
        columns.map((column) => heading(column)),
      ),
    );
    const found = ordered(rows, columns, order);
    fill(
      body,
      found.map((row) =>
        h(
          "tr",
          {},
          columns.map((column, index) => cell(row, column, currency, index === 0)),
        ),
      ),
    );
    if (!found.length)
      fill(body, h("tr", {}, h("td", { colspan: columns.length, class: "nothing" }, empty || t("Nothing here yet."))));
  };
  const heading = (column) => {
    const side = NUMBERS.has(column.kind) ? "right" : "";
    if (!sortable || column.fixed)
      return h("th", { scope: "col", class: side }, column.label || h("span", { class: "unseen" }, t("Actions")));
    const mine = order && order.key === column.key;
    const sort = () => {
      order = { key: column.key, down: mine ? !order.down : NUMBERS.has(column.kind) };
      draw();
    };
    const mark = mine ? (order.down ? " ↓" : " ↑") : "";
    return h(
      "th",
      { scope: "col", class: side, "aria-sort": mine ? (order.down ? "descending" : "ascending") : "none" },
      h(
        "button",
        { type: "button", class: "sort", click: sort, data: { key: `sort-${column.key}` } },
        column.label,
        h("span", { "aria-hidden": "true" }, mark),
      ),
    );
  };
  draw();
  return h(
    "div",
    { class: "scroller", tabindex: "0", role: "group", "aria-label": caption },
    h("table", {}, h("caption", { class: captioned ? "" : "unseen" }, caption), head, body),
  );
}

// A cell that a spreadsheet would run as a formula gets a quote in front.
function field(value) {
  let text = typeof value === "number" ? plain(value) : String(value ?? "");
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csv(columns, rows) {
  const kept = columns.filter((column) => !column.fixed);
  const lines = [
    kept.map((column) => field(column.key)),
    ...rows.map((row) => kept.map((column) => field(row[column.key]))),
  ];
  return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

export function saveCsv(name, columns, rows) {
  save(`${name}.csv`, "text/csv;charset=utf-8", csv(columns, rows));
}
