// The words of the page. The English sentence is the key; another language is one module that is loaded when it is chosen.

let chosen = document.documentElement.lang || "en";
let words = {};

export function language() {
  return chosen;
}

export async function speak(name) {
  words = name === "zh-CN" ? (await import("./words/zh.js")).words : {};
  chosen = name;
  document.documentElement.lang = name;
}

export function t(sentence, values) {
  const found = words[sentence] || sentence;
  return values ? found.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole)) : found;
}
