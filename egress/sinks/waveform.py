"""The loudness of the sound over time: peaks for players (.json), or a picture (.png)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egress.disk import read_json, write_json
from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Packet, Size, StreamInfo
from egress.model.outputs import SinkDoc, WaveformDoc
from egress.sinks.base import END, LULL, PAUSE, RESUME, Backup, Mark, Sink, SinkContext
from egress.sinks.delivery import Delivered, Delivery
from egress.sinks.listener import Listener
from egress.sinks.peaks import PeakFile, Rows, document, read_peaks
from egress.sinks.splice import Splice, moved, pauses
from egress.sinks.waveform_picture import picture

_PEAKS, _STATE = "peaks.bin", "waveform.json"


class WaveformSink(Sink):
    """Decodes the sound and keeps peaks in the spool, whole up to the last second; the file is made at the end."""

    lull = LULL

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        if not isinstance(doc, WaveformDoc):
            raise Fault(f"a waveform sink was given a {type(doc).__name__}")
        self._doc = doc
        self._folder = context.folder
        self._delivery = Delivery.of(context)
        self._cuts: list[Mark] = []
        self._end: Nanos | None = None
        self._rate = 0
        self._listener: Listener | None = None
        self._splice: Splice | None = None
        self._peaks: PeakFile | None = None

    @classmethod
    def takes(cls, info: StreamInfo) -> bool:
        """The sound alone."""
        return info.kind == "audio" and info.rung == 0

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Begin to listen; raises DestinationError when there is no sound, or the place or the spool refuses."""
        sound = next((info for info in programme if self.takes(info)), None)
        if sound is None:
            raise DestinationError("a programme without sound has no waveform")
        self._delivery.begin()
        self._rate = sound.rate
        self._listener, self._splice = Listener(sound), Splice(sound)
        try:
            self._keep()
            self._peaks = PeakFile(self._folder / _PEAKS, self._step)
        except OSError as error:
            raise self._refused(error) from error

    def write(self, packet: Packet) -> None:
        """Measure one packet, unless it lies in a pause; raises DestinationError when the disk refuses."""
        if self._listener is None or self._splice is None or self._peaks is None:
            raise Fault("the waveform is not open")
        kept = self._splice.take(packet)
        if kept is None:
            return
        try:
            for begin, sound in self._listener.hear(kept):
                self._peaks.silence(begin - self._peaks.samples)
                self._peaks.add(sound[:, max(0, self._peaks.samples - begin) :])
        except OSError as error:
            raise self._refused(error) from error

    def mark(self, mark: Mark) -> None:
        """Note a pause, or the end."""
        if mark.kind in (PAUSE, RESUME) and self._splice is not None:
            self._splice.mark(mark)
            self._cuts.append(mark)
        if mark.kind == END:
            self._end = moved(mark.at, pauses(self._cuts))
            try:
                self._keep()
            except OSError as error:
                raise self._refused(error) from error

    def close(self) -> Sequence[Artifact]:
        """Finish the peaks, which are in the spool."""
        if self._peaks is not None:
            try:
                self._peaks.close()
                self._keep(self._peaks.samples)
            except OSError as error:
                raise self._refused(error) from error
        return self._kept()

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Make the file and bring it to its place; raises DestinationError, and then the peaks stay."""
        return (_finish(self._folder, self._delivery),) if made else ()

    def abort(self) -> Sequence[Artifact]:
        """Keep the peaks measured so far in the spool."""
        self._delivery.leave()
        try:
            return self.close()
        except DestinationError:
            return self._kept()

    def status(self) -> Mapping[str, Any]:
        """Sound measured so far."""
        samples = self._peaks.samples if self._peaks is not None else 0
        return {"seconds": round(samples / self._rate, 3) if self._rate else 0.0, **self._delivery.status()}

    @classmethod
    def recover(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None = None, backup: Backup | None = None
    ) -> Sequence[Artifact]:
        """Make the file of the peaks a dead process left, and deliver it; () when there are none."""
        state = read_json(folder / _STATE)
        if not state:
            return ()
        delivery = Delivery.resumed(folder, to, storage, backup)
        if done := delivery.delivered(folder / str(state["name"])):
            return (_artifact(folder, done),)
        return (_finish(folder, delivery),) if len(_rows(folder)) else ()

    @property
    def _step(self) -> int:
        return max(1, round(self._doc.every * self._rate / SECOND))

    def _kept(self) -> Sequence[Artifact]:
        path = self._folder / _PEAKS
        if self._peaks is None or not path.is_file():
            return ()
        length = self._peaks.samples * SECOND // self._rate
        return (Artifact("waveform", str(path), path.stat().st_size, length, details={"final": False}),)

    def _keep(self, samples: int = 0) -> None:
        """Note what `_finish` has to know, `samples` once there will be no more; raises OSError."""
        state = {
            "rate": self._rate,
            "step": self._step,
            "size": [self._doc.size.width, self._doc.size.height],
            "name": "waveform.png" if self.context.to.lower().endswith(".png") else "waveform.data.json",
            "end": self._end,
            "samples": samples,
        }
        write_json(self._folder / _STATE, state)

    def _refused(self, error: OSError) -> DestinationError:
        return DestinationError(f"{self._folder} cannot be written: {error.strerror or error}")


def _rows(folder: Path) -> Rows:
    """The peaks up to the end of the programme."""
    state, peaks = read_json(folder / _STATE), folder / _PEAKS
    end, rate, step = state.get("end"), int(state["rate"]), int(state["step"])
    return read_peaks(peaks, None if end is None else -(-end * rate // (step * SECOND)))


def _finish(folder: Path, delivery: Delivery) -> Artifact:
    """Make the file of the peaks and bring it to its place; raises DestinationError, and then the peaks stay."""
    state, rows = read_json(folder / _STATE), _rows(folder)
    made = folder / str(state["name"])
    partial = made.with_name(f"{made.name}.part")
    try:
        with partial.open("wb") as file:
            if made.suffix == ".png":
                file.write(picture(rows, Size(*state["size"])))
            else:
                file.writelines(document(rows, int(state["rate"]), int(state["step"])))
        partial.replace(made)
    except OSError as error:
        raise DestinationError(f"{made} cannot be written: {error.strerror or error}") from error
    return _artifact(folder, delivery.file(made))


def _artifact(folder: Path, delivered: Delivered) -> Artifact:
    state, pairs = read_json(folder / _STATE), len(_rows(folder))
    rate, step = int(state["rate"]), int(state["step"])
    details = {"pairs": pairs, "samples_per_pixel": step} if str(state["name"]).endswith(".json") else {}
    samples = min(pairs * step, int(state["samples"]) or pairs * step)
    return delivered.artifact("waveform", samples * SECOND // rate, details)
