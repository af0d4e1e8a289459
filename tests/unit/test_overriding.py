"""What one job wants otherwise than its pipeline: changed where it may be, refused in the fields of the request."""

from __future__ import annotations

from typing import Any

import pytest

from egress.model.errors import RequestError
from egress.model.look import TitleOverlay
from egress.model.media import SECOND
from egress.model.overriding import overridden
from egress.model.pipeline import Pipeline
from egress.model.request import Overrides

DOCUMENT = Pipeline.model_validate(
    {
        "name": "both",
        "layout": {"kind": "grid", "gap": 3},
        "sinks": [{"kind": "mp4", "to": "a.mp4"}, {"kind": "mp4", "to": "b.mp4"}, {"kind": "hls", "to": "live/"}],
        "stop": {"empty_for": "1m", "max": "2h"},
    }
)


def changed(roles: tuple[str, ...] | None = None, **overrides: Any) -> Pipeline:
    return overridden(DOCUMENT, Overrides.model_validate(overrides), roles=roles)


def test_nothing_said_leaves_the_pipeline_as_it_is() -> None:
    assert changed() is DOCUMENT


def test_a_layout_is_its_name_or_its_document() -> None:
    assert changed(layout="speaker").layout.kind == "speaker"
    assert changed(layout={"kind": "grid", "gap": 20}).layout.gap == 20


def test_stop_rules_that_are_not_named_stay() -> None:
    stop = changed(stop={"max": "30s"}).stop
    assert (stop.max, stop.empty_for) == (30 * SECOND, 60 * SECOND)


def test_the_title_is_added_changed_or_taken_away() -> None:
    titled = changed(title="Board")
    assert [overlay.text for overlay in titled.overlays if isinstance(overlay, TitleOverlay)] == ["Board"]
    again = overridden(titled, Overrides(title="Vote"))
    assert [overlay.text for overlay in again.overlays if isinstance(overlay, TitleOverlay)] == ["Vote"]
    assert overridden(titled, Overrides(title="")).overlays == ()


def test_roles_take_the_place_of_who_is_selected() -> None:
    assert changed(roles=("host",)).select.roles == ("host",)


def test_targets_change_by_number_or_by_a_kind_there_is_one_of() -> None:
    assert [sink.to for sink in changed(to={"1": "c.mp4", "hls": "other/"}).sinks] == ["a.mp4", "c.mp4", "other/"]


@pytest.mark.parametrize(
    ("overrides", "field", "words"),
    [
        ({"layout": "gird"}, "overrides.layout.kind", "did you mean 'grid'"),
        ({"layout": {"kind": "grid", "gap": 900}}, "overrides.layout.gap", "too big"),
        ({"stop": {"maximum": "1h"}}, "overrides.stop.maximum", "unknown key"),
        ({"stop": 5}, "overrides.stop", "must be a mapping"),
        ({"to": {"mp4": "x.mp4"}}, "overrides.to.mp4", "several sinks"),
        ({"to": {"7": "x.mp4"}}, "overrides.to.7", "no sink has"),
    ],
)
def test_what_is_wrong_is_said_in_the_fields_of_the_request(overrides: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        changed(**overrides)
    assert [path for path, _ in caught.value.problems] == [field]
    assert words in caught.value.problems[0][1]
