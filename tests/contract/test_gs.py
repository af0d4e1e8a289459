"""Google Cloud Storage is spoken to as its XML API documents, and with its own keys alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egress.model.errors import RequestError
from egress.model.s3_address import S3Address
from egress.storage.gs import ENDPOINT, GsStorage
from egress.storage.s3_client import S3Client
from tests.s3_server import BUCKET, S3Server


def test_no_request_asks_for_what_it_does_not_know(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sent: list[Any] = []
    made = S3Client._made

    def watched(self: S3Client) -> Any:
        client = made(self)
        client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request))
        return client

    monkeypatch.setattr(S3Client, "_made", watched)
    storage = GsStorage(server.options)
    to = f"gs://{BUCKET}/gs/a.mp4"
    storage.preflight(to, replacing=False)
    source = tmp_path / "a.mp4"
    source.write_bytes(bytes(3 << 20))
    assert storage.put(source, to, beside=f"gs://{BUCKET}/gs/b.mp4").location == to
    storage.shelf(f"gs://{BUCKET}/gs/live/").put("a.m3u8", b"#EXTM3U", kind="text/plain", cache="no-cache")
    headers = {name.lower() for request in sent for name in request.headers}
    known = ("x-amz-content-sha256", "x-amz-date", "x-amz-meta-egress-upload")
    assert {name for name in headers if name.startswith("x-amz-")} <= set(known)
    assert not headers & {"if-none-match", "if-match"}
    uploaded = [request for request in sent if request.method == "PUT"]
    assert uploaded and all("Content-MD5" in request.headers for request in uploaded)
    assert server.read("gs/a.mp4") == bytes(3 << 20)


def test_keys_of_aws_are_not_shown_to_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKAMAZON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "amazon")
    with pytest.raises(RequestError, match="set gs_access_key") as refused:
        GsStorage().preflight(f"gs://{BUCKET}/a.mp4", replacing=False)
    assert refused.value.problems[0][0] == "gs_access_key"
    assert GsStorage().options["endpoint"] == ENDPOINT


def test_wrong_keys_are_refused_by_the_names_of_its_settings(server: S3Server):
    with pytest.raises(RequestError, match="correct gs_secret_key") as refused:
        GsStorage({**server.options, "secret_key": "wrong"}).preflight(f"gs://{BUCKET}/a.mp4", replacing=False)
    assert refused.value.problems[0][0] == "gs_secret_key"


def test_an_address_is_written_as_it_came():
    assert str(S3Address.parse("gs://my_bucket/a.mp4")) == "gs://my_bucket/a.mp4"
    with pytest.raises(RequestError, match="like gs://bucket"):
        S3Address.parse("gs://bucket")
