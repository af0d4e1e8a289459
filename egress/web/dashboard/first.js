// The first minute: what to do where nothing is live yet.

import { html, useState } from "../static/vendor/preact.min.js";
import { address, get } from "./api.js";
import { Publish } from "./ways.js";
import { useLoad } from "./widgets.js";

const ROOM = "studio";

/** A name of a room that a template of this server is for, or "" without any that starts by itself. */
function roomOf(templates) {
  for (const { document } of templates) {
    if (document.enabled === false || document.start === "never") continue;
    for (const pattern of document.rooms || []) {
      const name = pattern.replace(/^local:/, "").replaceAll("*", "");
      if (/^[\w-]+$/.test(name)) return name;
    }
  }
  return "";
}

export function First({ server, start }) {
  const [page] = useLoad(() => get("templates?limit=50"));
  if (!page) return null;
  const room = roomOf(page.items);
  const url = address("/").replace(/\/$/, "");
  const auth = server.open ? "" : ` -H "Authorization: Bearer $EGRESS_API_KEY"`;
  const body = JSON.stringify({ room: `local:${room || ROOM}`, pipeline: "live-hls" });
  return html`<section class="first" aria-label="The first minute">
    <h2>Nothing is live yet</h2>
    <div class="steps">
      <article class="panel"><h3>From this browser</h3>
        ${room ? html`
          <p>Send your camera into the room <code>${room}</code>: allow it, press Publish there, and come back.
            The job starts by itself and plays on this page, and what was recorded is kept.</p>
          <${Publish} server=${server} room=${room} main label="Publish your camera" />`
          : html`<p>No template starts jobs by itself yet. <a href="#/templates">Make one</a> for a room, then publish into it.</p>`}
      </article>
      <article class="panel"><h3>From a room server</h3>
        <p>Join a room of Janus or of this server as one more participant, and choose what is made of it.</p>
        <button type="button" onClick=${start}>Start a job</button>
      </article>
      <article class="panel wide"><h3>From a program</h3>
        <${Line} label="curl" text=${`curl${auth} -H 'Content-Type: application/json' -d '${body}' ${url}/api/v1/jobs`} />
        <${Line} label="command line" text=${`egress jobs start local:${room || ROOM} --pipeline live-hls --server ${url}`} />
        ${room && html`<${Line} label="OBS, by WHIP" text=${`${url}/whip/${room}`} />`}
      </article>
    </div>
  </section>`;
}

/** A line to be copied. */
function Line({ label, text }) {
  const [copied, say] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    say(true);
    setTimeout(() => say(false), 2000);
  };
  return html`<div class="line"><span class="quiet">${label}</span><code>${text}</code>
    ${navigator.clipboard && html`<button type="button" aria-label=${`Copy the line for ${label}`} onClick=${copy}>${copied ? "Copied" : "Copy"}</button>`}</div>`;
}
