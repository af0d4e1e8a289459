"""Requests and templates become orders, or all that is wrong with them in the caller's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egress.control import commission, pipelines_kept, templates
from egress.control.commission import Plan, merged
from egress.control.store import Store
from egress.model.errors import RequestError
from egress.model.media import SECOND
from egress.model.order import JobOrder
from egress.model.request import JobRequest
from egress.model.settings import Settings
from egress.model.streams import STREAM_DOCS
from egress.model.template import TemplateDoc

INLINE = {"name": "mine", "sinks": [{"kind": "mp4", "to": "a/{room}.mp4"}]}
STREAM = "rtmp://host/app/key"

Planned = Callable[..., Plan]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a server."""
    return Settings.load(flags={"spool": tmp_path / "spool"}, environ={"EGRESS_WHIP_TOKEN": "publishers"})


@pytest.fixture
def planned(store: Store, settings: Settings) -> Planned:
    """What a request comes to."""

    def make(template: str | None = None, **said: Any) -> Plan:
        request = JobRequest.model_validate({"room": "local:standup", **said})
        with store.reading() as connection:
            return commission.plan(connection, store.sealer, settings, request, template)

    return make


def problems(error: pytest.ExceptionInfo[RequestError]) -> list[str]:
    """The fields that are wrong."""
    return [field for field, _ in error.value.problems]


def template(**said: Any) -> TemplateDoc:
    """A template."""
    return TemplateDoc.model_validate({"name": "meetings", "pipelines": ["record-grid", "live-hls"], **said})


def test_a_pipeline_is_found_by_name_shipped_or_own_and_never_by_path(store: Store, planned: Planned) -> None:
    own = "name: mine\nsinks: [{kind: mp4, to: a.mp4}]\n"
    with store.writing() as connection:
        pipelines_kept.put(connection, store.sealer, "mine", own)
    assert planned(pipeline="mine").pipeline.name == "mine"
    assert planned(pipeline="record-grid").pipeline.name == "record-grid"
    for name in ("/etc/passwd", "pipelines/record-grid.yaml", "nothing"):
        with pytest.raises(RequestError) as wrong:
            planned(pipeline=name)
        assert problems(wrong) == ["pipeline"]


def test_an_inline_pipeline_is_checked_and_its_problems_are_placed(planned: Planned) -> None:
    assert planned(pipeline=INLINE).pipeline.name == "mine"
    assert planned(pipeline={"sinks": INLINE["sinks"]}).pipeline.name == "inline"
    with pytest.raises(RequestError) as wrong:
        planned(pipeline={**INLINE, "video": {"fps": 600}, "layout": {"kind": "gird"}})
    assert problems(wrong) == ["pipeline.layout.kind", "pipeline.video.fps"]


def test_a_request_without_pipeline_and_template_says_what_is_missing(planned: Planned) -> None:
    with pytest.raises(RequestError) as wrong:
        planned()
    assert problems(wrong) == ["pipeline"]
    with pytest.raises(RequestError) as wrong:
        planned(template="nothing")
    assert problems(wrong) == ["template"]


def test_streams_keep_the_names_they_were_given(planned: Planned) -> None:
    streams = [{"to": STREAM, "name": "main"}, {"to": "srt://host:9000?streamid=x"}]
    sinks = planned(pipeline=INLINE, destinations=streams).pipeline.sinks
    assert [sink.name for sink in sinks if isinstance(sink, STREAM_DOCS)] == ["main", ""]
    with pytest.raises(RequestError) as wrong:
        planned(pipeline=INLINE, destinations=[{"to": STREAM, "name": "a"}, {"to": STREAM + "2", "name": "a"}])
    assert problems(wrong) == ["destinations[1].name"]


def test_a_template_says_what_the_request_does_not(store: Store, planned: Planned) -> None:
    doc = template(
        overrides={"title": "Theirs", "layout": "speaker", "stop": {"empty_for": "1m", "lost_for": "1m"}},
        stop={"empty_for": "2m", "max": "1h"},
        room_options={"pin": "theirs", "token": "tt"},
        metadata={"a": "theirs", "b": "theirs"},
        roles=["host"],
    )
    with store.writing() as connection:
        templates.put(connection, store.sealer, doc)
    plan = planned(
        template="meetings",
        overrides={"title": "Mine", "stop": {"max": "2h"}},
        room_options={"pin": "mine"},
        metadata={"a": "mine"},
    )
    assert plan.request.metadata == {"a": "mine", "b": "theirs"}
    assert plan.request.room_options == {"pin": "mine", "token": "tt"}
    assert plan.pipeline.layout.kind == "speaker"
    assert plan.pipeline.select.roles == ("host",)
    stop = plan.pipeline.stop
    assert (stop.empty_for, stop.lost_for, stop.max) == (120 * SECOND, 60 * SECOND, 7200 * SECOND)
    assert plan.request.overrides.title == "Mine"
    assert plan.template == "meetings" and plan.unique_room is not None
    other = planned("meetings", room="local:other")
    assert plan.unique_room != other.unique_room
    assert planned("meetings").unique_room == plan.unique_room


def test_streams_of_a_template_go_with_its_first_pipeline(planned: Planned) -> None:
    doc, request = template(destinations=[STREAM]), JobRequest(room="local:a", destinations=())
    assert len(merged(request, doc, "record-grid").destinations) == 1
    assert not merged(request, doc, "live-hls").destinations
    mine = JobRequest.model_validate({"room": "local:a", "destinations": [STREAM + "2"]})
    assert [one.to for one in merged(mine, doc, "record-grid").destinations] == [STREAM, STREAM + "2"]


def test_an_order_is_whole_and_is_kept_without_what_settings_say_again(
    planned: Planned, settings: Settings, tmp_path: Path
) -> None:
    plan = planned(pipeline=INLINE, duration="90s", overrides={"seconds": 100})
    made = commission.order(plan, settings, tmp_path / "out")
    assert (made.seconds, made.whip_token, made.preview) == (90.0, "publishers", True)
    assert made.pipeline.sinks[0].to == str(tmp_path / "out" / "a" / "standup.mp4")
    assert made.log == str(tmp_path / "spool" / "logs" / f"{made.id}.log")
    kept = commission.kept(made)
    assert "storage_options" not in kept and kept["whip_token"] == "publishers"
    assert commission.restored(kept, settings) == made


def test_a_token_for_publishers_may_be_given_with_the_request(
    planned: Planned, settings: Settings, tmp_path: Path
) -> None:
    def order(**said: Any) -> JobOrder:
        return commission.order(planned(pipeline=INLINE, **said), settings, tmp_path / "out")

    assert order(room_options={"token": "mine-alone"}).whip_token == "mine-alone"
    assert order(room="janus+ws://host/janus/1").whip_token is None


def test_sound_alone_has_no_picture_to_look_at(planned: Planned, settings: Settings, tmp_path: Path) -> None:
    plan = planned(pipeline={**INLINE, "video": None, "sinks": [{"kind": "audio", "to": "a.m4a"}]})
    assert not commission.order(plan, settings, tmp_path / "out").preview
