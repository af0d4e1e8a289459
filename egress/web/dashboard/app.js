// The dashboard: what is shown where, and who may see it.

import { html, render, useEffect, useState } from "../static/vendor/preact.min.js";
import { get, key, setKey } from "./api.js";
import { JobPage } from "./job.js";
import { Jobs } from "./jobs.js";
import { Keys } from "./keys.js";
import { Pipelines } from "./pipelines.js";
import { Recordings } from "./recordings.js";
import { Schedules } from "./schedules.js";
import { begin, listen, online } from "./store.js";
import { Templates } from "./templates.js";
import { Webhooks } from "./webhooks.js";
import { Problem } from "./widgets.js";

const PAGES = [
  ["jobs", "Live", Jobs],
  ["recordings", "Recordings", Recordings],
  ["schedules", "Schedules", Schedules],
  ["templates", "Templates", Templates],
  ["pipelines", "Pipelines", Pipelines],
  ["webhooks", "Webhooks", Webhooks],
  ["keys", "Access", Keys],
];

function place() {
  const [page, ...rest] = location.hash.replace(/^#\//, "").split("/");
  return { page: page || "jobs", id: decodeURIComponent(rest.join("/")) };
}

function Login({ error, enter }) {
  const [value, set] = useState("");
  return html`<main class="login">
    <h1>Egress</h1>
    <p>This server asks who you are. An API key is made by <code>egress keys add NAME</code> on its machine.</p>
    <form onSubmit=${(e) => { e.preventDefault(); enter(value.trim()); }}>
      <label class="field"><span>API key</span>
        <input type="password" autocomplete="current-password" autofocus required value=${value} onInput=${(e) => set(e.target.value)} />
      </label>
      <button class="main">Enter</button>
    </form>
    <${Problem} error=${error} />
  </main>`;
}

function Theme() {
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const [isDark, set] = useState(dark());
  const change = () => {
    const next = isDark ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // It holds until the page is left.
    }
    set(!isDark);
  };
  return html`<button type="button" class="plain" onClick=${change} aria-label=${isDark ? "Light colours" : "Dark colours"}>${isDark ? "☀" : "☾"}</button>`;
}

function App() {
  const [where, go] = useState(place());
  const [server, setServer] = useState(null);
  const [error, setError] = useState(null);
  const [, redraw] = useState(0);
  const enter = async (given) => {
    if (given !== undefined) setKey(given);
    try {
      setServer(await get("server"));
      setError(null);
    } catch (refused) {
      if (refused.status === 401 && key() && given === undefined) setKey("");
      setServer(null);
      setError(refused);
    }
  };
  useEffect(() => {
    const moved = () => go(place());
    addEventListener("hashchange", moved);
    enter();
    return () => removeEventListener("hashchange", moved);
  }, []);
  useEffect(() => {
    if (!server) return undefined;
    let end = null;
    const stop = listen(() => redraw((n) => n + 1));
    begin().then((ended) => { end = ended; }, setError);
    return () => {
      stop();
      if (end) end();
    };
  }, [server && server.version]);
  if (!server) {
    if (error && error.status !== 401) return html`<main class="login"><h1>Egress</h1><${Problem} error=${error} />
      <button type="button" onClick=${() => enter()}>Try again</button></main>`;
    return error ? html`<${Login} error=${key() ? error : null} enter=${enter} />` : html`<p class="loading">Loading…</p>`;
  }
  const shown = PAGES.find(([name]) => name === where.page) || PAGES[0];
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main").focus(); }}>To the content</a>
    <header class="top">
      <a class="brand" href="#/jobs">Egress</a>
      <nav aria-label="Pages">
        ${PAGES.map(([name, title]) => html`<a href="#/${name}" aria-current=${name === shown[0] ? "page" : null}>${title}</a>`)}
      </nav>
      <span class="online ${online() ? "yes" : "no"}" role="status">${online() ? "connected" : "connecting…"}</span>
      <${Theme} />
      ${key() && html`<button type="button" class="plain" onClick=${() => { setKey(""); location.reload(); }}>Leave</button>`}
    </header>
    ${server.draining && html`<p class="banner" role="status">This server is draining: it takes no more jobs.</p>`}
    <main id="main" tabindex="-1">
      ${shown[0] === "jobs" && where.id
        ? html`<${JobPage} id=${where.id} key=${where.id} />`
        : html`<${shown[2]} server=${server} id=${where.id} key=${shown[0]} />`}
    </main>`;
}

document.getElementById("app").replaceChildren();
render(html`<${App} />`, document.getElementById("app"));
