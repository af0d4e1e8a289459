"""Templates: which rooms they are for, when they start, and what is wrong with one in words that help."""

from __future__ import annotations

import pytest

from egress.model.errors import RequestError
from egress.model.template import TemplateDoc, read_template


def made(**said) -> TemplateDoc:
    return read_template({"name": "team", "pipelines": "record-grid"} | said)


def test_a_template_needs_only_a_name_and_a_pipeline() -> None:
    doc = made()
    assert doc.pipelines == ("record-grid",) and doc.rooms == ("*",) and doc.one_per_room and doc.enabled
    assert read_template(doc.model_dump(mode="json")) == doc


def test_rooms_fit_by_name_or_address() -> None:
    doc = made(rooms=["team-*", "janus+ws://h/janus/7"], server="janus+ws://h/janus/{room}?strings=true")
    assert doc.fits("team-a") and not doc.fits("Team-a") and not doc.fits("a")
    assert made(rooms="local:a?").fits("ab") and not made(rooms="local:a?").fits("abc")
    assert doc.address("a b/c") == "janus+ws://h/janus/a%20b%2Fc?strings=true"
    assert made().address("standup") == "local:standup"


@pytest.mark.parametrize(
    ("start", "role", "starts"),
    [
        ("room", None, True),
        ("room", "host", False),
        ("role:host", None, False),
        ("role:host", "host", True),
        ("role:host", "guest", False),
        ("never", None, False),
        ("never", "never", False),
    ],
)
def test_a_template_starts_on_what_it_says(start: str, role: str | None, starts: bool) -> None:
    assert made(start=start).starts_on(role) is starts
    assert not made(start=start, enabled=False).starts_on(role)


def test_what_is_shown_holds_no_secret_and_the_rest_as_written() -> None:
    doc = made(
        room_options={"pin": "geheim-77"},
        destinations=["rtmp://host/live/geheim-77-geheim-77", {"to": "youtube://geheim-77", "name": "yt"}],
        stop={"empty_for": "30s", "max": "2h"},
    )
    shown = doc.shown()
    assert "geheim-77-" not in str(shown) and "pin" not in str(shown) and shown["destinations"][1]["name"] == "yt"
    assert shown["stop"] == {"empty_for": "30s", "max": "2h"}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"name": "Team A"}, "name: 'Team A' must be lower-case"),
        ({"pipelines": []}, "pipelines: is empty"),
        ({"pipelines": ["a", "a"]}, "pipelines: names one twice"),
        ({"rooms": []}, "rooms: is empty"),
        ({"server": "local:"}, "server: must have {room} once"),
        ({"server": "local:{room}-{room}"}, "server: must have {room} once"),
        ({"server": "local:{room}/{x}"}, "server: must have {room} once"),
        ({"server": "janus+wx://h/{room}"}, "server: nothing serves 'janus+wx' rooms (did you mean 'janus+w"),
        ({"server": "{room}"}, "server: nothing serves"),
        ({"start": "host"}, "start: 'host' must be room, never, or role:"),
        ({"start": "role:"}, "start: 'role:' must be"),
        ({"start": "role: host"}, "start: 'role: host' must be"),
        ({"stop": {"max": "0s"}}, "stop.max: 0s is no length"),
        ({"stop": {"max": "5ms"}}, "stop.max: is too short"),
        ({"stop": {"empty": "5m"}}, "stop.empty: unknown key (did you mean 'empty_for'?)"),
        ({"autostart": True}, "autostart: unknown key"),
        ({"one_per_room": "perhaps"}, "one_per_room: 'perhaps' must be true or false"),
    ],
)
def test_what_is_wrong_is_said_with_the_field_and_the_fix(said, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        made(**said)
    assert says in str(caught.value)
