"""HLS brought to a real S3 server: whatever moment one looks, no playlist there names what is not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egress.model.errors import DestinationError
from egress.model.outputs import HlsDoc
from egress.sinks import mirror as mirroring
from egress.sinks.base import Backup, SinkContext
from egress.sinks.hls import HlsSink
from egress.sinks.mirror import Mirror
from egress.sinks.plainlist import PlainList
from tests.flashes import STARTED, offsets, programme
from tests.s3_server import BUCKET, S3Server

DOC = HlsDoc(kind="hls", to="hls", segment="2s")


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return re.sub(r"\W", "-", request.node.name)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "_LOOK", 0.02)
    monkeypatch.setattr(mirroring, "_SHORTEST", 0.1)
    monkeypatch.setattr(mirroring, "_LONGEST", 0.2)


def wait_for(seen: Callable[[], Any]) -> None:
    limit = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < limit
        time.sleep(0.02)


def context(server: S3Server, folder: Path, prefix: str, **changes: Any) -> SinkContext:
    folder.mkdir(parents=True, exist_ok=True)
    said = {"storage": server.options, "announce": lambda event: None, **changes}
    return SinkContext("job1", "local:standup", "Standup", STARTED, folder, f"s3://{BUCKET}/{prefix}/", **said)


def keys(server: S3Server, prefix: str) -> set[str]:
    rows = server.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
    return {row["Key"].partition("/")[2] for page in rows for row in page.get("Contents", ())}


def feed_slowly(sink: HlsSink, seconds: float, until: Callable[[int], None]) -> None:
    """Write a programme, and let the mirror see every segment: `until` is called after each second of it."""
    made = programme(seconds)
    sink.open(made.streams)
    bases = {info.id: info.time_base for info in made.streams}
    second = 0
    for packet in made.packets:
        if packet.pts * bases[packet.stream] >= second + 1:
            second += 1
            until(second)
        sink.write(packet)


class History:
    """What the server held after every single change, from its log and the versions it kept."""

    def __init__(self, server: S3Server, prefix: str) -> None:
        self._server = server
        self._prefix = prefix
        server.client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self._from = len(server.requests())

    def _changes(self) -> Iterator[tuple[str, str]]:
        asked = re.compile(rf'"(PUT|DELETE) /{BUCKET}/{re.escape(self._prefix)}/([^ ?]+) HTTP[^"]*" 20')
        for line in self._server.requests()[self._from :]:
            if found := asked.search(line):
                yield found[1], found[2]

    def _texts(self) -> dict[str, list[str]]:
        client = self._server.client()
        pages = client.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=f"{self._prefix}/")
        rows = [row for page in pages for row in page.get("Versions", ()) if row["Key"].endswith(".m3u8")]
        texts: dict[str, list[str]] = {}
        # The newest comes first.
        for row in reversed(rows):
            said = client.get_object(Bucket=BUCKET, Key=row["Key"], VersionId=row["VersionId"])
            texts.setdefault(row["Key"].partition("/")[2], []).append(said["Body"].read().decode())
        return texts

    def check(self) -> int:
        """Follow all of it; says how many playlists were published."""
        texts, there, lists, published = self._texts(), set(), {}, 0
        for method, name in self._changes():
            if method == "DELETE":
                there.discard(name)
                lists.pop(name, None)
            else:
                there.add(name)
                if name.endswith(".m3u8"):
                    published += 1
                    lists[name] = PlainList.of(name, texts[name].pop(0))
            for one in lists.values():
                assert one.files <= there and one.playlists <= there, f"{one.name} names what is not there"
        assert not any(texts.values()), "every playlist was in the log"
        return published


def test_a_stream_is_in_the_store_while_it_runs_and_whole_afterwards(server: S3Server, tmp_path: Path, prefix: str):
    history = History(server, prefix)
    sink = HlsSink(DOC, context(server, tmp_path / "spool", prefix))

    def seen(second: int) -> None:
        if second >= 3 and second % 2:
            wait_for(lambda: f"video/seg-{(second - 3) // 2}.m4s" in keys(server, prefix))

    feed_slowly(sink, 10, seen)
    wait_for(lambda: "index.m3u8" in keys(server, prefix))
    live = server.read(f"{prefix}/video.m3u8").decode()
    assert "#EXT-X-PART" not in live and "PRELOAD-HINT" not in live and "SERVER-CONTROL" not in live
    assert "#EXT-X-ENDLIST" not in live
    assert server.head(f"{prefix}/video.m3u8")["CacheControl"] == "no-cache"
    (artifact,) = sink.deliver(sink.close())
    assert artifact.location == f"s3://{BUCKET}/{prefix}/index.m3u8"
    assert history.check() > 6
    assert not (tmp_path / "spool" / "hls").exists()
    names = keys(server, prefix)
    assert {"index.m3u8", "video.m3u8", "audio.m3u8", "iframes.m3u8", "video/init.mp4", "video/seg-4.m4s"} <= names
    assert not any(re.search(r"seg-\d+\.\d+", name) for name in names), "no parts"
    head = server.head(f"{prefix}/video/seg-0.m4s")
    assert head["ContentType"] == "video/iso.segment" and "immutable" in head["CacheControl"]
    assert server.head(f"{prefix}/index.m3u8")["ContentType"] == "application/vnd.apple.mpegurl"
    for name in names:
        (tmp_path / "down" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "down" / name).write_bytes(server.read(f"{prefix}/{name}"))
    assert len(offsets(tmp_path / "down" / "index.m3u8")) == 9


def test_segments_that_left_a_sliding_window_leave_the_store_too(server, tmp_path, prefix, monkeypatch):
    history = History(server, prefix)
    doc = DOC.model_copy(update={"playlist": "sliding", "window": 4_000_000_000, "vod": False})
    sink = HlsSink(doc, context(server, tmp_path / "spool", prefix))
    monkeypatch.setattr(mirroring, "SECOND", 10**12)
    feed_slowly(sink, 32, lambda second: time.sleep(0.15))
    wait_for(lambda: "video/seg-14.m4s" in keys(server, prefix))
    wait_for(lambda: "video/seg-0.m4s" not in keys(server, prefix))
    sink.deliver(sink.close())
    assert history.check() > 10
    text = server.read(f"{prefix}/video.m3u8").decode()
    files = PlainList.of("video.m3u8", text).files
    assert {name for name in keys(server, prefix) if name.startswith("video/")} == files


def test_a_store_that_is_away_makes_nobody_wait_and_gets_it_all(server: S3Server, tmp_path: Path, prefix: str):
    history = History(server, prefix)
    sink = HlsSink(DOC, context(server, tmp_path / "spool", prefix))

    def cut(second: int) -> None:
        if second == 3:
            wait_for(lambda: "video.m3u8" in keys(server, prefix))
            server.cut()

    try:
        feed_slowly(sink, 10, cut)
        made = sink.close()
    finally:
        server.mend()
    sink.deliver(made)
    history.check()
    assert "video/seg-4.m4s" in keys(server, prefix)
    assert "#EXT-X-ENDLIST" in server.read(f"{prefix}/audio.m3u8").decode()


def test_a_stream_the_store_refuses_goes_to_the_backup(server: S3Server, tmp_path: Path, prefix: str):
    told: list[dict[str, Any]] = []
    wrong = {**server.options, "secret_key": "wrong"}
    backup = Backup(str(tmp_path / "kept"))
    sink = HlsSink(DOC, context(server, tmp_path / "spool", prefix, storage=wrong, backup=backup, announce=told.append))
    feed_slowly(sink, 4, lambda second: None)
    (artifact,) = sink.deliver(sink.close())
    assert artifact.location == str(tmp_path / "kept" / "index.m3u8")
    assert artifact.details["backup"] is True and "secret key" in artifact.details["primary_error"]
    assert any(event["type"] == "warning" and "backup" in event["message"] for event in told)
    assert len(offsets(artifact.location)) == 3


def test_a_stream_nobody_takes_stays_in_the_spool_and_is_recovered(server: S3Server, tmp_path: Path, prefix: str):
    wrong = {**server.options, "secret_key": "wrong"}
    sink = HlsSink(DOC, context(server, tmp_path / "spool", prefix, storage=wrong))
    feed_slowly(sink, 4, lambda second: None)
    with pytest.raises(DestinationError, match="secret key"):
        sink.deliver(sink.close())
    assert (tmp_path / "spool" / "hls" / "index.m3u8").is_file()
    (artifact,) = HlsSink.recover(tmp_path / "spool", f"s3://{BUCKET}/{prefix}/", server.options)
    assert "index.m3u8" in keys(server, prefix)
    again = HlsSink.recover(tmp_path / "spool", f"s3://{BUCKET}/{prefix}/", server.options)
    assert again == (artifact,), "and found, by whoever asks once more"


def test_what_the_store_has_lost_is_sent_again(server: S3Server, tmp_path: Path, prefix: str):
    sink = HlsSink(DOC, context(server, tmp_path / "spool", prefix))
    feed_slowly(sink, 6, lambda second: None)
    wait_for(lambda: "video/seg-0.m4s" in keys(server, prefix))
    made = sink.close()
    server.client().delete_object(Bucket=BUCKET, Key=f"{prefix}/video/seg-0.m4s")
    sink.deliver(made)
    assert "video/seg-0.m4s" in keys(server, prefix)


def test_an_earlier_stream_gives_way_whole_where_it_may_be_replaced(server: S3Server, tmp_path: Path, prefix: str):
    for name in ("index.m3u8", "video/seg-77.m4s", "notes.txt"):
        server.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=b"old")
    sink = HlsSink(DOC, context(server, tmp_path / "spool", prefix, options={"overwrite": "yes"}))
    feed_slowly(sink, 4, lambda second: None)
    sink.deliver(sink.close())
    names = keys(server, prefix)
    assert "video/seg-77.m4s" not in names and "notes.txt" in names
    assert server.read(f"{prefix}/index.m3u8").startswith(b"#EXTM3U")


_DIES = """
import os, sys, time
from pathlib import Path
from egress.sinks import mirror
from tests.contract.test_mirror import DOC, context, feed_slowly
from egress.sinks.hls import HlsSink

class Server:
    options = dict(pair.split("=", 1) for pair in os.environ["OPTIONS"].split(" "))

mirror._LOOK = 0.01
sink = HlsSink(DOC, context(Server(), Path(sys.argv[1]), sys.argv[2]))
feed_slowly(sink, 20, lambda second: (print(second, flush=True), time.sleep(0.05)))
"""


@pytest.mark.parametrize("after", [3, 6, 11])
def test_a_stream_whose_worker_was_killed_is_completed(server, tmp_path, prefix, after):
    history = History(server, prefix)
    options = " ".join(f"{name}={value}" for name, value in server.options.items())
    command = [sys.executable, "-c", _DIES, str(tmp_path / "spool"), prefix]
    with subprocess.Popen(command, env={**os.environ, "OPTIONS": options}, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            if int(line) == after:
                worker.send_signal(signal.SIGKILL)
                break
    (artifact,) = HlsSink.recover(tmp_path / "spool", f"s3://{BUCKET}/{prefix}/", server.options)
    assert artifact.location.endswith(f"{prefix}/index.m3u8")
    history.check()
    text = server.read(f"{prefix}/video.m3u8").decode()
    assert "#EXT-X-ENDLIST" in text and "#EXT-X-PLAYLIST-TYPE:VOD" in text
    names = keys(server, prefix)
    assert PlainList.of("video.m3u8", text).files == {name for name in names if name.startswith("video/")}
    assert not (tmp_path / "spool" / "hls").exists()


def test_a_folder_is_no_matter_for_a_mirror(server: S3Server, tmp_path: Path, prefix: str):
    assert Mirror.resumed(tmp_path, str(tmp_path / "live"), None, None) is None
