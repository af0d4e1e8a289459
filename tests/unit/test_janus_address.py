from __future__ import annotations

import pytest

from egress.model.errors import RequestError
from egress.model.janus_address import read
from egress.model.places import room_name
from egress.model.settings import Settings
from egress.ordering import check_room


@pytest.mark.parametrize(
    ("text", "transport", "url", "room"),
    [
        ("janus+ws://10.0.0.1:8188/1234", "ws", "ws://10.0.0.1:8188", 1234),
        ("janus+wss://host/janus-ws/1234", "ws", "wss://host/janus-ws", 1234),
        ("janus+http://host:8088/1234", "http", "http://host:8088/janus", 1234),
        ("janus+https://host/api/v1/standup/", "http", "https://host/api/v1", "standup"),
        ("janus+ws://host/1234?strings=true", "ws", "ws://host", "1234"),
        ("janus+ws://host/1234?audiobridge=off", "ws", "ws://host", 1234),
        ("janus+ws://[::1]:8188/a%20%2Fb", "ws", "ws://[::1]:8188", "a /b"),
    ],
)
def test_an_address_is_taken_apart(text: str, transport: str, url: str, room: int | str) -> None:
    address = read(text)
    assert (address.transport, address.url, address.room) == (transport, url, room)
    check_room(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("janus+ws://host", "names no room"),
        ("janus+ws:///1234", "names no host"),
        ("janus+ws://host:99999/1", "is no address"),
        ("janus+ws://host/1234#top", "'#'"),
        ("janus+ws://host/0", "strings=true"),
        ("janus+ws://host/" + "9" * 300, "at most"),
        ("janus+ws://host/1?audiobridge=on", "taken from the VideoRoom"),
        ("janus+ws://host/1?strings=perhaps", "true or false"),
        ("janus+ws://host/1?string=true", "did you mean 'strings'"),
        ("janus+ws://host/%00", "names no room"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_with_the_fix(text: str, says: str) -> None:
    with pytest.raises(RequestError, match="room") as refused:
        read(text)
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("janus+ws://host/1?pin=hunter22", "EGRESS_JANUS_PIN"),
        ("janus+ws://host/1?Token=hunter22", "EGRESS_JANUS_TOKEN"),
        ("janus+ws://host/1?apisecret=hunter22", "EGRESS_JANUS_API_SECRET"),
        ("janus+ws://user:hunter22@host/1", "EGRESS_JANUS_API_SECRET"),
    ],
)
def test_a_secret_in_an_address_is_refused_naming_its_setting_and_not_repeated(text: str, setting: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_room(text)
    assert setting in refused.value.message
    assert "hunter22" not in refused.value.message


def test_every_problem_of_an_address_is_told_at_once() -> None:
    with pytest.raises(RequestError) as refused:
        read("janus+ws://user@host/1?pin=a&colour=b")
    assert len(refused.value.problems) == 3


def test_a_room_of_janus_is_called_by_its_id() -> None:
    assert room_name("janus+ws://127.0.0.1:8188/1234?strings=true") == "1234"
    assert room_name("janus+https://host/janus/team%20a") == "team a"
    assert room_name("janus+ws://host/a%2Fb") == "a/b"


def test_secrets_reach_only_the_connector_they_are_for() -> None:
    settings = Settings.load(environ={"EGRESS_JANUS_PIN": "sesame", "EGRESS_JANUS_API_SECRET": "s3cret"}, flags={})
    assert settings.room_options("janus+ws://host/1") == {"janus_pin": "sesame", "janus_api_secret": "s3cret"}
    assert settings.room_options("local:standup") == {}
    assert "sesame" not in repr(settings)
