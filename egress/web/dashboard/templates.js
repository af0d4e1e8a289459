// Which rooms are recorded by themselves, and how.

import { html, useState } from "../static/vendor/preact.min.js";
import { get, put, remove } from "./api.js";
import { DocumentEditor, readJson } from "./documents.js";
import { Action, Empty, More, Problem, Table, useList } from "./widgets.js";

const NEW = { rooms: ["studio*"], pipelines: ["live-hls"], start: "room", one_per_room: true };

const ORDER = ["about", "rooms", "server", "start", "pipelines", "roles", "destinations", "overrides", "stop", "one_per_room", "enabled"];

/** A document as somebody would write it: in the order people think, without what says nothing. */
function written(document) {
  const said = Object.entries(document).filter(([name, value]) => name !== "name" && says(value));
  const place = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return Object.fromEntries(said.sort(([one], [two]) => place(one) - place(two)).map(([name, value]) => [name, pruned(value)]));
}

const says = (value) => value !== null && value !== "" && (typeof value !== "object" || Object.values(value).some(says));

function pruned(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => says(inner)).map(([name, inner]) => [name, pruned(inner)]));
}

export function Templates() {
  const list = useList((cursor) => get(`templates${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`));
  const [edited, edit] = useState(null);
  return html`
    <div class="heading"><h1>Templates</h1><button type="button" class="main" onClick=${() => edit({ name: "studio", document: NEW, fresh: true })}>New template</button></div>
    <p class="quiet">A template says for which rooms a job starts by itself, with which pipeline, and where it streams to.</p>
    <${Problem} error=${list.error} />
    ${edited && html`<${DocumentEditor} title=${edited.fresh ? "New template" : edited.name} name=${edited.name} fixed=${!edited.fresh}
      text=${JSON.stringify(edited.fresh ? edited.document : written(edited.document), null, 2)} close=${() => edit(null)}
      save=${async (name, text) => { await put(`templates/${encodeURIComponent(name)}`, { ...readJson(text), name }); edit(null); list.again(); }} />`}
    ${list.items && list.items.length === 0 && html`<${Empty} title="No templates"><p>Without one, jobs start only when asked for or by a schedule.</p><//>`}
    ${list.items && list.items.length > 0 && html`<${Table} heads=${["Name", "Rooms", "Starts", "Pipeline", ""]} rows=${list.items.map((t) => [t.name, [
      html`<button type="button" class="plain link" onClick=${() => edit(t)}>${t.name}</button>
        ${t.document.enabled === false && html` <span class="state">off</span>`}
        ${t.document.about && html`<small class="quiet">${t.document.about}</small>`}`,
      html`<code>${[].concat(t.document.rooms || "*").join(", ")}</code>`, starts(t.document.start || "room"), [].concat(t.document.pipelines).join(", "),
      html`<button type="button" onClick=${() => edit(t)}>Edit</button>
        <${Action} label="Delete" confirm="Delete it?" kind="danger" act=${() => remove(`templates/${encodeURIComponent(t.name)}`)} done=${list.again} />`,
    ]])} />`}
    <${More} list=${list} />`;
}

function starts(rule) {
  if (rule === "room") return "when the room begins";
  return rule.startsWith("role:") ? `with the first ${rule.slice(5)}` : rule;
}
