// The strip that answers the first question: can these numbers be trusted, and up to when.
import { fill, h } from "../dom.js";
import { clockOf, grouped, momentOf, secondsText } from "../format.js";
import { t } from "../i18n.js";

const SLOW_SECONDS = 30;

function verdict(trust) {
  if (trust.database_connected === false)
    return {
      tone: "bad",
      text: t("The database is away; {n} messages wait for it and none is lost.", { n: grouped(trust.lag_events ?? 0) }),
    };
  const wrong = [];
  if (trust.gaps) wrong.push(t("{n} gaps in the sequence", { n: grouped(trust.gaps) }));
  if (trust.drift_events) wrong.push(t("{n} events of drift", { n: grouped(trust.drift_events) }));
  if (trust.quarantined) wrong.push(t("{n} messages in quarantine", { n: grouped(trust.quarantined) }));
  if (trust.unpriced) wrong.push(t("{n} events of the last {days} days without a price", { n: grouped(trust.unpriced), days: trust.unpriced_days }));
  if (trust.lag_seconds > SLOW_SECONDS)
    wrong.push(t("booking lags by {time}", { time: secondsText(trust.lag_seconds) }));
  const tone =
    trust.gaps || trust.drift_events || trust.lag_seconds > SLOW_SECONDS ? "bad" : wrong.length ? "warn" : "good";
  if (wrong.length) return { tone, text: wrong.join(" · ") };
  const until = trust.complete_until || trust.last_event_at;
  return {
    tone,
    text: until
      ? t("All {n} events up to {time} are here.", { n: grouped(trust.events_total ?? 0), time: momentOf(until) })
      : t("All events are here."),
  };
}

export function trustStrip() {
  const element = h("section", { class: "trust", "aria-label": t("Can these numbers be trusted?") });
  const item = (words, value, bad) => h("div", { class: bad ? "bad" : "" }, h("dt", {}, words), h("dd", {}, value));
  let zone = "";
  const draw = (trust) => {
    const { tone, text } = verdict(trust);
    const marks = { good: "✓", warn: "!", bad: "×" };
    element.dataset.tone = tone;
    fill(
      element,
      h("p", {}, h("span", { class: `mark ${tone}`, "aria-hidden": "true" }, marks[tone]), text),
      h(
        "dl",
        {},
        item(t("Freshness"), secondsText(trust.freshness_seconds)),
        item(t("Lag"), secondsText(trust.lag_seconds), trust.lag_seconds > SLOW_SECONDS),
        item(t("Queue"), grouped(trust.queue_depth ?? "–")),
        item(t("Gaps"), grouped(trust.gaps ?? "–"), trust.gaps),
        item(
          t("Unpriced"),
          h("a", { href: "#/prices", data: { key: "unpriced" } }, grouped(trust.unpriced ?? "–")),
          trust.unpriced,
        ),
        item(t("Drift"), grouped(trust.drift_events ?? "–"), trust.drift_events),
        item(t("Last event"), clockOf(trust.last_event_at)),
        item(t("Zone"), zone),
      ),
    );
  };
  return {
    element,
    update(data) {
      zone = data.timezone || zone;
      if (data.trust) draw(data.trust);
    },
    live(message) {
      if (message.trust) draw(message.trust);
    },
  };
}
