// What runs: a card for each job, and a way to start one.

import { html, useState } from "../static/vendor/preact.min.js";
import { post } from "./api.js";
import { ago, rate, running, span } from "./format.js";
import { Start } from "./start.js";
import { all, figuresOf, remember } from "./store.js";
import { Action, Empty, Picture, State } from "./widgets.js";

export function Jobs({ server }) {
  const [starting, start] = useState(false);
  const live = all().filter(running);
  const ended = all().filter((job) => !running(job)).slice(0, 8);
  return html`
    <div class="heading">
      <h1>Live</h1>
      <span class="quiet">${live.length === 1 ? "1 job" : `${live.length} jobs`} · capacity ${capacity(server)}</span>
      <button type="button" class="main" onClick=${() => start(true)}>Start a job</button>
    </div>
    ${starting && html`<${Start} close=${() => start(false)} />`}
    ${live.length === 0
      ? html`<${Empty} title="Nothing is live">
          <p>Start a job for a room, or publish into a room of this server: whoever opens
            <a href="publish/studio">publish/studio</a> is recorded and can be watched here.</p>
        <//>`
      : html`<div class="cards">${live.map((job) => html`<${Card} job=${job} key=${job.id} />`)}</div>`}
    ${ended.length > 0 && html`<h2>Ended lately</h2>
      <table><thead><tr><th>Room</th><th>Pipeline</th><th>Ended</th><th>Length</th><th>State</th></tr></thead>
        <tbody>${ended.map((job) => html`<tr key=${job.id}>
          <td><a href="#/jobs/${encodeURIComponent(job.id)}">${job.room_name || job.room}</a></td>
          <td>${job.pipeline}</td><td>${job.ended ? ago(job.ended) : "–"}</td><td>${span(job.duration)}</td>
          <td><${State} state=${job.state} /> <span class="quiet">${job.state === "finished" ? "" : job.reason}</span></td>
        </tr>`)}</tbody></table>`}`;
}

function capacity(server) {
  const { used, total } = server.capacity || {};
  return total ? `${(used || 0).toFixed(1)} of ${total.toFixed(1)} cores` : "not limited";
}

function Card({ job }) {
  const figures = job.figures || {};
  const last = figuresOf(job.id).at(-1) || {};
  const bad = (job.destinations || []).filter((d) => ["failed", "retrying"].includes(d.state)).length;
  return html`<article class="card">
    <a class="thumb" href="#/jobs/${encodeURIComponent(job.id)}" aria-label="Open ${job.room_name || job.room}">
      <${Picture} path="jobs/${job.id}/thumbnail" alt="" every=${5000} />
      <span class="badge"><${State} state=${job.state} /></span>
      <span class="badge right">${span(figures.elapsed)}</span>
    </a>
    <div class="body">
      <h2><a href="#/jobs/${encodeURIComponent(job.id)}">${job.room_name || job.room}</a></h2>
      <p class="quiet">${job.pipeline}${job.template ? ` · ${job.template}` : ""}</p>
      <p class="facts">
        <span>${figures.participants ?? "–"} in the room</span>
        <span>${last.fps ? `${last.fps.toFixed(0)} fps` : "–"}</span>
        <span>${rate(last.bitrate)}</span>
        ${bad > 0 && html`<span class="bad">${bad} of ${job.destinations.length} destinations down</span>`}
      </p>
      <${Action} label="Stop" confirm="Stop it now?" kind="danger" disabled=${job.state === "stopping"}
        act=${() => post(`jobs/${job.id}/stop`)} done=${(answer) => answer && answer.id && remember(answer)} />
    </div>
  </article>`;
}
