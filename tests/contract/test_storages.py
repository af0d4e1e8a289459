"""Every registered storage keeps a file whole, or says why not and leaves the source alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from egress.model import registry
from egress.model.errors import DestinationError

ADDRESSES: dict[str, Callable[[Path], str]] = {"file": lambda folder: str(folder / "kept" / "deep" / "a.mp4")}
"""Where each storage can keep a file in a test."""

NOWHERE: dict[str, Callable[[Path], str]] = {"file": lambda folder: str(folder / "plain" / "a.mp4")}
"""An address each storage must refuse: a folder that is a file."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 5000)
    (tmp_path / "plain").write_text("not a folder")
    return path


def test_every_storage_is_under_contract() -> None:
    assert set(registry.names("storages")) == set(ADDRESSES) == set(NOWHERE)


@pytest.mark.parametrize("name", registry.names("storages"))
def test_a_file_is_kept_whole_and_leaves_the_spool(name: str, source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    stored = registry.load("storages", name)().put(source, ADDRESSES[name](tmp_path))
    assert (stored.size, stored.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert not source.exists()


@pytest.mark.parametrize("name", registry.names("storages"))
def test_a_place_that_cannot_be_is_refused_and_the_source_stays(name: str, source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    with pytest.raises(DestinationError):
        registry.load("storages", name)().put(source, NOWHERE[name](tmp_path))
    assert source.read_bytes() == data
