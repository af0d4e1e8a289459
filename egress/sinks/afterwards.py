"""Outputs made of the whole programme: it is recorded crash-safe in the spool, and made into a file once it ended."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from egress.disk import read_json, write_json
from egress.model.errors import DestinationError, Fault
from egress.model.job import Artifact
from egress.model.media import Nanos, Packet, StreamInfo
from egress.model.outputs import Mp4Doc, SinkDoc
from egress.sinks.base import LULL, Backup, Mark, Sink, SinkContext
from egress.sinks.delivery import Delivered, Delivery
from egress.sinks.ffmpeg import Recipe, Transcode
from egress.sinks.mp4 import Mp4Sink
from egress.sinks.remux import copy_sound

_RECORDING, _WHOLE, _WORK = "recording", "whole.mp4", "work.json"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be made of a recording, as a file called `name` in the sink's folder.

    Without `recipe` the recording itself is the file; without `ffmpeg` (its absolute path) packets are copied as they
    are.
    """

    name: str
    recipe: Recipe | None = None
    ffmpeg: str = ""


class AfterwardsSink(Sink):
    """Records in its folder of the spool as MP4 sinks do; `work` says what becomes of it. State on disk says the same,
    so that any process can do it."""

    lull = LULL

    def __init__(self, doc: SinkDoc, context: SinkContext) -> None:
        super().__init__(doc, context)
        self._transcode = Transcode()
        self._delivery = Delivery.of(context)
        self._recording: Mp4Sink | None = None

    @abstractmethod
    def work(self, programme: Sequence[StreamInfo]) -> Work:
        """What to make of a recording of these streams; raises DestinationError when nothing can be."""

    def open(self, programme: Sequence[StreamInfo]) -> None:
        """Begin to record; raises DestinationError when the target is taken or the spool cannot be written."""
        work = self.work(programme)
        self._delivery.begin()
        folder = self.context.folder
        try:
            (folder / _RECORDING).mkdir(exist_ok=True)
            write_json(folder / _WORK, {"kind": self.doc.kind, **asdict(work)})
        except OSError as error:
            raise DestinationError(f"{folder} cannot be written: {error.strerror or error}") from error
        to = str(folder / _WHOLE)
        context = replace(self.context, folder=folder / _RECORDING, to=to, storage={}, backup=None)
        self._recording = Mp4Sink(Mp4Doc(kind="mp4", to=to), context)
        self._recording.open(programme)

    def write(self, packet: Packet) -> None:
        """Record one packet; raises DestinationError when the disk refuses."""
        self._recorder.write(packet)

    def mark(self, mark: Mark) -> None:
        """Note a chapter, a pause or the end."""
        self._recorder.mark(mark)

    def close(self) -> Sequence[Artifact]:
        """Finish the recording, which is in the spool."""
        return [replace(made, kind=self.doc.kind) for made in self._recorder.close()]

    def deliver(self, made: Sequence[Artifact]) -> Sequence[Artifact]:
        """Make the file, and bring it to its place; raises DestinationError, and then recovery can do it again."""
        folder = self.context.folder
        for whole in self._recorder.deliver(made):
            _note(folder, whole)
        return (_finish(folder, self._transcode, self._delivery),)

    def abort(self) -> Sequence[Artifact]:
        """Finish the recording if the disk lets us; it stays in the spool, from where the file can be made."""
        self._transcode.cancel()
        self._delivery.leave()
        if self._recording is None:
            return ()
        kept = [replace(made, kind=self.doc.kind) for made in self._recording.abort()]
        whole = self.context.folder / _WHOLE
        if not kept and whole.is_file():
            length = int(read_json(self.context.folder / _WORK).get("length", 0))
            kept = [Artifact(self.doc.kind, str(whole), whole.stat().st_size, length, details={"final": False})]
        return kept

    def interrupt(self) -> None:
        """Kill the transcode."""
        self._transcode.cancel()

    def status(self) -> Mapping[str, Any]:
        """What has been recorded, made and moved so far."""
        recorded = self._recording.status() if self._recording is not None else {}
        return {**recorded, **self._transcode.status(), **self._delivery.status()}

    @classmethod
    def recover(
        cls, folder: Path, to: str, storage: Mapping[str, str] | None = None, backup: Backup | None = None
    ) -> Sequence[Artifact]:
        """Finish the recording a dead process left, make the file of it and deliver it; () when there is none."""
        state = read_json(folder / _WORK)
        if not state:
            return ()
        delivery, made = Delivery.resumed(folder, to, storage, backup), folder / str(state["name"])
        if done := delivery.delivered(made):
            return (_artifact(state, done),)
        if "length" not in state:
            recorded = Mp4Sink.recover(folder / _RECORDING, str(folder / _WHOLE))
            if not recorded:
                return ()
            _note(folder, recorded[0])
        return (_finish(folder, Transcode(), delivery),)

    @property
    def _recorder(self) -> Mp4Sink:
        if self._recording is None:
            raise Fault("the recording is not open")
        return self._recording


def _note(folder: Path, whole: Artifact) -> None:
    """Keep what is known of the finished recording; raises DestinationError."""
    try:
        state = read_json(folder / _WORK)
        write_json(folder / _WORK, {**state, "length": whole.duration, "details": dict(whole.details)})
    except OSError as error:
        raise DestinationError(f"{folder} cannot be written: {error.strerror or error}") from error


def _finish(folder: Path, transcode: Transcode, delivery: Delivery) -> Artifact:
    """Make the file of the finished recording, unless that has been done, and bring it to its place."""
    state = read_json(folder / _WORK)
    made, whole = folder / str(state["name"]), folder / _WHOLE
    if not made.is_file():
        _make(state, whole, made, transcode)
    delivered = delivery.file(made)
    whole.unlink(missing_ok=True)
    return _artifact(state, delivered)


def _make(state: Mapping[str, Any], whole: Path, made: Path, transcode: Transcode) -> None:
    length: Nanos = int(state["length"])
    recipe = Recipe(**state["recipe"]) if state.get("recipe") else None
    if recipe is None:
        whole.replace(made)
    elif state["ffmpeg"]:
        transcode.run(str(state["ffmpeg"]), whole, made, recipe, length)
    else:
        copy_sound(whole, made, recipe.form)


def _artifact(state: Mapping[str, Any], delivered: Delivered) -> Artifact:
    return delivered.artifact(str(state["kind"]), int(state.get("length", 0)), state.get("details", {}))
