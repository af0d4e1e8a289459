// The API as the dashboard uses it: one place for the key, for errors, and for the stream of events.

const BASE = new URL("api/v1/", document.baseURI);
const KEY = "egress-key";
/** Longer than the server is ever silent: it sends a comment every 15 s. */
const IDLE_MS = 45000;
const WAIT_MS = [500, 10000];

/** Pictures asked for at once: some are long in the making, and a browser has six connections for all there is. */
const MOST_PICTURES = 2;

const refused = new Set();
const turns = [];
let pictures = 0;

/** What the API refused, in its own words: `code`, `message`, `details` [{field, message}], `blame`. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.message || `the server answered ${status}`);
    this.status = status;
    this.code = body.code || "";
    this.details = body.details || [];
    this.blame = body.blame || "";
  }
}

export function key() {
  return sessionStorage.getItem(KEY) || "";
}

export function setKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Hear when the server no longer takes the key, or wants one: `listener(error)`. Returns a function that ends it.
 *
 * It is told once of each key, though many requests may have brought it. */
export function onRefused(listener) {
  refused.add(listener);
  return () => refused.delete(listener);
}

/** The error of an answer; those who listen hear that nobody may come in with what was `brought`, the key of then. */
function refusal(status, body, brought) {
  const error = new ApiError(status, body);
  error.stale = brought !== key();
  if (status === 401 && !error.stale) for (const listener of refused) listener(error);
  return error;
}

function headers(more = {}) {
  return key() ? { Authorization: `Bearer ${key()}`, ...more } : more;
}

export function address(path) {
  return new URL(path.replace(/^\//, ""), path.startsWith("/") ? document.baseURI : BASE).href;
}

/** The answer to a request; raises ApiError. `body` is sent as JSON unless it is text. */
export async function call(method, path, body, more = {}) {
  const text = typeof body === "string";
  const brought = key();
  let response;
  try {
    response = await fetch(address(path), {
      method,
      headers: headers({
        ...(body === undefined ? {} : { "Content-Type": text ? "application/yaml" : "application/json" }),
        ...more,
      }),
      body: body === undefined ? undefined : text ? body : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, { message: "the server cannot be reached" });
  }
  const kind = response.headers.get("Content-Type") || "";
  const answer = kind.includes("json") ? await response.json() : await response.text();
  if (!response.ok) throw refusal(response.status, typeof answer === "object" ? answer : { message: answer }, brought);
  return answer;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}, more) => call("POST", path, body, more);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

/** A picture behind the key, as an address an <img> can show; the caller revokes it. `signal` gives up. */
export async function picture(path, signal) {
  if (pictures < MOST_PICTURES) pictures += 1;
  else await new Promise((go) => turns.push(go));
  try {
    const brought = key();
    const response = await fetch(address(path), { headers: headers(), signal });
    if (!response.ok) throw refusal(response.status, {}, brought);
    return URL.createObjectURL(await response.blob());
  } finally {
    const next = turns.shift();
    if (next) next();
    else pictures -= 1;
  }
}

/** A token for `rooms` (patterns): `kind` is whip, to publish, or playback, to watch. */
export async function mint(kind, rooms, hours) {
  return (await post("tokens", { kind, rooms, for: `${hours}h` })).token;
}

/**
 * Follow the server's events for ever: `take(kind, data)` for each, `state(connected)` when that changes.
 * A stream that is silent for `idle` ms is dead and begun anew; one the key is not good for any more is given up.
 * EventSource can send no key, so the stream is read by fetch. Returns a function that ends it.
 */
export function follow(take, state, idle = IDLE_MS) {
  let last = "";
  let [wait, longest] = WAIT_MS;
  let control = new AbortController();
  let over = false;
  const read = async () => {
    control = new AbortController();
    let silence = setTimeout(() => control.abort(), idle);
    try {
      const brought = key();
      const response = await fetch(address("events"), {
        headers: headers({ Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) }),
        signal: control.signal,
        cache: "no-store",
      });
      if (!response.ok) throw refusal(response.status, {}, brought);
      state(true);
      wait = WAIT_MS[0];
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => control.abort(), idle);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) last = tell(block, take) || last;
      }
    } finally {
      clearTimeout(silence);
    }
  };
  (async () => {
    while (!over) {
      try {
        await read();
      } catch (error) {
        over ||= (error.status === 401 || error.status === 403) && !error.stale;
      }
      state(false);
      if (over) return;
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, longest);
    }
  })();
  return () => {
    over = true;
    control.abort();
  };
}

/** Hand on one event of a stream, as the HTML Living Standard has it (9.2.6); gives its id. */
function tell(block, take) {
  let kind = "message";
  let id = "";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) kind = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
    else if (line.startsWith("id:")) id = line.slice(3).trim();
  }
  if (data.length) take(kind, JSON.parse(data.join("\n")));
  return id;
}
