"""The schema lets editors say what the checker would say."""

from __future__ import annotations

from egress.model.look import LAYOUTS
from egress.model.outputs import SINKS
from egress.model.schema import schema


def test_the_schema_gives_defaults_as_they_are_written() -> None:
    made = schema()
    video = made["$defs"]["Video"]["properties"]
    assert (video["size"]["default"], video["bitrate"]["default"], video["keyframe"]["default"]) == (
        "1280x720",
        "3M",
        "2s",
    )
    assert made["$defs"]["HlsDoc"]["properties"]["part"]["default"] == "500ms"
    assert made["properties"]["delay"]["default"] == "400ms"


def test_a_sink_of_ours_cannot_pass_as_one_of_another_package() -> None:
    assert schema()["$defs"]["OtherSinkDoc"]["properties"]["kind"]["not"] == {"enum": list(SINKS)}


def test_the_schema_tells_our_layouts_from_others_and_takes_a_theme_by_its_name() -> None:
    made = schema()
    other = made["$defs"]["OtherLayoutDoc"]
    assert other["properties"]["kind"]["not"] == {"enum": list(LAYOUTS)}
    assert other["required"] == ["kind"]
    assert made["properties"]["theme"]["anyOf"][0]["enum"] == ["dark", "light"]
    assert made["$defs"]["TilesDoc"]["properties"]["transition"]["default"] == "250ms"
