// Speaking to the services on our own origin. The token lives here and travels in a header, never in an address.

import { t } from "./i18n.js";

const BASE = new URL("../", location.href);
const STORE = "tollway.token";
let token = recall();

function recall() {
  try {
    return sessionStorage.getItem(STORE) || "";
  } catch {
    return "";
  }
}

export class ApiError extends Error {
  constructor(status, message, path = "") {
    super(message);
    this.status = status;
    this.path = path;
  }
}

export function signIn(value, keep) {
  token = value;
  try {
    if (keep) sessionStorage.setItem(STORE, value);
    else sessionStorage.removeItem(STORE);
  } catch {
    // Without storage the token lasts as long as the page.
  }
}

export function signOut() {
  signIn("", false);
}

export function signedIn() {
  return token !== "";
}

export function addressOf(path) {
  return new URL(path.replace(/^\//, ""), BASE);
}

const KINDS = {
  400: "The request is not valid.",
  403: "This key may not do that.",
  404: "There is nothing here.",
  409: "The request contradicts what is already there.",
  422: "A value of the request is out of range.",
  500: "Tollway made a mistake; the request id names it in the log.",
  503: "A part of Tollway cannot be reached right now; try again.",
};

// A service's sentence in the page's language; one the page does not know keeps its words behind what kind it is.
export function translated(sentence, status) {
  const known = t(sentence);
  const kind = KINDS[status] && t(KINDS[status]);
  if (known !== sentence || !kind || kind === KINDS[status]) return known;
  return t("{kind} ({detail})", { kind: kind.replace(/。$/, ""), detail: sentence });
}

function explain(body, status) {
  const detail = body && (body.detail ?? body.error ?? body.message);
  if (typeof detail === "string") return translated(detail, status);
  if (Array.isArray(detail)) return detail.map((one) => `${(one.loc || []).join(".")}: ${one.msg}`).join("; ");
  if (detail && detail.message) return translated(detail.message, status);
  return `HTTP ${status}`;
}

async function refuse(response, path) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  return new ApiError(response.status, explain(body, response.status), path);
}

const AGAIN_MS = 300;

// A network that changes under a page cuts what is on its way: a question is asked once more, a deed never is.
async function send(path, options) {
  try {
    return await fetch(addressOf(path), options);
  } catch (error) {
    if (options.method !== "GET" || error.name === "AbortError") throw error;
  }
  await new Promise((wake) => setTimeout(wake, AGAIN_MS));
  return fetch(addressOf(path), options);
}

// The raw answer; throws ApiError for everything that is not a success. Status 0 means nobody answered.
export async function open(path, { method = "GET", body, headers = {}, signal } = {}) {
  const all = { accept: "application/json", ...headers };
  if (token) all.authorization = `Bearer ${token}`;
  if (body !== undefined) all["content-type"] = "application/json";
  const options = { method, headers: all, signal, cache: "no-store", credentials: "omit" };
  if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  try {
    response = await send(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, error.message, path);
  }
  if (!response.ok) throw await refuse(response, path);
  return response;
}

export async function ask(path, options) {
  const response = await open(path, options);
  if (response.status === 204) return null;
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

export async function download(path) {
  const response = await open(path, { headers: { accept: "*/*" } });
  return response.blob();
}

export function query(path, values) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") pairs.append(name, one);
    }
  }
  const text = pairs.toString();
  return text ? `${path}?${text}` : path;
}
