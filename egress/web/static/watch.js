// Plays the stream this page stands beside: live with low latency, afterwards as a recording.
// `window.player` tells tests and consoles what is going on.

const SOURCE = "index.m3u8";
const RETRY_MS = 500;
const SEGMENT = /^#EXTINF:/m;
const KEPT_ERRORS = 50;
// What hls.js reports of itself: a buffer that ran dry (counted as a stall), how it gets out of that, or over a hole it has
// left where it loads the same again in another size, and requests it has thought better of. A stall it does not get out
// of is fatal, and told.
const HARMLESS = ["bufferStalledError", "bufferNudgeOnStall", "bufferSeekOverHole", "aborted"];

const at = (id) => document.getElementById(id);
const video = at("video");
// A playback token may stand between the stream's name and the page: /live/NAME/~TOKEN/.
const name = decodeURIComponent(
  location.pathname.split("/").filter((part) => part && !part.startsWith("~")).pop() ?? "",
);

const player = {
  hls: null,
  video,
  state: "starting",
  live: false,
  following: true,
  errors: [],
  stalls: 0,
  info() {
    const quality = video.getVideoPlaybackQuality?.() ?? { totalVideoFrames: 0, droppedVideoFrames: 0 };
    return {
      state: player.state,
      live: player.live,
      latency: player.hls?.latency ?? 0,
      targetLatency: player.hls?.targetLatency ?? null,
      behind: player.hls?.playingDate ? (Date.now() - player.hls.playingDate.getTime()) / 1000 : null,
      time: video.currentTime,
      duration: video.duration,
      width: video.videoWidth,
      height: video.videoHeight,
      frames: quality.totalVideoFrames,
      dropped: quality.droppedVideoFrames,
      audioBytes: video.webkitAudioDecodedByteCount ?? null,
      muted: video.muted,
      stalls: player.stalls,
      errors: player.errors,
    };
  },
};
window.player = player;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function show(state, tone) {
  player.state = state;
  at("state").textContent = state;
  at("state").dataset.tone = tone;
}

function note(text) {
  player.errors.push(text);
  player.errors.splice(0, player.errors.length - KEPT_ERRORS);
  at("error").textContent = text;
}

async function text(url) {
  const answer = await fetch(url, { cache: "no-store" });
  return answer.ok ? answer.text() : "";
}

// How many whole segments the shortest rendition has: finding none in one, hls.js calls it empty and looks again
// much later.
async function segments() {
  const index = await text(SOURCE);
  const uris = index.split("\n").flatMap((line) => {
    if (line.startsWith("#EXT-X-MEDIA:")) return line.match(/URI="([^"]*)"/)?.[1] ?? [];
    return line.trim() && !line.startsWith("#") ? line.trim() : [];
  });
  const lists = SEGMENT.test(index) ? [index] : await Promise.all(uris.map(text));
  return lists.length ? Math.min(...lists.map((list) => list.split(SEGMENT).length - 1)) : 0;
}

async function started() {
  for (;;) {
    try {
      const count = await segments();
      if (count) return count;
      show("starting", "warn");
    } catch {
      show("server away", "bad");
    }
    await sleep(RETRY_MS);
  }
}

async function begin() {
  show("starting", "warn");
  const count = await started();
  at("error").textContent = "";
  if (!window.Hls?.isSupported()) {
    playNatively();
    return;
  }
  const hls = new window.Hls({
    lowLatencyMode: true,
    maxLiveSyncPlaybackRate: 1.2,
    liveSyncOnStallIncrease: 0.5,
    backBufferLength: 120,
    capLevelToPlayerSize: true,
    // Looking for the live edge inside an only segment, hls.js loads its last part over and over until the next one.
    startPosition: count < 2 ? 0 : -1,
  });
  player.hls = hls;
  hls.on(window.Hls.Events.MANIFEST_PARSED, play);
  hls.on(window.Hls.Events.LEVEL_UPDATED, (_, { details }) => {
    player.live = details.live;
  });
  hls.on(window.Hls.Events.ERROR, (_, error) => failed(hls, error));
  hls.loadSource(SOURCE);
  hls.attachMedia(video);
}

function playNatively() {
  if (!video.canPlayType("application/vnd.apple.mpegurl")) {
    show("not playable", "bad");
    note("This browser can not play HLS.");
    return;
  }
  video.src = SOURCE;
  play();
}

async function play() {
  try {
    await video.play();
  } catch (error) {
    if (error.name !== "AbortError") show("press play", "warn");
  }
}

async function failed(hls, error) {
  const status = error.response?.code ? ` (${error.response.code})` : "";
  if (!error.fatal) {
    if (!HARMLESS.includes(error.details)) player.errors.push(`${error.details}${status}`);
    return;
  }
  note(`${error.details}${status}`);
  if (hls !== player.hls) return;
  if (error.type === window.Hls.ErrorTypes.MEDIA_ERROR) {
    hls.recoverMediaError();
    return;
  }
  show("reconnecting", "bad");
  player.hls = null;
  hls.destroy();
  await sleep(RETRY_MS);
  begin();
}

function toLive() {
  const edge = player.hls?.liveSyncPosition;
  if (edge) video.currentTime = edge;
  player.following = true;
  play();
}

// How far behind still counts as following: a seek further back is the viewer's wish to look at the past.
function slack() {
  const target = player.hls?.latestLevelDetails?.targetduration ?? 4;
  return (player.hls?.targetLatency ?? 3 * target) + target;
}

function tick() {
  const { latency, width, height, dropped } = player.info();
  const behind = player.live && latency > slack();
  if (behind && player.following && !video.paused && video.readyState >= 2) toLive();
  at("latency").textContent = player.live && latency ? `${latency.toFixed(1)} s` : "–";
  at("size").textContent = width ? `${width}×${height}` : video.currentTime ? "sound only" : "–";
  at("dropped").textContent = dropped;
  at("golive").hidden = !behind;
  at("unmute").hidden = !(video.muted && video.readyState >= 2);
  if (player.state === "reconnecting" || (player.hls === null && !video.src)) return;
  if (video.ended) show("ended", "good");
  else if (video.paused) show(player.live ? "live, paused" : "paused", "warn");
  else if (video.readyState < 3) show("buffering", "warn");
  else show(player.live ? "live" : "ended, recorded", player.live ? "good" : "");
}

at("title").textContent = name;
document.title = `${name} · watch`;
at("unmute").addEventListener("click", () => {
  video.muted = false;
  if (video.volume === 0) video.volume = 1;
  play();
});
at("golive").addEventListener("click", toLive);
video.addEventListener("waiting", () => {
  player.stalls += 1;
});
video.addEventListener("seeked", () => {
  player.following = !player.live || (player.hls?.latency ?? 0) <= slack();
});
setInterval(tick, 250);
begin();
