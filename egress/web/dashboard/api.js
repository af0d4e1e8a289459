// The API as the dashboard uses it: one place for the key, for errors, and for the stream of events.

const BASE = new URL("api/v1/", document.baseURI);
const KEY = "egress-key";

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

function headers(more = {}) {
  return key() ? { Authorization: `Bearer ${key()}`, ...more } : more;
}

export function address(path) {
  return new URL(path.replace(/^\//, ""), path.startsWith("/") ? document.baseURI : BASE).href;
}

/** The answer to a request; raises ApiError. `body` is sent as JSON unless it is text. */
export async function call(method, path, body, more = {}) {
  const text = typeof body === "string";
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
  if (!response.ok) throw new ApiError(response.status, typeof answer === "object" ? answer : { message: answer });
  return answer;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}, more) => call("POST", path, body, more);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

/** A picture behind the key, as an address an <img> can show; the caller revokes it. */
export async function picture(path) {
  const response = await fetch(address(path), { headers: headers() });
  if (!response.ok) throw new ApiError(response.status, {});
  return URL.createObjectURL(await response.blob());
}

/**
 * Follow the server's events for ever: `take(kind, data)` for each, `state(connected)` when that changes.
 * EventSource can send no key, so the stream is read by fetch. Returns a function that ends it.
 */
export function follow(take, state) {
  const control = new AbortController();
  let last = "";
  let wait = 500;
  (async () => {
    while (!control.signal.aborted) {
      try {
        const response = await fetch(address("events"), {
          headers: headers({ Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) }),
          signal: control.signal,
        });
        if (!response.ok) throw new ApiError(response.status, {});
        state(true);
        wait = 500;
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          const blocks = (rest + value).split("\n\n");
          rest = blocks.pop();
          for (const block of blocks) {
            let kind = "message";
            const data = [];
            for (const line of block.split("\n")) {
              if (line.startsWith("event:")) kind = line.slice(6).trim();
              else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
              else if (line.startsWith("id:")) last = line.slice(3).trim();
            }
            if (data.length) take(kind, JSON.parse(data.join("\n")));
          }
        }
      } catch {
        if (control.signal.aborted) return;
      }
      state(false);
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, 10000);
    }
  })();
  return () => control.abort();
}
