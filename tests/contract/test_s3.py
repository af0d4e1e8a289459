"""Uploads to a real S3 server: while a file grows, through failures, across processes; and refusals before a job."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from egress.model.errors import DestinationError, RequestError
from egress.model.job import Artifact, JobState
from egress.model.media import SECOND
from egress.model.order import JobOrder
from egress.model.outputs import Mp4Doc
from egress.sinks.base import END, Mark
from egress.sinks.mp4 import Mp4Sink
from egress.storage.attendance import Attendance
from egress.storage.manifest import complete_manifest, outcome, write_manifest
from egress.storage.s3 import S3Storage
from egress.storage.s3_client import S3Client
from egress.storage.s3_errors import S3Error
from egress.storage.s3_state import UploadState
from egress.storage.s3_upload import S3Upload
from tests.flashes import context, feed, programme
from tests.s3_server import BUCKET, S3Server
from tests.unit.test_spool import order

PART = 1 << 20


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}/a.mp4"


@pytest.fixture
def to(key: str) -> str:
    return f"s3://{BUCKET}/{key}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder / "a.mp4"


def noise(size: int) -> bytes:
    return os.urandom(size)


def wait_for(seen: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < limit
        time.sleep(0.02)


def sends(server: S3Server, key: str) -> list[str]:
    """The part numbers that were sent for a key, in order."""
    return [line.partition("partNumber=")[2].split()[0] for line in server.requests() if key in line and "PUT" in line]


def test_a_file_is_uploaded_in_equal_parts_and_leaves_the_spool(server: S3Server, source: Path, to: str, key: str):
    data = noise(2 * PART + 12345)
    source.write_bytes(data)
    counted: list[int] = []
    stored = S3Storage(server.options).put(source, to, moved=counted.append)
    assert (stored.location, stored.size, stored.sha256) == (to, len(data), hashlib.sha256(data).hexdigest())
    assert server.read(key) == data
    assert not source.exists()
    assert sorted(counted) == [12345, PART, PART]
    assert server.head(key)["ContentType"] == "video/mp4"
    assert key not in server.uploads()


def test_a_growing_file_is_uploaded_behind_its_writer_and_its_beginning_last(server, source, to, key):
    data = bytearray(noise(4 * PART + 777))
    source.write_bytes(b"")
    storage = S3Storage(server.options)
    storage.follow(source, to)
    with source.open("ab") as file:
        for start in range(0, 3 * PART + 500, 100_000):
            file.write(data[start : min(start + 100_000, 3 * PART + 500)])
            file.flush()
        wait_for(lambda: storage.status()["uploaded"] == 2 * PART)
        file.write(data[3 * PART + 500 :])
    data[44:52] = b"changed!"
    with source.open("r+b") as file:
        file.seek(44)
        file.write(b"changed!")
    stored = storage.put(source, to)
    assert server.read(key) == bytes(data)
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    order = sends(server, key)
    assert order[:2] == ["2", "3"] and sorted(order) == ["1", "2", "3", "4", "5"]


def test_a_file_replaced_by_another_is_uploaded_as_it_is_now(server, source, to, key, caplog):
    source.write_bytes(noise(3 * PART + 5))
    storage = S3Storage(server.options)
    storage.follow(source, to)
    wait_for(lambda: storage.status()["uploaded"] == 2 * PART)
    data = noise(2 * PART + 99)
    other = source.with_name("cut.mp4")
    other.write_bytes(data)
    other.replace(source)
    with caplog.at_level(logging.WARNING):
        storage.put(source, to)
    assert server.read(key) == data
    assert "2 of 2 parts sent before are sent again" in caplog.text


def test_another_process_goes_on_where_one_died(server, source, to, key):
    data = noise(4 * PART + 1)
    source.write_bytes(data)
    died = S3Upload(source, to, server.options)
    assert died.send_next() and died.send_next()
    S3Storage(server.options).put(source, to)
    assert server.read(key) == data
    assert sorted(sends(server, key)) == ["1", "2", "3", "4", "5"]
    assert key not in server.uploads()


def test_parts_that_are_not_what_the_file_holds_are_sent_again(server, source, to, key):
    source.write_bytes(noise(3 * PART))
    assert S3Upload(source, to, server.options).send_next()
    data = noise(3 * PART)
    source.write_bytes(data)
    S3Storage(server.options).put(source, to)
    assert server.read(key) == data


def test_an_object_whose_maker_died_before_it_could_say_so_is_found_again(server, source, to, key, tmp_path):
    data = noise(PART + 1)
    source.write_bytes(data)
    state = UploadState.of(source).path
    before = b""

    def remember(count: int) -> None:
        nonlocal before
        before = state.read_bytes()

    S3Storage(server.options).put(source, to, moved=remember)
    # As a death between the store's answer and our note of it leaves things:
    source.write_bytes(data)
    state.write_bytes(before)
    stored = S3Storage(server.options).put(source, to, beside=to.replace("a.mp4", "a-job.mp4"))
    assert stored.location == to
    assert [name for name in server.objects() if name.startswith(key.split("/")[0])] == [key]
    assert not source.exists()


def test_a_delivery_that_was_confirmed_is_known_without_the_file(server, source, to):
    source.write_bytes(b"small")
    stored = S3Storage(server.options).put(source, to)
    assert S3Storage(server.options).delivered(source, to) == stored
    assert S3Storage(server.options).delivered(source.with_name("other.mp4"), to) is None


def test_another_ones_object_stays_and_ours_goes_beside_it(server, source, to, key):
    server.client().put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
    source.write_bytes(b"ours")
    beside = to.replace("a.mp4", "a-job.mp4")
    stored = S3Storage(server.options).put(source, to, beside=beside)
    assert stored.location == beside
    assert server.read(key) == b"theirs"
    assert server.read(key.replace("a.mp4", "a-job.mp4")) == b"ours"
    assert key not in server.uploads()


def test_an_object_that_appears_at_the_last_moment_is_not_replaced(server, source, to, key):
    source.write_bytes(noise(PART + 1))

    def interfere(count: int) -> None:
        server.client().put_object(Bucket=BUCKET, Key=key, Body=b"theirs")

    stored = S3Storage(server.options).put(source, to, beside=to.replace("a.mp4", "b.mp4"), moved=interfere)
    assert stored.location.endswith("b.mp4")
    assert server.read(key) == b"theirs"


def test_without_another_place_an_object_is_replaced(server, source, to, key):
    server.client().put_object(Bucket=BUCKET, Key=key, Body=b"earlier")
    source.write_bytes(b"later")
    S3Storage(server.options).put(source, to)
    assert server.read(key) == b"later"


def test_a_file_stays_while_the_object_the_store_says_it_made_is_not_there(server, source, to, key, monkeypatch):
    data = noise(2 * PART)
    source.write_bytes(data)
    complete = S3Client.complete

    def gone(client: S3Client, *given: Any, **more: Any) -> str:
        etag = complete(client, *given, **more)
        client.remove(key)
        return etag

    with monkeypatch.context() as patch:
        patch.setattr(S3Client, "complete", gone)
        with pytest.raises(DestinationError, match="is not there, though the store said so"):
            S3Storage(server.options).put(source, to)
    assert source.read_bytes() == data
    S3Storage(server.options).put(source, to)
    assert server.read(key) == data and not source.exists() and server.uploads() == []


def test_an_upload_the_store_has_cleaned_away_begins_anew(server, source, to, key):
    data = noise(3 * PART)
    source.write_bytes(data)
    assert S3Upload(source, to, server.options).send_next()
    server.client().abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=UploadState.of(source).upload)
    S3Storage(server.options).put(source, to)
    assert server.read(key) == data


def test_nobody_waits_to_forsake_an_upload_in_a_store_that_is_away(server, source, to, key):
    source.write_bytes(noise(3 * PART))
    assert S3Upload(source, to, server.options).send_next()
    assert key in server.uploads()
    source.unlink()
    S3Storage({**server.options, "endpoint": "http://127.0.0.1:9"}).forsake(source, to)
    assert key in server.uploads()


def test_a_forsaken_upload_leaves_nothing_in_a_store_that_answers(server, source, to, key):
    source.write_bytes(noise(3 * PART))
    assert S3Upload(source, to, server.options).send_next()
    S3Storage(server.options).forsake(source, to)
    assert key not in server.uploads()


def test_a_folder_is_taken_when_anything_lies_in_it(server, to):
    folder = to.rpartition("/")[0] + "/"
    assert not S3Storage(server.options).taken(folder)
    S3Storage(server.options).preflight(folder, replacing=False)
    server.client().put_object(Bucket=BUCKET, Key=folder.removeprefix(f"s3://{BUCKET}/") + "b", Body=b"theirs")
    assert S3Storage(server.options).taken(folder)
    with pytest.raises(RequestError, match="exists"):
        S3Storage(server.options).preflight(folder, replacing=False)


def test_an_upload_whose_id_died_with_its_process_is_taken_back(server, source, to, key):
    source.write_bytes(noise(PART))
    UploadState.of(source).begin(to, PART)
    server.client().create_multipart_upload(Bucket=BUCKET, Key=key)
    S3Storage(server.options).put(source, to)
    assert key not in server.uploads()


def test_a_store_that_is_away_for_a_while_loses_nothing(server, source, to, key):
    data = noise(4 * PART)
    source.write_bytes(data)
    away = {**server.options, "endpoint": "http://127.0.0.1:9"}
    storage = S3Storage(away)
    storage.follow(source, to)
    wait_for(lambda: storage.status()["upload_failures"] > 0)
    assert "does not answer" in storage.status()["upload_problem"]
    storage.leave()
    S3Storage(server.options).put(source, to)
    assert server.read(key) == data


def test_whoever_sees_a_failure_sees_what_it_was(server, source, to):
    source.write_bytes(b"x")
    seen = []

    class Watched(S3Upload):
        def __setattr__(self, name, value):
            if name == "failures" and value:
                seen.append(self.problem)
            super().__setattr__(name, value)

    Watched(source, to, server.options).note(S3Error("the store does not answer", "Unreachable", passing=True))
    assert seen == ["the store does not answer"]


def test_a_store_that_fails_for_too_long_is_given_up_and_the_file_stays(server, source, to):
    data = noise(PART + 1)
    source.write_bytes(data)
    with pytest.raises(DestinationError, match="does not answer"):
        S3Storage({**server.options, "endpoint": "http://127.0.0.1:9", "patience": "0"}).put(source, to)
    assert source.read_bytes() == data


def test_a_file_of_too_many_parts_gets_larger_ones(server, source, to, key, monkeypatch):
    monkeypatch.setattr("egress.storage.s3_upload.MOST_PARTS", 3)
    data = noise(5 * PART)
    source.write_bytes(data)
    upload = S3Upload(source, to, server.options)
    assert upload.send_next()
    upload.finish(replacing=True)
    assert server.read(key) == data
    assert server.head(key)["ETag"].strip('"').endswith("-3")


def test_a_target_that_can_be_written_is_let_through_and_left_as_it_was(server, to, key):
    S3Storage(server.options).preflight(to, replacing=False)
    assert key not in server.objects() and key not in server.uploads()


def test_a_target_that_is_there_is_refused_unless_it_may_be_replaced(server, to, key):
    server.client().put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
    with pytest.raises(RequestError, match="exists"):
        S3Storage(server.options).preflight(to, replacing=False)
    S3Storage(server.options).preflight(to, replacing=True)


WRONG: Mapping[str, tuple[dict[str, str], str, str]] = {
    "secret": ({"secret_key": "not-the-secret-key"}, "s3_secret_key", "does not fit"),
    "key": ({"access_key": "AKNOBODY"}, "s3_access_key", "does not know"),
    "endpoint": ({"endpoint": "http://127.0.0.1:9"}, "s3_endpoint", "does not answer"),
    "half": ({"secret_key": ""}, "s3_secret_key", "missing"),
    "profile": ({"access_key": "", "secret_key": "", "profile": "nobodys"}, "s3_profile", "profile"),
    "none": ({"access_key": "", "secret_key": ""}, "s3_access_key", "no credentials"),
    "tls": ({"endpoint": "https://127.0.0.1:PORT"}, "s3_endpoint", "TLS"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_refused_by_name(case: str, server: S3Server, to: str, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    changes, field, words = WRONG[case]
    changes = {name: value.replace("PORT", str(server.port)) for name, value in changes.items()}
    began = time.monotonic()
    with pytest.raises(RequestError, match=words) as refused:
        S3Storage({**server.options, **changes}).preflight(to, replacing=False)
    assert [name for name, _ in refused.value.problems] == [field]
    assert time.monotonic() - began < 15
    for secret in (server.secret_key, changes.get("secret_key")):
        assert not secret or secret not in refused.value.message


def test_a_missing_bucket_is_refused(server):
    with pytest.raises(RequestError, match="no bucket nowhere-at-all") as refused:
        S3Storage(server.options).preflight("s3://nowhere-at-all/a.mp4", replacing=False)
    assert refused.value.problems[0][0] == "to"


def test_a_user_who_may_not_write_is_refused(server, to):
    access, secret = server.allow("s3:GetObject", "s3:ListBucket", name="reader")
    with pytest.raises(RequestError, match="s3:PutObject") as refused:
        S3Storage({**server.options, "access_key": access, "secret_key": secret}).preflight(to, replacing=False)
    assert refused.value.problems[0][0] == "to"


def test_a_user_who_may_only_write_can_record(server, source, to, key):
    access, secret = server.allow("s3:PutObject", "s3:AbortMultipartUpload", name="writer")
    options = {**server.options, "access_key": access, "secret_key": secret}
    S3Storage(options).preflight(to, replacing=False)
    data = noise(2 * PART)
    source.write_bytes(data)
    assert S3Upload(source, to, options).send_next()
    S3Storage(options).put(source, to)
    assert server.read(key) == data


def test_credentials_that_were_renewed_meanwhile_are_taken(server, source, to, key, tmp_path, monkeypatch):
    files = tmp_path / "credentials"

    def profile(access: str, secret: str) -> None:
        files.write_text(f"[recorder]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")

    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files))
    old = server.allow("*", name="rotated")
    profile(*old)
    options: dict[str, Any] = {**server.options, "access_key": "", "secret_key": "", "profile": "recorder"}
    data = noise(2 * PART)
    source.write_bytes(data)
    upload = S3Upload(source, to, options)
    assert upload.send_next()
    profile(*server.allow("*", name="renewed"))
    server.client("iam").delete_access_key(UserName="rotated", AccessKeyId=old[0])
    upload.finish(replacing=True)
    assert server.read(key) == data


def test_nothing_on_the_disk_holds_a_secret(server, source, to):
    source.write_bytes(noise(2 * PART))
    S3Upload(source, to, server.options).send_next()
    written = UploadState.of(source).path.read_text()
    assert server.secret_key not in written and server.access_key not in written
    assert json.loads(written)["upload"]


def sink_to(server: S3Server, folder: Path, to: str) -> Mp4Sink:
    made = replace(context(folder / "spool", folder / "unused.mp4"), to=to, storage=server.options)
    return Mp4Sink(Mp4Doc(kind="mp4", to=to), made)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "with its blank tail cut"])
def test_a_recording_with_chapters_is_the_same_in_the_store_as_on_a_disk(cut, server, tmp_path, to, key):
    local = Mp4Sink(Mp4Doc(kind="mp4", to="x"), context(tmp_path / "local", tmp_path / "local.mp4"))
    stored = sink_to(server, tmp_path, to)
    artifacts = []
    for sink in (local, stored):
        feed(sink, programme(6))
        sink.mark(Mark(0, "join", "Anna"))
        sink.mark(Mark(3 * SECOND, "mark", "Decision"))
        if cut:
            sink.mark(Mark(4 * SECOND, END, "empty"))
        artifacts += sink.deliver(sink.close())
    on_disk, in_store = artifacts
    assert in_store.location == to
    assert server.read(key) == (tmp_path / "local.mp4").read_bytes()
    assert (in_store.size, in_store.sha256, in_store.duration) == (on_disk.size, on_disk.sha256, on_disk.duration)
    assert in_store.details == on_disk.details


def test_a_recording_whose_worker_died_after_its_delivery_is_known(server, tmp_path, to, key):
    sink = sink_to(server, tmp_path, to)
    feed(sink, programme(2))
    (artifact,) = sink.deliver(sink.close())
    assert Mp4Sink.recover(tmp_path / "spool", to, server.options) == (artifact,)


def test_a_recording_whose_worker_died_is_made_whole_and_stored(server, tmp_path, to, key):
    sink = sink_to(server, tmp_path, to)
    feed(sink, programme(3))
    # A death ends all threads of a process; here one would go on.
    sink._delivery.leave()
    (artifact,) = Mp4Sink.recover(tmp_path / "spool", to, server.options)
    assert artifact.location == to and artifact.details["recovered"]
    assert hashlib.sha256(server.read(key)).hexdigest() == artifact.sha256
    assert key not in server.uploads()


def test_what_two_attempts_recorded_is_one_object_and_nothing_else_stays(server, tmp_path, to, key):
    first = sink_to(server, tmp_path, to)
    feed(first, programme(3))
    wait_for(lambda: key in server.uploads() or UploadState.of(first._file).upload != "")
    first._delivery.leave()
    second = sink_to(server, tmp_path, to)
    second = Mp4Sink(second.doc, replace(second.context, attempt=2))
    feed(second, programme(3))
    (artifact,) = second.deliver(second.close())
    assert artifact.location == to and len(artifact.details["joins"]) == 1
    assert hashlib.sha256(server.read(key)).hexdigest() == artifact.sha256
    assert artifact.duration > 4 * SECOND
    assert key not in server.uploads()


def ended(order: JobOrder, to: str) -> str:
    now = datetime.now(UTC)
    return write_manifest(
        to,
        order,
        JobState.FINISHED,
        "stopped",
        started=now,
        ended=now,
        length=0,
        attendance=Attendance(),
        artifacts=(),
        figures={},
    )


def test_a_manifest_is_stored_and_completed_in_its_place(server, tmp_path, to, key):
    made = order(tmp_path / "spool").model_copy(update={"manifest": to, "storage_options": {"s3": server.options}})
    Path(made.folder).mkdir(parents=True)
    assert ended(made, to) == to
    artifact = Artifact("mp4", "s3://recordings/x.mp4", 1, 1)
    assert complete_manifest(made, outcome(made), [artifact]) == to
    assert [row["location"] for row in json.loads(server.read(key))["artifacts"]] == ["s3://recordings/x.mp4"]
    assert not Path(made.folder, "manifest", "manifest.json").exists()
    other = made.model_copy(update={"id": "another", "folder": str(tmp_path / "other")})
    Path(other.folder).mkdir()
    assert ended(other, to) == to.replace("a.mp4", "a-another.mp4")
