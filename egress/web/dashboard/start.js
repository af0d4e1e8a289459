// Starting a job: the room, the pipeline, where to stream to.

import { html, useState } from "../static/vendor/preact.min.js";
import { get, post } from "./api.js";
import { remember } from "./store.js";
import { Dialog, Field, Problem, useLoad } from "./widgets.js";

/** What is taken unless chosen: it can be watched at once, and is recorded. */
const FIRST = "live-hls";

export function Start({ close }) {
  const [pipelines] = useLoad(() => get("pipelines?limit=200"));
  const [form, set] = useState({ room: "local:", pipeline: FIRST, destinations: "", pin: "", title: "" });
  const [state, say] = useState({ busy: false, error: null });
  const change = (name) => (event) => set({ ...form, [name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    say({ busy: true, error: null });
    try {
      const job = await post("jobs", {
        room: form.room.trim(),
        pipeline: form.pipeline,
        destinations: form.destinations.split("\n").map((line) => line.trim()).filter(Boolean),
        ...(form.pin ? { room_options: { pin: form.pin } } : {}),
        ...(form.title ? { overrides: { title: form.title } } : {}),
      });
      remember(job);
      close();
      location.hash = `#/jobs/${encodeURIComponent(job.id)}`;
    } catch (error) {
      say({ busy: false, error });
    }
  };
  return html`<${Dialog} title="Start a job" close=${close}>
    <form onSubmit=${submit}>
      <${Field} label="Room" hint="local:NAME is a room of this server; janus+ws://HOST:8188/ROOM one of a Janus.">
        <input required value=${form.room} onInput=${change("room")} spellcheck=${false} />
      <//>
      <${Field} label="Pipeline">
        <select value=${form.pipeline} onChange=${change("pipeline")}>
          ${(pipelines ? pipelines.items : []).map((p) => html`<option value=${p.name} selected=${p.name === form.pipeline}>${p.name} – ${p.about}</option>`)}
        </select>
      <//>
      <${Field} label="Stream to as well" hint="One address a line: rtmp://HOST/APP/KEY, youtube://KEY, twitch://KEY.">
        <textarea rows="2" value=${form.destinations} onInput=${change("destinations")} spellcheck=${false}></textarea>
      <//>
      <${Field} label="Title in the picture"><input value=${form.title} onInput=${change("title")} maxlength="200" /><//>
      <${Field} label="PIN of the room, if it has one"><input type="password" autocomplete="off" value=${form.pin} onInput=${change("pin")} /><//>
      <${Problem} error=${state.error} />
      <footer><button type="button" onClick=${close}>Cancel</button><button class="main" disabled=${state.busy}>Start</button></footer>
    </form>
  <//>`;
}
