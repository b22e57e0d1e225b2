// The one live connection of the page: its state for the badge, its messages for the screen that is open.
import { t } from "./i18n.js";
import { follow } from "./stream.js";

const listeners = new Set();
let stop = null;
let state = "off";
let badge = null;

const WORDS = { live: "Live", waiting: "Reconnecting…", refused: "Not live", off: "Not live" };

function show(next) {
  if (next === "live" && state !== "live") dispatchEvent(new CustomEvent("tollway:live"));
  state = next;
  if (!badge) return;
  badge.textContent = t(WORDS[state]);
  badge.dataset.state = state;
}

export function connect() {
  disconnect();
  stop = follow("/api/ai_usage/live", {
    onState: show,
    // A screen that cannot draw a message is a fault of the screen: the connection stands.
    onEvent: (message) => listeners.forEach((listener) => queueMicrotask(() => listener(message))),
  });
}

export function disconnect() {
  if (stop) stop();
  stop = null;
  show("off");
}

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function wear(element) {
  badge = element;
  show(state);
}
