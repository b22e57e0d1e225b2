// Report jobs: ask for one, follow its stages live, take the artefacts.
import { ask, download } from "../api.js";
import { dialog, field, segmented, select } from "../controls.js";
import { fill, h, save, toast } from "../dom.js";
import { panel } from "../figure.js";
import { bytesText, momentOf, unitText } from "../format.js";
import { language, t } from "../i18n.js";
import { loader } from "../load.js";
import { follow } from "../stream.js";

const ENDED = new Set(["succeeded", "partial", "failed", "cancelled"]);
const TONES = {
  succeeded: "good",
  partial: "warn",
  failed: "bad",
  cancelled: "plain",
  queued: "plain",
  running: "good",
};
const CHAINS = ["ethereum", "bsc", "base", "arbitrum", "optimism", "polygon", "avalanche", "gnosis", "linea", "scroll"];

function title(job) {
  const asked = job.request || job.params || job;
  if (job.type === "usage" && asked.from) return t("Usage from {from} to {to}", asked);
  if (job.type === "usage") return t("Usage of {days} days", { days: asked.days ?? "…" });
  return `${t("Crypto token")} ${asked.token ?? asked.address ?? ""}`.trim();
}

async function take(job, artifact) {
  try {
    const path = new URL(artifact.url, location.origin).pathname;
    save(`${job.id}.${artifact.format}`, "", await download(path));
  } catch (error) {
    toast(error.message, "bad");
  }
}

const DAY_MS = 86_400_000;

// What a job has to take away: its artefacts, and as long as it is kept the evidence they came from.
function files(job) {
  const kept = job.evidence && Date.parse(job.evidence.expires_at) > Date.now();
  const made = (job.artifacts || []).map((one) => ({ ...one, name: one.format.toUpperCase() }));
  if (!kept) return made;
  const days = Math.ceil((Date.parse(job.evidence.expires_at) - Date.now()) / DAY_MS);
  return [...made, { ...job.evidence, name: t("evidence"), note: t("kept for {n} more days", { n: days }) }];
}

const STAGE_MARKS = { done: "done", running: "now" };

function stageRow(job) {
  const row = (stage) => h("li", { data: { mark: STAGE_MARKS[stage.status] || stage.status } }, t(stage.name));
  return h("ol", { class: "stages", "aria-label": t("Stages") }, (job.stages || []).map(row));
}

function jobView(job, act) {
  const button = (words, click, tone = "") =>
    h("button", { type: "button", class: `quiet ${tone}`, click, data: { key: `${words}-${job.id}` } }, words);
  const ended = ENDED.has(job.status);
  const percent = Math.round(100 * (job.progress || 0));
  const error = job.error && (typeof job.error === "string" ? job.error : job.error.message);
  return [
    h(
      "div",
      { class: "job-head" },
      h("strong", {}, title(job)),
      h("span", { class: `state ${TONES[job.status] || "plain"}` }, t(job.status)),
      h("span", { class: "dim mono small" }, job.id),
      h("span", { class: "dim small" }, momentOf(job.created_at)),
      h(
        "span",
        { class: "row-actions" },
        files(job).map((one) =>
          h(
            "button",
            {
              type: "button",
              class: "quiet",
              title: [`sha256 ${one.sha256}`, one.note].filter(Boolean).join(" · "),
              click: () => take(job, one),
              data: { key: `take-${one.format}-${job.id}` },
            },
            `${t("Download")} ${one.name} `,
            h("span", { class: "dim" }, bytesText(one.bytes)),
          ),
        ),
        ended ? button(t("Delete"), () => act("DELETE", job), "bad") : button(t("Cancel"), () => act("cancel", job)),
      ),
    ),
    !ended &&
      h("progress", {
        max: 1,
        value: job.progress || 0,
        "aria-label": t("{percent} done", { percent: unitText(percent, "percent") }),
      }),
    stageRow(job),
    error && h("p", { class: "problem" }, t(error)),
    (job.warnings || []).length > 0 &&
      h(
        "ul",
        { class: "facts" },
        job.warnings.map((one) => h("li", {}, typeof one === "string" ? one : one.message || JSON.stringify(one))),
      ),
  ];
}

function tokenFields() {
  return [
    field(t("Crypto token"), { name: "token", value: "usd-coin", required: true }, t("CoinGecko's id")),
    field(t("Address"), { name: "address", value: "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", required: true }),
    select(
      t("Chain"),
      CHAINS.map((one) => [one, one]),
      "ethereum",
      () => undefined,
    ),
    field(t("Days"), { name: "days", type: "number", min: 1, max: 365, value: 90 }),
    h(
      "label",
      { class: "check" },
      h("input", { type: "checkbox", name: "sample", checked: true }),
      t("Packaged sample data: no network needed"),
    ),
    h(
      "label",
      { class: "check" },
      h("input", { type: "checkbox", name: "insight", checked: false }),
      t("Text written by a model"),
    ),
  ];
}

// A month or a quarter as finance has it; the last seven days to begin with.
function usageFields() {
  const day = (ago) => new Date(Date.now() - ago * DAY_MS).toLocaleDateString("sv");
  return [
    field(t("From"), { name: "from", type: "date", required: true, value: day(6) }),
    field(t("To"), { name: "to", type: "date", required: true, value: day(0) }),
  ];
}

const FORMATS = { token: ["html", "json", "pdf", "csv", "png"], usage: ["html", "json", "csv", "pdf"] };

function formatBox(one) {
  const box = h("input", { type: "checkbox", name: "formats", value: one, checked: one === "html" });
  return h("label", { class: "check" }, box, one.toUpperCase());
}

function newJob(done) {
  let type = "token";
  const fields = h("div", { class: "form" });
  const formats = h("div", { class: "form", role: "group", "aria-label": t("Formats") });
  const kinds = h("div", {});
  const draw = () => {
    fill(
      kinds,
      segmented(
        t("Type"),
        [
          ["token", t("Crypto token")],
          ["usage", t("Usage")],
        ],
        type,
        (value) => {
          type = value;
          draw();
        },
      ),
    );
    fill(fields, type === "token" ? tokenFields() : usageFields());
    fill(formats, FORMATS[type].map(formatBox));
    const chain = fields.querySelector("select");
    if (chain) chain.name = "chain";
  };
  draw();
  const send = async (form) => {
    const body = { type, formats: form.getAll("formats"), language: language() };
    if (type === "usage") Object.assign(body, { from: form.get("from"), to: form.get("to") });
    else
      Object.assign(body, {
        days: Number(form.get("days")),
        token: form.get("token"),
        address: form.get("address"),
        chain: form.get("chain"),
        sample: form.get("sample") === "on",
        insight: form.get("insight") === "on",
      });
    const headers = { "idempotency-key": crypto.getRandomValues(new BigUint64Array(2)).join("-") };
    done(await ask("/v1/reports", { method: "POST", body, headers }));
  };
  dialog(t("New report"), [kinds, fields, formats], {
    confirm: t("Queue it"),
    send,
  });
}

export function mount(main) {
  const add = h(
    "button",
    { type: "button", class: "button primary", click: () => newJob(added), data: { key: "new-report" } },
    t("New report"),
  );
  const body = h("div", {});
  const list = h("div", {});
  const followed = new Map();
  const places = new Map();
  fill(main, h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Report jobs")), add), body);

  const load = loader(body, {
    get: (signal) => ask("/v1/reports?limit=50", { signal }),
    show(found, room) {
      fill(room, panel(t("Queue and results"), { wide: true, name: "jobs" }, list));
      const jobs = found.reports || found.data || found.jobs || [];
      fill(list);
      places.clear();
      for (const job of jobs) put(job, "append");
      if (!jobs.length)
        fill(
          list,
          h("p", { class: "nothing" }, t("No jobs yet. The sample report needs no network and no provider key.")),
        );
    },
  });

  function put(job, where) {
    let place = places.get(job.id);
    if (!place) {
      place = h("article", { class: "job", data: { job: job.id }, "aria-label": title(job) });
      places.set(job.id, place);
      list.querySelector(".nothing")?.remove();
      list[where](place);
    }
    fill(place, jobView(job, act));
    place.dataset.status = job.status;
    if (!ENDED.has(job.status) && !followed.has(job.id)) watch(job);
  }

  function watch(job) {
    followed.set(
      job.id,
      follow(`/v1/reports/${encodeURIComponent(job.id)}/events`, {
        onEvent: (next) => next.id && put(next, "prepend"),
        last: (next) => ENDED.has(next.status),
      }),
    );
  }

  function added(job) {
    put(job, "prepend");
    toast(t("Queued."));
  }

  async function act(verb, job) {
    const path = `/v1/reports/${encodeURIComponent(job.id)}`;
    try {
      if (verb === "cancel") {
        const next = await ask(`${path}/cancel`, { method: "POST" });
        if (next && next.id) put(next, "prepend");
      } else {
        await ask(path, { method: "DELETE" });
        places.get(job.id)?.remove();
        places.delete(job.id);
      }
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  load.run();
  return {
    dispose() {
      load.dispose();
      for (const stop of followed.values()) stop();
    },
  };
}
