"""Chromium, a real libwebrtc sender, to our receiver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import av
import pytest
from playwright.async_api import Page, async_playwright

from egress.model.errors import EndOfTrack
from egress.model.media import EncodedFrame
from egress.rooms.peer import PeerConnection
from egress.rooms.receiver import ReceivedTrack

OFFER = """
async ([codec, simulcast]) => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 640, height: 360});
  const paint = canvas.getContext('2d');
  let count = 0;
  setInterval(() => {
    paint.fillStyle = `hsl(${count * 7 % 360}, 80%, 50%)`;
    paint.fillRect(0, 0, 640, 360);
    paint.fillStyle = 'white';
    for (let i = 0; i < 60; i++) paint.fillRect(Math.random() * 640, Math.random() * 360, 20, 20);
    count++;
  }, 33);
  const sound = new AudioContext();
  const tone = sound.createOscillator();
  const out = sound.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  const pc = window.pc = new RTCPeerConnection({iceServers: []});
  const stream = new MediaStream([...canvas.captureStream(30).getTracks(), ...out.stream.getTracks()]);
  pc.addTransceiver(stream.getAudioTracks()[0], {direction: 'sendonly', streams: [stream]});
  const encodings = simulcast ? [{rid: 'h'}, {rid: 'l', scaleResolutionDownBy: 2}] : [{}];
  const video = pc.addTransceiver(stream.getVideoTracks()[0],
    {direction: 'sendonly', streams: [stream], sendEncodings: encodings});
  const all = RTCRtpSender.getCapabilities('video').codecs;
  video.setCodecPreferences(all.filter(c => c.mimeType === codec || c.mimeType === 'video/rtx'));
  await pc.setLocalDescription(await pc.createOffer());
  while (pc.iceGatheringState !== 'complete') await new Promise(done => setTimeout(done, 20));
  return pc.localDescription.sdp;
}
"""
STATS = """
async () => {
  const found = {};
  for (const item of (await pc.getStats()).values()) {
    if (item.type === 'outbound-rtp' && item.kind === 'video') Object.assign(found, {pli: item.pliCount});
    if (item.type === 'candidate-pair' && item.nominated) found.bitrate = item.availableOutgoingBitrate;
    if (item.type === 'remote-inbound-rtp' && item.kind === 'video') found.rtt = item.roundTripTime;
  }
  return found;
}
"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--autoplay-policy=no-user-gesture-required", "--disable-features=WebRtcHideLocalIpsWithMdns"],
        )
        yield await browser.new_page()
        await browser.close()


@pytest.mark.parametrize(
    ("codec", "simulcast"), [("video/VP8", False), ("video/H264", False), ("video/VP8", True)], ids=str
)
async def test_chromium_is_received_at_full_quality_and_heeds_keyframe_requests(
    page: Page, codec: str, simulcast: bool
) -> None:
    tracks: dict[str, ReceivedTrack] = {}
    frames: dict[str, list[EncodedFrame]] = {"audio": [], "video": []}
    tasks: list[asyncio.Task[None]] = []

    async def take(track: ReceivedTrack) -> None:
        try:
            while True:
                frames[track.kind].append(await track.recv())
        except EndOfTrack:
            return

    def on_track(track: ReceivedTrack) -> None:
        tracks[track.kind] = track
        tasks.append(asyncio.create_task(take(track)))

    async def until(true: Any, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not await true():
                await asyncio.sleep(0.2)

    peer = PeerConnection(on_track=on_track)
    try:
        answer = await peer.answer(await page.evaluate(OFFER, [codec, simulcast]))
        await page.evaluate("answer => pc.setRemoteDescription({type: 'answer', sdp: answer})", answer)

        async def flowing() -> bool:
            return len(frames["video"]) >= 60 and len(frames["audio"]) >= 100 and bool(frames["video"][-1].report)

        await until(flowing)
        assert frames["video"][0].key and frames["video"][0].codec == codec.removeprefix("video/").lower()
        assert len({frame.stream for frame in frames["video"]}) == 1

        # It begins with 300 kbit/s, and takes more only by what is fed back.
        async def heard_back() -> bool:
            stats = await page.evaluate(STATS)
            return (stats.get("bitrate") or 0) > 400_000 and stats.get("rtt") is not None

        await until(heard_back)
        keys = sum(frame.key for frame in frames["video"])
        tracks["video"].request_keyframe()

        async def answered() -> bool:
            return sum(frame.key for frame in frames["video"]) > keys

        await until(answered)
        decoder: Any = av.CodecContext.create(frames["video"][0].codec, "r")
        pictures = [out for frame in frames["video"] for out in decoder.decode(av.Packet(frame.data))]
        assert len(pictures) >= len(frames["video"]) - 2
        assert tracks["video"].stats()["errors"] == 0 and peer.stats()["unrouted"] == 0
    finally:
        await peer.close()
        await asyncio.gather(*tasks)
