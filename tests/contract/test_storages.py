"""Every registered storage keeps a file whole, or says why not and leaves the source alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from egress.model import registry
from egress.model.errors import DestinationError
from egress.storage.base import Storage
from tests.azure_server import ACCOUNT
from tests.s3_server import BUCKET, S3Server

ADDRESSES: dict[str, Callable[[Path], str]] = {
    "file": lambda folder: str(folder / "kept" / "deep" / "a.mp4"),
    "azure": lambda folder: f"azure://{ACCOUNT}/{BUCKET}/kept/{folder.name}/a.mp4",
    "gs": lambda folder: f"gs://{BUCKET}/kept-gs/{folder.name}/a.mp4",
    "s3": lambda folder: f"s3://{BUCKET}/kept/{folder.name}/a.mp4",
}
"""Where each storage can keep a file in a test."""

NOWHERE: dict[str, Callable[[Path], str]] = {
    "file": lambda folder: str(folder / "plain" / "a.mp4"),
    "azure": lambda folder: f"azure://{ACCOUNT}/there-is-no-such/a.mp4",
    "gs": lambda folder: "gs://there-is-no-such-bucket/a.mp4",
    "s3": lambda folder: "s3://there-is-no-such-bucket/a.mp4",
}
"""An address each storage must refuse: a folder that is a file, a bucket that is not there."""

OPTIONS: dict[str, Callable[[S3Server], dict[str, str]]] = {
    "file": lambda server: {},
    "azure": lambda server: {},
    "gs": lambda server: server.options,
    "s3": lambda server: server.options,
}
"""What each storage has to be told; of Azure its own server knows."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 5000)
    (tmp_path / "plain").write_text("not a folder")
    return path


def test_every_storage_is_under_contract() -> None:
    assert set(registry.names("storages")) == set(ADDRESSES) == set(NOWHERE) == set(OPTIONS)


@pytest.fixture(params=registry.names("storages"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def storage(name: str, server: S3Server, request: pytest.FixtureRequest) -> Storage:
    options = request.getfixturevalue("azure").options if name == "azure" else OPTIONS[name](server)
    made: Storage = registry.load("storages", name)(options)
    return made


def test_a_file_is_kept_whole_and_leaves_the_spool(name: str, storage: Storage, source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    stored = storage.put(source, ADDRESSES[name](tmp_path))
    assert (stored.size, stored.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert not source.exists()


def test_a_file_that_was_followed_is_kept_whole(name: str, storage: Storage, source: Path, tmp_path: Path) -> None:
    storage.follow(source, ADDRESSES[name](tmp_path))
    with source.open("ab") as file:
        file.write(bytes(2_000_000))
    data = source.read_bytes()
    stored = storage.put(source, ADDRESSES[name](tmp_path))
    assert (stored.size, stored.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_file_that_got_another_name_while_it_was_followed_is_kept_whole(
    name: str, storage: Storage, source: Path, tmp_path: Path
) -> None:
    storage.follow(source, ADDRESSES[name](tmp_path))
    with source.open("ab") as file:
        file.write(bytes(2_000_000))
    storage.hold()
    final = source.with_name("whole.mp4")
    for path in source.parent.glob("a.mp4*"):
        path.rename(path.with_name(path.name.replace("a.mp4", final.name)))
    storage.renamed(final)
    data = final.read_bytes()
    stored = storage.put(final, ADDRESSES[name](tmp_path))
    assert (stored.size, stored.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert not final.exists() and not source.exists()


def test_a_place_that_is_taken_is_left_to_whose_it_is(
    name: str, storage: Storage, source: Path, tmp_path: Path
) -> None:
    earlier = source.with_name("earlier.mp4")
    earlier.write_bytes(b"earlier")
    to = ADDRESSES[name](tmp_path)
    beside = to.replace("a.mp4", "a-job.mp4")
    first = storage.put(earlier, to)
    stored = type(storage)(storage.options).put(source, to, beside=beside)
    assert (first.location, stored.location) == (to, beside)


def test_a_place_that_cannot_be_is_refused_and_the_source_stays(
    name: str, storage: Storage, source: Path, tmp_path: Path
) -> None:
    data = source.read_bytes()
    with pytest.raises(DestinationError):
        storage.put(source, NOWHERE[name](tmp_path))
    assert source.read_bytes() == data


def test_a_place_that_can_be_written_passes_before_a_job(name: str, storage: Storage, source: Path, tmp_path: Path):
    storage.preflight(ADDRESSES[name](tmp_path), replacing=False)


def test_what_is_removed_is_gone_and_nothing_else(name: str, storage: Storage, source: Path, tmp_path: Path) -> None:
    to = ADDRESSES[name](tmp_path)
    folder = to.removesuffix("a.mp4")
    for inside in ("a.mp4", "b.mp4", "live/index.m3u8", "live/video/1.m4s", "live/notes.txt"):
        source.write_bytes(inside.encode())
        type(storage)(storage.options).put(source, f"{folder}{inside}")
    storage.remove(to)
    storage.remove(to)
    storage.remove(f"{folder}live/", ("index.m3u8", "video/*"))
    storage.remove(f"{folder}nothing/", ("*",))
    left = [inside for inside in ("a.mp4", "b.mp4", "live/index.m3u8", "live/video/1.m4s", "live/notes.txt")
            if _is_there(name, storage, source, f"{folder}{inside}")]  # fmt: skip
    assert left == ["b.mp4", "live/notes.txt"]
    storage.remove(f"{folder}live/", ("*",))
    assert not _is_there(name, storage, source, f"{folder}live/notes.txt")


def test_what_cannot_be_removed_is_said(name: str, storage: Storage, source: Path, tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match=r"a\.mp4|plain|there-is-no-such"):
        storage.remove(NOWHERE[name](tmp_path))


def _is_there(name: str, storage: Storage, source: Path, to: str) -> bool:
    return type(storage)(storage.options).taken(to)
