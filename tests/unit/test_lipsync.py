"""A flash and a beep captured at one instant, sent over paths of different length, are presented at one instant."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest

from egress.media.intake import VideoIntake
from egress.media.sound import AudioIntake
from egress.media.timeline import PeerClock
from egress.model.clock import SessionClock, monotonic
from egress.model.media import MILLISECOND, SECOND, Codec, Nanos, Size
from tests.unit.feeding import FedSource, Sender, luma, opus, picture, tone, video

FRAME = SECOND // 30
PACKET = 20 * MILLISECOND
INSTANT = 3 * SECOND
LATENCY = 25 * MILLISECOND


@pytest.mark.parametrize("encoder_delay", [0, 90 * MILLISECOND])
@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
async def test_flash_and_beep_stay_together(codec: Codec, encoder_delay: Nanos) -> None:
    loop = asyncio.get_running_loop()
    session = SessionClock(monotonic() - 60 * SECOND, datetime.now(UTC))
    peer = PeerClock()
    eye, ear = FedSource(), FedSource()
    seen = VideoIntake(eye, peer.track("video", 90_000), session, delay=0, loop=loop)
    heard = AudioIntake(ear, peer.track("audio", 48_000), session, delay=0, loop=loop)
    seen.start()
    heard.start()

    camera = Sender(90_000, session.origin, rtp=4_000_000_000, delay=LATENCY + encoder_delay)
    microphone = Sender(48_000, session.origin, rtp=17, delay=LATENCY)
    dark, bright = 40, 200
    pictures = video([picture(Size(64, 48), bright if n >= 90 else dark) for n in range(96)], codec)
    sound = np.concatenate([np.zeros((1, 3 * 48_000), np.float32), tone(880, 0.5)], axis=1)
    arrivals = [camera.frame(n * FRAME, codec, data, key) for n, (data, key) in enumerate(pictures)]
    packets = [microphone.frame(n * PACKET, Codec.OPUS, data, True) for n, data in enumerate(opus(sound))]

    flash: Nanos | None = None
    decoded = 0
    for frame in sorted([*arrivals, *packets], key=lambda frame: frame.arrived):
        if frame.codec is Codec.OPUS:
            ear.feed(frame)
            await ear.drained()
            continue
        eye.feed(frame)
        decoded += 1
        async with asyncio.timeout(60):
            while seen.stats()["decoded"] < decoded or (shown := seen.picture_at(60 * SECOND, FRAME)) is None:
                await asyncio.sleep(0.001)
        if flash is None and luma(shown.frame) > 120:
            flash = shown.at

    blocks = [heard.pull(INSTANT - SECOND // 2 + n * PACKET, 960) for n in range(50)]
    whole = np.concatenate([np.zeros(960, np.float32) if b is None else b[0] for b in blocks])
    beep = INSTANT - SECOND // 2 + int(np.argmax(np.abs(whole) > 0.1)) * SECOND // 48_000
    await seen.close()
    await heard.close()

    assert flash is not None
    assert abs(flash - beep) < 5 * MILLISECOND
    assert abs(flash - INSTANT - LATENCY) < 5 * MILLISECOND
