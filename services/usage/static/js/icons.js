// The page's few icons, as strokes of one width. They are decoration: words always stand beside or behind them.
import { svg } from "./dom.js";

const PATHS = {
  overview: "M3 13h7V3H3zM14 21h7V11h-7zM3 21h7v-4H3zM14 7h7V3h-7z",
  explore: "M4 20V10M10 20V4M16 20v-7M21 20H3",
  session: "M5 4v16M5 8h9a3 3 0 0 1 0 6H5M9 18h10",
  prices: "M4 4h8l8 8-8 8-8-8zM8.5 8.5h.01",
  keys: "M8 11.5a4.5 4.5 0 1 0 .01 0zM11.2 12.8 20 4M16.5 7.5l3 3M14 10l2 2",
  reports: "M6 3h9l4 4v14H6zM14 3v5h5M9 13h7M9 17h5",
  playground: "M4 5h16v11H9l-5 4z",
  health: "M3 12h4l3-7 4 14 3-7h4",
  table: "M4 5h16v14H4zM4 10h16M10 10v9",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4 12H2M22 12h-2M5 5l1.5 1.5M17.5 17.5 19 19M5 19l1.5-1.5M17.5 6.5 19 5",
  menu: "M4 7h16M4 12h16M4 17h16",
  filter: "M4 6h16M7 12h10M10 18h4",
  close: "M6 6l12 12M18 6 6 18",
  arrow: "M5 12h14M13 6l6 6-6 6",
};

export function icon(name) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] }),
  );
}
