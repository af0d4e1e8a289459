// Publishes into the room named in the address by WHIP (RFC 9725), and comes back by itself when the network fails.
// `?name= &role= &codec=h264|vp8 &test=1 &size=640x360 &autostart=1` fill in the form, `#token=` the token.
// `window.publisher` tells tests and consoles what is going on.

import { testPattern } from "./pattern.js";

const GATHERING_MS = 3000;
const DISCONNECTED_MS = 5000;
const CONNECTING_MS = 15000;
const LONGEST_WAIT_MS = 30000;
const VIDEO_BITRATE = 2_500_000;

const at = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const room = decodeURIComponent(location.pathname.split("/").filter(Boolean).pop() ?? "");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const publisher = {
  state: "idle",
  pc: null,
  resource: null,
  attempts: 0,
  codec: null,
  bitrate: 0,
  frames: 0,
  errors: [],
  start,
  stop,
  info() {
    const { state, resource, attempts, codec, bitrate, frames, errors } = publisher;
    return { state, resource, attempts, codec, bitrate, frames, errors };
  },
};
window.publisher = publisher;

let wanted = false;
let media = null;
let wake = () => {};
let previous = null;

class Refused extends Error {}

function show(state, text, tone) {
  publisher.state = state;
  at("state").textContent = text;
  at("state").dataset.tone = tone;
}

function fail(error) {
  publisher.errors.push(String(error.message ?? error));
  at("error").textContent = error.message ?? String(error);
}

function peerId() {
  try {
    const known = sessionStorage.getItem("peer") ?? crypto.randomUUID();
    sessionStorage.setItem("peer", known);
    return known;
  } catch {
    return crypto.randomUUID();
  }
}

// Who was here before keeps the name; anybody else is a guest until they say more.
function knownName() {
  try {
    return localStorage.getItem("name") ?? `Guest ${1 + Math.floor(Math.random() * 99)}`;
  } catch {
    return "Guest";
  }
}

function rememberName() {
  try {
    localStorage.setItem("name", at("name").value);
  } catch {
    // It is asked for again.
  }
}

// A page that the dashboard opened has its tab's API key.
function knownKey() {
  try {
    return sessionStorage.getItem("egress-key") ?? "";
  } catch {
    return "";
  }
}

function headers(more) {
  const token = at("token").value.trim();
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function capture() {
  const source = at("source").value;
  const given = asked.get("size") ?? "";
  const [width, height] = /^\d{2,4}x\d{2,4}$/.test(given) ? given.split("x").map(Number) : [1280, 720];
  if (source === "test") return testPattern(at("name").value, width, height);
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const size = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  let stream;
  if (source === "screen") {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio: false });
    const microphone = await navigator.mediaDevices.getUserMedia({ audio });
    stream.addTrack(microphone.getAudioTracks()[0]);
  } else {
    stream = await navigator.mediaDevices.getUserMedia({ video: size, audio });
  }
  return { stream, stop: () => stream.getTracks().forEach((track) => track.stop()) };
}

function preferred(codec) {
  const all = RTCRtpSender.getCapabilities("video").codecs;
  const chosen = all.filter((c) => c.mimeType.toLowerCase() === `video/${codec}`);
  if (!chosen.length) throw new Refused(`This browser can not send ${codec}.`);
  return [...chosen, ...all.filter((c) => c.mimeType === "video/rtx")];
}

function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  const complete = new Promise((done) => {
    pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && done());
  });
  return Promise.race([complete, sleep(GATHERING_MS)]);
}

async function connect() {
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  publisher.pc = pc;
  const streams = [media.stream];
  for (const track of media.stream.getAudioTracks()) {
    pc.addTransceiver(track, { direction: "sendonly", streams });
  }
  for (const track of media.stream.getVideoTracks()) {
    const transceiver = pc.addTransceiver(track, {
      direction: "sendonly",
      streams,
      sendEncodings: [{ maxBitrate: VIDEO_BITRATE, maxFramerate: 30 }],
    });
    const codec = at("codec").value;
    if (codec) transceiver.setCodecPreferences(preferred(codec));
  }
  applyMutes();
  const over = ended(pc);
  await pc.setLocalDescription();
  await gathered(pc);

  const query = new URLSearchParams({ peer: peerId(), name: at("name").value, role: at("role").value });
  if (at("source").value === "screen") query.set("source", "screen");
  const answer = await fetch(`../whip/${encodeURIComponent(room)}?${query}`, {
    method: "POST",
    headers: headers({ "Content-Type": "application/sdp" }),
    body: pc.localDescription.sdp,
  });
  if (answer.status !== 201) {
    const reason = (await answer.text()).trim().slice(0, 300) || answer.statusText;
    const error = `The room said ${answer.status}: ${reason}`;
    // A room that is not open yet, is full or is restarting may take us later; the rest is ours to mend.
    if (answer.status < 500 && ![404, 408, 409, 429].includes(answer.status)) throw new Refused(error);
    throw new Error(error);
  }
  const location_ = answer.headers.get("Location");
  // A server in front of ours may have it below another path, which our Location does not know: only its end counts.
  if (location_) publisher.resource = new URL(`${encodeURIComponent(room)}/${location_.split("/").pop()}`, new URL("../whip/", location)).href;
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  return over;
}

// Resolves once the connection is beyond hope, or has not come about in time.
function ended(pc) {
  return new Promise((done) => {
    let patience = setTimeout(done, CONNECTING_MS, "no connection in time");
    wake = () => done("stopped");
    pc.addEventListener("connectionstatechange", () => {
      clearTimeout(patience);
      if (pc.connectionState === "connected") {
        publisher.attempts = 0;
        at("error").textContent = "";
        show("publishing", "publishing", "good");
      } else if (pc.connectionState === "disconnected") {
        show("unstable", "connection unstable", "warn");
        patience = setTimeout(done, DISCONNECTED_MS, "connection lost");
      } else if (pc.connectionState === "failed" || pc.connectionState === "closed") {
        done("connection failed");
      } else {
        patience = setTimeout(done, CONNECTING_MS, "no connection in time");
      }
    });
  });
}

function leave() {
  publisher.pc?.close();
  publisher.pc = null;
  previous = null;
  if (publisher.resource) {
    // keepalive lets it outlive the page.
    fetch(publisher.resource, { method: "DELETE", headers: headers({}), keepalive: true }).catch(() => {});
    publisher.resource = null;
  }
}

async function stay() {
  while (wanted) {
    show("connecting", publisher.attempts ? `reconnecting (${publisher.attempts})` : "connecting", "warn");
    try {
      const over = await connect();
      const reason = await over;
      if (wanted) fail(reason);
    } catch (error) {
      fail(error);
      if (error instanceof Refused) wanted = false;
    }
    leave();
    if (!wanted) break;
    publisher.attempts += 1;
    // Full jitter, so that a room that comes back is not met by everyone at once.
    const longest = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** publisher.attempts);
    show("waiting", "waiting to reconnect", "bad");
    await Promise.race([
      sleep(250 + Math.random() * longest),
      new Promise((done) => {
        wake = done;
      }),
    ]);
  }
}

async function start() {
  if (wanted) return;
  wanted = true;
  rememberName();
  publisher.attempts = 0;
  at("error").textContent = "";
  at("toggle").textContent = "Stop";
  try {
    show("capturing", "asking for camera and microphone", "warn");
    media = await capture();
    at("preview").srcObject = media.stream;
    at("controls").hidden = false;
    for (const track of media.stream.getVideoTracks()) track.addEventListener("ended", stop);
    await stay();
  } catch (error) {
    fail(error);
  } finally {
    wanted = false;
    media?.stop();
    media = null;
    at("preview").srcObject = null;
    at("controls").hidden = true;
    at("toggle").textContent = "Publish";
    show("idle", "not publishing", "warn");
  }
}

function stop() {
  wanted = false;
  wake();
}

// A muted track is not sent at all: the room sees at once that it is muted, and no black picture is encoded.
function applyMutes() {
  if (!media) return;
  for (const { sender, receiver } of publisher.pc?.getTransceivers() ?? []) {
    // The sender's own track is null while muted; the receiver's tells the kind for ever.
    const { kind } = receiver.track;
    const track = media.stream.getTracks().find((captured) => captured.kind === kind) ?? null;
    const on = at(kind === "audio" ? "mic" : "camera").getAttribute("aria-pressed") === "true";
    sender.replaceTrack(on ? track : null).catch(fail);
  }
}

function toggle(button, label) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  button.textContent = `${label} ${on ? "on" : "off"}`;
  applyMutes();
}

async function measure() {
  const pc = publisher.pc;
  if (!pc || publisher.state !== "publishing") {
    for (const id of ["bitrate", "size", "rtt"]) at(id).textContent = "–";
    return;
  }
  let bytes = 0;
  let video = null;
  let rtt = null;
  const report = await pc.getStats();
  for (const stat of report.values()) {
    if (stat.type === "outbound-rtp") bytes += stat.bytesSent;
    if (stat.type === "outbound-rtp" && stat.kind === "video") video = stat;
    if (stat.type === "candidate-pair" && stat.nominated) rtt = stat.currentRoundTripTime ?? null;
  }
  const now = performance.now();
  if (previous) {
    publisher.bitrate = Math.max(0, Math.round(((bytes - previous.bytes) * 8000) / (now - previous.now)));
    at("bitrate").textContent = `${(publisher.bitrate / 1000).toFixed(0)} kbit/s`;
  }
  previous = { bytes, now };
  if (video) {
    publisher.frames = video.framesSent ?? 0;
    publisher.codec = report.get(video.codecId)?.mimeType ?? null;
    const codec = publisher.codec ? publisher.codec.replace("video/", "") : "";
    at("size").textContent = `${video.frameWidth ?? "?"}×${video.frameHeight ?? "?"} ${codec}`;
  }
  at("rtt").textContent = rtt === null ? "–" : `${(rtt * 1000).toFixed(0)} ms`;
}

at("title").textContent = `Publish into ${room}`;
document.title = `${room} · publish`;
at("name").value = asked.get("name") ?? knownName();
at("role").value = asked.get("role") === "host" ? "host" : "guest";
at("codec").value = ["h264", "vp8"].includes(asked.get("codec")) ? asked.get("codec") : "";
at("source").value = asked.has("test") ? "test" : "camera";
at("token").value = new URLSearchParams(location.hash.slice(1)).get("token") ?? knownKey();
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (wanted) stop();
  else start();
});
// Before this, a press would have done nothing.
at("toggle").disabled = false;
at("mic").addEventListener("click", () => toggle(at("mic"), "Microphone"));
at("camera").addEventListener("click", () => toggle(at("camera"), "Picture"));
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => {
  if (event.persisted) wake();
});
setInterval(measure, 1000);
at("name").addEventListener("focus", () => at("name").select());
if (asked.has("autostart") && asked.get("name")) start();
