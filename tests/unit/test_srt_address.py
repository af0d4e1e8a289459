"""SRT addresses are taken apart rightly, and wrong ones refused without showing a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from egress.model import checking
from egress.model.errors import RequestError
from egress.model.order import JobOrder
from egress.model.pipeline import Pipeline
from egress.model.srt_address import SrtAddress, shown_srt
from egress.model.streams import check_stream, shown_stream, stream_doc
from egress.model.targets import with_streams
from egress.ordering import manifest_of

SECRET = "canary-7f3e9a-4471"


def test_the_parts_of_an_address() -> None:
    address = SrtAddress.parse(
        f"srt://h.example:9000?mode=caller&streamid=%23!::r=a,m=publish&passphrase={SECRET}&latency=400&pbkeylen=32"
    )
    assert (address.host, address.port, address.latency, address.key_length) == ("h.example", 9000, 400, 32)
    assert (address.stream_id, address.passphrase) == ("#!::r=a,m=publish", SECRET)
    assert address.public == "srt://h.example:9000?streamid=…&passphrase=…"
    assert SECRET not in repr(address) and set(address.secrets) == {SECRET, "#!::r=a,m=publish"}
    plain = SrtAddress.parse("srt://[::1]:9000")
    assert (plain.place, plain.latency, plain.public, plain.secrets) == ("[::1]:9000", 120, "srt://[::1]:9000", ())


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"srt://h?passphrase={SECRET}", "has no port"),
        (f"srt://:9000?passphrase={SECRET}", "has no host"),
        (f"srt://h:{SECRET}", "no readable host and port"),
        (f"srt://h:9000/{SECRET}", "put a stream id into streamid="),
        (f"srt://{SECRET}@h:9000", "put a stream id into streamid="),
        (f"srt://h:9000?mode=listener&passphrase={SECRET}", "another mode than caller"),
        (f"srt://h:9000?pasphrase={SECRET}", "did you mean 'passphrase'?"),
        (f"srt://h:9000?streamid={SECRET}&streamid=x", "says streamid twice"),
        (f"srt://h:9000?latency=200ms&passphrase={SECRET}", "latency that is not milliseconds"),
        (f"srt://h:9000?latency=120000&passphrase={SECRET}", "latency that is not milliseconds"),
        (f"srt://h:9000?pbkeylen=20&passphrase={SECRET}", "16, 24 or 32"),
        ("srt://h:9000?passphrase=short", "passphrase of 5 bytes; it takes 10 to 79"),
        ("srt://h:9000?streamid=", "streamid of 0 bytes"),
        (f"srt://h:9000?streamid=a%0Apassphrase={SECRET}", "line break in its streamid"),
        (f"srt://h:9000?streamid={SECRET} x", "space or control character"),
    ],
)
def test_a_wrong_address_is_refused_with_the_fix_and_without_the_secret(url: str, problem: str) -> None:
    with pytest.raises(RequestError, match="write it like srt://host:9000") as caught:
        SrtAddress.parse(url)
    assert problem in caught.value.message
    assert caught.value.problems[0][0] == "to"
    assert SECRET not in caught.value.message + shown_srt(url)


@pytest.mark.parametrize(
    ("to", "kind"),
    [("srt://h:9000", "srt"), ("SRT://h:9000", "srt"), ("rtmp://h/a/k", "rtmp"), ("youtube://k", "rtmp")],
)
def test_the_scheme_says_what_sink_a_stream_is_for(to: str, kind: str) -> None:
    assert stream_doc(to).kind == kind
    check_stream(to.lower())


@pytest.mark.parametrize("to", [f"http://h/{SECRET}", SECRET, f"rtmp:/{SECRET}", f"srt:{SECRET}", ""])
def test_what_is_no_address_of_a_stream_is_refused_and_hidden(to: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_stream(to)
    assert SECRET not in caught.value.message + shown_stream(to)


def test_streams_given_when_a_job_starts_become_the_sinks_they_are_for_and_no_address_is_kept(tmp_path: Path) -> None:
    document = {"name": "p", "sinks": [{"kind": "rtmp", "to": "{rtmp}", "required": True}]}
    pipeline = with_streams(
        Pipeline.model_validate(document), (f"srt://h:9000?streamid={SECRET}", f"rtmp://h/a/{SECRET}")
    )
    assert [(sink.kind, sink.required) for sink in pipeline.sinks] == [("srt", True), ("rtmp", True)]
    order = JobOrder(id="j", room="local:a", title="", pipeline=pipeline, folder="/spool/j", manifest="/m.json")
    kept = order.without_secrets()
    assert SECRET not in json.dumps(kept)
    assert [sink.kind for sink in JobOrder.model_validate(kept).pipeline.sinks] == ["srt", "rtmp"]
    assert manifest_of(pipeline, tmp_path, "j") == str(tmp_path / "j.manifest.json"), (
        "no address of a stream has room for it"
    )


@pytest.mark.parametrize(
    ("sink", "says"),
    [
        ({"kind": "rtmp", "to": "srt://h:9000"}, "write kind: srt"),
        ({"kind": "srt", "to": f"rtmp://h/a/{SECRET}"}, "does not begin with srt://"),
        ({"kind": "srt", "to": "srt://h:9000?streamid={nope}"}, "{nope}"),
    ],
)
def test_a_pipeline_whose_address_is_for_another_sink_says_so(sink: dict[str, str], says: str) -> None:
    _, problems = checking.examine({"name": "p", "sinks": [sink]})
    (problem,) = problems
    assert problem.path == "sinks[0].to" and says in problem.message and SECRET not in problem.message


def test_srt_listeners_get_aac() -> None:
    sinks = [{"kind": "srt", "to": "srt://h:9000?streamid=publish:{room}"}]
    assert checking.examine({"name": "p", "sinks": sinks})[1] == ()
    (problem,) = checking.examine({"name": "p", "sinks": sinks, "audio": {"codec": "opus"}})[1]
    assert problem.path == "sinks[0].kind" and "audio.codec: aac" in problem.message
