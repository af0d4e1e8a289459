// What the worker of a job logged, for who looks for the cause of something.

import { html, useEffect, useRef, useState } from "../static/vendor/preact.min.js";
import { get } from "./api.js";
import { Problem } from "./widgets.js";

const LINES = [200, 1000, 10000];

export function Log({ path }) {
  const [lines, choose] = useState(LINES[0]);
  const [open, opened] = useState(false);
  const [state, set] = useState({ text: null, error: null });
  const box = useRef();
  const look = async () => {
    try {
      set({ text: await get(`${path}/log?tail=${lines}`), error: null });
    } catch (error) {
      set({ text: null, error });
    }
  };
  useEffect(() => {
    if (open) look();
  }, [path, lines, open]);
  useEffect(() => {
    // What it said last is what people look for.
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [state.text]);
  return html`<details class="panel" onToggle=${(e) => opened(e.currentTarget.open)}><summary>The worker's log</summary>
    ${open && html`<p class="row"><select aria-label="How much of it" value=${lines} onChange=${(e) => choose(Number(e.target.value))}>
      ${LINES.map((count) => html`<option value=${count}>last ${count} lines</option>`)}</select>
      <button type="button" onClick=${look}>Look again</button></p>
    <${Problem} error=${state.error} />
    ${state.text !== null && html`<pre class="log" ref=${box} tabindex="0" aria-label="The worker's log">${state.text || "It has logged nothing."}</pre>`}`}
  </details>`;
}
