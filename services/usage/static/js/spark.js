// The small line in a card: shape only, the numbers stand beside it. The last step is today, which is not over yet.
import { svg } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 28;

export function spark(values) {
  const known = (values || []).map((value) => (value === null || value === undefined ? 0 : value));
  if (known.length < 2) return null;
  const low = Math.min(...known, 0);
  const span = Math.max(...known) - low || 1;
  const points = known.map(
    (value, index) =>
      `${((index * WIDTH) / (known.length - 1)).toFixed(1)},${(HEIGHT - 2 - ((value - low) * (HEIGHT - 5)) / span).toFixed(1)}`,
  );
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { points: `0,${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}` }),
    svg("polyline", { points: points.slice(0, -1).join(" ") }),
    svg("polyline", { class: "open", points: points.slice(-2).join(" ") }),
  );
}
