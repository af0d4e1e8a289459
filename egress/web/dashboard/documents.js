// Editing a document as text: what it says, and what the server finds wrong with it.

import { html, useState } from "../static/vendor/preact.min.js";
import { Dialog, Field, Problem } from "./widgets.js";

/** `save(name, text)` raises what the server refuses; `check(text)` gives {ok, problems, warnings}. */
export function DocumentEditor({ title, name, text, fixed = false, readonly = false, save, check, close }) {
  const [form, set] = useState({ name, text });
  const [state, say] = useState({ error: null, found: null, busy: false });
  const run = async (act) => {
    say({ error: null, found: null, busy: true });
    try {
      say({ error: null, found: await act(), busy: false });
    } catch (error) {
      say({ error, found: null, busy: false });
    }
  };
  const submit = (event) => {
    event.preventDefault();
    run(() => save(form.name.trim(), form.text));
  };
  const found = state.found && state.found.problems !== undefined ? state.found : null;
  return html`<${Dialog} title=${title} close=${close}>
    <form onSubmit=${submit}>
      <${Field} label="Name"><input required pattern="[a-z0-9][a-z0-9\\-]*" disabled=${fixed || readonly} value=${form.name} onInput=${(e) => set({ ...form, name: e.target.value })} /><//>
      <${Field} label="Document"><textarea class="code" rows="20" spellcheck=${false} readonly=${readonly} value=${form.text} onInput=${(e) => set({ ...form, text: e.target.value })}></textarea><//>
      <${Problem} error=${state.error} />
      ${found && html`<div class=${found.ok ? "fine" : "problem"} role="status">
        ${found.ok ? html`<p>It is fine.</p>` : ""}
        <ul>${[...found.problems, ...(found.warnings || [])].map((p) => html`<li>${p.line ? `line ${p.line}: ` : ""}<code>${p.field}</code> ${p.message}</li>`)}</ul></div>`}
      <footer>
        <button type="button" onClick=${close}>${readonly ? "Close" : "Cancel"}</button>
        ${check && html`<button type="button" disabled=${state.busy} onClick=${() => run(() => check(form.text))}>Check</button>`}
        ${!readonly && html`<button class="main" disabled=${state.busy}>Save</button>`}
      </footer>
    </form>
  <//>`;
}
