// The dashboard: what is shown where, and who may see it.

import { html, render, useEffect, useState } from "../static/vendor/preact.min.js";
import { get, key, onRefused, setKey } from "./api.js";
import { Icon } from "./icons.js";
import { JobPage } from "./job.js";
import { Jobs } from "./jobs.js";
import { Keys } from "./keys.js";
import { Login } from "./login.js";
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
const LOOK_EVERY_MS = 10000;
const LOOK_SOON_MS = 400;

function place() {
  const [page, ...rest] = location.hash.replace(/^#\//, "").split("/");
  return { page: page || "jobs", id: decodeURIComponent(rest.join("/")) };
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
  const label = isDark ? "Light colours" : "Dark colours";
  return html`<button type="button" class="plain icon" onClick=${change} aria-label=${label} title=${label}><${Icon} name=${isDark ? "sun" : "moon"} /></button>`;
}

/** Draw anew on every change, and follow what the server can carry: at once after jobs changed, else now and then. */
function useFollowing(server, setServer) {
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!server) return undefined;
    let soon = 0;
    const look = () => {
      clearTimeout(soon);
      soon = 0;
      // What it last said stays where it cannot be reached; the stream's state says so.
      if (!document.hidden) get("server").then(setServer, () => {});
    };
    const stop = listen((kind) => {
      redraw((n) => n + 1);
      if (kind === "job" || kind === "state") soon ||= setTimeout(look, LOOK_SOON_MS);
    });
    const timer = setInterval(look, LOOK_EVERY_MS);
    const end = begin();
    return () => {
      clearTimeout(soon);
      clearInterval(timer);
      stop();
      end();
    };
  }, [Boolean(server)]);
}

function Top({ shown }) {
  return html`<header class="top">
    <a class="brand" href="#/jobs"><img src="static/icon.svg" alt="" width="22" height="22" />Egress</a>
    <nav aria-label="Pages">
      ${PAGES.map(([name, title]) => html`<a href="#/${name}" aria-current=${name === shown ? "page" : null}>${title}</a>`)}
    </nav>
    <span class="online ${online() ? "yes" : "no"}" role="status">${online() ? "connected" : "connecting…"}</span>
    <${Theme} />
    ${key() && html`<button type="button" class="plain" onClick=${() => { setKey(""); location.reload(); }}>Leave</button>`}
  </header>`;
}

function App() {
  const [where, go] = useState(place());
  const [server, setServer] = useState(null);
  const [error, setError] = useState(null);
  const enter = async (given) => {
    if (given !== undefined) setKey(given);
    const brought = key();
    try {
      const found = await get("server");
      setError(null);
      setServer(found);
    } catch (refused) {
      // What let nobody in is not kept, lest the next page tries it again.
      if (given !== undefined || refused.status === 401) setKey("");
      setServer(null);
      setError({ ...refused, message: refused.message, nobody: !brought });
    }
  };
  useEffect(() => {
    const moved = () => go(place());
    const deaf = onRefused((refused) => {
      const nobody = !key();
      setServer(null);
      // What is still asked without a key says nothing of why the last one was refused.
      setError((before) => (nobody && before) || { ...refused, message: refused.message, nobody });
      setKey("");
    });
    addEventListener("hashchange", moved);
    enter();
    return () => {
      deaf();
      removeEventListener("hashchange", moved);
    };
  }, []);
  useFollowing(server, setServer);
  const [shown, title, Page] = PAGES.find(([name]) => name === where.page) || PAGES[0];
  useEffect(() => {
    const tab = document.querySelector(".top nav [aria-current]");
    if (tab) tab.scrollIntoView({ block: "nearest", inline: "center" });
    document.title = `${where.id ? `${where.id} · ` : ""}${title} · Egress`;
  }, [title, where.id, Boolean(server)]);
  if (!server) {
    if (!error) return html`<p class="loading">Loading…</p>`;
    if ([401, 403, 429].includes(error.status)) return html`<${Login} error=${error.nobody ? null : error} enter=${enter} />`;
    return html`<main class="login"><h1>Egress</h1><${Problem} error=${error} />
      <button type="button" onClick=${() => enter()}>Try again</button></main>`;
  }
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main").focus(); }}>To the content</a>
    <${Top} shown=${shown} />
    ${server.draining && html`<p class="banner wide" role="status">This server is draining: it takes no more jobs.</p>`}
    <main id="main" tabindex="-1">
      ${shown === "jobs" && where.id
        ? html`<${JobPage} server=${server} id=${where.id} key=${where.id} />`
        : html`<${Page} server=${server} id=${where.id} key=${shown} />`}
    </main>`;
}

document.getElementById("app").replaceChildren();
render(html`<${App} />`, document.getElementById("app"));
