// How rooms become media: the shipped pipelines and this server's own.

import { html, useState } from "../static/vendor/preact.min.js";
import { call, get, put, remove } from "./api.js";
import { DocumentEditor } from "./documents.js";
import { Action, More, Picture, Problem, useList } from "./widgets.js";

const NEW = `name: my-pipeline
about: Everyone in a grid, as an MP4 and as low-latency HLS.
layout: {kind: grid}
video: {size: 1280x720, fps: 30, bitrate: 3M}
sinks:
  - {kind: mp4, to: "recordings/{room}/{started}.mp4"}
  - {kind: hls, to: "live/{room}/{job}/"}
`;

export function Pipelines() {
  const list = useList((cursor) => get(`pipelines?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`));
  const [edited, edit] = useState(null);
  const open = async (pipeline) => edit({ ...pipeline, ...(await get(`pipelines/${pipeline.name}`)) });
  return html`
    <div class="heading"><h1>Pipelines</h1><button type="button" class="main" onClick=${() => edit({ name: "my-pipeline", document: NEW, own: true, fresh: true })}>New pipeline</button></div>
    <p class="quiet">A pipeline says how a room looks and sounds, and what is made of it: files, live streams, or both.</p>
    <${Problem} error=${list.error} />
    ${edited && html`<${DocumentEditor} title=${edited.fresh ? "New pipeline" : edited.name} name=${edited.name} text=${edited.document}
      fixed=${!edited.fresh} readonly=${!edited.own} close=${() => edit(null)}
      check=${(text) => call("POST", "pipelines/check", text)}
      save=${async (name, text) => { await put(`pipelines/${encodeURIComponent(name)}`, text); edit(null); list.again(); }} />`}
    <div class="cards">${(list.items || []).map((p) => html`<article class="card" key=${p.name}>
      <button type="button" class="thumb plain" onClick=${() => open(p)} aria-label="Open ${p.name}"><${Picture} path="pipelines/${p.name}/preview" alt="" /></button>
      <div class="body"><h2><button type="button" class="plain link" onClick=${() => open(p)}>${p.name}</button> ${p.own ? html`<span class="state">yours</span>` : ""}</h2>
        <p class="quiet">${p.about}</p>
        ${p.own && html`<${Action} label="Delete" confirm="Delete it?" kind="danger" act=${() => remove(`pipelines/${p.name}`)} done=${list.again} />`}
        ${!p.own && html`<button type="button" onClick=${async () => { const d = await get(`pipelines/${p.name}`); edit({ name: `my-${p.name}`, document: d.document.replace(/^name:.*$/m, `name: my-${p.name}`), own: true, fresh: true }); }}>Copy</button>`}
      </div></article>`)}</div>
    <${More} list=${list} />`;
}
