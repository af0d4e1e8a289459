// Who is told what happens, and whether it arrived.

import { html, useState } from "../static/vendor/preact.min.js";
import { get, post, put, remove } from "./api.js";
import { when } from "./format.js";
import { Action, Dialog, Empty, Field, More, Problem, Secret, Table, useList } from "./widgets.js";

export function Webhooks() {
  const list = useList((cursor) => get(`webhooks${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`));
  const [open, show] = useState(null);
  const [edited, edit] = useState(null);
  const [secret, reveal] = useState("");
  const saved = (hook) => {
    edit(null);
    reveal(hook.secret || "");
    list.again();
  };
  return html`
    <div class="heading"><h1>Webhooks</h1><button type="button" class="main" onClick=${() => edit({})}>New webhook</button></div>
    <p class="quiet">A webhook is told by a signed message what happens: that jobs start and end, that files are ready, that a stream fails.</p>
    <${Problem} error=${list.error} />
    ${edited && html`<${Edit} hook=${edited} close=${() => edit(null)} saved=${saved} />`}
    ${secret && html`<${Secret} label="Its secret" value=${secret} done=${() => reveal("")} />`}
    ${list.items && list.items.length === 0 && html`<${Empty} title="No webhooks"><p>Without one, programs have to ask.</p><//>`}
    ${list.items && list.items.length > 0 && html`<${Table} heads=${["Address", "Events", "State", ""]} rows=${list.items.map((w) => [w.id, [
      html`<button type="button" class="plain link" onClick=${() => edit(w)}>${w.url}</button>${w.note && html`<small class="quiet">${w.note}</small>`}`,
      (w.events || []).map((name) => (name === "*" ? "all" : name)).join(", "),
      html`<span class="state ${w.enabled ? "live" : ""}">${w.enabled ? "on" : "off"}</span>`,
      html`<button type="button" onClick=${() => edit(w)}>Edit</button>
        <button type="button" aria-expanded=${open === w.id} onClick=${() => show(open === w.id ? null : w.id)}>Deliveries</button>
        <${Action} label="Test" act=${() => post(`webhooks/${w.id}/test`)} done=${() => show(w.id)} />
        <${Action} label="Delete" confirm="Delete it?" kind="danger" act=${() => remove(`webhooks/${w.id}`)} done=${() => { show(null); list.again(); }} />`,
    ]])} />`}
    <${More} list=${list} />
    ${open && html`<${Deliveries} id=${open} key=${open} />`}`;
}

function Deliveries({ id }) {
  const list = useList((cursor) => get(`webhooks/${id}/deliveries?limit=30${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`), [id]);
  return html`<div class="heading"><h2>Deliveries</h2><button type="button" onClick=${list.again}>Look again</button></div>
    <${Problem} error=${list.error} />
    ${list.items && list.items.length === 0 && html`<p class="quiet">It was told nothing yet.</p>`}
    ${list.items && list.items.length > 0 && html`<${Table} heads=${["When", "Event", "State", "Tries", ""]} rows=${list.items.map((d) => [d.id, [
      when(d.created), html`<code>${d.type}</code>`,
      html`<span class="state ${d.state}">${d.state}</span> <small class="quiet">${[d.status, d.error].filter(Boolean).join(" ")}${d.next_at ? ` · again ${when(d.next_at)}` : ""}</small>`, d.attempts,
      html`<${Action} label="Send again" act=${() => post(`webhooks/${id}/deliveries/${d.id}/replay`)} done=${list.again} />`,
    ]])} />`}
    <${More} list=${list} />`;
}

function Edit({ hook, close, saved }) {
  const [form, set] = useState({
    url: hook.url || "", mode: hook.mode || "standard", events: (hook.events || ["*"]).join(", "), note: hook.note || "",
    enabled: hook.enabled ?? true, secret: "", name: hook.name || "",
  });
  const [error, say] = useState(null);
  const change = (name) => (event) => set({ ...form, [name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    const { secret, name, ...rest } = form;
    const document = {
      ...rest, url: form.url.trim(), events: form.events.split(/[\s,]+/).filter(Boolean),
      ...(secret ? { secret } : {}), ...(form.mode === "livekit" && name ? { name } : {}),
    };
    try {
      saved(await (hook.id ? put(`webhooks/${hook.id}`, document) : post("webhooks", document)));
    } catch (refused) {
      say(refused);
    }
  };
  const hidden = hook.id && hook.url.includes("…");
  return html`<${Dialog} title=${hook.id ? "Webhook" : "New webhook"} close=${close}><form onSubmit=${submit}>
    <${Field} label="Address" hint=${hidden ? "What is secret in it is not shown. Left as it is, it stays." : "https://… of a server of yours."}>
      <input required value=${form.url} onInput=${change("url")} spellcheck=${false} placeholder="https://example.org/hooks/egress" /><//>
    <${Field} label="Events" hint="Types with commas between, * for any: job.*, artifact.ready, destination.failed."><input required value=${form.events} onInput=${change("events")} spellcheck=${false} /><//>
    <div class="pair">
      <${Field} label="Signed as"><select value=${form.mode} onChange=${change("mode")}>
        <option value="standard">Standard Webhooks</option><option value="livekit">LiveKit has it</option></select><//>
      ${form.mode === "livekit" && html`<${Field} label="Name of the API key"><input value=${form.name} onInput=${change("name")} /><//>`}
      <${Field} label="Secret" hint=${hook.id ? "Empty: it stays. Another one signs beside it from now on." : "Empty: one is made, and shown once."}>
        <input type="password" autocomplete="off" value=${form.secret} onInput=${change("secret")} /><//>
    </div>
    <${Field} label="What it is for"><input maxlength="200" value=${form.note} onInput=${change("note")} /><//>
    <label class="check"><input type="checkbox" checked=${form.enabled} onChange=${(e) => set({ ...form, enabled: e.target.checked })} /> It is told what happens</label>
    <${Problem} error=${error} />
    <footer><button type="button" onClick=${close}>Cancel</button><button class="main">Save</button></footer>
  </form><//>`;
}
