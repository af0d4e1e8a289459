// Publishes a MediaStream into a Janus VideoRoom over Janus's own WebSocket API, with no library.

const KEEPALIVE_MS = 20000;
const LAYERS = [
  { rid: "h", maxBitrate: 1200000 },
  { rid: "m", maxBitrate: 400000, scaleResolutionDownBy: 2 },
  { rid: "l", maxBitrate: 120000, scaleResolutionDownBy: 4 },
];

// One WebSocket with Janus: a session and one handle of the VideoRoom plugin.
class Session {
  #socket;
  #waiting = new Map();
  #common = {};

  constructor(server, secret) {
    this.#socket = new WebSocket(server, "janus-protocol");
    if (secret) this.#common.apisecret = secret;
    this.closed = new Promise((done) => this.#socket.addEventListener("close", done));
    this.#socket.addEventListener("message", ({ data }) => this.#heard(JSON.parse(data)));
  }

  async open() {
    await new Promise((opened, failed) => {
      this.#socket.addEventListener("open", opened);
      this.#socket.addEventListener("close", () => failed(new Error(`no Janus answers at ${this.#socket.url}`)));
    });
    this.#common.session_id = (await this.#ask({ janus: "create" })).data.id;
    this.#common.handle_id = (await this.#ask({ janus: "attach", plugin: "janus.plugin.videoroom" })).data.id;
    const { session_id, apisecret } = this.#common;
    const alive = setInterval(() => this.#send({ janus: "keepalive", session_id, apisecret }), KEEPALIVE_MS);
    this.closed.then(() => clearInterval(alive));
  }

  async message(body, jsep) {
    const answer = await this.#ask({ janus: "message", body, ...(jsep && { jsep }) });
    if (answer.plugindata.data.error) throw new Error(answer.plugindata.data.error);
    return answer;
  }

  close() {
    this.#send({ ...this.#common, janus: "destroy" });
    this.#socket.close();
  }

  #send(request) {
    const transaction = crypto.randomUUID();
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ ...request, transaction }));
    return transaction;
  }

  #ask(request) {
    return new Promise((answered, failed) => {
      this.#waiting.set(this.#send({ ...this.#common, ...request }), { answered, failed });
      this.closed.then(() => failed(new Error("the connection to Janus is lost")));
    });
  }

  #heard(event) {
    const waiting = this.#waiting.get(event.transaction);
    // "ack" says that the answer comes later.
    if (!waiting || event.janus === "ack") return;
    this.#waiting.delete(event.transaction);
    if (event.janus === "error") waiting.failed(new Error(event.error.reason));
    else waiting.answered(event);
  }
}

function gathered(pc) {
  return new Promise((done) => {
    const look = () => pc.iceGatheringState === "complete" && done();
    pc.addEventListener("icegatheringstatechange", look);
    look();
  });
}

// Join `room` under `name` and publish; gives { pc, lost, leave() }, where `lost` resolves when the connection fails.
export async function publish({ server, room, name, stream, codec, simulcast, pin, secret }) {
  const session = new Session(server, secret);
  await session.open();
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  try {
    await session.message({ request: "join", ptype: "publisher", room, display: name, ...(pin && { pin }) });
    for (const track of stream.getTracks()) {
      const layers = track.kind === "video" && simulcast ? { sendEncodings: LAYERS } : {};
      const transceiver = pc.addTransceiver(track, { direction: "sendonly", streams: [stream], ...layers });
      if (track.kind === "video" && codec) {
        const { codecs } = RTCRtpSender.getCapabilities("video");
        transceiver.setCodecPreferences(codecs.filter((c) => [`video/${codec}`, "video/rtx"].includes(c.mimeType)));
      }
    }
    await pc.setLocalDescription();
    await gathered(pc);
    const { type, sdp } = pc.localDescription;
    const answer = await session.message({ request: "publish" }, { type, sdp });
    await pc.setRemoteDescription(answer.jsep);
  } catch (error) {
    pc.close();
    session.close();
    throw error;
  }
  const failed = new Promise((done) => {
    pc.addEventListener("connectionstatechange", () => pc.connectionState === "failed" && done());
  });
  const leave = () => {
    session.close();
    pc.close();
  };
  return { pc, lost: Promise.race([session.closed, failed]), leave };
}
