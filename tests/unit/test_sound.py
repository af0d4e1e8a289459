"""Audio intake over really encoded Opus; session time is made up, so that a busy machine decides nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest

from egress.media.opus import LOOKAHEAD
from egress.media.sound import AudioIntake
from egress.media.timeline import PeerClock, TrackTimeline
from egress.model.clock import SessionClock
from egress.model.media import MILLISECOND, SECOND, Codec, EncodedFrame, Nanos
from tests.unit.feeding import FedSource, Sender, opus, tone

ORIGIN = 5_000 * SECOND
DELAY = 400 * MILLISECOND
BLOCK = 1_600
PACKET = 20 * MILLISECOND
Sound = npt.NDArray[np.float32]


class Listener:
    """Feeds packets as they arrive, pulls a block every tick, and keeps what it hears."""

    def __init__(self, frames: Iterable[EncodedFrame], timeline: TrackTimeline | None = None) -> None:
        self.frames = sorted(frames, key=lambda frame: frame.arrived)
        self.source = FedSource()
        self.silent_blocks = 0
        self.number = 0
        self.warnings: list[str] = []
        self.intake = AudioIntake(
            self.source,
            timeline or PeerClock().track("audio", 48_000),
            SessionClock(ORIGIN, datetime.now(UTC)),
            delay=DELAY,
            loop=asyncio.get_running_loop(),
            on_warning=self.warnings.append,
        )
        self.intake.start()

    async def hear(self, seconds: float) -> Sound:
        """Mono of the next seconds."""
        heard = []
        for _ in range(round(seconds * 30)):
            at = self.number * SECOND // 30
            self.number += 1
            while self.frames and self.frames[0].arrived <= ORIGIN + at + DELAY:
                self.source.feed(self.frames.pop(0))
            await self.source.drained()
            block = self.intake.pull(at, BLOCK)
            self.silent_blocks += block is None
            heard.append(np.zeros(BLOCK, np.float32) if block is None else block[0])
        return np.concatenate(heard)


def packets(
    sender: Sender, sound: Sound, *, lost: Iterable[int] = (), jitter: Nanos = 0, begin: Nanos = 0
) -> list[EncodedFrame]:
    """Sound captured from `begin` on."""
    gone, chance, frames = set(lost), random.Random(7), []
    latest = 0
    for number, data in enumerate(opus(sound)):
        if number in gone:
            continue
        frame = sender.frame(begin + number * PACKET, Codec.OPUS, data, True, gap=number - 1 in gone)
        latest = max(latest, frame.arrived + round(chance.random() * jitter))
        frames.append(replace(frame, arrived=latest))
    return frames


def sender(**changes: object) -> Sender:
    return replace(Sender(48_000, ORIGIN), **changes)  # type: ignore[arg-type]


def roughness(sound: Sound) -> float:
    """The largest second difference: what a click raises far above that of the tone itself."""
    return float(np.abs(np.diff(sound, 2)).max())


SMOOTH = 0.3 * (2 * np.pi * 997 / 48_000) ** 2
"""Second difference of the test tone."""


async def test_a_tone_keeps_its_gain_and_its_time() -> None:
    sound = tone(997, 4)
    listener = Listener(packets(sender(), sound))
    heard = await listener.hear(3)
    late = round(20 * MILLISECOND * 48_000 / SECOND)
    part = slice(48_000, 96_000)
    expected = sound[0, 48_000 - late : 96_000 - late]
    gain = float(np.dot(heard[part], expected) / np.dot(expected, expected))
    assert abs(20 * np.log10(gain)) < 0.1
    assert 20 * np.log10(np.std(heard[part] - expected) / np.std(expected)) < -35
    assert not listener.intake.speaking
    stats = listener.intake.stats()
    assert not any(stats[name] for name in ("late", "dropped", "concealed", "corrected", "jumps", "garbage"))
    await listener.intake.close()


@pytest.mark.parametrize("skew", [300e-6, -300e-6])
async def test_a_skewed_sender_is_followed_without_a_click(skew: float) -> None:
    sound = tone(997, 33)
    sound[:, 30 * 48_000 :] *= 0.3
    frames = [
        replace(frame, arrived=ORIGIN + round((number * PACKET) / (1 + skew)) + 30 * MILLISECOND, report=None)
        for number, frame in enumerate(packets(sender(reports=None), sound))
    ]
    listener = Listener(frames)
    heard = await listener.hear(31)
    assert listener.intake.stats()["corrected"] > 60
    assert listener.intake.stats()["jumps"] == 0
    assert roughness(heard[4800 : 29 * 48_000]) < 1.05 * SMOOTH
    loud = np.abs(heard) > 0.15
    softer = int(np.flatnonzero(loud)[-1]) / 48_000
    assert abs(softer - 30 / (1 + skew) - 0.030) < 0.010
    await listener.intake.close()


@pytest.mark.parametrize("run", [1, 2, 3])
async def test_short_losses_are_concealed_without_a_click(run: int) -> None:
    lost = {first + n for first in range(40, 140, 20) for n in range(run)}
    listener = Listener(packets(sender(), tone(997, 4), lost=lost))
    heard = await listener.hear(3)
    assert listener.intake.stats()["losses"] == 5
    assert roughness(heard[4800:]) < 2.5 * SMOOTH
    assert np.abs(heard[4800:]).max() < 0.4
    await listener.intake.close()


async def test_a_long_loss_fades_to_silence_and_sound_comes_back_in_time() -> None:
    sound = tone(997, 4)
    listener = Listener(packets(sender(), sound, lost=range(50, 75)))
    heard = await listener.hear(3)
    late = 960
    lost_from, lost_to = 50 * 960 + late - LOOKAHEAD, 75 * 960 + late - LOOKAHEAD
    assert not heard[lost_from + 3_200 : lost_to - 1_200].any()
    assert roughness(heard[4800:]) < 2.5 * SMOOTH
    after = slice(lost_to + 4_800, lost_to + 24_000)
    expected = sound[0, after.start - late : after.stop - late]
    assert 20 * np.log10(np.std(heard[after] - expected) / np.std(expected)) < -30
    await listener.intake.close()


async def test_a_dtx_pause_is_silence_and_shifts_nothing() -> None:
    sound = tone(997, 4)
    frames = [frame for n, frame in enumerate(packets(sender(), sound)) if not 60 <= n < 110]
    listener = Listener(frames)
    heard = await listener.hear(3)
    assert listener.intake.stats()["losses"] == 0
    assert not heard[70 * 960 : 108 * 960].any()
    assert listener.silent_blocks >= 20
    part = slice(120 * 960, 140 * 960)
    expected = sound[0, part.start - 960 : part.stop - 960]
    assert 20 * np.log10(np.std(heard[part] - expected) / np.std(expected)) < -30
    assert roughness(heard[4800:]) < 4 * SMOOTH
    await listener.intake.close()


async def test_jitter_within_the_delay_is_not_heard() -> None:
    listener = Listener(packets(sender(), tone(997, 6), jitter=150 * MILLISECOND))
    heard = await listener.hear(5)
    assert listener.intake.stats()["concealed"] == 0
    assert roughness(heard[9600:]) < 1.3 * SMOOTH
    await listener.intake.close()


async def test_packets_that_stop_are_faded_out_and_counted() -> None:
    listener = Listener(packets(sender(), tone(997, 1)))
    heard = await listener.hear(2)
    assert listener.intake.stats()["starved"] == 1
    assert roughness(heard[4800:]) < 2.5 * SMOOTH
    assert not heard[-24_000:].any()
    assert not listener.intake.speaking
    await listener.intake.close()


async def test_late_packets_are_counted_not_played_twice() -> None:
    frames = packets(sender(), tone(997, 3))
    frames[60:65] = [replace(frame, arrived=frame.arrived + SECOND) for frame in frames[60:65]]
    listener = Listener(frames)
    heard = await listener.hear(2.5)
    assert listener.intake.stats()["late"] == 5
    assert np.abs(heard).max() < 0.4
    await listener.intake.close()


async def test_packets_that_come_just_too_late_again_and_again_do_not_click() -> None:
    frames = packets(sender(), tone(997, 4))
    late = [replace(f, arrived=f.arrived + (375 + n % 40) * MILLISECOND) for n, f in enumerate(frames[50:], 50)]
    listener = Listener([*frames[:50], *late])
    heard = await listener.hear(3)
    assert listener.intake.stats()["starved"] > 5
    assert roughness(heard[4800:]) < 6 * SMOOTH
    await listener.intake.close()


async def test_garbage_is_counted_and_survived() -> None:
    frames = packets(sender(), tone(997, 3))
    frames[40] = replace(frames[40], data=b"")
    frames[50] = replace(frames[50], data=b"\xff\xff\xff")
    frames[60] = replace(frames[60], rtp=frames[60].rtp + 48_000 * 3600)
    listener = Listener(frames)
    heard = await listener.hear(2.5)
    stats = listener.intake.stats()
    assert stats["garbage"] == 2
    assert stats["timeline_implausible"] == 1
    assert np.std(heard[96_000:]) > 0.2
    assert stats["errors"] == 0 and listener.warnings == []
    await listener.intake.close()


async def test_joining_leaving_and_muting_do_not_click() -> None:
    listener = Listener(packets(sender(), tone(997, 6))[17:])
    parts = [await listener.hear(1.5)]
    listener.intake.mute(True)
    assert not listener.intake.silent
    parts.append(await listener.hear(1 / 30))
    assert listener.intake.silent
    parts.append(await listener.hear(1))
    listener.intake.mute(False)
    parts.append(await listener.hear(1))
    heard = np.concatenate(parts)
    assert not parts[2].any()
    assert np.std(parts[3][4800:]) > 0.2
    assert roughness(heard) < 4 * SMOOTH
    await listener.intake.close()


async def test_a_new_stream_continues_at_the_right_time() -> None:
    sound = tone(997, 4)
    first, second = sender(), sender(stream=2, rtp=99)
    frames = [*packets(first, sound)[:100], *packets(second, sound)[100:]]
    listener = Listener(frames)
    heard = await listener.hear(3.3)
    part = slice(110_000, 150_000)
    expected = sound[0, part.start - 960 : part.stop - 960]
    assert 20 * np.log10(np.std(heard[part] - expected) / np.std(expected)) < -30
    assert roughness(heard[4800:]) < 4 * SMOOTH
    await listener.intake.close()


@pytest.mark.parametrize("wrong", [60 * MILLISECOND, -60 * MILLISECOND, 300 * MILLISECOND, -400 * MILLISECOND])
async def test_a_large_error_is_corrected_without_a_click(wrong: Nanos) -> None:
    class Leaping(TrackTimeline):
        leap = 0

        def rtp_at(self, time: Nanos) -> float:
            return super().rtp_at(time + self.leap)

    timeline = Leaping(PeerClock(), "audio", 48_000)
    listener = Listener(packets(sender(), tone(997, 8)), timeline)
    before = await listener.hear(2)
    timeline.leap = wrong
    after = await listener.hear(4)
    assert listener.intake.stats()["jumps"] == 1
    assert roughness(np.concatenate([before, after])[4800:]) < 4 * SMOOTH
    assert np.std(after[-24_000:]) > 0.2
    await listener.intake.close()


async def test_a_queue_nobody_pulls_from_stays_bounded() -> None:
    listener = Listener([])
    listener.source.feed(*packets(sender(), tone(300, 4)))
    await listener.source.drained()
    stats = listener.intake.stats()
    assert stats["waiting"] <= 121
    assert stats["dropped"] == stats["packets"] - stats["waiting"]
    await listener.intake.close()


async def test_a_codec_other_than_opus_ends_the_intake_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.reading.PAUSE", 0)
    listener = Listener([])
    listener.source.feed(*[EncodedFrame(Codec.AAC, b"x", 0, ORIGIN, True)] * 4)
    async with asyncio.timeout(60):
        while not listener.intake.ended:
            await asyncio.sleep(0.001)
    assert listener.intake.stats()["errors"] == 4
    assert len(listener.warnings) == 1 and "only Opus" in listener.warnings[0]


async def test_nothing_is_heard_before_the_first_packet_or_after_the_end() -> None:
    listener = Listener([])
    assert listener.intake.pull(0, 960) is None
    listener.source.end()
    await asyncio.sleep(0.01)
    assert listener.intake.ended and listener.warnings == []
    await listener.intake.close()
