// Ways in and out of rooms, with a token where the server wants one.

import { html, useState } from "../static/vendor/preact.min.js";
import { address, mint } from "./api.js";
import { Icon } from "./icons.js";

const HOURS = 12;
const tokens = new Map();

/** A pattern that is for one room alone. */
const only = (room) => room.replace(/[*?[]/g, "[$&]");

/**
 * Where a job's live stream is: the folder of its playlist, and its page. `anew` takes another token than last time.
 * Raises ApiError when there is to be a token and this key may make none.
 */
export async function watchAt(server, job, anew = false) {
  if (!server.playback.token) return address(job.live.url);
  if (anew || !tokens.has(job.id)) tokens.set(job.id, await mint("playback", [only(job.room)], HOURS));
  return `${address(job.live.url)}~${tokens.get(job.id)}/`;
}

/** Where somebody publishes into a room of this server, given by its name. */
async function publishAt(server, room) {
  const page = address(`/publish/${encodeURIComponent(room)}`);
  if (!server.publishing.token) return page;
  try {
    return `${page}#token=${await mint("whip", [only(`local:${encodeURIComponent(room)}`)], HOURS)}`;
  } catch (error) {
    // Where nothing signs tokens, the page that is opened takes the key from this one.
    if (error.details.some((detail) => detail.field === "token_secret")) return page;
    throw error;
  }
}

/** A button that opens what `find` says in a tab of its own. */
function Opener({ label, find, icon = "", main = false }) {
  const [error, say] = useState(null);
  const open = async () => {
    say(null);
    try {
      if (!window.open(await find(), "_blank")) say({ message: "The browser lets no tab be opened; allow it for this page." });
    } catch (refused) {
      say(refused);
    }
  };
  return html`<span class="action">
    <button type="button" class=${main ? "main" : ""} onClick=${open}>${icon && html`<${Icon} name=${icon} />`}${label}</button>
    ${error && html`<span class="refused" role="alert">${error.message}</span>`}
  </span>`;
}

export function Publish({ server, room, main = false, label = "Publish" }) {
  return html`<${Opener} label=${label} icon="camera" main=${main} find=${() => publishAt(server, room)} />`;
}

export function Watch({ server, job }) {
  return html`<${Opener} label="Watch page" icon="screen" find=${() => watchAt(server, job)} />`;
}
