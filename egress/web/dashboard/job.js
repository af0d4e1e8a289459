// One job: what it shows now, how it fares, and what can be said to it.

import { html, useState } from "../static/vendor/preact.min.js";
import { address, get, post, put, remove } from "./api.js";
import { bytes, many, rate, running, span, when } from "./format.js";
import { Graphs, Strain } from "./graphs.js";
import { Log } from "./log.js";
import { Player } from "./player.js";
import { era, one, remember } from "./store.js";
import { Happened } from "./telling.js";
import { Publish, Watch, watchAt } from "./ways.js";
import { Action, Empty, Picture, Problem, State, Table, useLoad } from "./widgets.js";

const LAYOUTS = ["grid", "speaker", "screen", "spotlight", "columns", "pip"];

export function JobPage({ server, id }) {
  const path = `jobs/${encodeURIComponent(id)}`;
  const [, error] = useLoad(async () => remember(await get(path)), [id, era()]);
  const job = one(id);
  if (!job) return error ? html`<${Problem} error=${error} />` : html`<p class="loading">Loading…</p>`;
  const live = running(job);
  return html`
    <div class="heading">
      <h1>${job.room_name || job.room}</h1>
      <${State} state=${job.state} paused=${job.paused} />
      ${live && html`<${Now} job=${job} />`}
      ${live && html`<div class="controls">
        ${job.live && html`<${Watch} server=${server} job=${job} />`}
        ${job.links.publish && html`<${Publish} server=${server} room=${job.room_name} />`}
        ${job.paused
          ? html`<${Action} key="resume" label="Resume" kind="main" act=${() => post(`${path}/resume`)} />`
          : html`<${Action} key="pause" label="Pause" disabled=${job.state !== "running"} act=${() => post(`${path}/pause`)} />`}
        <${Action} label="Stop" confirm="Stop it now?" kind="danger" disabled=${job.state === "stopping"}
          act=${() => post(`${path}/stop`)} done=${(answer) => remember(answer)} />
      </div>`}
    </div>
    ${job.paused && live && html`<p class="banner warn" role="status">Paused: nothing is recorded, and who watches live sees a card.</p>`}
    ${live && html`<${Strain} job=${job} />`}
    ${!live && job.reason && html`<p class=${job.state === "finished" ? "quiet" : "problem"}>${ended(job)}</p>`}
    <div class="columns">
      <section class="wide">
        ${live && job.live ? html`<${Player} name=${job.id} source=${async (anew) => `${await watchAt(server, job, anew)}index.m3u8`} live />` : live
          ? html`<div class="player"><${Picture} path="${path}/thumbnail" alt="The picture a moment ago" every=${5000} /></div>` : null}
        ${live && html`<${Graphs} id=${id} job=${job} />`}
        ${!live && html`<${Artifacts} path=${path} />`}
        <${Happened} id=${id} />
        <${Log} path=${path} />
      </section>
      <aside>
        ${live && html`<${Layouts} path=${path} job=${job} />`}
        ${live && html`<${Destinations} path=${path} job=${job} />`}
        ${live && html`<${Say} path=${path} />`}
        <${About} job=${job} />
        ${!live && html`<${Action} label="Delete this job and its files" confirm="Delete for good?" kind="danger"
          act=${() => remove(`${path}?artifacts=true`)} done=${() => { location.hash = "#/recordings"; }} />`}
      </aside>
    </div>`;
}

const BLAMED = { request: "what was asked for", room: "the room", destination: "where it streams to", us: "Egress itself" };

function ended(job) {
  const blame = job.blame ? ` (the cause is ${BLAMED[job.blame] || job.blame})` : "";
  return `${job.reason[0].toUpperCase()}${job.reason.slice(1)}${blame}`;
}

function Now({ job }) {
  const figures = job.figures || {};
  return html`<span class="quiet">${span(figures.elapsed)} · ${figures.participants ?? 0} in the room${job.attempts > 1 ? ` · ${many(job.attempts, "attempt")}` : ""}</span>`;
}

function Layouts({ path, job }) {
  const [error, say] = useState(null);
  const choose = async (layout) => {
    try {
      await put(`${path}/layout`, { layout });
      say(null);
    } catch (refused) {
      say(refused);
    }
  };
  return html`<section class="panel"><h2>Layout</h2>
    <div class="layouts" role="group" aria-label="Layout">
      ${LAYOUTS.map((layout) => html`<button type="button" aria-pressed=${job.layout === layout} onClick=${() => choose(layout)}>
        <${Sketch} layout=${layout} />${layout}</button>`)}
    </div>
    <${Problem} error=${error} />
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

function startedBy({ trigger, caller, schedule }) {
  if (schedule) return "a schedule";
  if (trigger) return trigger.startsWith("whip:") ? "somebody who publishes" : trigger;
  return caller;
}

function About({ job }) {
  const rows = [
    ["Room", job.room], ["Pipeline", job.pipeline], ["Template", job.template], ["Started by", startedBy(job)],
    ["Started", when(job.started)], ["Ended", job.ended ? when(job.ended) : ""], ["Length", job.ended ? span(job.duration) : ""],
    ["Attempts", job.attempts > 1 ? String(job.attempts) : ""], ["WHIP", job.whip ? address(job.whip) : ""],
    ...Object.entries(job.metadata || {}),
  ].filter(([, value]) => value);
  return html`<section class="panel"><h2>About</h2>
    <dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}<dt>Job</dt><dd><code>${job.id}</code></dd></dl>
  </section>`;
}

const KINDS = { mp4: "MP4", hls: "HLS", webm: "WebM", audio: "Sound", tracks: "Tracks", manifest: "Manifest", thumbnails: "Thumbnails", waveform: "Waveform" };

function Artifacts({ path }) {
  const [page, error] = useLoad(() => get(`${path}/artifacts`), [path]);
  if (error) return html`<${Problem} error=${error} />`;
  if (!page) return null;
  if (page.items.length === 0) return html`<${Empty} title="Nothing was made" />`;
  const shown = page.items.find((a) => a.url && ["mp4", "hls", "webm", "audio"].includes(a.kind));
  return html`
    ${shown && html`<${Player} source=${address(shown.url)} chapters=${(shown.details && shown.details.chapters) || []} />`}
    <${Table} heads=${["What", "Size", "Length", ""]} rows=${page.items.map((a) => [a.id, [
      html`<b>${KINDS[a.kind] || a.kind}</b> <small class="quiet path">${a.location}</small>`,
      bytes(a.size), a.duration ? span(a.duration) : "–",
      a.url && html`<a class="button" href=${address(a.url)} download>${a.kind === "hls" ? "Playlist" : "Download"}</a>`,
    ]])} />`;
}
