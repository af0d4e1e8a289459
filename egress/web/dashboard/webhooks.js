// Who is told what happens, and whether it arrived.

import { html, useState } from "../static/vendor/preact.min.js";
import { get, post, remove } from "./api.js";
import { when } from "./format.js";
import { Action, Dialog, Empty, Field, More, Problem, useList } from "./widgets.js";

export function Webhooks() {
  const list = useList((cursor) => get(`webhooks${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`));
  const [open, show] = useState(null);
  const [adding, add] = useState(false);
  const [secret, reveal] = useState("");
  return html`
    <div class="heading"><h1>Webhooks</h1><button type="button" class="main" onClick=${() => add(true)}>New webhook</button></div>
    <${Problem} error=${list.error} />
    ${adding && html`<${Add} close=${() => add(false)} made=${(hook) => { add(false); reveal(hook.secret); list.again(); }} />`}
    ${secret && html`<p class="banner">Its secret, shown this once: <code>${secret}</code> <button type="button" onClick=${() => reveal("")}>I have it</button></p>`}
    ${list.items && list.items.length === 0 && html`<${Empty} title="No webhooks"><p>A webhook is told when jobs start, end and fail; every message is signed.</p><//>`}
    ${list.items && list.items.length > 0 && html`<table><thead><tr><th>Address</th><th>Events</th><th>State</th><th></th></tr></thead>
      <tbody>${list.items.map((w) => html`<tr key=${w.id}>
        <td><button type="button" class="plain link" onClick=${() => show(open === w.id ? null : w.id)}>${w.url}</button></td>
        <td>${(w.events || []).join(", ") || "all"}</td><td>${w.enabled ? "on" : "off"}</td>
        <td class="actions"><${Action} label="Test" act=${() => post(`webhooks/${w.id}/test`)} done=${() => show(w.id)} />
          <${Action} label="Delete" confirm="Delete it?" kind="danger" act=${() => remove(`webhooks/${w.id}`)} done=${list.again} /></td></tr>`)}
      </tbody></table>`}
    ${open && html`<${Deliveries} id=${open} key=${open} />`}
    <${More} list=${list} />`;
}

function Deliveries({ id }) {
  const list = useList((cursor) => get(`webhooks/${id}/deliveries?limit=30${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`), [id]);
  return html`<h2>Deliveries</h2><${Problem} error=${list.error} />
    <p><button type="button" onClick=${list.again}>Look again</button></p>
    <table><thead><tr><th>When</th><th>Event</th><th>State</th><th>Tries</th><th></th></tr></thead>
    <tbody>${(list.items || []).map((d) => html`<tr key=${d.id}><td>${when(d.created)}</td><td>${d.type}</td>
      <td><span class="state ${d.state}">${d.state}</span> <span class="quiet">${d.status || ""} ${d.error || ""}</span></td><td>${d.attempts}</td>
      <td class="actions"><${Action} label="Send again" act=${() => post(`webhooks/${id}/deliveries/${d.id}/replay`)} done=${list.again} /></td></tr>`)}</tbody></table>
    <${More} list=${list} />`;
}

function Add({ close, made }) {
  const [url, set] = useState("");
  const [mode, choose] = useState("standard");
  const [error, say] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      made(await post("webhooks", { url: url.trim(), mode }));
    } catch (refused) {
      say(refused);
    }
  };
  return html`<${Dialog} title="New webhook" close=${close}><form onSubmit=${submit}>
    <${Field} label="Address" hint="https://… of a server of yours."><input type="url" required value=${url} onInput=${(e) => set(e.target.value)} /><//>
    <${Field} label="Signed as"><select value=${mode} onChange=${(e) => choose(e.target.value)}>
      <option value="standard">Standard Webhooks</option><option value="livekit">LiveKit has it</option></select><//>
    <${Problem} error=${error} />
    <footer><button type="button" onClick=${close}>Cancel</button><button class="main">Make it</button></footer>
  </form><//>`;
}
