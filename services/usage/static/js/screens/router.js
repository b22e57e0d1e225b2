// The router's targets as it sees them right now: those left alone come first.
import { ask } from "../api.js";
import { fill, h } from "../dom.js";
import { panel } from "../figure.js";
import { unitText } from "../format.js";
import { t } from "../i18n.js";
import { absent, elsewhere } from "../states.js";

const AGAIN_MS = 10000;
const MOST = 10;

function targets(found) {
  const rows = Object.entries(found.models || {}).flatMap(([name, model]) =>
    (model.targets || []).map((target) => ({ ...target, name })),
  );
  return rows.sort((a, b) => (b.state === "cooling") - (a.state === "cooling"));
}

function row(one) {
  const cooling = one.state === "cooling";
  const rest = cooling ? t("cooling {n} s", { n: Math.ceil(one.cooldown_left_seconds) }) : t("ready");
  return h(
    "li",
    { title: one.why },
    h("span", { class: `state ${cooling ? "bad" : "good"}` }, rest),
    h("span", { class: "grow" }, one.name, h("span", { class: "dim" }, ` → ${one.provider}/${one.model}`)),
    one.ttft_ms !== null && h("span", { class: "num dim" }, unitText(one.ttft_ms, "ms")),
    one.successes + one.failures > 0
      ? h("span", { class: "num" }, unitText(100 * one.success_rate, "percent"))
      : h("span", { class: "dim small" }, t("no record yet")),
    cooling && one.last_error && h("span", { class: "dim small full" }, String(one.last_error)),
  );
}

function list(found) {
  const rows = targets(found);
  if (!rows.length) return h("p", { class: "nothing" }, t("No targets are configured."));
  const rest =
    rows.length > MOST && h("p", { class: "dim small" }, t("and {n} more, all ready", { n: rows.length - MOST }));
  return [h("ul", { class: "list" }, rows.slice(0, MOST).map(row)), rest];
}

function refusal(error) {
  if (absent(error)) return elsewhere();
  const secret = error.status === 401 || error.status === 403;
  const words = secret
    ? t("The router's state needs the admin token.")
    : t("The router's state is not known: {reason}", { reason: error.message });
  return h("p", { class: "nothing" }, words);
}

// `who` decides whether asking makes sense at all: a key or a read-only token may not.
export function routerPanel(who) {
  const room = h("div", {}, h("p", { class: "nothing" }, t("Loading…")));
  const element = panel(t("Router"), { name: "router" }, room);
  if (who && (who.role === "key" || who.role === "ops")) {
    fill(room, refusal({ status: 403 }));
    return { element, dispose: () => undefined };
  }
  let timer = 0;
  async function refresh() {
    try {
      fill(room, list(await ask("/admin/router")));
    } catch (error) {
      fill(room, refusal(error));
      if (error.status >= 400 && error.status < 500) clearInterval(timer);
    }
  }
  timer = setInterval(refresh, AGAIN_MS);
  refresh();
  return { element, dispose: () => clearInterval(timer) };
}
