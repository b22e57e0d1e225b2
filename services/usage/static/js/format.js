// Numbers as people read them, never other numbers: what is shown is the API's value to its last digit.
import { h } from "./dom.js";
import { language, t } from "./i18n.js";

const SYMBOLS = { CNY: "¥", USD: "$", EUR: "€", GBP: "£", JPY: "JP¥", HKD: "HK$" };
export const NOTHING = "–";

// The number in plain decimals: 1e-9 is 0.000000001.
export function plain(value) {
  if (value === null || value === undefined) return "";
  const text = String(value);
  if (typeof value !== "number" || !/e/i.test(text)) return text;
  return Math.abs(value) < 1 ? value.toFixed(18).replace(/\.?0+$/, "") : BigInt(Math.round(value)).toString();
}

export function grouped(value) {
  const [whole, fraction] = plain(value).split(".");
  const separated = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? separated : `${separated}.${fraction}`;
}

export function moneyText(value, currency) {
  if (value === null || value === undefined) return NOTHING;
  const symbol = SYMBOLS[currency] || `${currency || ""} `;
  return value < 0 ? `−${symbol}${grouped(-value)}` : `${symbol}${grouped(value)}`;
}

// In a sentence, and of an estimate: two decimals, or four significant digits below one. The exact value stands in a table.
export function brief(value, currency) {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  const told = size >= 1 ? size.toFixed(2) : plain(Number(size.toPrecision(4)));
  return `${value < 0 ? "−" : ""}${moneyText(told, currency)}`;
}

export function estimate(value, currency) {
  return h("span", { class: "num", title: moneyText(value, currency), data: { value: plain(value) } }, brief(value, currency));
}

// Where the eye may stop: two decimals, or four significant digits below one. The rest stays, but dimmed.
export function splitMoney(text) {
  const dot = text.indexOf(".");
  if (dot < 0) return [text, ""];
  const whole = text.slice(0, dot).replace(/\D/g, "");
  const zeros = /^0*/.exec(text.slice(dot + 1))[0].length;
  const keep = Number(whole) === 0 ? zeros + 4 : 2;
  return [text.slice(0, dot + 1 + keep), text.slice(dot + 1 + keep)];
}

export function money(value, currency) {
  const text = moneyText(value, currency);
  const [head, tail] = splitMoney(text);
  const title = value === null || value === undefined ? undefined : `${grouped(value)} ${currency || ""}`.trim();
  return h(
    "span",
    { class: "num", title, data: { value: plain(value) } },
    head,
    tail && h("span", { class: "tail" }, tail),
  );
}

export function count(value) {
  if (value === null || value === undefined) return h("span", { class: "num" }, NOTHING);
  return h("span", { class: "num", title: grouped(value), data: { value: plain(value) } }, grouped(value));
}

function rounded(value, digits) {
  return grouped(Number(value.toFixed(digits)));
}

export function unitText(value, kind, currency) {
  if (value === null || value === undefined) return NOTHING;
  if (kind === "money") return moneyText(value, currency);
  if (kind === "percent") return `${rounded(value, 2)}%`;
  if (kind === "ms") return value >= 10000 ? `${rounded(value / 1000, 1)} s` : `${rounded(value, 0)} ms`;
  return grouped(value);
}

export function figureOf(value, kind, currency) {
  if (kind === "money") return money(value, currency);
  if (kind === "count") return count(value);
  const known = value !== null && value !== undefined;
  const unit = kind === "percent" ? "%" : " ms";
  return h(
    "span",
    { class: "num", title: known ? grouped(value) + unit : undefined, data: { value: plain(value) } },
    unitText(value, kind),
  );
}

// In a table every digit is shown.
export function exact(value, kind, currency) {
  if (value === null || value === undefined) return h("span", { class: "num none" }, NOTHING);
  if (kind === "money") return money(value, currency);
  const unit = kind === "percent" ? "%" : "";
  return h("span", { class: "num", data: { value: plain(value) } }, grouped(value) + unit);
}

export function compact(value, kind, currency) {
  const text = new Intl.NumberFormat(language(), { notation: "compact", maximumFractionDigits: 1 });
  const small = Math.abs(value) < 1 && value !== 0;
  const number = small ? plain(Number(value.toPrecision(2))) : text.format(value);
  if (kind === "money") return (SYMBOLS[currency] || "") + number;
  if (kind === "percent") return `${number}%`;
  if (kind === "ms") return value >= 1000 ? `${text.format(value / 1000)} s` : `${number} ms`;
  return number;
}

export function changeText(value, kind) {
  if (value === null || value === undefined) return "";
  const sign = value > 0 ? "+" : value < 0 ? "−" : "±";
  return `${sign}${rounded(Math.abs(value), 1)}${kind === "percent" ? " pp" : "%"}`;
}

// Server times carry the reporting zone's own clock: they are cut, never converted.
export function clockOf(stamp) {
  return stamp ? String(stamp).slice(11, 19) : NOTHING;
}

export function momentOf(stamp) {
  if (!stamp) return NOTHING;
  const zone = /(Z|[+-]00:00)$/.test(stamp) ? " UTC" : "";
  return String(stamp).slice(0, 19).replace("T", " ") + zone;
}

export function secondsText(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value < 120) return `${rounded(value, value < 10 ? 1 : 0)} s`;
  if (value < 7200) return `${rounded(value / 60, 0)} min`;
  if (value < 172800) return `${rounded(value / 3600, 1)} h`;
  return t("{n} d", { n: rounded(value / 86400, 1) });
}

export function bytesText(value) {
  if (value === null || value === undefined) return NOTHING;
  return value < 1024
    ? `${value} B`
    : value < 1048576
      ? `${rounded(value / 1024, 1)} kB`
      : `${rounded(value / 1048576, 1)} MB`;
}
