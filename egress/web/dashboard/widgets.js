// Small parts every page uses.

import { html, useEffect, useRef, useState } from "../static/vendor/preact.min.js";
import { picture } from "./api.js";
import { Icon } from "./icons.js";

const WORDS = {
  starting: "starting", running: "live", paused: "paused", stopping: "stopping", recovering: "recovering",
  finished: "finished", failed: "failed", aborted: "aborted",
};

export function State({ state, paused = false }) {
  const shown = paused && state === "running" ? "paused" : state;
  return html`<span class="state ${shown}">${WORDS[shown] || shown}</span>`;
}

/** What went wrong, with every field the server named. */
export function Problem({ error }) {
  if (!error) return null;
  const details = (error.details || []).filter((d) => d.field || !error.message.includes(d.message));
  return html`<div class="problem" role="alert">
    <p>${error.message.split("\n")[0]}</p>
    ${details.length > 0 && html`<ul>${details.map((d) => html`<li>${d.field && html`<code>${d.field}</code> `}${d.message}</li>`)}</ul>`}
  </div>`;
}

/** A modal dialog; `close` is called on Escape, on a click outside and by the cross. */
export function Dialog({ title, close, children }) {
  const box = useRef();
  const outside = useRef(false);
  useEffect(() => {
    box.current.showModal();
    const first = box.current.querySelector(".inside input:not(:disabled), .inside select, .inside textarea");
    if (!first) return;
    first.focus();
    // A long text is read from its beginning.
    if (first.tagName === "TEXTAREA") first.setSelectionRange(0, 0);
    first.scrollTop = 0;
  }, []);
  // A click that began inside, where text was selected, ends nothing.
  const pressed = (event) => {
    outside.current = event.target === box.current;
  };
  const clicked = (event) => {
    if (outside.current && event.target === box.current) close();
  };
  return html`<dialog ref=${box} aria-label=${title} onMouseDown=${pressed} onClick=${clicked} onCancel=${(e) => { e.preventDefault(); close(); }}>
    <header><h2>${title}</h2><button type="button" class="plain icon" aria-label="Close" onClick=${close}><${Icon} name="close" /></button></header>
    <div class="inside">${children}</div>
  </dialog>`;
}

/** A button that runs `act` and shows what it refuses; with `confirm`, only when asked a second time. */
export function Action({ label, act, kind = "", confirm = "", disabled = false, done }) {
  const [state, set] = useState({ busy: false, asked: false, error: null });
  const press = async () => {
    if (confirm && !state.asked) {
      set({ ...state, asked: true });
      setTimeout(() => set((now) => ({ ...now, asked: false })), 4000);
      return;
    }
    set({ busy: true, asked: false, error: null });
    try {
      const answer = await act();
      set({ busy: false, asked: false, error: null });
      if (done) done(answer);
    } catch (error) {
      set({ busy: false, asked: false, error });
    }
  };
  return html`<span class="action">
    <button type="button" class=${kind} disabled=${disabled || state.busy} onClick=${press}>
      ${state.asked ? confirm : label}
    </button>
    ${state.error && html`<span class="refused" role="alert">${state.error.message}</span>`}
  </span>`;
}

export function Field({ label, hint, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>`;
}

/** A table that becomes a list of cards on a phone: `rows` are [key, cells], a cell for each of `heads`. */
export function Table({ heads, rows }) {
  return html`<table><thead><tr>${heads.map((head) => html`<th>${head || html`<span class="hidden">What to do</span>`}</th>`)}</tr></thead>
    <tbody>${rows.map(([key, cells]) => html`<tr key=${key}>${cells.map((cell, n) => html`<td data-label=${heads[n]} class=${heads[n] ? "" : "actions"}><div>${cell}</div></td>`)}</tr>`)}</tbody></table>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2><div>${children}</div></div>`;
}

/** Something that is shown once, and copied. */
export function Secret({ label, value, done }) {
  return html`<div class="banner" role="status"><p>${label}, shown this once: <code>${value}</code></p>
    <p class="row">${navigator.clipboard && html`<button type="button" onClick=${() => navigator.clipboard.writeText(value)}>Copy</button>`}
      <button type="button" onClick=${done}>I have it</button></p></div>`;
}

/** A line of figures over time: the newest is on the right. */
export function Graph({ label, values, text, most }) {
  const top = Math.max(most || 0, ...values, 1e-9);
  const [width, height] = [120, 32];
  const step = width / Math.max(1, 59);
  const points = values.slice(-60).map((value, index, shown) => {
    const x = width - (shown.length - 1 - index) * step;
    return `${x.toFixed(1)},${(height - 1 - (value / top) * (height - 2)).toFixed(1)}`;
  });
  return html`<figure class="graph">
    <figcaption><span>${label}</span><b>${text}</b></figcaption>
    <svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">
      ${points.length > 1 && html`<polyline points=${points.join(" ")} />`}
    </svg>
  </figure>`;
}

/** A picture from behind the key, looked for again every `every` ms; nothing while there is none. */
export function Picture({ path, alt, every = 0 }) {
  const [source, set] = useState("");
  const [none, never] = useState(false);
  useEffect(() => {
    const control = new AbortController();
    let live = true;
    let shown = "";
    const look = async () => {
      try {
        const next = await picture(path, control.signal);
        if (!live) return URL.revokeObjectURL(next);
        if (shown) URL.revokeObjectURL(shown);
        shown = next;
        set(next);
      } catch (error) {
        // There is none yet, or it has gone: what is shown stays. Of some things there can be none.
        if (error.status === 400) never(true);
      }
    };
    look();
    const timer = every ? setInterval(look, every) : 0;
    return () => {
      live = false;
      control.abort();
      clearInterval(timer);
      if (shown) URL.revokeObjectURL(shown);
    };
  }, [path, every]);
  return source ? html`<img src=${source} alt=${alt} loading="lazy" />` : html`<div class="nopicture" aria-hidden="true">${none ? "no picture" : ""}</div>`;
}

/** What `load` gives, and a function that loads it again. */
export function useLoad(load, keys = []) {
  const [state, set] = useState({ data: null, error: null });
  const again = async () => {
    try {
      set({ data: await load(), error: null });
    } catch (error) {
      set((now) => ({ ...now, error }));
    }
  };
  useEffect(() => {
    again();
  }, keys);
  return [state.data, state.error, again];
}

/** A list that grows by pages. */
export function useList(load, keys = []) {
  const [state, set] = useState({ items: null, next: null, error: null });
  const turn = useRef(0);
  const fetchPage = async (cursor, items) => {
    turn.current += 1;
    const mine = turn.current;
    try {
      const page = await load(cursor);
      // What was asked for since is the list; an answer that comes late is not.
      if (mine === turn.current) set({ items: [...items, ...page.items], next: page.next, error: null });
    } catch (error) {
      set((now) => ({ ...now, error }));
    }
  };
  useEffect(() => {
    fetchPage(null, []);
  }, keys);
  return { ...state, more: () => fetchPage(state.next, state.items), again: () => fetchPage(null, []) };
}

export function More({ list }) {
  return list.next ? html`<p class="more"><button type="button" onClick=${list.more}>Show more</button></p>` : null;
}
