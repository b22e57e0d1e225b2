// The playground: talk to a model through the gateway and read the receipt: tokens, cost, route and tools.
import { ask, open } from "../api.js";
import { field, select } from "../controls.js";
import { fill, h } from "../dom.js";
import { panel } from "../figure.js";
import { t } from "../i18n.js";
import { loader } from "../load.js";
import { command } from "../states.js";
import { events } from "../stream.js";
import { receipt } from "./receipt.js";

const SESSION = "playground";

function toolList(tools) {
  if (!tools.length) return h("p", { class: "dim small" }, t("No tools are registered."));
  return h(
    "fieldset",
    { class: "tool-list" },
    h("legend", { class: "unseen" }, t("Tools")),
    tools.map((one) =>
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", name: "tools", value: one.name }),
        h("span", {}, h("span", { class: "mono" }, one.name), h("br"), h("span", { class: "dim" }, one.description)),
      ),
    ),
  );
}

function curl(body) {
  const origin = new URL("../", location.href).origin;
  return `curl -N ${origin}/v1/chat/completions \\\n  -H "authorization: Bearer $TOLLWAY_KEY" \\\n  -H "content-type: application/json" \\\n  -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`;
}

function desk(models, tools) {
  const messages = [];
  let running = null;
  const talk = h(
    "div",
    { class: "talk", role: "log", "aria-label": t("Conversation"), tabindex: "0" },
    h("p", { class: "nothing" }, t("Say something: the answer streams in, and its receipt stands below it.")),
  );
  const text = h("textarea", {
    name: "text",
    rows: 3,
    required: true,
    placeholder: t("Your message"),
    "aria-label": t("Your message"),
    data: { key: "message" },
  });
  const send = h("button", { class: "button primary", type: "submit", data: { key: "send" } }, t("Send"));
  const stop = h(
    "button",
    { class: "button", type: "button", hidden: true, click: () => running && running.abort() },
    t("Stop"),
  );
  const clear = h(
    "button",
    {
      class: "quiet",
      type: "button",
      click: () => {
        messages.length = 0;
        fill(talk);
      },
    },
    t("Start over"),
  );
  const composer = h(
    "form",
    { class: "composer" },
    text,
    h("div", { class: "form-foot" }, send, stop, clear, h("span", { class: "dim small" }, t("Ctrl+Enter sends"))),
  );
  const picker = select(
    t("Model"),
    models.map((one) => [one, one]),
    models[0],
    () => undefined,
  );
  const shown = h("div", {});
  const settings = h(
    "form",
    { class: "settings" },
    picker,
    field(t("System prompt"), { name: "system", rows: 3 }),
    field(t("Temperature"), { name: "temperature", type: "number", min: 0, max: 2, step: 0.1 }),
    field(t("Most tokens"), { name: "max_tokens", type: "number", min: 1 }),
    h("div", { class: "settings" }, h("h3", {}, t("Tools")), toolList(tools)),
    h(
      "button",
      {
        type: "button",
        class: "quiet",
        click: () =>
          fill(shown, command(curl(request([...messages, { role: "user", content: text.value || "…" }])), "curl")),
      },
      t("Show as curl"),
    ),
    shown,
  );

  function request(all) {
    const form = new FormData(settings);
    const system = form.get("system").trim();
    const body = {
      model: picker.querySelector("select").value,
      messages: system ? [{ role: "system", content: system }, ...all] : [...all],
      stream: true,
      stream_options: { include_usage: true },
    };
    for (const name of ["temperature", "max_tokens"]) if (form.get(name)) body[name] = Number(form.get(name));
    if (form.getAll("tools").length) body.tollway = { tools: form.getAll("tools"), function: SESSION };
    else body.tollway = { function: SESSION };
    return body;
  }

  function turn(role, name) {
    const said = h("div", { class: "said" });
    const foot = h("div", {});
    talk.querySelector(".nothing")?.remove();
    talk.append(h("article", { class: `turn ${role}` }, h("div", { class: "who" }, name), said, foot));
    return { said, foot };
  }

  async function answer() {
    const body = request(messages);
    const place = turn("assistant", body.model);
    running = new AbortController();
    busy(true);
    const began = performance.now();
    const found = { text: "", usage: null, headers: null, first: null, finish: null };
    try {
      const response = await open("/v1/chat/completions", {
        method: "POST",
        body,
        headers: { accept: "text/event-stream" },
        signal: running.signal,
      });
      found.headers = response.headers;
      for await (const event of events(response)) {
        if (!event.data || event.data === "[DONE]") continue;
        const chunk = JSON.parse(event.data);
        if (chunk.error) throw new Error(chunk.error.message);
        found.usage = chunk.usage || found.usage;
        const choice = chunk.choices && chunk.choices[0];
        if (choice && choice.finish_reason) found.finish = choice.finish_reason;
        if (!choice || !choice.delta || !choice.delta.content) continue;
        found.first ??= performance.now() - began;
        found.text += choice.delta.content;
        place.said.textContent = found.text;
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        place.said.classList.add("failed");
        place.said.append(h("p", { class: "problem", role: "alert" }, error.message));
      }
    }
    if (found.text) messages.push({ role: "assistant", content: found.text });
    found.whole = performance.now() - began;
    busy(false);
    if (found.headers) await receipt(place.foot, found);
  }

  function busy(on) {
    send.disabled = on;
    stop.hidden = !on;
    talk.setAttribute("aria-busy", String(on));
    if (!on) text.focus({ preventScroll: true });
  }

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    const said = text.value.trim();
    if (!said || send.disabled) return;
    messages.push({ role: "user", content: said });
    turn("user", t("You")).said.textContent = said;
    text.value = "";
    answer();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) composer.requestSubmit();
  });
  settings.addEventListener("submit", (event) => event.preventDefault());
  const element = h(
    "div",
    { class: "play" },
    panel(t("Conversation"), { name: "talk" }, talk, composer),
    panel(t("Settings"), { name: "settings" }, settings),
  );
  return { element, dispose: () => running && running.abort() };
}

export function mount(main) {
  const body = h("div", {});
  let made = null;
  fill(main, h("header", { class: "screen-head" }, h("h1", { tabindex: "-1" }, t("Playground"))), body);
  const load = loader(body, {
    async get(signal) {
      const models = await ask("/v1/models", { signal });
      const tools = await ask("/api/tools", { signal }).catch(() => ({ tools: [] }));
      return { models: models.data.map((one) => one.id), tools: tools.tools || [] };
    },
    show(found, room) {
      const names = found.models.includes("auto") ? found.models : ["auto", ...found.models];
      made = desk(names, found.tools);
      fill(room, made.element);
    },
  });
  load.run();
  return {
    dispose: () => {
      load.dispose();
      if (made) made.dispose();
    },
  };
}
