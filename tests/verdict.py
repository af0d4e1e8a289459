"""What the analyser found, as a table for people, and which bars it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Bars:
    """What a product must reach; None leaves a check out. Times in seconds, bitrate in bits per second."""

    offset_median: float | None = 0.020
    offset_p95: float | None = 0.045
    spread_p95: float | None = 0.060
    cadence_p95: float | None = 0.045
    present: float | None = 0.98
    distinct: float | None = 29.0
    freeze: float | None = 0.5
    damaged: int | None = 0
    keyframe: float | None = 2.0
    bitrate: int | None = None
    bitrate_slack: float = 0.10
    bitrate_burst: float = 1.25
    seconds: float | None = None
    seconds_slack: float = 0.2
    true_peak: float | None = -1.0
    channels: int = 2
    metadata: tuple[str, ...] = ()
    forbidden: float = 0.0
    """Events that must not be there, as a share of those that must."""
    halved: bool = False
    """Whether a job may say that it drew every second picture only, to keep up with a busy machine."""
    patient: bool = False
    """Whether a product may be worse where job or publishers say that the machine kept them waiting."""

    def at_half_rate(self) -> Bars:
        """These bars where only every second picture is a new one: each may then be shown one tick, 1/30 s, late."""
        return replace(
            self,
            distinct=None if self.distinct is None else self.distinct / 2,
            offset_median=None if self.offset_median is None else self.offset_median + 1 / 30,
            offset_p95=None if self.offset_p95 is None else self.offset_p95 + 1 / 30,
            spread_p95=None if self.spread_p95 is None else self.spread_p95 + 1 / 30,
            cadence_p95=None if self.cadence_p95 is None else self.cadence_p95 + 1 / 30,
        )

    def when_held_up(self) -> Bars:
        """What is left of these bars where a machine kept those waiting who made or sent media: nothing that time
        decides, but everyone is there, in step in the middle, and the product is as even as ever."""
        return replace(
            self,
            present=None if self.present is None else min(self.present, 0.1),
            forbidden=max(self.forbidden, 0.34),
            offset_median=None if self.offset_median is None else max(self.offset_median, 0.2),
            offset_p95=None,
            spread_p95=None,
            cadence_p95=None,
            distinct=None,
            freeze=None,
            damaged=None,
        )


@dataclass(frozen=True, slots=True)
class PersonReport:
    """One participant in a product; None where there was nothing to measure. Times in seconds.

    An offset is flash minus beep: positive when the picture is late.
    """

    index: int
    name: str
    beeps: int | None
    flashes: int | None
    damaged: int
    required: int
    present: int
    forbidden: int
    offset_median: float | None
    offset_p95: float | None
    beep_cadence_p95: float | None
    flash_cadence_p95: float | None
    distinct_mean: float | None
    distinct_least: int | None
    freeze: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A product measured. `irregular` counts pictures off the constant rate; `keyframes` are picture numbers."""

    location: str
    people: tuple[PersonReport, ...]
    beep_spread_p95: float | None
    flash_spread_p95: float | None
    arrangements: tuple[tuple[float, int], ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    size: str | None = None
    video_codec: str | None = None
    fps: Fraction | None = None
    pictures: int = 0
    irregular: int | None = None
    video_start: float | None = None
    video_seconds: float | None = None
    keyframes: tuple[int, ...] = ()
    bitrate_10s: tuple[float, float] | None = None
    bitrate_2s: tuple[float, float] | None = None
    audio_codec: str | None = None
    rate: int | None = None
    channels: int | None = None
    audio_start: float | None = None
    audio_seconds: float | None = None
    audio_gaps: int = 0
    clipped: int = 0
    true_peak: float | None = None
    halved: bool = False
    """Whether the job has said that it drew every second picture only for a while."""
    held_up: tuple[str, ...] = ()
    """How job and publishers have said that the machine kept them waiting."""

    @property
    def present(self) -> float:
        """Share of the required events that are there."""
        required = sum(one.required for one in self.people)
        return sum(one.present for one in self.people) / required if required else 1.0

    def violations(self, bars: Bars = Bars()) -> tuple[str, ...]:
        """Every broken bar, in words."""
        if self.halved and bars.halved:
            bars = bars.at_half_rate()
        if self.held_up and bars.patient:
            bars = bars.when_held_up()
        return (*self._of_people(bars), *self._of_video(bars), *self._of_audio(bars), *self._of_all(bars))

    def _of_people(self, bars: Bars) -> Iterator[str]:
        if not any(one.required for one in self.people):
            yield "no event was required: the product is too short, or nobody is in it"
        for one in self.people:
            if bars.present is not None and one.required and one.present < bars.present * one.required:
                yield f"{one.name}: {one.present} of {one.required} required events are there"
            if one.forbidden > bars.forbidden * one.required:
                yield f"{one.name}: {one.forbidden} forbidden events"
            if bars.damaged is not None and one.damaged > bars.damaged:
                yield f"{one.name}: {one.damaged} beeps or flashes are cut short, drawn out or doubled"
            checks = (
                ("A/V offset, median", one.offset_median, bars.offset_median),
                ("A/V offset, p95", one.offset_p95, bars.offset_p95),
                ("beep cadence, p95", one.beep_cadence_p95, bars.cadence_p95),
                ("flash cadence, p95", one.flash_cadence_p95, bars.cadence_p95),
                ("longest freeze", one.freeze, bars.freeze),
            )
            for what, value, bar in checks:
                if value is not None and bar is not None and abs(value) > bar:
                    yield f"{one.name}: {what} is {1000 * value:.1f} ms, the bar is {1000 * bar:.0f} ms"
            if bars.distinct is not None and one.distinct_mean is not None and one.distinct_mean < bars.distinct:
                yield f"{one.name}: {one.distinct_mean:.2f} distinct pictures a second, the bar is {bars.distinct:.0f}"

    def _of_video(self, bars: Bars) -> Iterator[str]:
        if self.halved and not bars.halved:
            yield "every second picture was a repeat for a while"
        if self.irregular:
            yield f"{self.irregular} pictures are off the constant rate of {self.fps}"
        if bars.keyframe is not None and self.fps is not None and self.keyframes:
            step = round(bars.keyframe * self.fps)
            wanted = tuple(range(0, self.pictures, step))
            if self.keyframes != wanted:
                wrong = sorted(set(self.keyframes) ^ set(wanted))
                yield f"keyframes are not on every {step}th picture; wrong at {wrong[:5]}"
        if bars.bitrate is not None and self.bitrate_10s is not None:
            low, high = (rate / bars.bitrate for rate in self.bitrate_10s)
            if low < 1 - bars.bitrate_slack or high > 1 + bars.bitrate_slack:
                yield f"the bitrate over 10 s is {low:.2f} to {high:.2f} of what is configured"
        if bars.bitrate is not None and self.bitrate_2s is not None:
            burst = self.bitrate_2s[1] / bars.bitrate
            if burst > bars.bitrate_burst:
                yield f"the bitrate over 2 s rises to {burst:.2f} of what is configured"

    def _of_audio(self, bars: Bars) -> Iterator[str]:
        if self.audio_codec is None:
            yield "there is no sound"
            return
        if self.rate != 48_000 or self.channels != bars.channels:
            yield f"the sound is {self.rate} Hz, {self.channels} channels"
        if self.audio_gaps:
            yield f"the sound has {self.audio_gaps} gaps"
        if self.clipped:
            yield f"{self.clipped} samples are clipped"
        if bars.true_peak is not None and self.true_peak is not None and self.true_peak > bars.true_peak + 0.05:
            yield f"the true peak is {self.true_peak:.2f} dBTP, the bar is {bars.true_peak:.1f}"

    def _of_all(self, bars: Bars) -> Iterator[str]:
        for what, spread in (("beeps", self.beep_spread_p95), ("flashes", self.flash_spread_p95)):
            if bars.spread_p95 is not None and spread is not None and spread > bars.spread_p95:
                yield f"{what} of one instant lie {1000 * spread:.1f} ms apart (p95)"
        for kind, start in (("picture", self.video_start), ("sound", self.audio_start)):
            if start is not None and abs(start) > 0.05:
                yield f"the first {kind} is at {start:.3f} s, not at the beginning"
        for kind, length in (("picture", self.video_seconds), ("sound", self.audio_seconds)):
            if bars.seconds is not None and length is not None and abs(length - bars.seconds) > bars.seconds_slack:
                yield f"the {kind} lasts {length:.2f} s instead of {bars.seconds:.2f} s"
        for key in bars.metadata:
            if not self.metadata.get(key):
                yield f"the metadata lack {key}"

    def table(self) -> str:
        """Everything, for people."""
        head = (
            f"{'':12}{'beeps':>7}{'flashes':>9}{'present':>9}{'forb.':>7}{'dmg':>5}{'A/V med':>9}{'A/V p95':>9}"
            f"{'cad. a':>8}{'cad. v':>8}{'distinct':>10}{'least':>7}{'freeze':>8}"
        )
        lines = [self.location, head]
        for one in self.people:
            share = f"{one.present}/{one.required}"
            lines.append(
                f"{one.name:12}{_plain(one.beeps):>7}{_plain(one.flashes):>9}{share:>9}{one.forbidden:>7}{one.damaged:>5}"
                f"{_ms(one.offset_median):>9}{_ms(one.offset_p95):>9}{_ms(one.beep_cadence_p95):>8}"
                f"{_ms(one.flash_cadence_p95):>8}{_two(one.distinct_mean):>10}{_plain(one.distinct_least):>7}"
                f"{_ms(one.freeze):>8}"
            )
        lines.append(
            f"between publishers (p95): beeps {_ms(self.beep_spread_p95)}, flashes {_ms(self.flash_spread_p95)}"
        )
        lines.append(
            f"video {self.video_codec} {self.size} {self.fps} fps, {self.pictures} pictures, "
            f"{_two(self.video_seconds)} s from {_two(self.video_start)} s, {self.irregular} irregular, "
            f"{len(self.keyframes)} keyframes {list(self.keyframes[:4])}…"
        )
        for span, rates in (("10 s", self.bitrate_10s), ("2 s", self.bitrate_2s)):
            if rates is not None:
                lines.append(f"bitrate over {span}: {rates[0] / 1000:.0f} to {rates[1] / 1000:.0f} kbit/s")
        lines.append(
            f"audio {self.audio_codec} {self.rate} Hz x{self.channels}, {_two(self.audio_seconds)} s from "
            f"{_two(self.audio_start)} s, {self.audio_gaps} gaps, {self.clipped} clipped, "
            f"true peak {_two(self.true_peak)} dBTP"
        )
        shown = ", ".join(f"{count} from {at:.2f} s" for at, count in self.arrangements[:12])
        lines.append(f"tiles: {shown or 'nobody'}{'; at half the rate for a while' if self.halved else ''}")
        if self.held_up:
            lines.append(f"held up: {'; '.join(self.held_up)}")
        lines.append(f"metadata: {self.metadata}")
        return "\n".join(lines)


def _plain(value: object) -> str:
    return "-" if value is None else str(value)


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{1000 * value:.1f}"
