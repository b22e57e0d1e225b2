// ECharts behind one door: loaded when the first chart is drawn, themed from the stylesheet's own colours, resized with
// its box and drawn again when the theme, the motion wish or the pattern wish changes.
import { h } from "./dom.js";
import { prefers } from "./prefs.js";

let library;
const drawn = new Set();

// The figures come first: the library is read when they are on the screen.
async function load() {
  library ||= painted().then(() => import("../vendor/echarts.js"));
  return library;
}

function painted() {
  if (document.hidden) return Promise.resolve();
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

export function ink() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    text: read("--ink"),
    muted: read("--muted"),
    line: read("--line"),
    strong: read("--line-strong"),
    surface: read("--surface"),
    accent: read("--accent"),
    bad: read("--bad"),
    rest: read("--rest"),
    series: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => read(`--series-${n}`)),
  };
}

// `option` makes ECharts' option from (data, ink); called again on every change.
export function chart(option, { height = "" } = {}) {
  const element = h("div", { class: `chart ${height}`, role: "img" });
  let instance = null;
  let data = null;
  let gone = false;

  async function draw() {
    if (!data || element.hidden || gone) return;
    const { init } = await load();
    if (gone || !element.isConnected || !element.clientWidth) return;
    instance ||= init(element, null, { renderer: "canvas" });
    instance.setOption({ ...base(), ...option(data, ink()) }, { notMerge: true });
    element.dataset.drawn = "yes";
  }

  const watcher = new ResizeObserver(() => {
    if (instance) instance.resize();
    else draw();
  });
  watcher.observe(element);
  drawn.add(draw);
  return {
    element,
    update(next) {
      data = next;
      element.setAttribute("aria-label", next.summary);
      draw();
    },
    dispose() {
      gone = true;
      drawn.delete(draw);
      watcher.disconnect();
      if (instance) instance.dispose();
    },
  };
}

function base() {
  return {
    animation: !prefers("still"),
    animationDuration: 0,
    animationDurationUpdate: 200,
    aria: { enabled: prefers("patterns"), label: { enabled: false }, decal: { show: true } },
    textStyle: { fontFamily: "inherit" },
  };
}

export function redraw() {
  for (const draw of drawn) draw();
}
