"""The analyser: opens a PRODUCT (MP4, HLS, FLV), looks and listens, and judges it by numbers.

    python -m tests.probe FILE --participants N

Needs nothing of how the product was made but the layout: participants are known by the bar code in their pictures, by
the colour of their flash and the tone of their beep; both come on every whole second of one shared clock.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from egress.demo.people import person
from egress.demo.picture import LOOP_SECONDS
from egress.model import units
from egress.model.look import LayoutDoc
from egress.model.media import SECOND, Nanos
from tests.listening import Sound, beeps, hear
from tests.verdict import Bars, PersonReport, Report
from tests.watching import Watched, distinct, flashes, longest_freeze, watch
from tests.world import Expect, World

_SETTLE = 2

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Events:
    """Beginnings of one participant's beeps or flashes, by beat: seconds in the product.

    `doubled` are beats that had another one.
    """

    at: dict[int, float]
    doubled: tuple[int, ...]


def probe(
    location: str | Path,
    *,
    participants: int | None = None,
    world: World | None = None,
    zero: Nanos | None = None,
    began: float = 0.0,
    source_fps: int = 30,
    screens: int = 0,
    doc: LayoutDoc | None = None,
    aspect: float = 16 / 9,
) -> Report:
    """Judge a product by a world, or, given only how many participants, as if all had been there all the time.

    `zero` is the plan's second 0 on the monotonic clock and `began` the plan's second at which the product begins, to
    within 4 s; without a world neither matters: what is required begins two seconds after the first event. `doc` is
    the layout; at most `screens` of the participants are published as a shared screen.
    """
    options = {"live_start_index": "0"} if str(location).endswith(".m3u8") else {}
    everyone = world.participants if world else tuple(range(participants or 1))
    sound = hear(location, options)
    watched = watch(location, participants=len(everyone), screens=screens, doc=doc, aspect=aspect, options=options)
    heard = {who: beeps(sound.mono(), sound.rate, person(who).tone, sound.start) for who in everyone} if sound else {}
    seen = {who: flashes(watched, who, source_fps) for who in everyone} if watched else {}
    phase = _phase([b.at for found in heard.values() for b in found] or [f.at for v in seen.values() for f in v])
    beep_at = {who: _by_beat([b.at for b in found], phase) for who, found in heard.items()}
    flash_at = {who: _by_beat([f.at for f in found], phase) for who, found in seen.items()}
    seconds = max(sound.seconds + sound.start if sound else 0.0, watched.seconds if watched else 0.0)
    beats = range(round(-phase), int(seconds - phase - 0.25) + 1)
    votes = Counter((f.second - round(f.at - phase)) % LOOP_SECONDS for found in seen.values() for f in found)
    shift = _shift(votes, zero, began + phase)
    first = min((beat for events in (*beep_at.values(), *flash_at.values()) for beat in events.at), default=0)

    def expected(who: int, kind: str, beat: int) -> Expect:
        if world is not None:
            return world.expect(who, "audio" if kind == "audio" else "video", beat + shift)
        return Expect.REQUIRED if beat >= first + _SETTLE else Expect.OPTIONAL

    def timed(who: int, kind: str) -> dict[int, float]:
        """The events whose timing is judged: not those of the moment after someone came or a mute ended."""
        events = (beep_at if kind == "audio" else flash_at).get(who)
        at = events.at if events else {}
        return {beat: now for beat, now in at.items() if expected(who, kind, beat) is not Expect.OPTIONAL}

    people = []
    for who in everyone:
        required = present = forbidden = 0
        shown: list[int] = []
        for kind, events in (("audio", beep_at.get(who)), ("video", flash_at.get(who))):
            if events is None:
                continue
            for beat in beats:
                expect = expected(who, kind, beat)
                required += expect is Expect.REQUIRED
                present += expect is Expect.REQUIRED and beat in events.at
                forbidden += expect is Expect.FORBIDDEN and beat in events.at
                if kind == "video" and expect is Expect.REQUIRED:
                    shown.append(beat)
        audio, video = beep_at.get(who), flash_at.get(who)
        steady = {kind: timed(who, kind) for kind in ("audio", "video")}
        both = sorted(set(steady["audio"]) & set(steady["video"]))
        offsets = [steady["video"][beat] - steady["audio"][beat] for beat in both]
        whole = [b for b in shown if b + 1 in shown]
        per_second = [distinct(watched, who, b + phase, b + phase + 1) for b in whole] if watched else []
        people.append(
            PersonReport(
                index=who,
                name=person(who).name,
                beeps=len(audio.at) if audio else None,
                flashes=len(video.at) if video else None,
                damaged=sum(
                    expected(who, kind, beat) is Expect.REQUIRED
                    for kind, wrong in (
                        ("audio", [round(b.at - phase) for b in heard.get(who, ()) if not 0.08 <= b.length <= 0.12]),
                        ("audio", audio.doubled if audio else ()),
                        ("video", video.doubled if video else ()),
                    )
                    for beat in wrong
                ),
                required=required,
                present=present,
                forbidden=forbidden,
                offset_median=_median(offsets),
                offset_p95=_p95([abs(x) for x in offsets]),
                beep_cadence_p95=_cadence(steady["audio"]),
                flash_cadence_p95=_cadence(steady["video"]),
                distinct_mean=float(np.mean(per_second)) if per_second else None,
                distinct_least=min(per_second, default=None),
                freeze=max((longest_freeze(watched, who, b + phase, b + phase + 1.5) for b in whole), default=None)
                if watched
                else None,
            )
        )
    return Report(
        location=str(location),
        people=tuple(people),
        beep_spread_p95=_spread([timed(who, "audio") for who in everyone]),
        flash_spread_p95=_spread([timed(who, "video") for who in everyone]),
        arrangements=tuple((watched.time(frame), count) for frame, count in watched.arrangements) if watched else (),
        metadata=_metadata(location, options),
        **_video_facts(watched),
        **_audio_facts(sound),
    )


def _phase(times: list[float]) -> float:
    """Where in a second of the product the shared clock's whole seconds lie, -0.5 to 0.5."""
    if not times:
        return 0.0
    mean = np.angle(np.exp(2j * np.pi * np.array(times)).mean()) / (2 * np.pi)
    around = (np.array(times) - mean + 0.5) % 1.0 - 0.5
    return float(mean + np.median(around))


def _by_beat(times: list[float], phase: float) -> _Events:
    found: dict[int, float] = {}
    doubled = []
    for at in times:
        beat = round(at - phase)
        if found.setdefault(beat, at) != at:
            doubled.append(beat)
    return _Events(found, tuple(doubled))


def _shift(votes: Counter[int], zero: Nanos | None, at_beat_0: float) -> int:
    """What to add to a beat to get the plan's second."""
    near = round(at_beat_0)
    if not votes or zero is None:
        return near
    exact = (votes.most_common(1)[0][0] - zero // SECOND) % LOOP_SECONDS
    return exact + LOOP_SECONDS * round((near - exact) / LOOP_SECONDS)


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None


def _p95(values: list[float]) -> float | None:
    return float(np.percentile(values, 95)) if values else None


def _cadence(at: dict[int, float]) -> float | None:
    return _p95([abs(now - at[beat - 1] - 1) for beat, now in at.items() if beat - 1 in at])


def _spread(everyones: list[dict[int, float]]) -> float | None:
    """p95 over the beats of how far apart the participants' events of one beat lie."""
    spreads = []
    for beat in {beat for at in everyones for beat in at}:
        together = [at[beat] for at in everyones if beat in at]
        if len(together) > 1:
            spreads.append(max(together) - min(together))
    return _p95(spreads)


def _video_facts(watched: Watched | None) -> dict[str, Any]:
    if watched is None:
        return {}
    ticks = sorted(watched.packet_ticks)
    tick = watched.time_base
    fps = _nominal(ticks, tick)
    irregular = None
    if fps is not None:
        # A time base that cannot hold 1/fps exactly (FLV: milliseconds) may round, but not add up.
        slack = 0 if (1 / fps / tick).denominator == 1 else 1
        irregular = sum(abs((t - ticks[0]) * tick * fps - n) > slack * tick * fps for n, t in enumerate(ticks))
    starts = np.array(watched.packet_ticks, float) * float(tick)
    sizes = np.array(watched.sizes, float)
    # A slate before anyone comes costs next to nothing: what is configured is for moving pictures.
    moving = watched.time(watched.arrangements[0][0]) if watched.arrangements else float(ticks[0] * tick)
    long = min(10.0, float(starts.max()) - moving)
    rates = [_bitrates(starts, sizes, moving, span) if span >= 2 else None for span in (long, 2.0)]
    return {
        "size": str(watched.size),
        "video_codec": watched.codec,
        "fps": fps,
        "pictures": len(ticks),
        "irregular": irregular,
        "video_start": float(ticks[0] * tick) if ticks else None,
        "video_seconds": watched.seconds,
        "keyframes": tuple(round((k - ticks[0]) * tick * (fps or 1)) for k in watched.keys),
        "bitrate_10s": rates[0],
        "bitrate_2s": rates[1],
    }


def _bitrates(starts: Times, sizes: Times, begin: float, span: float) -> tuple[float, float] | None:
    """The lowest and the highest bitrate over windows of `span` seconds; None when there is no whole window."""
    windows = np.arange(begin, float(starts.max()) - span + 0.05, 0.5)
    found = [8 * float(sizes[(starts >= at) & (starts < at + span)].sum()) / span for at in windows]
    return (min(found), max(found)) if found else None


def _nominal(ticks: list[int], tick: Fraction) -> Fraction | None:
    """The frame rate that the pictures' mean distance comes closest to."""
    if len(ticks) < 2 or ticks[-1] == ticks[0]:
        return None
    usual = float(np.median(np.diff(ticks)) * tick)
    mean = float((ticks[-1] - ticks[0]) * tick) / (len(ticks) - 1)
    likely = mean if abs(mean / usual - 1) < 0.04 else usual
    return min((Fraction(n, d) for n in (*range(1, 121),) for d in (1,)), key=lambda f: abs(1 / float(f) - likely))


def _audio_facts(sound: Sound | None) -> dict[str, Any]:
    if sound is None:
        return {}
    return {
        "audio_codec": sound.codec,
        "rate": sound.rate,
        "channels": sound.samples.shape[0],
        "audio_start": sound.start,
        "audio_seconds": sound.seconds,
        "audio_gaps": sound.gaps,
        "clipped": sound.clipped,
        "true_peak": sound.true_peak,
    }


def _metadata(location: str | Path, options: dict[str, str]) -> dict[str, str]:
    with av.open(str(location), options=options) as container:
        return dict(container.metadata)


def main(words: list[str] | None = None) -> int:
    """Print the table; 1 when a bar is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.probe")
    parser.add_argument("file")
    parser.add_argument("--participants", type=int, default=4)
    parser.add_argument("--bitrate", help="configured video bitrate, e.g. 3M")
    parser.add_argument("--seconds", type=float, help="how long the product should be")
    parser.add_argument("--keyframe", type=float, default=2.0, help="configured keyframe distance in seconds")
    parser.add_argument("--gap", type=int, default=8, help="the layout's gap")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(words)
    report = probe(args.file, participants=args.participants, doc=LayoutDoc(gap=args.gap))
    bars = Bars(
        bitrate=units.bitrate(args.bitrate) if args.bitrate else None, seconds=args.seconds, keyframe=args.keyframe
    )
    broken = report.violations(bars)
    print(json.dumps(asdict(report) | {"violations": broken}, default=str, indent=1) if args.json else report.table())
    for line in broken if not args.json else ():
        print("VIOLATION", line)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
