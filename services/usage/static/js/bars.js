// Ranked bars made of the page's own elements: a name that leads on, the exact number, the share of the whole.
import { fill, h } from "./dom.js";
import { figureOf, unitText } from "./format.js";
import { t } from "./i18n.js";

// data: {rows: [{name, label, value, share}], kind, currency, link(row)}
export function rankedBars({ most = 8 } = {}) {
  const element = h("ol", { class: "bars" });
  const row = (one, data) => {
    const address = data.link && data.link(one);
    const label = one.label || one.name || t("(none)");
    const name = address
      ? h("a", { href: address, title: one.name, data: { key: `bar-${one.name}` } }, label)
      : h("span", { title: one.name }, label);
    const share = one.share === null || one.share === undefined ? "" : unitText(one.share, "percent");
    return h(
      "li",
      {},
      h(
        "div",
        { class: "bar-words" },
        h("span", { class: "bar-name" }, name),
        h("span", { class: "bar-value" }, figureOf(one.value, data.kind, data.currency)),
        h("span", { class: "bar-share" }, share),
      ),
      h(
        "div",
        { class: "bar-track", "aria-hidden": "true" },
        h("div", { class: "bar-fill", css: { "inline-size": `${Math.max(0, Math.min(100, one.length))}%` } }),
      ),
    );
  };
  return {
    element,
    update(data) {
      const rows = data.bars.slice(0, most);
      const top = Math.max(...rows.map((one) => Math.abs(one.value || 0)), 0);
      fill(
        element,
        rows.map((one) => row({ ...one, length: top ? (100 * Math.abs(one.value || 0)) / top : 0 }, data)),
      );
      if (!rows.length) fill(element, h("li", { class: "nothing" }, t("Nothing here yet.")));
    },
  };
}
