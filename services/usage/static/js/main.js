// The start: learns who is looking, draws the shell, and puts the screen that the address names into the page.
import { redraw } from "./chart.js";
import { announce, fill } from "./dom.js";
import { whoever } from "./first.js";
import { language, speak, t } from "./i18n.js";
import { connect, disconnect } from "./live.js";
import { here } from "./place.js";
import { onSystemChange } from "./prefs.js";
import { login, SCREENS, sidebar } from "./shell.js";
import { failure } from "./states.js";

const main = document.getElementById("main");
const LOADERS = {
  overview: () => import("./screens/overview.js"),
  explore: () => import("./screens/explore.js"),
  session: () => import("./screens/session.js"),
  prices: () => import("./screens/prices.js"),
  keys: () => import("./screens/keys.js"),
  reports: () => import("./screens/reports.js"),
  playground: () => import("./screens/playground.js"),
  health: () => import("./screens/health.js"),
};
let who = null;
let screen = null;
let asking = false;

function drawShell() {
  document.getElementById("skip").textContent = t("Skip to content");
  sidebar(document.getElementById("side"), { current: here().screen, who, changed: preferred });
}

async function preferred(name, value) {
  if (name === "language") {
    await speak(value);
    await mount();
  }
  drawShell();
  redraw();
  const again = document.querySelector(`[data-key="${t(name === "theme" ? "Theme" : "Language")}-${value}"]`);
  if (again) again.focus();
}

function leave() {
  for (const open of document.querySelectorAll("dialog")) open.close();
  if (screen && screen.dispose) screen.dispose();
  screen = null;
}

async function mount({ focus = false } = {}) {
  const place = here();
  const name = place.screen in LOADERS ? place.screen : "overview";
  leave();
  drawShell();
  document.title = `${t(SCREENS[name])} · Tollway`;
  main.setAttribute("aria-busy", "true");
  try {
    const module = await LOADERS[name]();
    if (asking || here().screen !== place.screen) return;
    fill(main);
    screen = { ...module.mount(main, { who, values: here().values }), name: place.screen };
    announce(t(SCREENS[name]));
    if (focus) main.querySelector("h1")?.focus();
  } catch (error) {
    console.error(error);
    fill(
      main,
      failure({ status: 500, message: error.message }, () => mount()),
    );
  } finally {
    main.removeAttribute("aria-busy");
  }
}

function moved() {
  if (asking) return;
  const place = here();
  if (screen && screen.name === place.screen && screen.update) screen.update(place.values);
  else mount({ focus: true });
}

function askForToken() {
  if (asking) return;
  asking = true;
  leave();
  disconnect();
  drawShell();
  document.title = `${t("Sign in")} · Tollway`;
  main.removeAttribute("aria-busy");
  login(main, (found) => {
    asking = false;
    who = found;
    connect();
    mount({ focus: true });
  });
}

async function start() {
  addEventListener("hashchange", moved);
  addEventListener("tollway:login", askForToken);
  onSystemChange(redraw);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  if (language() !== "en") await speak(language());
  try {
    who = await whoever;
  } catch {
    askForToken();
    return;
  }
  await mount();
  connect();
}

start();
