// What happened to a job, in words: the latest first, more of it when asked, and what happens from now on.

import { html, useEffect, useState } from "../static/vendor/preact.min.js";
import { get } from "./api.js";
import { bytes, clock, span } from "./format.js";
import { GIVEN_UP } from "./graphs.js";
import { era, witness } from "./store.js";
import { Problem } from "./widgets.js";

const PAGE = 50;
/** Too many, and seen elsewhere. */
const LEFT_OUT = new Set(["thumbnail"]);
/** Commands whose effect is told by itself. */
const SEEN = new Set(["pause", "resume", "stop", "add-destination", "remove-destination"]);
const DONE = { layout: "Layout changed", theme: "Colours changed", tiles: "Tiles changed", overlays: "Overlays changed", title: "Title changed", mark: "Chapter set", metadata: "Metadata sent", caption: "Caption written" };

const because = (reason) => (reason ? `: ${reason}` : "");
const stream = (b) => b.name || b.to || "a stream";

/** By type: [words, tone], from an event's body. */
const WORDS = {
  "job.starting": () => ["Asked for; its worker starts"],
  "job.running": () => ["It runs", "good"],
  "job.recovering": (b) => [`Its worker died, another one follows${because(b.why || b.reason)}`, "warn"],
  "job.asked_to_stop": (b) => [`Asked to stop${because(b.reason)}`],
  "job.stopping": (b) => [`Stopping${because(b.reason)}`],
  "job.finished": (b) => [`Finished after ${span(b.duration)}${because(b.reason)}`, "good"],
  "job.failed": (b) => [`Failed${because(b.reason)}`, "bad"],
  "job.aborted": (b) => [`Ended before there was anything to record${because(b.reason)}`, "bad"],
  "artifact.ready": (b) => [`Ready: ${b.kind}, ${bytes(b.size)}${b.duration ? `, ${span(b.duration)}` : ""}`, "good"],
  "destination.connecting": (b) => [`Connecting to ${stream(b)}`],
  "destination.live": (b) => [`Streaming to ${stream(b)}`, "good"],
  "destination.retrying": (b) => [`Connecting to ${stream(b)} again${because(b.reason)}`, "warn"],
  "destination.failed": (b) => [`Gave up streaming to ${stream(b)}${because(b.reason)}`, "bad"],
  "destination.ended": (b) => [`No longer streaming to ${stream(b)}`],
  "sink.failed": (b) => [`Gave up an output, ${b.sink}${because(b.reason)}`, "bad"],
  "room.joined": (b) => [`${b.peer} joined${b.role ? ` as ${b.role}` : ""}`],
  "room.left": (b) => [`${b.peer} left${because(b.reason)}`],
  "room.changed": (b) => [`${b.peer} is ${b.role || "without a role"} now`],
  "room.published": (b) => [`${b.peer} sends ${{ mic: "sound", camera: "a picture", screen: "a screen" }[b.track] || b.track}`],
  "room.lost": (b) => [`Lost the room${because(b.reason)}`, "bad"],
  "room.restored": () => ["Back in the room", "good"],
  "pause.began": () => ["Paused: what follows is not recorded", "warn"],
  "pause.ended": () => ["Resumed", "good"],
  overload: (b) => (b.level > b.was
    ? [`Too slow a machine; to keep up, ${GIVEN_UP[(b.degraded || []).at(-1)] || "quality is given up"}${because(b.why)}`, "warn"]
    : [b.level ? "Some of the quality is back" : "All of the quality is back", "good"]),
  warning: (b) => [b.message, "warn"],
  control: (b) => (b.ok === false ? [`Refused: ${spoken(b.command)}${because(b.message)}`, "bad"] : [DONE[b.command] || `Told: ${spoken(b.command)}`]),
};

const spoken = (name) => String(name || "").replaceAll("-", " ");

/** [words, tone] of an event; one of a type that is not known here is told by its own words. */
export function told({ type, body }) {
  if (WORDS[type]) return WORDS[type](body);
  const [first, ...rest] = type.replaceAll("_", " ").split(".");
  return [`${first[0].toUpperCase()}${first.slice(1)} ${rest.join(" ")}${because(body.message || body.reason)}`, "warn"];
}

const shown = ({ type, body }) => !LEFT_OUT.has(type) && !(type === "control" && body.ok !== false && SEEN.has(body.command));

function useHappened(id) {
  const path = `jobs/${encodeURIComponent(id)}/events?limit=${PAGE}`;
  const [state, set] = useState({ items: null, next: null, error: null });
  const load = async (before) => {
    try {
      const page = await get(`${path}&before=${before}`);
      set((now) => {
        const kept = before ? now.items : [];
        const seen = new Set(kept.map((event) => event.seq));
        return { items: [...kept, ...page.items.filter((event) => !seen.has(event.seq))], next: page.next, error: null };
      });
    } catch (error) {
      set((now) => ({ ...now, error }));
    }
  };
  useEffect(() => {
    load(0);
    return witness(id, (event) => set((now) => {
      if (!now.items || (now.items.length && now.items[0].seq >= event.seq)) return now;
      return { ...now, items: [event, ...now.items] };
    }));
  }, [id, era()]);
  return { ...state, more: () => load(state.next) };
}

export function Happened({ id }) {
  const { items, next, error, more } = useHappened(id);
  if (error && !items) return html`<${Problem} error=${error} />`;
  if (!items || items.length === 0) return null;
  return html`<section class="panel"><h2 id="happened">What happened</h2>
    <ol class="events" role="log" aria-labelledby="happened" tabindex="0">
      ${items.filter(shown).map((event) => {
        const [words, tone] = told(event);
        return html`<li key=${event.seq} class=${tone || ""}><time datetime=${event.at} title=${new Date(event.at).toLocaleString()}>${clock(event.at)}</time><span>${words}</span></li>`;
      })}
    </ol>
    <${Problem} error=${error} />
    ${next && html`<p class="more"><button type="button" onClick=${more}>What was before</button></p>`}
  </section>`;
}
