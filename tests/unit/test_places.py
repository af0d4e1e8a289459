"""Names and paths made from what strangers typed are safe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from egress.model import places
from egress.model.errors import RequestError

STARTED = datetime(2026, 1, 31, 17, 45, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("standup", "standup"),
        ("Team Call #7", "Team-Call-7"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", None),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("a\x00b\nc\x7f", "a-b-c"),
        ("Käthe’s Büro", "Kathe-s-Buro"),
        ("party 🎉", "party"),
        ("🎉", None),
        ("会议", None),
        ("", None),
        ("C:\\temp\\x", "C-temp-x"),
        ("a" * 300, None),
        ("\udc80broken", "broken"),
    ],
)
def test_any_text_becomes_a_safe_name(text: str, name: str | None) -> None:
    made = places.safe(text)
    assert 1 <= len(made) <= 100
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert made[0] not in ".-"
    if name is not None:
        assert made == name


def test_names_that_lose_letters_stay_apart() -> None:
    assert places.safe("会议") != places.safe("聊天")
    assert places.safe("x" * 300) != places.safe("x" * 299)
    assert places.safe("会议") == places.safe("会议")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("local:standup", "standup"),
        ("janus+ws://user:secret@host:8188/1234?pin=9", "1234"),
        ("livekit+wss://host", "host"),
        ("standup", "standup"),
        ("local:my%20room", "my room"),
        ("local:my room", "my room"),
        ("local:who? me #1", "who? me #1"),
        ("local:100%", "100%"),
    ],
)
def test_the_room_is_called_by_the_end_of_its_address(address: str, name: str) -> None:
    assert places.room_name(address) == name


@pytest.mark.parametrize(
    "name", ["standup", "my room", "who? #1", "100%", "été ☃", "x" * 300, "a\nb\x00", "a:b", "..."]
)
def test_a_local_room_may_have_any_name(name: str) -> None:
    assert places.local_room_name(f"local:{name}") == name
    assert places.local_room_name(f"local:{quote(name, safe='')}") == name


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("local:", "has no name; write it like local:standup"),
        ("local:%20", "has no name"),
        ("local:team/a", "write it like local:team-a"),
        ("local:team%2Fa", "write it like local:team-a"),
        ("local://x", "write it like local:x"),
        ("local:../../etc/passwd", "write it like local:etc-passwd"),
        ("local:..", "write it like local:standup"),
        ("local:/", "write it like local:standup"),
        ("local:" + "x" * 301, "301 characters long; a room's name may have 300"),
        ("local:a\udc80", "UTF-8"),
    ],
)
def test_a_local_room_that_no_publisher_could_reach_is_refused_with_the_fix(address: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        places.local_room_name(address)
    assert words in caught.value.message and caught.value.problems[0][0] == "room"


def test_every_placeholder_expands() -> None:
    local = STARTED.astimezone(timezone(timedelta(hours=5)))
    known = places.values(room="../../etc/passwd", job="j1", pipeline="live-hls", started=local)
    assert set(known) == set(places.PLACEHOLDERS)
    template = "{room}/{job}/{started}/{date}/{time}/{pipeline}"
    assert places.expand(template, known) == "etc-passwd/j1/20260131T174500Z/2026-01-31/17-45-00/live-hls"


def test_an_unknown_placeholder_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"unknown placeholder \{rom\} \(did you mean 'room'\?\); known: \{room\}"):
        places.expand("{rom}.mp4", places.values(room="a", job="b", pipeline="c", started=STARTED))


@pytest.mark.parametrize("template", ["{room", "room}", "{{room}}", "{}"])
def test_stray_braces_are_refused(template: str) -> None:
    assert places.template_problems(template, "to")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "~/x",
        "a\\b",
        "C:/x",
        "a\x00b",
        "a\nb",
        ".ssh/x",
        "a/.hidden",
        "",
        ".",
        "x" * 241,
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path: str, tmp_path: Path) -> None:
    assert places.path_problems(path, "to")
    with pytest.raises(RequestError):
        places.under(tmp_path, path)


def test_a_path_stays_under_its_root(tmp_path: Path) -> None:
    assert places.under(tmp_path, "a//b/./c.mp4") == tmp_path.resolve() / "a/b/c.mp4"


def test_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root)
    assert places.under(root, "in/x.mp4") == root.resolve() / "x.mp4"
    with pytest.raises(RequestError, match="through a link"):
        places.under(root, "out/x.mp4")
