// Server-sent events over fetch, because EventSource cannot carry a token in a header: a reader, and a follower that
// reconnects where it left off.
import { ApiError, open } from "./api.js";

export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const blocks = rest.split(/\r\n\r\n|\n\n|\r\r/);
      rest = blocks.pop();
      for (const block of blocks) yield parse(block);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

function parse(block) {
  const event = { event: "message", data: "", id: undefined, retry: undefined };
  const data = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") event.event = value;
    else if (field === "id") event.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) event.retry = Number(value);
  }
  event.data = data.join("\n");
  return event;
}

const SILENCE_MS = 30000;
const LONGEST_MS = 30000;

// Calls onEvent with every parsed data object and onState with "live", "waiting" or "refused"; returns a stop function.
// `last` says of one object whether the server will end the stream after it.
export function follow(path, { onEvent, onState = () => undefined, last = () => false }) {
  const control = new AbortController();
  let lastId = "";
  let pause = 1000;
  let finished = false;

  async function once() {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    control.signal.addEventListener("abort", stop);
    let watchdog = setTimeout(stop, SILENCE_MS);
    try {
      const headers = { accept: "text/event-stream" };
      if (lastId) headers["last-event-id"] = lastId;
      const response = await open(path, { headers, signal: attempt.signal });
      onState("live");
      for await (const event of events(response)) {
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, SILENCE_MS);
        if (event.id !== undefined) lastId = event.id;
        pause = event.retry || 1000;
        if (!event.data) continue;
        const data = JSON.parse(event.data);
        finished = last(data);
        onEvent(data);
        if (finished) return;
      }
    } finally {
      clearTimeout(watchdog);
      control.signal.removeEventListener("abort", stop);
    }
  }

  async function run() {
    while (!control.signal.aborted && !finished) {
      try {
        await once();
      } catch (error) {
        if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
          onState("refused");
          return;
        }
      }
      if (control.signal.aborted || finished) return;
      onState("waiting");
      await new Promise((wake) => setTimeout(wake, pause));
      pause = Math.min(pause * 2, LONGEST_MS);
    }
  }

  run();
  return () => control.abort();
}
