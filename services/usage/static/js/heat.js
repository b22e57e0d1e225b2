// Hour by weekday: seven rows of twenty-four cells in six steps of one colour.
import { fill, h } from "./dom.js";
import { unitText } from "./format.js";
import { t } from "./i18n.js";

export const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const SHORT = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const STEPS = 6;

export function hourLabel(hour) {
  return `${String(hour).padStart(2, "0")}:00`;
}

export function busiest(cells) {
  let found = null;
  cells.forEach((row, day) =>
    row.forEach((value, hour) => {
      if (value > 0 && (!found || value > found.value)) found = { day, hour, value };
    }),
  );
  return found;
}

export function heatMap() {
  const grid = h("div", { class: "heat" });
  const steps = h("p", { class: "heat-key" });
  const element = h("div", { class: "plot", role: "img" }, grid, steps);
  return {
    element,
    update(data) {
      element.setAttribute("aria-label", data.summary);
      const top = (busiest(data.cells) || { value: 0 }).value;
      const step = (value) => (value > 0 ? Math.min(STEPS, Math.ceil((STEPS * value) / top)) : 0);
      const cell = (value, day, hour) =>
        h("span", {
          class: `heat-cell step-${step(value)}`,
          title: `${t(WEEKDAYS[day])} ${hourLabel(hour)} · ${unitText(value, data.kind, data.currency)}`,
        });
      const hours = h(
        "div",
        { class: "heat-row hours" },
        h("span", { class: "heat-day" }),
        [...Array(24).keys()].map((hour) => h("span", {}, hour % 3 ? "" : String(hour).padStart(2, "0"))),
      );
      fill(
        grid,
        data.cells.map((row, day) =>
          h(
            "div",
            { class: "heat-row" },
            h("span", { class: "heat-day" }, t(SHORT[day])),
            row.map((value, hour) => cell(value, day, hour)),
          ),
        ),
        hours,
      );
      fill(
        steps,
        h("span", {}, t("less")),
        [...Array(STEPS + 1).keys()].map((one) => h("i", { class: `heat-cell step-${one}` })),
        h("span", {}, t("more")),
      );
    },
  };
}
