// Overview: can the numbers be trusted, what is spent, by what and whom, and what needs a hand.
import { ask, signedIn } from "../api.js";
import { filterBar, periodPicker } from "../controls.js";
import { fill, h } from "../dom.js";
import { early, overviewPath } from "../first.js";
import { t } from "../i18n.js";
import { listen } from "../live.js";
import { loader, paced } from "../load.js";
import { learnKeyNames } from "../names.js";
import { filtersOf } from "../place.js";
import { firstSteps } from "../states.js";
import { cards } from "./overview_cards.js";
import { pictures } from "./overview_figures.js";
import { side } from "./overview_side.js";
import { trustStrip } from "./trust.js";

const REFRESH_MS = 8000;

export function mount(main, { who, values }) {
  let place = values;
  let parts = null;
  let latest = null;
  let bare = false;
  const days = () => Number(place.get("days")) || 7;
  const filters = filterBar();
  const period = h("div", {});
  const body = h("div", {});
  fill(
    main,
    h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Overview")), period),
    filters.element,
    body,
  );

  const load = loader(body, {
    get: (signal) => early(overviewPath(place)) ?? ask(overviewPath(place), { signal }),
    show(data, room, first) {
      latest = data;
      bare = data.empty;
      if (bare) {
        disposeParts();
        fill(room, firstSteps(signedIn()));
        return;
      }
      if (first || !parts) {
        disposeParts();
        parts = [trustStrip(), cards(), pictures(), side(who)];
        fill(
          room,
          parts.map((part) => part.element),
        );
      }
      for (const part of parts) part.update(data);
      if (first) learnKeyNames(who).then((learned) => learned && parts?.forEach((part) => part.update(latest)));
    },
  });
  const refresh = paced(() => load.run({ quiet: true }), REFRESH_MS);
  const quick = paced(() => load.run({ quiet: true }), 300);
  const unlisten = listen((message) => {
    if (message.type !== "stats") return;
    if (bare) quick.poke();
    if (parts) {
      if (!Object.keys(filtersOf(place)).length) for (const part of parts) part.live?.(message);
      refresh.poke();
    }
  });

  function disposeParts() {
    for (const part of parts || []) part.dispose?.();
    parts = null;
  }

  function update(next) {
    place = next;
    fill(period, periodPicker(days()));
    filters.update(place);
    load.run();
  }

  update(values);
  return {
    update,
    dispose() {
      unlisten();
      refresh.dispose();
      quick.dispose();
      load.dispose();
      disposeParts();
    },
  };
}
