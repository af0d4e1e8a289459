// Which rooms are recorded by themselves, and how.

import { html, useState } from "../static/vendor/preact.min.js";
import { ApiError, get, put, remove } from "./api.js";
import { DocumentEditor } from "./documents.js";
import { Action, Empty, More, Problem, useList } from "./widgets.js";

const NEW = { rooms: ["studio*"], pipelines: ["live-hls"], start: "room", one_per_room: true };

/** The document in a text; what is no JSON is said as the server says what it refuses. */
function read(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(0, { message: `the document is no JSON: ${error.message}` });
  }
}

export function Templates() {
  const list = useList((cursor) => get(`templates${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`));
  const [edited, edit] = useState(null);
  return html`
    <div class="heading"><h1>Templates</h1><button type="button" class="main" onClick=${() => edit({ name: "studio", document: NEW, fresh: true })}>New template</button></div>
    <p class="quiet">A template says for which rooms a job starts by itself, with which pipeline, and where it streams to.</p>
    <${Problem} error=${list.error} />
    ${edited && html`<${DocumentEditor} title=${edited.fresh ? "New template" : edited.name} name=${edited.name} fixed=${!edited.fresh}
      text=${JSON.stringify(edited.document, null, 2)} close=${() => edit(null)}
      save=${async (name, text) => { await put(`templates/${name}`, { ...read(text), name }); edit(null); list.again(); }} />`}
    ${list.items && list.items.length === 0 && html`<${Empty} title="No templates"><p>Without one, jobs start only when asked for or by a schedule.</p><//>`}
    ${list.items && list.items.length > 0 && html`<table><thead><tr><th>Name</th><th>Rooms</th><th>Starts</th><th>Pipeline</th><th></th></tr></thead>
      <tbody>${list.items.map((t) => html`<tr key=${t.name}>
        <td><button type="button" class="plain link" onClick=${() => edit(t)}>${t.name}</button></td>
        <td><code>${[].concat(t.document.rooms || "*").join(", ")}</code></td><td>${t.document.start || "room"}</td><td>${[].concat(t.document.pipelines).join(", ")}</td>
        <td class="actions"><${Action} label="Delete" confirm="Delete it?" kind="danger" act=${() => remove(`templates/${t.name}`)} done=${list.again} /></td>
      </tr>`)}</tbody></table>`}
    <${More} list=${list} />`;
}
