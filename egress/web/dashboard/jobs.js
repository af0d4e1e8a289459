// What runs: a card for each job, and a way to start one.

import { html, useState } from "../static/vendor/preact.min.js";
import { post } from "./api.js";
import { First } from "./first.js";
import { ago, many, rate, running, span } from "./format.js";
import { Start } from "./start.js";
import { all, remember } from "./store.js";
import { Action, Picture, State, Table } from "./widgets.js";

export function Jobs({ server }) {
  const [starting, start] = useState(false);
  const live = all().filter(running);
  const ended = all().filter((job) => !running(job)).slice(0, 8);
  return html`
    <div class="heading">
      <h1>Live</h1>
      <span class="quiet">${many(live.length, "job")} · ${capacity(server)}</span>
      <button type="button" class="main" onClick=${() => start(true)}>Start a job</button>
    </div>
    ${starting && html`<${Start} close=${() => start(false)} />`}
    ${live.length === 0
      ? html`<${First} server=${server} start=${() => start(true)} />`
      : html`<div class="cards">${live.map((job) => html`<${Card} job=${job} key=${job.id} />`)}</div>`}
    ${ended.length > 0 && html`<h2>Ended lately</h2>
      <${Table} heads=${["Room", "Pipeline", "Ended", "Length", "State"]} rows=${ended.map((job) => [job.id, [
        html`<a href="#/jobs/${encodeURIComponent(job.id)}">${job.room_name || job.room}</a>`,
        job.pipeline, job.ended ? ago(job.ended) : "–", span(job.duration),
        html`<${State} state=${job.state} /> ${job.state !== "finished" && html`<small class="quiet">${job.reason}</small>`}`,
      ]])} />`}`;
}

function capacity(server) {
  const { used, total } = server.capacity || {};
  return total ? `${(used || 0).toFixed(1)} of ${total.toFixed(1)} cores in use` : "cores not limited";
}

function Card({ job }) {
  const figures = job.figures || {};
  const bad = (job.destinations || []).filter((d) => ["failed", "retrying"].includes(d.state)).length;
  return html`<article class="card">
    <a class="thumb" href="#/jobs/${encodeURIComponent(job.id)}" aria-label="Open ${job.room_name || job.room}">
      <${Picture} path="jobs/${job.id}/thumbnail" alt="" every=${5000} />
      <span class="badge"><${State} state=${job.state} paused=${job.paused} /></span>
      <span class="badge right">${span(figures.elapsed)}</span>
    </a>
    <div class="body">
      <h2><a href="#/jobs/${encodeURIComponent(job.id)}">${job.room_name || job.room}</a></h2>
      <p class="quiet">${job.pipeline}${job.template ? ` · ${job.template}` : ""}</p>
      <p class="facts">
        <span>${figures.participants ?? "–"} in the room</span>
        <span>${figures.fps ? `${figures.fps.toFixed(0)} fps` : "–"}</span>
        <span>${rate(figures.bitrate)}</span>
        ${bad > 0 && html`<span class="bad">${bad} of ${job.destinations.length} destinations down</span>`}
      </p>
      <${Action} label="Stop" confirm="Stop it now?" kind="danger" disabled=${job.state === "stopping"}
        act=${() => post(`jobs/${job.id}/stop`)} done=${(answer) => answer && answer.id && remember(answer)} />
    </div>
  </article>`;
}
