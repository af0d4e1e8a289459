"""What room servers post: who may, what of it is a trigger, and what is refused how."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from egress.control import templates
from egress.control.signing import livekit_headers, new_secret, standard_headers
from egress.control.store import Store
from egress.control.trigger import Trigger
from egress.control.trigger_sources import of_hundredms, of_janus, of_livekit, of_room
from egress.control.triggers import Triggers
from egress.model.errors import EgressError, RequestError
from egress.model.secrets import Secret
from egress.model.settings import Settings
from egress.model.template import read_template
from egress.web import answers, hooks
from tests.unit.ticking import VirtualClock, at, standing

NOON = at("2026-05-04T12:00")
SHARED, SIGNING, LIVEKIT = "a-shared-secret", new_secret(), "livekit-secret-of-32-characters-x"

JOINED = {
    "emitter": "one",
    "type": 64,
    "timestamp": NOON + 1,
    "session_id": 1,
    "handle_id": 2,
    "event": {
        "plugin": "janus.plugin.videoroom",
        "data": {"event": "joined", "room": 1234, "id": 5, "display": "Ada"},
    },
}
STARTED = {"event": "room_started", "room": {"sid": "RM_1", "name": "team-a"}, "id": "EV_1", "createdAt": "1777896000"}
OPENED = {
    "version": "2.0",
    "id": "e-1",
    "timestamp": "2026-05-04T12:00:00Z",
    "type": "peer.join.success",
    "data": {"room_id": "6", "room_name": "team-a", "session_id": "s-1", "role": "host"},
}


def janus(event: str, **more: Any) -> dict[str, Any]:
    data = {"event": event, "room": 1234, **more}
    return {**JOINED, "event": {"plugin": "janus.plugin.videoroom", "data": data}}


def test_events_of_janus_become_triggers() -> None:
    (joined,) = of_janus(JOINED, NOON)
    assert (joined.source, joined.kind, joined.room, joined.at) == ("janus:one", "peer_joined", "1234", NOON + 1)
    assert (joined.server, joined.session, joined.name, joined.role) == ("janus+", "", "Ada", None)
    others = of_janus([JOINED, janus("published", id=5), janus("destroyed")], NOON)
    assert [one.kind for one in others] == ["peer_joined", "peer_joined", "room_ended"] and others[0] == joined
    assert len({one.event_id for one in others}) == 3


@pytest.mark.parametrize(
    "said",
    [
        janus("created"),
        janus("leaving"),
        {**JOINED, "type": 16},
        {**JOINED, "event": {"plugin": "janus.plugin.sip", "data": {"event": "joined", "room": 1}}},
        {**JOINED, "event": [1]},
        janus("joined", room={"a": 1}),
        janus("joined", room="\x00"),
        janus("joined", room=""),
        "text",
        None,
        [[]],
    ],
)
def test_what_else_janus_says_is_left_out(said: Any) -> None:
    assert of_janus(said, NOON) == ()


def test_webhooks_of_livekit_become_triggers() -> None:
    assert of_livekit(STARTED, 0) == (Trigger("livekit", "EV_1", "room_started", "team-a", NOON, session="RM_1"),)
    who = {"identity": "ada", "attributes": {"role": "host"}}
    (joined,) = of_livekit({**STARTED, "event": "participant_joined", "participant": who}, 0)
    assert (joined.kind, joined.role) == ("peer_joined", "host")
    (joined,) = of_livekit({**STARTED, "event": "participant_joined", "participant": {"metadata": '{"role": "x"}'}}, 0)
    assert joined.role == "x"
    bot = {**STARTED, "event": "participant_joined", "participant": {"kind": "EGRESS"}}
    for said in (bot, {**STARTED, "event": "egress_started"}, {**STARTED, "room": None}, {**STARTED, "id": ""}, [], 1):
        assert of_livekit(said, 0) == ()


def test_webhooks_of_100ms_become_triggers() -> None:
    expected = Trigger("100ms", "e-1", "peer_joined", "team-a", NOON, role="host", session="s-1")
    assert of_hundredms(OPENED, 0) == (expected,)
    assert of_hundredms({**OPENED, "type": "session.close.success"}, 0)[0].kind == "room_ended"
    assert of_hundredms({**OPENED, "timestamp": "soon"}, 7)[0].at == 7
    for said in ({**OPENED, "type": "beam.started.success"}, {**OPENED, "data": {}}, None):
        assert of_hundredms(said, 0) == ()


def test_events_told_our_way_become_triggers_or_say_what_is_wrong() -> None:
    said = {"type": "room.started", "room": "team-a", "id": "1", "session": "s", "at": "2026-05-04T14:00:00+02:00"}
    assert of_room(said, 0) == (Trigger("room", "1", "room_started", "team-a", NOON, session="s"),)
    (wrapped,) = of_room({"type": "peer.joined", "data": {"room": "team-a", "role": "host"}}, 9, "msg_1")
    assert (wrapped.event_id, wrapped.at, wrapped.role) == ("msg_1", 9, "host")
    with pytest.raises(RequestError, match="type"):
        of_room({"type": "room.opened", "room": "x"}, 0)


class _Service:
    def __init__(self, store: Store, settings: Settings) -> None:
        self.standing = standing(store, VirtualClock(NOON))
        self.store = store
        self.settings = settings
        self.triggers = Triggers(self.standing, self.standing.clock)


@pytest.fixture
def client(store: Store) -> httpx.AsyncClient:
    keys = Secret(f"API1:{LIVEKIT}")
    return client_of(store, Settings(hook_secret=Secret(f"{SHARED},{SIGNING}"), livekit_keys=keys))


def client_of(store: Store, settings: Settings) -> httpx.AsyncClient:
    with store.writing() as connection:
        templates.put(connection, store.sealer, read_template({"name": "team", "pipelines": ["record-grid"]}))
    service: Any = _Service(store, settings)
    app = Starlette(routes=hooks.routes(service), exception_handlers={EgressError: answers.on_error})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://egress")


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"janus:{password}".encode()).decode()}


ROOM = {"type": "room.started", "room": "team-a", "id": "1"}


@pytest.mark.parametrize(
    ("source", "body", "headers"),
    [
        ("janus", [JOINED], basic(SHARED)),
        ("100ms", OPENED, {"x-egress-secret": SHARED}),
        ("room", ROOM, {"authorization": f"Bearer {SHARED}"}),
        ("room/team", ROOM, {"authorization": f"Bearer {SIGNING}"}),
    ],
)
async def test_whoever_presents_the_secret_is_heard(
    client: httpx.AsyncClient, source: str, body: Any, headers: dict[str, str]
) -> None:
    answer = await client.post(f"/api/v1/hooks/{source}", json=body, headers=headers)
    (taken,) = answer.json()["triggers"]
    # The template is for local rooms, Janus has others.
    expected = ("no_template", None) if source == "janus" else ("starting", "team")
    assert answer.status_code == 200 and (taken["results"][0]["result"], taken["results"][0]["template"]) == expected
    again = await client.post(f"/api/v1/hooks/{source}", json=body, headers=headers)
    assert again.json()["triggers"][0]["results"][0]["result"] == "duplicate"


@pytest.mark.parametrize("source", ["janus", "100ms", "room", "livekit"])
@pytest.mark.parametrize(
    "headers", [{}, basic("wrong"), {"authorization": "Bearer x.y.z"}, {"authorization": "Basic é"}]
)
async def test_whoever_does_not_is_turned_away(client: httpx.AsyncClient, source: str, headers: dict[str, str]) -> None:
    raw = {name: value.encode() for name, value in headers.items()}
    answer = await client.post(f"/api/v1/hooks/{source}", json=ROOM, headers=raw)
    assert answer.status_code == 401 and answer.json()["code"] == "unauthorized"
    assert SHARED not in answer.text


async def test_signatures_are_verified_over_the_body_as_it_came(client: httpx.AsyncClient) -> None:
    body, now = json.dumps(ROOM).encode(), int(time.time())
    signed = standard_headers([SIGNING], "msg_1", now, body)
    assert (await client.post("/api/v1/hooks/room", content=body, headers=signed)).status_code == 200
    assert (await client.post("/api/v1/hooks/room", content=body + b" ", headers=signed)).status_code == 401
    body = json.dumps(STARTED).encode()
    signed = livekit_headers("API1", LIVEKIT, body, now)
    answer = await client.post("/api/v1/hooks/livekit", content=body, headers=signed)
    assert answer.json()["triggers"][0]["results"][0]["result"] == "starting"
    assert (await client.post("/api/v1/hooks/livekit", content=body + b" ", headers=signed)).status_code == 401
    other = livekit_headers("API2", LIVEKIT, body, now)
    assert (await client.post("/api/v1/hooks/livekit", content=body, headers=other)).status_code == 401


@pytest.mark.parametrize(
    ("path", "content", "more", "status"),
    [
        ("zoom", b"{}", {}, 404),
        ("room/none", json.dumps(ROOM).encode(), {}, 404),
        ("room", b"{", {}, 400),
        ("room", b"[" * 100_000, {}, 400),
        ("room", b'{"type": "x"}', {}, 400),
        ("room", b" " * (hooks.LARGEST + 1), {}, 413),
        ("janus", json.dumps([{**JOINED, "session_id": n} for n in range(hooks.MOST + 1)]).encode(), {}, 413),
        ("janus", b"x", {"content-encoding": "deflate"}, 415),
    ],
)
async def test_what_cannot_be_read_is_refused(
    client: httpx.AsyncClient, path: str, content: bytes, more: dict[str, str], status: int
) -> None:
    headers = {"authorization": f"Bearer {SHARED}", **more}
    answer = await client.post(f"/api/v1/hooks/{path}", content=content, headers=headers)
    assert answer.status_code == status and answer.json()["message"]


async def test_hooks_without_a_secret_are_closed_and_say_how_to_open_them(store: Store) -> None:
    client = client_of(store, Settings())
    for source, setting in (("janus", "EGRESS_HOOK_SECRET"), ("livekit", "EGRESS_LIVEKIT_KEYS")):
        answer = await client.post(f"/api/v1/hooks/{source}", json=[])
        assert answer.status_code == 403 and setting in answer.json()["message"]


def test_settings_of_hooks_are_checked() -> None:
    right = {"EGRESS_HOOK_SECRET": f"{SHARED},{SIGNING}", "EGRESS_LIVEKIT_KEYS": "API1:secret-one, API2:secret-two"}
    loaded = Settings.load(environ=right)
    assert loaded.livekit_keys and loaded.livekit_keys.reveal() == "API1:secret-one,API2:secret-two"
    for name, value in (
        ("HOOK_SECRET", "short"),
        ("HOOK_SECRET", f"{SHARED},"),
        ("HOOK_SECRET", "whsec_???????"),
        ("LIVEKIT_KEYS", "API1"),
        ("LIVEKIT_KEYS", ":secret-one"),
    ):
        with pytest.raises(RequestError, match=f"EGRESS_{name}") as caught:
            Settings.load(environ={f"EGRESS_{name}": value})
        assert value not in str(caught.value)
