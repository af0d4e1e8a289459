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

/** `source` is a playlist or a file; chapters are [{at, title}] in seconds. */
export function Player({ source, live = false, chapters = [] }) {
  const video = useRef();
  const [note, say] = useState("");
  useEffect(() => {
    let player = null;
    let over = false;
    let timer = 0;
    const start = async () => {
      if (!new URL(source).pathname.endsWith(".m3u8")) {
        video.current.src = source;
        return;
      }
      const Hls = await hls();
      if (over) return;
      if (!Hls.isSupported()) {
        video.current.src = source;
        return;
      }
      player = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1 });
      player.on(Hls.Events.ERROR, (_, data) => {
        if (!data.fatal) return;
        player.destroy();
        player = null;
        if (live && !over) {
          say("waiting for the stream…");
          timer = setTimeout(start, 2000);
        } else say("this cannot be played");
      });
      player.on(Hls.Events.FRAG_BUFFERED, () => say(""));
      player.loadSource(source);
      player.attachMedia(video.current);
    };
    start().catch((error) => say(error.message));
    return () => {
      over = true;
      clearTimeout(timer);
      if (player) player.destroy();
    };
  }, [source]);
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
