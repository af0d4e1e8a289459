// Editing a document as text: what it says, and what is wrong with it at which line.

import { html, useRef, useState } from "../static/vendor/preact.min.js";
import { ApiError } from "./api.js";
import { Dialog, Field } from "./widgets.js";

/** The document in a JSON text; what is no JSON is said as the server says what it refuses, with its line. */
export function readJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    const [, at] = /position (\d+)/.exec(error.message) || [];
    const line = at === undefined ? null : text.slice(0, Number(at)).split("\n").length;
    throw new ApiError(0, { message: "this is no JSON", details: [{ field: "", message: error.message, line }] });
  }
}

/** The line of a JSON text where a field like stop.max or pipelines[0] is said, as far as its names are found there. */
function lineOf(text, field) {
  let at = -1;
  for (const [name] of field.matchAll(/[^.[\]]+/g)) {
    const next = text.indexOf(`"${name}"`, at + 1);
    if (next >= 0) at = next;
  }
  return at < 0 ? null : text.slice(0, at).split("\n").length;
}

/** Each thing that is wrong: {line, field, message}; YAML's own lines are at the end of what the server says. */
function problemsOf(error, text) {
  const details = error.details.length ? error.details : [{ field: "", message: error.message }];
  return details.map(({ field, message, line }) => {
    const [, about, said] = /^(.*) \(line (\d+)\)$/s.exec(message) || [null, message, null];
    return { field, message: about, line: line ?? (said ? Number(said) : lineOf(text, field)) };
  });
}

/** `save(name, text)` raises what the server refuses; `check(text)` gives {ok, problems, warnings}. */
export function DocumentEditor({ title, name, text, fixed = false, readonly = false, save, check, close }) {
  const [form, set] = useState({ name, text });
  const [state, say] = useState({ problems: [], warnings: [], fine: false, busy: false });
  const area = useRef();
  const run = async (act) => {
    say({ problems: [], warnings: [], fine: false, busy: true });
    try {
      const found = (await act()) || { problems: [], warnings: [], ok: false };
      say({ problems: found.problems, warnings: found.warnings, fine: found.ok, busy: false });
    } catch (error) {
      say({ problems: problemsOf(error, form.text), warnings: [], fine: false, busy: false });
    }
  };
  const submit = (event) => {
    event.preventDefault();
    run(() => save(form.name.trim(), form.text));
  };
  const show = (line) => {
    const lines = form.text.split("\n");
    const begin = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.current.focus();
    area.current.setSelectionRange(begin, begin + lines[line - 1].length);
    area.current.scrollTop = (area.current.scrollHeight / lines.length) * Math.max(0, line - 4);
  };
  return html`<${Dialog} title=${title} close=${close}>
    <form onSubmit=${submit}>
      <${Field} label="Name" hint=${readonly || fixed ? "" : "Lower-case letters, digits and dashes."}><input required pattern="[a-z0-9][a-z0-9\\-]*" disabled=${fixed || readonly} value=${form.name} onInput=${(e) => set({ ...form, name: e.target.value })} /><//>
      <${Editor} area=${area} text=${form.text} readonly=${readonly} wrong=${state.problems} change=${(next) => set({ ...form, text: next })} />
      ${state.problems.length > 0 && html`<ul class="problem" role="alert">
        ${state.problems.map((p) => html`<li>${p.line ? html`<button type="button" class="plain link" onClick=${() => show(p.line)}>line ${p.line}</button> ` : ""}
          ${p.field && html`<code>${p.field}</code> `}${p.message}</li>`)}</ul>`}
      ${state.fine && html`<p class="fine" role="status">Nothing is wrong with it.</p>`}
      ${state.warnings.length > 0 && html`<ul class="problem warn" role="status">${state.warnings.map((text_) => html`<li>${text_}</li>`)}</ul>`}
      <footer>
        <button type="button" onClick=${close}>${readonly ? "Close" : "Cancel"}</button>
        ${check && html`<button type="button" disabled=${state.busy} onClick=${() => run(() => check(form.text))}>Check</button>`}
        ${!readonly && html`<button class="main" disabled=${state.busy}>Save</button>`}
      </footer>
    </form>
  <//>`;
}

/** A text with the numbers of its lines; those where something is wrong are marked. */
function Editor({ area, text, readonly, wrong, change }) {
  const gutter = useRef();
  const bad = new Set(wrong.map((p) => p.line));
  const scrolled = () => {
    gutter.current.scrollTop = area.current.scrollTop;
  };
  return html`<label class="field"><span>Document</span>
    <span class="editor">
      <span class="gutter" ref=${gutter} aria-hidden="true">${text.split("\n").map((_, n) => html`<span class=${bad.has(n + 1) ? "bad" : ""}>${n + 1}</span>`)}</span>
      <textarea class="code" ref=${area} rows="18" spellcheck=${false} readonly=${readonly} wrap="off" value=${text} onScroll=${scrolled} onInput=${(e) => change(e.target.value)}></textarea>
    </span></label>`;
}
