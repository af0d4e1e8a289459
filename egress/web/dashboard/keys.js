// Who may use this server: API keys, and tokens for a while.

import { html, useState } from "../static/vendor/preact.min.js";
import { get, key, post, remove, setKey } from "./api.js";
import { when } from "./format.js";
import { Action, Dialog, Empty, Field, Problem, Secret, Table, useList } from "./widgets.js";

const SCOPES = ["read", "start", "stop", "admin"];

export function Keys({ server }) {
  const list = useList(() => get("keys"));
  const [adding, add] = useState(false);
  const [secret, reveal] = useState("");
  const done = (made) => {
    add(false);
    reveal(made.key);
    // From the first key on nobody comes in without one: whoever made it goes on with it.
    if (!key()) setKey(made.key);
    list.again();
  };
  return html`
    <div class="heading"><h1>Access</h1><button type="button" class="main" onClick=${() => add(true)}>New key</button></div>
    <${Problem} error=${list.error} />
    ${adding && html`<${Add} close=${() => add(false)} first=${server.open} made=${done} />`}
    ${secret && html`<${Secret} label="The key" value=${secret} done=${() => reveal("")} />`}
    ${list.items && list.items.length === 0 && html`<${Empty} title="No keys"><p>Whoever reaches this server may use all of it. Make a key before it listens beyond this machine.</p><//>`}
    ${list.items && list.items.length > 0 && html`<${Table} heads=${["Name", "May", "Rooms", "Made", "Last used", ""]} rows=${list.items.map((k) => [k.id, [
      html`${k.name} <small class="quiet"><code>${k.prefix}…</code></small>`, k.scopes.join(", "), (k.rooms || []).join(", ") || "all",
      when(k.created), k.used ? when(k.used) : "never",
      k.revoked ? html`<span class="quiet">revoked</span>` : html`<${Action} label="Revoke" confirm="Revoke it?" kind="danger" act=${() => remove(`keys/${k.id}`)} done=${list.again} />`,
    ]])} />`}`;
}

function Add({ close, made, first }) {
  const [name, set] = useState("");
  const [scopes, choose] = useState(first ? ["admin"] : ["read", "start", "stop"]);
  const [rooms, limit] = useState("");
  const [error, say] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      made(await post("keys", { name, scopes, rooms: rooms.split(/[\s,]+/).filter(Boolean) }));
    } catch (refused) {
      say(refused);
    }
  };
  const toggle = (scope) => choose(scopes.includes(scope) ? scopes.filter((s) => s !== scope) : [...scopes, scope]);
  return html`<${Dialog} title="New key" close=${close}><form onSubmit=${submit}>
    <${Field} label="Name"><input required value=${name} onInput=${(e) => set(e.target.value)} /><//>
    <fieldset><legend>May</legend>${SCOPES.map((scope) => html`<label><input type="checkbox" checked=${scopes.includes(scope)} onChange=${() => toggle(scope)} /> ${scope}</label>`)}</fieldset>
    <${Field} label="Only in rooms" hint="Patterns like local:team-*; empty for every room."><input value=${rooms} onInput=${(e) => limit(e.target.value)} /><//>
    <${Problem} error=${error} />
    <footer><button type="button" onClick=${close}>Cancel</button><button class="main">Make it</button></footer>
  </form><//>`;
}
