// Data health: every reason to trust or doubt the numbers, by producer, with the proof that rollups equal events.
import { ask } from "../api.js";
import { fill, h, toast } from "../dom.js";
import { panel } from "../figure.js";
import { brief, count, grouped, momentOf, secondsText, unitText } from "../format.js";
import { t } from "../i18n.js";
import { listen } from "../live.js";
import { loader, paced } from "../load.js";
import { table } from "../table.js";
import { trustStrip } from "./trust.js";

function facts(data) {
  const item = (words, value) => h("div", {}, h("dt", {}, words), h("dd", {}, value));
  return h(
    "dl",
    { class: "totals" },
    item(t("Events booked"), count(data.events_total)),
    item(t("Freshness"), secondsText(data.freshness_seconds)),
    item(t("Booking lag"), secondsText(data.lag_seconds)),
    item(t("Messages waiting"), count(data.queue_depth)),
    item(t("Events in the spool"), count(data.spool_events)),
    item(t("Prices checked"), momentOf(data.prices_at)),
  );
}

function producers(data) {
  const gaps = (row) =>
    (row.missing || []).length
      ? h(
          "span",
          { class: "state bad" },
          row.missing.map((one) => `${grouped(one.from)}–${grouped(one.to)}`).join(", "),
        )
      : h("span", { class: "state good" }, t("none"));
  const columns = [
    { key: "producer", label: t("Producer"), kind: "mono" },
    { key: "service", label: t("Service"), kind: "text" },
    { key: "last_sequence", label: t("Last number"), kind: "count" },
    { key: "missing", label: t("Missing numbers"), show: gaps },
    { key: "last_at", label: t("Last event"), kind: "tight", show: (row) => momentOf(row.last_at) },
  ];
  return panel(
    t("Completeness"),
    {
      note: t("every producer counts without a gap; a missing number is a missing event"),
      wide: true,
      name: "producers",
    },
    table({
      caption: t("Completeness"),
      columns,
      rows: data.producers || [],
      empty: t("No producer has reported yet."),
    }),
  );
}

function proof(data, rerun) {
  const drift = data.drift || {};
  const button = h("button", { type: "button", class: "button", data: { key: "prove" } }, t("Prove now"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const found = await ask("/api/ai_usage/proof", { method: "POST" });
      toast(found.ok ? t("Proved: rollups equal events.") : t("Drift found."), found.ok ? "plain" : "bad");
      rerun();
    } catch (error) {
      toast(error.message, "bad");
    }
    button.disabled = false;
  });
  const words = {
    buckets: grouped(drift.buckets ?? 0),
    events: grouped(drift.events ?? 0),
    time: momentOf(drift.checked_at),
  };
  const said = drift.checked_at
    ? drift.ok
      ? t("{buckets} buckets compared with {events} events at {time}: equal.", words)
      : t("{buckets} buckets compared with {events} events at {time}: they differ.", words)
    : t("Not proved yet.");
  const columns = [
    { key: "bucket", label: t("Bucket"), kind: "tight" },
    { key: "name", label: t("Name"), kind: "text" },
    { key: "events", label: t("Events"), kind: "count" },
    { key: "rollup_events", label: t("In the rollup"), kind: "count" },
    { key: "cost", label: t("Cost"), kind: "money" },
    { key: "rollup_cost", label: t("In the rollup"), kind: "money" },
  ];
  const differences = drift.differences || [];
  return panel(
    t("Proof of the rollups"),
    { actions: button, wide: true, name: "proof" },
    h("p", { class: "summary" }, said),
    differences.length > 0 && table({ caption: t("Differences"), columns, rows: differences, currency: data.currency }),
  );
}

function quarantine(data) {
  const columns = [
    { key: "at", label: t("Time"), kind: "tight", show: (row) => momentOf(row.at) },
    { key: "reason", label: t("Reason"), kind: "clip" },
    { key: "excerpt", label: t("Excerpt"), kind: "clip" },
  ];
  return panel(
    t("Quarantine"),
    { note: t("messages that could not be booked, kept for a person"), wide: true, name: "quarantine" },
    table({ caption: t("Quarantine"), columns, rows: data.quarantine || [], empty: t("Nothing in quarantine.") }),
  );
}

function forecast(data) {
  if (!data) return null;
  const columns = [
    { key: "month", label: t("Month"), kind: "text" },
    { key: "predicted", label: t("Predicted"), kind: "money" },
    { key: "low", label: t("Low"), kind: "money" },
    { key: "high", label: t("High"), kind: "money" },
    { key: "actual", label: t("Actual"), kind: "money" },
  ];
  const said = [
    data.enough_data ? t(data.method) : t("too little data"),
    data.mape !== null && data.mape !== undefined && t("mean error {value}", { value: unitText(data.mape, "percent") }),
    data.coverage !== null &&
      data.coverage !== undefined &&
      t("within the range {value} of the time", { value: unitText(data.coverage, "percent") }),
  ]
    .filter(Boolean)
    .join(" · ");
  const now =
    data.mid === null || data.mid === undefined
      ? ""
      : `${data.month}: ${brief(data.mid, data.currency)} (${brief(data.low, data.currency)} – ${brief(data.high, data.currency)}). `;
  return panel(
    t("Forecast scoreboard"),
    { wide: true, name: "forecast" },
    h("p", { class: "summary" }, now, said),
    table({
      caption: t("Forecast scoreboard"),
      columns,
      rows: data.history || [],
      currency: data.currency,
      empty: t("No month has ended yet."),
    }),
  );
}

export function mount(main) {
  const body = h("div", {});
  fill(main, h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Data health"))), body);
  const load = loader(body, {
    async get(signal) {
      const [health, predicted] = await Promise.all([
        ask("/api/ai_usage/health", { signal }),
        ask("/api/ai_usage/forecast", { signal }).catch(() => null),
      ]);
      return { ...health, predicted };
    },
    show(data, room) {
      const strip = trustStrip();
      strip.update({ ...data, trust: data.trust || data });
      fill(
        room,
        strip.element,
        facts({ ...data, ...(data.trust || {}) }),
        producers(data),
        proof(data, () => load.run({ quiet: true })),
        quarantine(data),
        forecast(data.predicted),
      );
    },
  });
  const refresh = paced(() => load.run({ quiet: true }), 5000);
  const unlisten = listen(() => refresh.poke());
  load.run();
  return {
    dispose: () => {
      unlisten();
      refresh.dispose();
      load.dispose();
    },
  };
}
