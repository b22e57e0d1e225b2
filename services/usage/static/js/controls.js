// The small controls that every screen shares: period, filters, fields and dialogs.
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { changed, FILTERS, filtersOf, go, without } from "./place.js";

export const PERIODS = [1, 7, 30, 90];
export const DIMENSIONS = {
  model: "Model",
  function: "Function",
  user: "User",
  anchor: "Anchor",
  key: "Key",
  provider: "Provider",
};

function periodText(days) {
  return days === 1 ? t("Today") : t("{days} days", { days });
}

export function segmented(label, options, current, choose) {
  return h(
    "div",
    { class: "segmented", role: "group", "aria-label": label },
    options.map(([value, words]) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(value === current),
          click: () => choose(value),
          data: { key: `${label}-${value}` },
        },
        words,
      ),
    ),
  );
}

export function periodPicker(days) {
  return segmented(
    t("Period"),
    PERIODS.map((one) => [one, periodText(one)]),
    days,
    (one) => go(changed({ days: String(one) })),
  );
}

export function select(label, options, current, choose, { hidden = false } = {}) {
  const box = h(
    "select",
    { change: (event) => choose(event.target.value), data: { key: `select-${label}` } },
    options.map(([value, words]) => h("option", { value, selected: value === current }, words)),
  );
  return h("label", { class: "field" }, h("span", { class: hidden ? "unseen" : "" }, label), box);
}

export function field(label, attributes, hint) {
  const kept = attributes.name ? { data: { key: `field-${attributes.name}` } } : {};
  return h(
    "label",
    { class: "field" },
    h("span", {}, label),
    h(attributes.rows ? "textarea" : "input", { ...kept, ...attributes }),
    hint && h("small", {}, hint),
  );
}

// The filters in force as chips that can be taken away, and a small form that adds one.
export function filterBar() {
  const element = h("div", { class: "filters" });
  return {
    element,
    update(values) {
      const chips = Object.entries(filtersOf(values)).flatMap(([name, items]) => items.map((item) => chip(name, item)));
      fill(element, chips, adder());
    },
  };
}

function chip(name, item) {
  const label = t("Remove filter {name}: {item}", { name: t(DIMENSIONS[name]), item });
  return h(
    "a",
    { class: "chip", href: without(name, item), "aria-label": label, data: { key: `chip-${name}-${item}` } },
    h("span", { class: "dim" }, `${t(DIMENSIONS[name])} `),
    item,
    icon("close"),
  );
}

function adder() {
  const kind = h(
    "select",
    { "aria-label": t("Filter by"), data: { key: "filter-by" } },
    FILTERS.map((name) => h("option", { value: name }, t(DIMENSIONS[name]))),
  );
  const text = h("input", {
    type: "text",
    "aria-label": t("Filter value"),
    placeholder: t("is exactly…"),
    data: { key: "filter-value" },
    autocomplete: "off",
  });
  const submit = (event) => {
    event.preventDefault();
    if (text.value.trim()) go(changed({ [kind.value]: text.value.trim() }));
  };
  return h(
    "details",
    { class: "adder" },
    h("summary", {}, icon("filter"), t("Filter")),
    h("form", { submit }, kind, text, h("button", { class: "button", type: "submit" }, t("Add"))),
  );
}

// A modal question; answers true when it was confirmed. `send` may fail: its message is shown and the dialog stays.
export function dialog(title, content, { confirm, tone = "", send }) {
  const message = h("p", { class: "problem", role: "alert" });
  const yes = h("button", { type: "submit", class: `button primary ${tone}` }, confirm);
  return new Promise((done) => {
    let answer = false;
    const submit = async (event) => {
      event.preventDefault();
      yes.disabled = true;
      try {
        answer = (await send(new FormData(event.target))) ?? true;
        box.close();
      } catch (error) {
        message.textContent = error.message;
      }
      yes.disabled = false;
    };
    const box = h(
      "dialog",
      {
        "aria-labelledby": "dialog-title",
        close: () => {
          box.remove();
          done(answer);
        },
      },
      h(
        "form",
        { submit },
        h("h2", { id: "dialog-title" }, title),
        content,
        message,
        h(
          "div",
          { class: "dialog-foot" },
          h("button", { type: "button", class: "button", click: () => box.close() }, t("Cancel")),
          yes,
        ),
      ),
    );
    document.body.append(box);
    box.showModal();
  });
}
