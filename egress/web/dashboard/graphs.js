// How a running job fares: its rates over the last minute, and what its CPU goes to.

import { html } from "../static/vendor/preact.min.js";
import { rate } from "./format.js";
import { figuresOf } from "./store.js";
import { Graph } from "./widgets.js";

/** Seconds that a figure in words is taken over. */
const SPAN = 5;
const STAGES = { receive: "receiving", decode: "decoding", compose: "drawing", mix: "sound", encode: "encoding", sinks: "writing", other: "other" };

export function Graphs({ id, job }) {
  const past = figuresOf(id);
  const list = (name) => past.map((figures) => figures[name]);
  const mean = (name) => past.slice(-SPAN).reduce((sum, figures) => sum + figures[name], 0) / Math.min(SPAN, past.length);
  const figures = job.figures || {};
  return html`<div class="graphs">
    <${Graph} label="Pictures" values=${list("fps")} text=${past.length ? `${mean("fps").toFixed(0)} fps` : "–"} most=${30} />
    <${Graph} label="Encoded" values=${list("bitrate")} text=${past.length ? rate(mean("bitrate")) : "–"} />
    <${Graph} label="Lost pictures" values=${list("lost")} text=${figures.repeated === undefined ? "–" : figures.repeated - (figures.halved || 0)} most=${1} />
    <${Graph} label="CPU" values=${list("cpu")} text=${past.length ? `${mean("cpu").toFixed(0)} %` : "–"} most=${100} />
  </div>
  <${Stages} spent=${exerted(past, figures)} />`;
}

/** What is given up for the machine to keep up, by its name there. */
export const GIVEN_UP = {
  loop_filter: "small tiles are decoded more coarsely", small_tiles: "small tiles move at half the rate",
  preset: "the encoder searches less", frame_rate: "half of the pictures are left out",
};
const RUNGS = Object.keys(GIVEN_UP);

/** Says that a job gives up quality, and which; nothing while it keeps up, or does not say. */
export function Strain({ job }) {
  const rung = (job.figures && job.figures.rung) || 0;
  if (!rung) return null;
  const lost = RUNGS.slice(0, rung).map((name) => GIVEN_UP[name]);
  return html`<p class="banner warn" role="status">The machine is too slow for what it runs, so quality is given up: ${lost.join(", ")}.</p>`;
}

/** CPU milliseconds by stage over the last minute, as far as that is known; null where the job does not say. */
function exerted(past, figures) {
  const now = figures.exertion;
  if (!now) return null;
  const before = (past.find((one) => one.exertion) || {}).exertion || {};
  const spent = Object.keys(STAGES).map((stage) => [stage, Math.max(0, (now[stage] || 0) - (before[stage] || 0))]);
  return spent.some(([, value]) => value > 0) ? spent : null;
}

function Stages({ spent }) {
  if (!spent) return null;
  const total = spent.reduce((sum, [, value]) => sum + value, 0);
  let at = 0;
  const parts = spent.filter(([, value]) => value > 0).map(([stage, value]) => {
    const part = { stage, x: at, width: (value / total) * 100 };
    at += part.width;
    return part;
  });
  return html`<figure class="stages"><figcaption>What its CPU goes to</figcaption>
    <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      ${parts.map(({ stage, x, width }) => html`<rect key=${stage} class=${stage} x=${x} y="0" width=${width} height="4" />`)}</svg>
    <ul>${parts.map(({ stage, width }) => html`<li key=${stage} class=${stage}>${STAGES[stage]} <b>${width.toFixed(0)} %</b></li>`)}</ul>
  </figure>`;
}
