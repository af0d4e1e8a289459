"""Sinks that cannot go on have a place of their own in each attempt; those that can, and streams, keep theirs."""

from __future__ import annotations

from pathlib import Path

from egress.berths import berth_of, berths
from egress.model.order import JobOrder
from egress.model.outputs import SinkDoc
from egress.model.pipeline import Pipeline
from egress.storage.receipt import keep_receipt, receipt


def an_order(tmp_path: Path, attempt: int) -> JobOrder:
    """A job with one sink of each sort, its places resolved."""
    out = tmp_path / "out"
    sinks = [
        {"kind": "mp4", "to": f"{out}/talk.mp4"},
        {"kind": "audio", "to": f"{out}/talk.m4a"},
        {"kind": "thumbnails", "to": f"{out}/small/"},
        {"kind": "rtmp", "to": "rtmp://host/live/key"},
    ]
    return JobOrder(
        id="job-1",
        room="local:stage",
        title="Stage",
        pipeline=Pipeline(name="all", sinks=sinks),
        folder=str(tmp_path / "job-1"),
        manifest=f"{out}/manifest.json",
        attempt=attempt,
    )


def placed(order: JobOrder) -> list[tuple[str, str]]:
    """(folder, target) of each sink."""
    found = [berth_of(order, index, doc) for index, doc in enumerate(order.pipeline.sinks)]
    return [(berth.folder.name, Path(berth.doc.to).name) for berth in found]


def test_a_later_attempt_writes_beside_the_one_before_it(tmp_path: Path) -> None:
    assert placed(an_order(tmp_path, 1)) == [
        ("0-mp4", "talk.mp4"),
        ("1-audio", "talk.m4a"),
        ("2-thumbnails", "small"),
        ("3-rtmp", "key"),
    ]
    assert placed(an_order(tmp_path, 3)) == [
        ("0-mp4", "talk.mp4"),
        ("1-audio-3", "talk-3.m4a"),
        ("2-thumbnails-3", "small-3"),
        ("3-rtmp", "key"),
    ]


def test_the_places_of_all_attempts_are_found_as_far_as_there_are_any(tmp_path: Path) -> None:
    order = an_order(tmp_path, 3)
    for name in ("0-mp4", "1-audio", "1-audio-3"):
        (tmp_path / "job-1" / name).mkdir(parents=True)
    found = list(berths(order))
    assert [berth.folder.name for berth in found] == ["0-mp4", "1-audio", "1-audio-3"]
    docs: list[SinkDoc] = [berth.doc for berth in found]
    assert [Path(doc.to).name for doc in docs] == ["talk.mp4", "talk.m4a", "talk-3.m4a"]


def test_what_has_a_receipt_is_not_saved_twice(tmp_path: Path) -> None:
    (tmp_path / "job-1" / "0-mp4").mkdir(parents=True)
    (berth,) = berths(an_order(tmp_path, 1))
    assert berth.salvage({}) == ()
    assert receipt(berth.folder) == ()
    keep_receipt(berth.folder, ())
    assert berth.salvage({}) == ()
