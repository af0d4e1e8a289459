// What was made: jobs that have ended, with a way to find, play and download them.

import { html, useState } from "../static/vendor/preact.min.js";
import { get } from "./api.js";
import { span, when } from "./format.js";
import { Empty, More, Picture, Problem, State, useList } from "./widgets.js";

export function Recordings() {
  const [search, set] = useState("");
  const [state, choose] = useState("finished,failed,aborted");
  const list = useList((cursor) => get(`jobs?state=${state}&limit=30${search ? `&q=${encodeURIComponent(search)}` : ""}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`), [search, state]);
  return html`
    <div class="heading"><h1>Recordings</h1>
      <input type="search" aria-label="Find a room" placeholder="Find a room" value=${search} onInput=${(e) => set(e.target.value)} />
      <select aria-label="Which" value=${state} onChange=${(e) => choose(e.target.value)}>
        <option value="finished,failed,aborted">all</option><option value="finished">finished</option>
        <option value="failed,aborted">failed</option>
      </select>
    </div>
    <${Problem} error=${list.error} />
    ${list.items && list.items.length === 0 && html`<${Empty} title="Nothing here yet"><p>What has been recorded is listed here once its job ends.</p><//>`}
    <ul class="recordings">${(list.items || []).map((job) => html`<li key=${job.id}>
      <a class="thumb small" href="#/jobs/${encodeURIComponent(job.id)}"><${Picture} path="jobs/${job.id}/thumbnail" alt="" />
        <span class="badge right">${span(job.duration)}</span></a>
      <div><h2><a href="#/jobs/${encodeURIComponent(job.id)}">${job.room_name || job.room}</a></h2>
        <p class="quiet">${when(job.started)} · ${job.pipeline} <${State} state=${job.state} /></p>
        ${job.state !== "finished" && job.reason && html`<p class="bad">${job.reason}</p>`}</div>
    </li>`)}</ul>
    <${More} list=${list} />`;
}
