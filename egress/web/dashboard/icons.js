// Pictures on buttons, drawn by strokes of the text's colour.

import { html } from "../static/vendor/preact.min.js";

const PATHS = {
  close: "M5 5l10 10M15 5L5 15",
  moon: "M16 12.5A7 7 0 0 1 7.5 4a6.5 6.5 0 1 0 8.5 8.5z",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7zM10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6L16 16M4 16l1.4-1.4M14.6 5.4L16 4",
  screen: "M2.5 4h15v10h-15zM7 17h6",
  camera: "M2.5 6h10v8h-10zM12.5 9l5-3v8l-5-3",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
