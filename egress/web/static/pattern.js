// A picture and sound that need no camera: a moving test card that flashes and beeps on every whole second.

const FPS = 30;
const PULSE_S = 0.1;

function hash(text) {
  let value = 0;
  for (const character of text) value = (value * 31 + character.codePointAt(0)) >>> 0;
  return value;
}

function draw(context, name, hue) {
  const { width, height } = context.canvas;
  const unit = height / 720;
  const now = Date.now();
  const flash = now % 1000 < PULSE_S * 1000;
  context.fillStyle = flash ? `hsl(${hue} 90% 55%)` : `hsl(${hue} 30% 18%)`;
  context.fillRect(0, 0, width, height);
  const turn = (now % 4000) / 4000;
  context.fillStyle = `hsl(${hue} 70% 45%)`;
  context.fillRect(turn * width * 1.1 - width * 0.1, height * 0.7, width * 0.1, height * 0.2);
  context.beginPath();
  context.arc(width * (0.5 + 0.35 * Math.cos(turn * 2 * Math.PI)), height * 0.25, 50 * unit, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#fff";
  context.textAlign = "center";
  context.font = `600 ${84 * unit}px system-ui, sans-serif`;
  context.fillText(name, width / 2, height * 0.48, width * 0.9);
  context.font = `${48 * unit}px ui-monospace, monospace`;
  context.fillText(new Date(now).toISOString().slice(11, 23), width / 2, height * 0.6);
}

export async function testPattern(name, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { alpha: false });
  const hue = hash(name) % 360;
  const audio = new AudioContext({ sampleRate: 48000 });
  const gain = new GainNode(audio, { gain: 0 });
  const tone = new OscillatorNode(audio, { frequency: 440 + (hash(name) % 12) * 55 });
  const out = new MediaStreamAudioDestinationNode(audio, { channelCount: 1 });
  tone.connect(gain).connect(out);
  tone.start();
  await audio.resume();

  let beeped = 0;
  const beep = () => {
    const now = Date.now();
    const second = Math.ceil(now / 1000);
    if (second === beeped) return;
    beeped = second;
    const start = audio.currentTime + (second * 1000 - now) / 1000;
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(0.4, start + 0.003);
    gain.gain.setValueAtTime(0.4, start + PULSE_S - 0.003);
    gain.gain.linearRampToValueAtTime(0, start + PULSE_S);
  };
  const timer = setInterval(() => {
    draw(context, name, hue);
    beep();
  }, 1000 / FPS);
  draw(context, name, hue);

  const stream = canvas.captureStream(FPS);
  stream.addTrack(out.stream.getAudioTracks()[0]);
  return {
    stream,
    stop() {
      clearInterval(timer);
      tone.stop();
      audio.close();
    },
  };
}
