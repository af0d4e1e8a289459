// A player for a live stream or a finished recording.

import { html, useEffect, useRef, useState } from "../static/vendor/preact.min.js";

let library;

function hls() {
  library ||= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = new URL("static/vendor/hls.min.js", document.baseURI).href;
    script.onload = () => done(window.Hls);
    script.onerror = () => failed(new Error("the player could not be loaded"));
    document.head.append(script);
  });
  return library;
}

/**
 * `source` is a playlist or a file, or a function that gives it: asked with `true` when what it gave last was refused.
 * Chapters are [{at, title}] in seconds. `name` tells this player from another one.
 */
export function Player({ source, name = source, live = false, chapters = [] }) {
  const video = useRef();
  const [note, say] = useState("");
  useEffect(() => {
    let player = null;
    let over = false;
    let timer = 0;
    const start = async (anew = false) => {
      const [found, Hls] = await Promise.all([typeof source === "function" ? source(anew) : source, hls()]);
      if (over) return;
      if (!new URL(found).pathname.endsWith(".m3u8") || !Hls.isSupported()) {
        video.current.src = found;
        return;
      }
      player = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1 });
      player.on(Hls.Events.ERROR, (_, data) => {
        if (!data.fatal) return;
        player.destroy();
        player = null;
        if (live && !over) {
          say("waiting for the stream…");
          const refused = data.response && data.response.code === 403;
          timer = setTimeout(() => start(refused).catch(failed), 2000);
        } else say("this cannot be played");
      });
      player.on(Hls.Events.FRAG_BUFFERED, () => say(""));
      player.loadSource(found);
      player.attachMedia(video.current);
    };
    const failed = (error) => over || say(error.message);
    start().catch(failed);
    return () => {
      over = true;
      clearTimeout(timer);
      if (player) player.destroy();
    };
  }, [name]);
  const seek = (at) => {
    video.current.currentTime = at;
    video.current.play();
  };
  return html`<div class="player">
    <video ref=${video} controls muted=${live} autoplay=${live} playsinline></video>
    ${note && html`<p class="note" role="status">${note}</p>`}
    ${chapters.length > 0 && html`<ol class="chapters">
      ${chapters.map((c) => html`<li><button type="button" class="plain" onClick=${() => seek(c.at)}>
        <time>${clock(c.at)}</time> ${c.title}</button></li>`)}
    </ol>`}
  </div>`;
}

function clock(seconds) {
  return new Date(seconds * 1000).toISOString().slice(seconds >= 3600 ? 11 : 14, 19);
}
