// What the reader prefers: theme, language, patterns, motion. Kept in the browser; the system decides until they do.

const KEY = "tollway.";

function stored(name) {
  try {
    return localStorage.getItem(KEY + name);
  } catch {
    return null;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(KEY + name, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

export function theme() {
  return document.documentElement.dataset.theme || "auto";
}

export function choose(name, value) {
  keep(name, value);
  if (name === "theme") document.documentElement.dataset.theme = value;
}

export function prefers(name) {
  if (name === "still") return matchMedia("(prefers-reduced-motion: reduce)").matches;
  return stored(name) ? stored(name) === "on" : matchMedia("(prefers-contrast: more)").matches;
}

export function onSystemChange(callback) {
  for (const asked of [
    "(prefers-color-scheme: dark)",
    "(prefers-reduced-motion: reduce)",
    "(prefers-contrast: more)",
  ]) {
    matchMedia(asked).addEventListener("change", callback);
  }
}
