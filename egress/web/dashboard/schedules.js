// Jobs that start by the clock.

import { html, useState } from "../static/vendor/preact.min.js";
import { get, post, put, remove } from "./api.js";
import { when } from "./format.js";
import { Action, Dialog, Empty, Field, More, Problem, Table, useList, useLoad } from "./widgets.js";

export function Schedules() {
  const [edited, edit] = useState(null);
  const list = useList((cursor) => get(`schedules${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`));
  return html`
    <div class="heading"><h1>Schedules</h1><button type="button" class="main" onClick=${() => edit({})}>New schedule</button></div>
    <p class="quiet">A schedule starts a job at a time, every so often, or by a cron line, in any time zone. Next runs are told in yours, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.</p>
    <${Problem} error=${list.error} />
    ${edited && html`<${Edit} schedule=${edited} close=${() => edit(null)} saved=${() => { edit(null); list.again(); }} />`}
    ${list.items && list.items.length === 0 && html`<${Empty} title="No schedules"><p>Nothing starts by the clock.</p><//>`}
    ${list.items && list.items.length > 0 && html`<${Table} heads=${["Name", "When", "Room", "Next", ""]} rows=${list.items.map((s) => [s.id, [
      html`<button type="button" class="plain link" onClick=${() => edit(s)}>${s.name}</button>${s.paused && html` <span class="state paused">paused</span>`}`,
      said(s), html`<code>${s.job.room}</code>`,
      (s.next || []).length ? s.next.slice(0, 3).map((at) => html`<div>${when(at)}</div>`) : html`<span class="quiet">–</span>`,
      html`<button type="button" onClick=${() => edit(s)}>Edit</button>
        <${Action} label="Run now" confirm="Start it now?" act=${() => post(`schedules/${s.id}/run`)} />
        <${Action} key=${s.paused} label=${s.paused ? "Resume" : "Pause"} act=${() => post(`schedules/${s.id}/${s.paused ? "resume" : "pause"}`)} done=${list.again} />
        <${Action} label="Delete" confirm="Delete it?" kind="danger" act=${() => remove(`schedules/${s.id}`)} done=${list.again} />`,
    ]])} />`}
    <${More} list=${list} />`;
}

function said({ when: w, duration }) {
  const what = w.at ? `at ${String(w.at).replace("T", " ")}` : w.every ? `every ${length(w.every)}` : w.cron;
  return html`<code>${what}</code><small class="quiet">${w.timezone || "UTC"}${duration ? ` · for ${length(duration)}` : ""}</small>`;
}

/** A duration as people write it: the API gives seconds, or what was written. */
function length(value) {
  if (typeof value !== "number") return value || "";
  const parts = [[3600, "h"], [60, "m"], [1, "s"]];
  let rest = Math.round(value);
  const written = parts.map(([size, unit]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count ? `${count}${unit}` : "";
  }).join("");
  return written || "0s";
}

const HINTS = { at: "Like 2026-12-24T18:00.", every: "Like 30m, day or week.", cron: "Minute, hour, day, month, weekday." };

function Edit({ schedule, close, saved }) {
  const [pipelines] = useLoad(() => get("pipelines?limit=200"));
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const w = schedule.when || {};
  const job = schedule.job || {};
  const [form, set] = useState({
    name: schedule.name || "", kind: w.at ? "at" : w.every ? "every" : "cron", text: w.at || length(w.every) || w.cron || "0 18 * * mon-fri",
    timezone: w.timezone || zone, room: job.room || "local:", pipeline: typeof job.pipeline === "object" && job.pipeline ? "" : job.pipeline || (job.template ? "" : "live-hls"),
    duration: schedule.id ? length(schedule.duration) : "1h", lead: length(schedule.lead) || "0s", grace: length(schedule.grace) || "1h",
    misfire: schedule.misfire || "late", overlap: schedule.overlap || "skip",
  });
  const [error, say] = useState(null);
  const change = (name) => (event) => set({ ...form, [name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    const { id, next, paused, created, updated, version, duration: _, ...kept } = schedule;
    const { at, every, cron, timezone, ...bounds } = w;
    const document = {
      ...kept, name: form.name, overlap: form.overlap, misfire: form.misfire, lead: form.lead || "0s", grace: form.grace || "1h",
      when: { ...bounds, [form.kind]: form.text, timezone: form.timezone },
      job: { ...job, room: form.room, ...(form.pipeline ? { pipeline: form.pipeline } : {}) },
      ...(form.duration ? { duration: form.duration } : {}),
    };
    try {
      await (id ? put(`schedules/${id}`, document) : post("schedules", document));
      saved();
    } catch (refused) {
      say(refused);
    }
  };
  const names = (pipelines ? pipelines.items : []).map((p) => p.name);
  return html`<${Dialog} title=${schedule.id ? "Schedule" : "New schedule"} close=${close}>
    <form onSubmit=${submit}>
      <${Field} label="Name"><input required value=${form.name} onInput=${change("name")} /><//>
      <div class="pair">
        <${Field} label="When"><select value=${form.kind} onChange=${change("kind")}>
          <option value="at">once, at</option><option value="every">every</option><option value="cron">cron</option></select><//>
        <${Field} label="Time" hint=${HINTS[form.kind]}><input required value=${form.text} onInput=${change("text")} spellcheck=${false} /><//>
        <${Field} label="Time zone"><input required value=${form.timezone} onInput=${change("timezone")} spellcheck=${false} /><//>
        <${Field} label="Length" hint="Like 90m; empty: until the pipeline's rules end it."><input value=${form.duration} onInput=${change("duration")} /><//>
      </div>
      <${Field} label="Room"><input required value=${form.room} onInput=${change("room")} spellcheck=${false} /><//>
      <${Field} label="Pipeline"><select value=${form.pipeline} onChange=${change("pipeline")}>
        ${!form.pipeline && html`<option value="" selected>${job.template ? `as template ${job.template} says` : "its own document"}</option>`}
        ${names.map((name) => html`<option value=${name} selected=${name === form.pipeline}>${name}</option>`)}</select><//>
      <div class="pair">
        <${Field} label="Start earlier by" hint="To be in the room in time."><input value=${form.lead} onInput=${change("lead")} /><//>
        <${Field} label="While the last one runs"><select value=${form.overlap} onChange=${change("overlap")}>
          <option value="skip">leave this one out</option><option value="allow">start another</option><option value="stop">stop the last one</option></select><//>
        <${Field} label="After an outage"><select value=${form.misfire} onChange=${change("misfire")}>
          <option value="late">start late</option><option value="skip">count it as missed</option></select><//>
        ${form.misfire === "late" && !form.duration && html`<${Field} label="At most this late"><input value=${form.grace} onInput=${change("grace")} /><//>`}
      </div>
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
