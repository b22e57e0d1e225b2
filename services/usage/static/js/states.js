// What a screen shows when it has no numbers: loading, failed, not allowed, elsewhere, nothing booked yet.
import { addressOf } from "./api.js";
import { copy, h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";

export function loading() {
  return h(
    "div",
    { class: "loading", role: "status" },
    h("span", { class: "unseen" }, t("Loading…")),
    h("div", { class: "bone short" }),
    h(
      "div",
      { class: "bones" },
      [1, 2, 3, 4].map(() => h("div", { class: "bone card" })),
    ),
    h("div", { class: "bone tall" }),
  );
}

export function notice(tone, title, text, ...more) {
  return h(
    "div",
    { class: `notice ${tone}`, role: tone === "bad" ? "alert" : "note" },
    h("strong", {}, title),
    h("p", {}, text),
    more,
  );
}

// Sentences for every way a request can fail; `retry` is offered where it can help.
export function failure(error, retry) {
  const again =
    retry && h("button", { type: "button", class: "button", click: retry, data: { key: "retry" } }, t("Try again"));
  if (error.status === 0)
    return notice(
      "bad",
      t("No connection"),
      t("The service did not answer. The page keeps trying while it is open."),
      again,
    );
  if (error.status === 401 || error.status === 403)
    return notice(
      "warn",
      t("Not allowed"),
      t("This part needs the admin token. Sign in with it to go on."),
      h(
        "button",
        { type: "button", class: "button", click: () => dispatchEvent(new CustomEvent("tollway:login")) },
        t("Sign in"),
      ),
    );
  if (error.status === 404 || error.status === 405) return elsewhere();
  if (error.status === 422 || error.status === 400)
    return notice("warn", t("This combination has no answer"), error.message);
  return notice("bad", t("Something failed"), error.message, again);
}

export function elsewhere() {
  return notice(
    "info",
    t("This part lives on the gateway"),
    t(
      "You are looking at the usage service itself. Keys, routes, jobs and the playground are served by the gateway: open this page there (port 8080 unless configured otherwise).",
    ),
  );
}

// An optional part is simply absent where its surface is not served.
export function absent(error) {
  return error.status === 404 || error.status === 405;
}

export function command(text, label) {
  return h(
    "div",
    { class: "command" },
    h("pre", { tabindex: "0", role: "group", "aria-label": label }, h("code", {}, text)),
    h(
      "button",
      { type: "button", class: "quiet", click: () => copy(text, t("Copied")), "aria-label": `${t("Copy")}: ${label}` },
      icon("copy"),
      h("span", {}, t("Copy")),
    ),
  );
}

export function firstSteps(needsKey) {
  const origin = addressOf("").origin;
  const auth = needsKey ? ' \\\n  -H "authorization: Bearer $TOLLWAY_KEY"' : "";
  const ask = `curl ${origin}/v1/chat/completions${auth} \\\n  -H "content-type: application/json" \\\n  -d '{"model": "auto", "messages": [{"role": "user", "content": "Say hello"}]}'`;
  return h(
    "div",
    { class: "welcome" },
    h("h2", {}, t("Nothing is booked yet")),
    h(
      "p",
      {},
      t(
        "Make the first call and this page fills by itself. It needs no provider key: the built-in demo model answers.",
      ),
    ),
    command(ask, t("The first call")),
    needsKey && h("p", { class: "dim" }, t("Make a key under Budgets & keys, or use the admin token.")),
    h("p", {}, h("a", { href: "#/playground" }, t("Or try it in the playground"))),
  );
}
