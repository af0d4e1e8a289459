"""Uploads to a real server of Azure's protocol: while a file grows, across processes; and refusals before a job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from egress.model.azure_address import AzureAddress, azure_problems
from egress.model.errors import DestinationError, RequestError
from egress.model.outputs import HlsDoc
from egress.sinks.base import SinkContext
from egress.sinks.hls import HlsSink
from egress.storage.azure import AzureStorage
from egress.storage.azure_upload import AzureUpload
from tests.azure_server import ACCOUNT, AzureServer
from tests.flashes import STARTED, feed, programme
from tests.s3_server import BUCKET

PART = 1 << 20


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}/a.mp4"


@pytest.fixture
def to(name: str) -> str:
    return f"azure://{ACCOUNT}/{BUCKET}/{name}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool" / "a.mp4"


def wait_for(seen: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_growing_file_is_staged_behind_its_writer_and_appears_whole(azure: AzureServer, source, to, name):
    data = bytearray(os.urandom(3 * PART + 99))
    source.write_bytes(data)
    storage = AzureStorage(azure.options)
    storage.follow(source, to)
    wait_for(lambda: storage.status().get("uploaded") == 2 * PART)
    assert name not in azure.names()
    data[44:52] = b"changed!"
    with source.open("r+b") as file:
        file.seek(44)
        file.write(b"changed!")
    storage.put(source, to)
    assert azure.read(name) == bytes(data)
    assert azure.properties(name).content_settings.content_type == "video/mp4"
    assert not source.exists()


def test_another_process_goes_on_where_one_died(azure: AzureServer, source, to, name):
    data = os.urandom(4 * PART + 1)
    source.write_bytes(data)
    died = AzureUpload(source, to, azure.options)
    assert died.send_next() and died.send_next()
    storage = AzureStorage(azure.options)
    storage.put(source, to)
    assert azure.read(name) == data
    assert storage.status()["uploaded"] == 2 * PART + 1, "and sends only what is missing"


def test_blocks_that_are_not_what_the_file_holds_are_sent_again(azure: AzureServer, source, to, name):
    source.write_bytes(os.urandom(3 * PART))
    assert AzureUpload(source, to, azure.options).send_next()
    data = os.urandom(3 * PART)
    source.write_bytes(data)
    AzureStorage(azure.options).put(source, to)
    assert azure.read(name) == data


def test_blocks_another_upload_has_swept_away_are_sent_again(azure: AzureServer, source, to, name):
    data = os.urandom(3 * PART)
    source.write_bytes(data)
    upload = AzureUpload(source, to, azure.options)
    assert upload.send_next()
    azure.container.upload_blob(name, b"theirs", overwrite=True)
    upload.finish(replacing=True)
    assert azure.read(name) == data


def test_a_blob_that_appears_at_the_last_moment_is_not_replaced(azure: AzureServer, source, to, name):
    source.write_bytes(os.urandom(PART + 1))

    def interfere(count: int) -> None:
        if name not in azure.names():
            azure.container.upload_blob(name, b"theirs", overwrite=True)

    stored = AzureStorage(azure.options).put(source, to, beside=to.replace("a.mp4", "b.mp4"), moved=interfere)
    assert stored.location.endswith("b.mp4")
    assert azure.read(name) == b"theirs"


def test_a_blob_whose_maker_died_before_it_could_say_so_is_found_again(azure: AzureServer, source, to, name):
    data = os.urandom(PART + 1)
    source.write_bytes(data)
    state = source.with_name("a.mp4.upload.json")
    before = b""

    def remember(count: int) -> None:
        nonlocal before
        before = state.read_bytes()

    AzureStorage(azure.options).put(source, to, moved=remember)
    source.write_bytes(data)
    state.write_bytes(before)
    stored = AzureStorage(azure.options).put(source, to, beside=to.replace("a.mp4", "b.mp4"))
    assert stored.location == to and not source.exists()


WRONG: Mapping[str, tuple[dict[str, str], str, str]] = {
    "key": ({"account_key": "bm90IHRoZSBrZXk="}, "azure_account_key", "refuses these credentials"),
    "none": ({"account_key": ""}, "azure_account_key", "no credentials"),
    "endpoint": ({"endpoint": f"http://127.0.0.1:9/{ACCOUNT}"}, "azure_endpoint", "does not answer"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_refused_by_name(case: str, azure: AzureServer, to: str):
    changes, field, words = WRONG[case]
    with pytest.raises(RequestError, match=words) as refused:
        AzureStorage({**azure.options, **changes}).preflight(to, replacing=False)
    assert [name for name, _ in refused.value.problems] == [field]
    assert not changes.get("account_key") or changes["account_key"] not in refused.value.message


def test_what_is_there_is_refused_unless_it_may_be_replaced(azure: AzureServer, to: str, name: str):
    azure.container.upload_blob(name, b"theirs", overwrite=True)
    for place in (to, to.rpartition("/")[0] + "/"):
        with pytest.raises(RequestError, match="exists"):
            AzureStorage(azure.options).preflight(place, replacing=False)
        AzureStorage(azure.options).preflight(place, replacing=True)
    assert azure.names() & {f"{name}.egress-probe"} == set()


def test_a_store_that_fails_for_too_long_is_given_up_and_the_file_stays(azure: AzureServer, source, to):
    source.write_bytes(b"recording")
    away = {**azure.options, "endpoint": f"http://127.0.0.1:9/{ACCOUNT}", "patience": "0"}
    with pytest.raises(DestinationError, match="does not answer"):
        AzureStorage(away).put(source, to)
    assert source.read_bytes() == b"recording"


def test_hls_is_brought_there_too(azure: AzureServer, tmp_path: Path):
    (tmp_path / "spool").mkdir()
    to = f"azure://{ACCOUNT}/{BUCKET}/live/"
    said = {"storage": azure.options}
    context = SinkContext("j1", "local:a", "A", STARTED, tmp_path / "spool", to, lambda event: None, **said)
    sink = HlsSink(HlsDoc(kind="hls", to=to, segment="2s"), context)
    feed(sink, programme(4))
    (artifact,) = sink.deliver(sink.close())
    assert artifact.location == f"{to}index.m3u8"
    assert {"live/index.m3u8", "live/video/seg-1.m4s"} <= azure.names()
    assert azure.properties("live/index.m3u8").content_settings.cache_control == "no-cache"


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("azure://account/container/a/{room}.mp4", ""),
        ("azure://account/container", "does not name"),
        ("azure://Account/container/a.mp4", "no storage account"),
        ("azure://account/a--b/a.mp4", "no name of a container"),
        ("azure://account/container/a/../b.mp4", "'..' in it"),
    ],
)
def test_addresses_are_checked(to: str, says: str):
    messages = " ".join(problem.message for problem in azure_problems(to, "to"))
    assert (says in messages) if says else not messages
    if not says:
        assert str(AzureAddress.parse(to)) == to
