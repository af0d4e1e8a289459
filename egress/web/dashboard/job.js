// One job: what it shows now, how it fares, and what can be said to it.

import { html, useEffect, useState } from "../static/vendor/preact.min.js";
import { address, get, post, put, remove } from "./api.js";
import { bytes, rate, running, span, when } from "./format.js";
import { Player } from "./player.js";
import { figuresOf, one, remember } from "./store.js";
import { Action, Empty, Graph, Picture, Problem, State, useLoad } from "./widgets.js";

const LAYOUTS = ["grid", "speaker", "screen", "spotlight", "columns", "pip"];

export function JobPage({ id }) {
  const path = `jobs/${encodeURIComponent(id)}`;
  const [, error] = useLoad(async () => remember(await get(path)), [id]);
  const job = one(id);
  if (error) return html`<${Problem} error=${error} />`;
  if (!job) return html`<p class="loading">Loading…</p>`;
  const live = running(job);
  return html`
    <div class="heading">
      <h1>${job.room_name || job.room}</h1>
      <${State} state=${job.state} />
      ${live && html`
        ${job.figures && job.figures.paused
          ? html`<${Action} label="Resume" act=${() => post(`${path}/resume`)} />`
          : html`<${Action} label="Pause" act=${() => post(`${path}/pause`)} />`}
        <${Action} label="Stop" confirm="Stop it now?" kind="danger" disabled=${job.state === "stopping"} act=${() => post(`${path}/stop`)} />`}
    </div>
    ${!live && job.reason && html`<p class="quiet">${job.reason}${job.blame ? ` (${job.blame})` : ""}</p>`}
    <div class="columns">
      <section class="wide">
        ${live && job.live ? html`<${Player} source=${address(`${job.live.url}index.m3u8`)} live />` : live
          ? html`<div class="player"><${Picture} path="${path}/thumbnail" alt="The picture a moment ago" every=${5000} /></div>` : null}
        ${live && html`<${Graphs} id=${id} job=${job} />`}
        ${!live && html`<${Artifacts} path=${path} />`}
        <${Events} path=${path} state=${job.state} />
      </section>
      <aside>
        ${live && html`<${Layouts} path=${path} />`}
        ${live && html`<${Destinations} path=${path} job=${job} />`}
        ${live && html`<${Say} path=${path} />`}
        <${About} job=${job} />
        ${!live && html`<${Action} label="Delete this job and its files" confirm="Delete for good?" kind="danger"
          act=${() => remove(`${path}?artifacts=true`)} done=${() => { location.hash = "#/recordings"; }} />`}
      </aside>
    </div>`;
}

function Graphs({ id, job }) {
  const past = figuresOf(id);
  const last = past.at(-1) || {};
  const list = (name) => past.map((figures) => figures[name]);
  const figures = job.figures || {};
  return html`<div class="graphs">
    <${Graph} label="Pictures" values=${list("fps")} text=${last.fps ? `${last.fps.toFixed(1)}/s` : "–"} most=${30} />
    <${Graph} label="Encoded" values=${list("bitrate")} text=${rate(last.bitrate)} />
    <${Graph} label="Lost pictures" values=${list("lost")} text=${`${(figures.late || 0) + (figures.repeated || 0)}`} most=${1} />
    <${Graph} label="CPU" values=${list("cpu")} text=${last.cpu ? `${last.cpu.toFixed(0)} %` : "–"} most=${100} />
  </div>`;
}

function Layouts({ path }) {
  const [state, say] = useState({ chosen: "", error: null });
  const choose = async (layout) => {
    try {
      await put(`${path}/layout`, { layout });
      say({ chosen: layout, error: null });
    } catch (error) {
      say({ ...state, error });
    }
  };
  return html`<section class="panel"><h2>Layout</h2>
    <div class="layouts" role="group" aria-label="Layout">
      ${LAYOUTS.map((layout) => html`<button type="button" aria-pressed=${state.chosen === layout} onClick=${() => choose(layout)}>
        <${Sketch} layout=${layout} />${layout}</button>`)}
    </div>
    <${Problem} error=${state.error} />
  </section>`;
}

const SKETCHES = {
  grid: [[1, 1, 22, 14], [25, 1, 22, 14], [1, 17, 22, 14], [25, 17, 22, 14]],
  speaker: [[1, 1, 46, 20], [1, 23, 14, 8], [17, 23, 14, 8], [33, 23, 14, 8]],
  screen: [[1, 1, 34, 30], [37, 1, 10, 9], [37, 12, 10, 9], [37, 23, 10, 8]],
  spotlight: [[1, 1, 46, 30]],
  columns: [[1, 1, 14, 30], [17, 1, 14, 30], [33, 1, 14, 30]],
  pip: [[1, 1, 46, 30], [31, 20, 14, 9]],
};

function Sketch({ layout }) {
  return html`<svg viewBox="0 0 48 32" aria-hidden="true">
    ${SKETCHES[layout].map(([x, y, w, h], n) => html`<rect x=${x} y=${y} width=${w} height=${h} rx="1.5" class=${n && layout === "pip" ? "front" : ""} />`)}
  </svg>`;
}

function Destinations({ path, job }) {
  const [to, set] = useState("");
  const add = () => post(`${path}/destinations`, { to: to.trim() });
  return html`<section class="panel"><h2>Destinations</h2>
    ${(job.destinations || []).length === 0 && html`<p class="quiet">Streamed to nobody else.</p>`}
    <ul class="plainlist">${(job.destinations || []).map((d) => html`<li key=${d.name}>
      <b>${d.name}</b> <span class="state ${d.state}">${d.state}</span>
      <span class="quiet">${bytes(d.bytes)}${d.bitrate ? ` · ${rate(d.bitrate)}` : ""}${d.retries ? ` · ${d.retries} retries` : ""}</span>
      ${d.reason && html`<small class="bad">${d.reason}</small>`}
      <${Action} label="Remove" confirm="Stop streaming to it?" act=${() => remove(`${path}/destinations/${encodeURIComponent(d.name)}`)} />
    </li>`)}</ul>
    <form class="row" onSubmit=${(e) => e.preventDefault()}>
      <input aria-label="Address to stream to" placeholder="rtmp://HOST/APP/KEY" value=${to} onInput=${(e) => set(e.target.value)} spellcheck=${false} />
      <${Action} label="Add" disabled=${!to.trim()} act=${add} done=${() => set("")} />
    </form>
  </section>`;
}

function Say({ path }) {
  const [title, setTitle] = useState("");
  const [mark, setMark] = useState("");
  return html`<section class="panel"><h2>Say</h2>
    <form class="row" onSubmit=${(e) => e.preventDefault()}>
      <input aria-label="Title in the picture" placeholder="Title in the picture" value=${title} onInput=${(e) => setTitle(e.target.value)} />
      <${Action} label="Show" act=${() => put(`${path}/title`, { text: title })} />
    </form>
    <form class="row" onSubmit=${(e) => e.preventDefault()}>
      <input aria-label="Chapter" placeholder="Chapter" value=${mark} onInput=${(e) => setMark(e.target.value)} />
      <${Action} label="Mark" disabled=${!mark} act=${() => post(`${path}/marks`, { text: mark })} done=${() => setMark("")} />
    </form>
  </section>`;
}

function About({ job }) {
  const rows = [
    ["Room", job.room], ["Pipeline", job.pipeline], ["Template", job.template], ["Started by", job.trigger],
    ["Started", when(job.started)], ["Ended", job.ended ? when(job.ended) : ""], ["Length", job.ended ? span(job.duration) : ""],
    ["Attempts", job.attempts > 1 ? String(job.attempts) : ""],
    ...Object.entries(job.metadata || {}),
  ].filter(([, value]) => value);
  const links = [
    job.live && ["Watch", job.live.url], job.links && job.links.publish && ["Publish", job.links.publish],
  ].filter(Boolean);
  return html`<section class="panel"><h2>About</h2>
    <dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}<dt>Job</dt><dd><code>${job.id}</code></dd></dl>
    ${links.length > 0 && html`<p>${links.map(([name, to]) => html`<a href=${to.replace(/^\//, "")} target="_blank" rel="noopener">${name} ↗</a> `)}</p>`}
  </section>`;
}

export function Artifacts({ path }) {
  const [page, error] = useLoad(() => get(`${path}/artifacts`), [path]);
  if (error) return html`<${Problem} error=${error} />`;
  if (!page) return null;
  if (page.items.length === 0) return html`<${Empty} title="Nothing was made" />`;
  const shown = page.items.find((a) => a.url && ["mp4", "hls", "webm", "audio"].includes(a.kind));
  return html`
    ${shown && html`<${Player} source=${address(shown.url)} chapters=${(shown.details && shown.details.chapters) || []} />`}
    <table><thead><tr><th>What</th><th>Size</th><th>Length</th><th></th></tr></thead><tbody>
      ${page.items.map((a) => html`<tr key=${a.id}><td><b>${a.kind}</b> <span class="quiet">${a.location}</span></td>
        <td>${bytes(a.size)}</td><td>${span(a.duration)}</td>
        <td>${a.url && html`<a href=${address(a.url)} download>Download</a>`}</td></tr>`)}
    </tbody></table>`;
}

function Events({ path, state }) {
  const [page, , again] = useLoad(() => get(`${path}/events?limit=100`), [path, state]);
  useEffect(() => {
    const timer = setInterval(again, 5000);
    return () => clearInterval(timer);
  }, [path]);
  if (!page || page.items.length === 0) return null;
  return html`<details class="panel" open=${state !== "running"}><summary>What happened</summary>
    <ol class="events">${[...page.items].reverse().map((e) => html`<li key=${e.seq}><time>${when(e.at)}</time> ${told(e)}</li>`)}</ol>
  </details>`;
}

function told({ type, body }) {
  switch (type) {
    case "room": return `${body.peer || "the connection"} ${body.event}${body.track ? ` (${body.track})` : ""}`;
    case "destination": return `${body.to} is ${body.state}${body.reason ? `: ${body.reason}` : ""}`;
    case "state": return `${body.state}${body.reason ? `: ${body.reason}` : ""}`;
    case "warning": return body.message;
    case "control": return `${body.command}: ${body.message}`;
    case "pause": return body.paused ? "paused" : "resumed";
    default: return `${type} ${body.state || body.message || ""}`;
  }
}
