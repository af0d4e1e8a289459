"""Where each sink of a job keeps its files in the spool, attempt by attempt, and how what lies there is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from egress.model import registry
from egress.model.job import Artifact
from egress.model.order import JobOrder
from egress.model.outputs import FileDoc, SinkDoc
from egress.model.streams import STREAM_DOCS
from egress.model.targets import scheme_of
from egress.sinks.base import Backup
from egress.storage.receipt import keep_receipt, receipt

Options = Mapping[str, Mapping[str, str]]
"""What storages are told, by the scheme of their addresses."""


@dataclass(frozen=True, slots=True)
class Berth:
    """One sink's folder in the spool, and its document with the target this attempt's product goes to."""

    folder: Path
    doc: SinkDoc

    def salvage(self, options: Options) -> tuple[Artifact, ...]:
        """Finish and deliver what a dead worker left here; a receipt says what was. Raises DestinationError."""
        delivered = receipt(self.folder)
        if delivered is None:
            sink = registry.load("sinks", self.doc.kind)
            own = options.get(scheme_of(self.doc.to))
            delivered = tuple(sink.recover(self.folder, self.doc.to, own, backup_of(self.doc, options)))
            keep_receipt(self.folder, delivered)
        return delivered


def berth_of(order: JobOrder, index: int, doc: SinkDoc) -> Berth:
    """The place of sink number `index` in the attempt an order is for.

    Sinks that resume, and streams, have one for all attempts. The product of another's second attempt goes beside that
    of the first: `talk-2.m4a`.
    """
    folder = sink_folder(Path(order.folder), index, doc.kind)
    if order.attempt == 1 or isinstance(doc, STREAM_DOCS) or registry.load("sinks", doc.kind).resumes:
        return Berth(folder, doc)
    places = {"to": _numbered(doc.to, order.attempt)}
    if isinstance(doc, FileDoc) and doc.backup is not None:
        places["backup"] = _numbered(doc.backup, order.attempt)
    return Berth(folder.with_name(f"{folder.name}-{order.attempt}"), doc.model_copy(update=places))


def berths(order: JobOrder) -> Iterator[Berth]:
    """The places, as far as there are any, of the pipeline's sinks in this attempt and those before it, in order."""
    for index, doc in enumerate(order.pipeline.sinks):
        attempts = (order.model_copy(update={"attempt": number}) for number in range(1, order.attempt + 1))
        found = {berth.folder: berth for berth in (berth_of(attempt, index, doc) for attempt in attempts)}
        yield from (berth for berth in found.values() if berth.folder.is_dir())


def backup_of(doc: SinkDoc, options: Options) -> Backup | None:
    """Where a sink's files go when their target will not have them."""
    if not isinstance(doc, FileDoc) or doc.backup is None:
        return None
    return Backup(doc.backup, options.get(scheme_of(doc.backup), {}))


def sink_folder(job: Path, index: int, kind: str) -> Path:
    """Where sink number `index` of a job keeps its files in the spool."""
    return job / f"{index}-{kind}"


def _numbered(to: str, attempt: int) -> str:
    place, slash, name = to.rstrip("/").rpartition("/")
    path = PurePosixPath(name)
    return f"{place}{slash}{path.stem}-{attempt}{path.suffix}"
