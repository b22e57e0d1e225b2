// Loading a screen's data: bones at first, then the numbers; a later failure keeps the old numbers and says they are stale.
import { fill, h } from "./dom.js";
import { momentOf } from "./format.js";
import { t } from "./i18n.js";
import { failure, loading } from "./states.js";

function old(stamp, reason) {
  if (!stamp) return t("These numbers are old: the last refresh failed ({reason}).", { reason });
  return t("These numbers are from {time}: the last refresh failed ({reason}).", { time: momentOf(stamp), reason });
}

// `get(signal)` fetches, `show(data)` draws into what `body` holds. Only the newest request counts.
export function loader(body, { get, show }) {
  const banner = h("div", { class: "stale", role: "status", hidden: true });
  const room = h("div", { class: "room" });
  fill(body, banner, room);
  let control = null;
  let seen = null;
  let troubled = false;

  async function run({ quiet = false } = {}) {
    if (control) control.abort();
    const mine = new AbortController();
    control = mine;
    if (!seen) fill(room, loading());
    if (!quiet) room.setAttribute("aria-busy", "true");
    try {
      const data = await get(mine.signal);
      if (mine.signal.aborted) return;
      const first = !seen;
      seen = data;
      troubled = false;
      banner.hidden = true;
      if (first) room.replaceChildren();
      show(data, room, first);
    } catch (error) {
      if (error.name === "AbortError" || mine.signal.aborted) return;
      failed(error);
    } finally {
      if (control === mine) room.removeAttribute("aria-busy");
    }
  }

  function failed(error) {
    troubled = true;
    if (error.status === undefined) console.error(error);
    if (error.status === 401 && error.path.startsWith("/api/ai_usage")) dispatchEvent(new CustomEvent("tollway:login"));
    const serious = !seen || (error.status >= 400 && error.status < 500);
    if (serious) {
      seen = null;
      fill(
        room,
        failure(error, () => run()),
      );
      return;
    }
    banner.hidden = false;
    fill(
      banner,
      old(seen.generated_at, error.message),
      h("button", { type: "button", class: "quiet", click: () => run() }, t("Try again")),
    );
  }

  // The service is back: what failed meanwhile is asked for again.
  const back = () => troubled && run();
  addEventListener("tollway:live", back);
  return {
    run,
    dispose() {
      removeEventListener("tollway:live", back);
      if (control) control.abort();
    },
  };
}

// At most one run in `every` milliseconds, and never one lost: the last call always leads to a run.
export function paced(run, every) {
  let timer = 0;
  let before = performance.now();
  return {
    poke() {
      if (timer) return;
      const wait = Math.max(0, before + every - performance.now());
      timer = setTimeout(() => {
        timer = 0;
        before = performance.now();
        run();
      }, wait);
    },
    dispose: () => clearTimeout(timer),
  };
}
