// What stands around every screen: the brand, the way to the other screens, the reader's preferences, the sign-in form.
import { ApiError, ask, signedIn, signIn, signOut } from "./api.js";
import { fill, h } from "./dom.js";
import { language, t } from "./i18n.js";
import { icon } from "./icons.js";
import { wear } from "./live.js";
import { choose, prefers, theme } from "./prefs.js";
import { segmented } from "./controls.js";

export const SCREENS = {
  overview: "Overview",
  explore: "Explore",
  session: "Sessions",
  prices: "Prices",
  keys: "Budgets & keys",
  reports: "Report jobs",
  playground: "Playground",
  health: "Data health",
};
const LANGUAGES = [
  ["en", "EN"],
  ["zh-CN", "中文"],
];

// `changed(name, value)` is told of a new theme, language or pattern wish.
export function sidebar(element, { current, who, changed }) {
  const menu = h("div", { class: "menu", id: "menu" }, navigation(current), preferences(changed), account(who));
  const toggle = h(
    "button",
    {
      type: "button",
      class: "quiet menu-toggle",
      "aria-expanded": "false",
      "aria-controls": "menu",
      data: { key: "menu" },
    },
    icon("menu"),
    h("span", {}, t("Menu")),
  );
  toggle.addEventListener("click", () => {
    const open = element.classList.toggle("open");
    toggle.setAttribute("aria-expanded", String(open));
  });
  const live = h("span", { class: "live", data: { state: "off" } });
  fill(
    element,
    h("div", { class: "brand" }, h("a", { href: "#/overview", class: "name" }, mark(), "Tollway"), live, toggle),
    menu,
  );
  element.classList.remove("open");
  wear(live);
}

function mark() {
  return h("img", { src: "icon.svg", alt: "", width: 26, height: 26 });
}

function navigation(current) {
  const items = Object.entries(SCREENS).map(([name, words]) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: `#/${name}`, "aria-current": name === current ? "page" : undefined, data: { key: `nav-${name}` } },
        icon(name),
        t(words),
      ),
    ),
  );
  return h("nav", { "aria-label": t("Screens") }, h("ul", {}, items));
}

function preferences(changed) {
  const pick = (name) => (value) => {
    choose(name, value);
    changed(name, value);
  };
  const patterns = h(
    "label",
    { class: "check" },
    h("input", {
      type: "checkbox",
      checked: prefers("patterns"),
      change: (event) => pick("patterns")(event.target.checked ? "on" : "off"),
      data: { key: "patterns" },
    }),
    t("Patterns in charts"),
  );
  return h(
    "div",
    { class: "preferences" },
    segmented(
      t("Theme"),
      [
        ["auto", t("Auto")],
        ["light", t("Light")],
        ["dark", t("Dark")],
      ],
      theme(),
      pick("theme"),
    ),
    segmented(t("Language"), LANGUAGES, language(), pick("language")),
    patterns,
  );
}

function account(who) {
  if (!signedIn()) {
    return h(
      "div",
      { class: "account" },
      h("span", { class: "dim" }, who ? t("No token needed") : t("Not signed in")),
      h(
        "button",
        { type: "button", class: "quiet", click: () => dispatchEvent(new CustomEvent("tollway:login")) },
        t("Sign in"),
      ),
    );
  }
  const roles = { admin: t("Admin"), ops: t("Read only"), key: t("Key"), open: t("Open") };
  const leave = () => {
    signOut();
    location.reload();
  };
  return h(
    "div",
    { class: "account" },
    h("span", { class: "dim" }, who ? roles[who.role] || who.role : t("Signed in")),
    h("button", { type: "button", class: "quiet", click: leave }, t("Sign out")),
  );
}

// Answers once a token was accepted.
export function login(main, done) {
  const problem = h("p", { class: "problem", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    signIn(String(form.get("token")).trim(), form.get("keep") === "on");
    try {
      const found = await ask("/api/ai_usage/whoami");
      if (!found.role) throw new ApiError(401, "not accepted");
      done(found);
    } catch (error) {
      signOut();
      problem.textContent =
        error.status === 401 || error.status === 403 ? t("This token was not accepted.") : error.message;
    }
  };
  fill(
    main,
    h(
      "div",
      { class: "login" },
      h(
        "form",
        { submit },
        mark(),
        h("h1", { tabindex: "-1" }, t("Sign in")),
        h("p", { class: "dim" }, t("The admin token, a read-only ops token, or a key that sees its own usage.")),
        h(
          "label",
          { class: "field" },
          h("span", {}, t("Token")),
          h("input", {
            type: "password",
            name: "token",
            required: true,
            autocomplete: "current-password",
            id: "token",
          }),
        ),
        h(
          "label",
          { class: "check" },
          h("input", { type: "checkbox", name: "keep", checked: true }),
          t("Remember in this tab"),
        ),
        problem,
        h("button", { class: "button primary", type: "submit" }, t("Sign in")),
        h(
          "p",
          { class: "dim small" },
          t("The token stays in this tab and is sent in a header only, never in an address."),
        ),
      ),
    ),
  );
  main.querySelector("input").focus();
}
