// Jobs that start by the clock.

import { html, useState } from "../static/vendor/preact.min.js";
import { get, post, put, remove } from "./api.js";
import { when } from "./format.js";
import { Action, Dialog, Empty, Field, More, Problem, useList, useLoad } from "./widgets.js";

export function Schedules() {
  const [edited, edit] = useState(null);
  const list = useList((cursor) => get(`schedules${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`));
  return html`
    <div class="heading"><h1>Schedules</h1><button type="button" class="main" onClick=${() => edit({})}>New schedule</button></div>
    <${Problem} error=${list.error} />
    ${edited && html`<${Edit} schedule=${edited} close=${() => edit(null)} saved=${() => { edit(null); list.again(); }} />`}
    ${list.items && list.items.length === 0 && html`<${Empty} title="No schedules"><p>A schedule starts a job at a time, every so often, or by a cron line, in any time zone.</p><//>`}
    ${list.items && list.items.length > 0 && html`<table><thead><tr><th>Name</th><th>When</th><th>Room</th><th>Next</th><th></th></tr></thead>
      <tbody>${list.items.map((s) => html`<tr key=${s.id}>
        <td><button type="button" class="plain link" onClick=${() => edit(s)}>${s.name}</button>${s.paused ? html` <span class="state">paused</span>` : ""}</td>
        <td>${said(s.when)}</td><td>${s.job.room}</td>
        <td>${(s.next || []).slice(0, 3).map((at) => html`<div>${when(at)}</div>`)}</td>
        <td class="actions">
          <${Action} label="Run now" confirm="Start it now?" act=${() => post(`schedules/${s.id}/run`)} />
          <${Action} label=${s.paused ? "Resume" : "Pause"} act=${() => post(`schedules/${s.id}/${s.paused ? "resume" : "pause"}`)} done=${list.again} />
          <${Action} label="Delete" confirm="Delete it?" kind="danger" act=${() => remove(`schedules/${s.id}`)} done=${list.again} />
        </td></tr>`)}</tbody></table>`}
    <${More} list=${list} />`;
}

function said(w) {
  const what = w.at ? `at ${w.at.replace("T", " ")}` : w.every ? `every ${w.every}` : w.cron;
  return html`<span>${what}</span> <span class="quiet">${w.timezone || "UTC"}</span>`;
}

function Edit({ schedule, close, saved }) {
  const [pipelines] = useLoad(() => get("pipelines?limit=200"));
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const w = schedule.when || {};
  const [form, set] = useState({
    name: schedule.name || "", kind: w.at ? "at" : w.every ? "every" : "cron", text: w.at || w.every || w.cron || "0 18 * * mon-fri",
    timezone: w.timezone || zone, room: (schedule.job || {}).room || "local:", pipeline: (schedule.job || {}).pipeline || "",
    duration: schedule.duration || "1h", overlap: schedule.overlap || "skip",
  });
  const [error, say] = useState(null);
  const change = (name) => (event) => set({ ...form, [name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    const { id, next, paused, created, updated, ...kept } = schedule;
    const document = {
      ...kept, name: form.name, overlap: form.overlap, when: { [form.kind]: form.text, timezone: form.timezone },
      job: { ...schedule.job, room: form.room, pipeline: form.pipeline || (pipelines && pipelines.items[0].name) },
      ...(form.duration ? { duration: form.duration } : {}),
    };
    try {
      await (id ? put(`schedules/${id}`, document) : post("schedules", document));
      saved();
    } catch (refused) {
      say(refused);
    }
  };
  const hints = { at: "2026-12-24T18:00", every: "30m, day or week", cron: "minute hour day month weekday" };
  return html`<${Dialog} title=${schedule.id ? "Schedule" : "New schedule"} close=${close}>
    <form onSubmit=${submit}>
      <${Field} label="Name"><input required value=${form.name} onInput=${change("name")} /><//>
      <div class="pair">
        <${Field} label="When"><select value=${form.kind} onChange=${change("kind")}>
          <option value="at">once, at</option><option value="every">every</option><option value="cron">cron</option></select><//>
        <${Field} label="Time" hint=${hints[form.kind]}><input required value=${form.text} onInput=${change("text")} /><//>
      </div>
      <div class="pair">
        <${Field} label="Time zone"><input required value=${form.timezone} onInput=${change("timezone")} /><//>
        <${Field} label="Length"><input value=${form.duration} onInput=${change("duration")} /><//>
      </div>
      <${Field} label="Room"><input required value=${form.room} onInput=${change("room")} spellcheck=${false} /><//>
      <${Field} label="Pipeline"><select value=${form.pipeline} onChange=${change("pipeline")}>
        ${(pipelines ? pipelines.items : []).map((p) => html`<option value=${p.name}>${p.name}</option>`)}</select><//>
      <${Field} label="While the last one runs"><select value=${form.overlap} onChange=${change("overlap")}>
        <option value="skip">leave this one out</option><option value="allow">start another</option><option value="stop">stop the last one</option></select><//>
      <${Problem} error=${error} />
      <footer><button type="button" onClick=${close}>Cancel</button><button class="main">Save</button></footer>
    </form>
    ${schedule.id && html`<${Past} id=${schedule.id} />`}
  <//>`;
}

function Past({ id }) {
  const [page] = useLoad(() => get(`schedules/${id}/occurrences?limit=10`), [id]);
  if (!page || page.items.length === 0) return null;
  return html`<h3>Lately</h3><ul class="plainlist">${page.items.map((o) => html`<li>${when(o.fire_at)} <span class="state ${o.state}">${o.state}</span>
    ${o.job ? html` <a href="#/jobs/${encodeURIComponent(o.job)}">job</a>` : ""} <span class="quiet">${o.note || ""}</span></li>`)}</ul>`;
}
