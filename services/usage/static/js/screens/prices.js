// Prices: what is in force and where it comes from, what has no price, and pricing a period again: first dry, then for real.
import { ask } from "../api.js";
import { dialog, field } from "../controls.js";
import { fill, h, toast } from "../dom.js";
import { panel } from "../figure.js";
import { count, momentOf, money, plain } from "../format.js";
import { t } from "../i18n.js";
import { loader } from "../load.js";
import { notice } from "../states.js";
import { saveCsv, table } from "../table.js";

const AMOUNTS = [
  ["input", "Input"],
  ["output", "Output"],
  ["cache_read", "Cache read"],
  ["cache_write", "Cache write"],
  ["reasoning", "Reasoning"],
];

function amount(row, key) {
  return row[key] === null || row[key] === undefined
    ? h("span", { class: "none" }, "–")
    : money(row[key], row.currency);
}

function priceTable(rows, edit) {
  const columns = [
    {
      key: "model",
      label: t("Model"),
      kind: "text",
      show: (row) => [
        row.model,
        row.display_name && row.display_name.toLowerCase() !== row.model.toLowerCase()
          ? h("span", { class: "dim small below" }, row.display_name)
          : "",
      ],
    },
    { key: "provider", label: t("Provider"), kind: "text", show: (row) => row.provider ?? t("any") },
    ...AMOUNTS.map(([key, words]) => ({ key, label: t(words), kind: "money", show: (row) => amount(row, key) })),
    { key: "currency", label: t("Currency"), kind: "text" },
    {
      key: "valid_from",
      label: t("Valid from"),
      kind: "tight",
      show: (row) => (row.valid_from ? momentOf(row.valid_from).slice(0, 10) : t("always")),
    },
    {
      key: "valid_to",
      label: t("Until"),
      kind: "tight",
      show: (row) => (row.valid_to ? momentOf(row.valid_to).slice(0, 10) : "–"),
    },
    {
      key: "source",
      label: t("Source"),
      kind: "tight",
      show: (row) => [
        row.source,
        h("span", { class: "dim small" }, ` ${(row.version || "").replace(row.source, "").trim()}`),
      ],
    },
    {
      fixed: true,
      key: "change",
      show: (row) =>
        h(
          "button",
          {
            type: "button",
            class: "quiet",
            click: () => edit(row),
            "aria-label": `${t("New price")}: ${row.model}`,
          },
          t("New price"),
        ),
    },
  ];
  return { columns, element: table({ caption: t("Prices in force"), columns, rows, sortable: true }) };
}

function addPrice(row, done) {
  const fields = [
    field(t("Model"), { name: "model", required: true, value: row.model || "" }),
    field(t("Provider"), { name: "provider", value: row.provider || "" }, t("empty: any")),
    field(t("Currency"), {
      name: "currency",
      value: row.currency || "CNY",
      required: true,
      pattern: "[A-Z]{3}",
      maxlength: 3,
    }),
    ...AMOUNTS.map(([name, words]) =>
      field(t(words), {
        name,
        value: plain(row[name] ?? null),
        inputmode: "decimal",
        pattern: "[0-9]*\\.?[0-9]+",
        required: name === "input" || name === "output",
      }),
    ),
    field(t("Valid from"), { name: "valid_from", type: "date" }, t("empty: from now on")),
  ];
  const send = async (form) => {
    const body = {};
    for (const [name, value] of form)
      if (value !== "") body[name] = AMOUNTS.some(([one]) => one === name) ? Number(value) : value;
    await ask("/api/ai_usage/prices", { method: "POST", body });
    toast(t("The price is in force for what is booked from now on."));
    done();
  };
  return dialog(
    t("New price"),
    [
      h("p", { class: "dim" }, t("Per 1,000 tokens. Rows are dated and never overwritten.")),
      h("div", { class: "form" }, fields),
    ],
    { confirm: t("Add price"), send },
  );
}

function reprice() {
  const outcome = h("div", { "aria-live": "polite" });
  const form = h(
    "form",
    { class: "form" },
    field(t("From"), { name: "from", type: "date", required: true }),
    field(t("To"), { name: "to", type: "date", required: true }),
    field(t("Model"), { name: "model" }, t("empty: every model")),
    h("div", { class: "form-foot" }, h("button", { class: "button", type: "submit" }, t("Dry run"))),
  );
  const body = (dry) => ({
    ...Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== "")),
    dry_run: dry,
  });
  const columns = [
    { key: "model", label: t("Model"), kind: "text" },
    { key: "events", label: t("Events"), kind: "count" },
    { key: "before", label: t("Before"), kind: "money" },
    { key: "after", label: t("After"), kind: "money" },
  ];
  const show = (found) => {
    const words = { changed: found.changed, events: found.events };
    fill(
      outcome,
      h(
        "p",
        { class: "summary" },
        found.dry_run
          ? t("{changed} of {events} events would change:", words)
          : t("{changed} of {events} events were corrected:", words),
        " ",
        money(found.before, found.currency),
        " → ",
        money(found.after, found.currency),
      ),
      found.of_closed_months > 0 &&
        h(
          "p",
          { class: "summary" },
          t("{n} of them are from before {day}, in closed months: the difference counts in the open month.", {
            n: found.of_closed_months,
            day: found.closed_before,
          }),
        ),
      table({ caption: t("Changes by model"), columns, rows: found.rows || [], currency: found.currency }),
      found.dry_run &&
        found.changed > 0 &&
        h(
          "p",
          {},
          h("button", { type: "button", class: "button primary", click: () => run(false) }, t("Book the corrections")),
        ),
    );
  };
  async function run(dry) {
    try {
      show(await ask("/api/ai_usage/prices/reprice", { method: "POST", body: body(dry) }));
    } catch (error) {
      fill(outcome, notice("bad", t("Something failed"), error.message));
    }
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(true);
  });
  return panel(
    t("Price a period again"),
    { note: t("dry run first; corrections are signed entries, the old value stays"), wide: true, name: "reprice" },
    form,
    outcome,
  );
}

function unpriced(rows, days, edit) {
  const columns = [
    { key: "model", label: t("Model"), kind: "text" },
    { key: "events", label: t("Events"), kind: "count" },
    { key: "tokens", label: t("Tokens"), kind: "count" },
    {
      fixed: true,
      key: "price",
      show: (row) =>
        h(
          "button",
          {
            type: "button",
            class: "quiet",
            click: () => edit(row),
            "aria-label": `${t("Set a price")}: ${row.model}`,
          },
          t("Set a price"),
        ),
    },
  ];
  return panel(
    t("Without a price"),
    { note: t("of the last {days} days; counted, but in no total until priced", { days }), wide: true, name: "unpriced" },
    table({ caption: t("Without a price"), columns, rows, empty: t("Everything booked has a price.") }),
  );
}

export function mount(main, { who }) {
  const body = h("div", {});
  const again = (!who || who.role !== "key") && reprice();
  fill(
    main,
    h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Prices"))),
    h(
      "p",
      { class: "lead" },
      t(
        "Per 1,000 tokens, in the currency the provider bills. The ledger's own rows come first, then the configuration, then the built-in tables.",
      ),
    ),
    body,
    again,
  );
  const load = loader(body, {
    get: (signal) => ask("/api/ai_usage/prices", { signal }),
    show(data, room) {
      const edit = (row) => addPrice(row, () => load.run());
      const listed = priceTable(data.prices, edit);
      const actions = [
        h(
          "button",
          { type: "button", class: "button", click: () => edit({}), data: { key: "add-price" } },
          t("New price"),
        ),
        h(
          "button",
          {
            type: "button",
            class: "quiet",
            click: () => saveCsv("tollway-prices", listed.columns, data.prices),
            data: { key: "csv-prices" },
          },
          "CSV",
        ),
      ];
      const rates = (data.rates || []).map((one) =>
        t("1 {from} = {rate} {to} since {date}", {
          from: one.from,
          to: one.to,
          rate: plain(one.rate),
          date: one.date || one.valid_from,
        }),
      );
      fill(
        room,
        unpriced(data.unpriced || [], data.unpriced_days, edit),
        panel(
          t("Prices in force"),
          { note: t("{n} rows", { n: data.prices.length }), actions, wide: true, name: "prices" },
          h("p", { class: "summary" }, rates.join(" · ")),
          listed.element,
        ),
      );
    },
  });
  load.run();
  return { dispose: load.dispose };
}
