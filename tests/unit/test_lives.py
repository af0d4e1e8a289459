"""Streams and rooms are found by the name of a room or the id of a job, also a while after they have ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from egress.control.following import Follower
from egress.control.lives import LINGER, Live, Lives


def job(
    id_: str, *, room: str = "local:stage", hls: bool = False, whip: str | None = None, created: int = 0
) -> Follower:
    """A job as far as it is looked at here."""
    folders = (Path("/out") / id_,) if hls else ()
    order = SimpleNamespace(whip_token="token-of-publishers")
    seen: Any = SimpleNamespace(id=id_, room=room, hls=folders, whip=whip, created=created, order=order)
    return cast(Follower, seen)


def found(lives: Lives, name: str, *jobs: Follower, now: float = 0.0) -> str | None:
    """The job that has a name."""
    live = lives.find(name, jobs, now)
    return live.job if live is not None else None


def test_the_first_job_of_a_room_that_can_be_watched_or_published_to_has_its_name() -> None:
    jobs = (job("c", hls=True, created=3), job("b", whip="http://w", created=2), job("a", created=1))
    assert found(Lives(), "stage", *jobs) == "b"
    assert found(Lives(), "c", *jobs) == "c"
    assert found(Lives(), "a", *jobs) == "a"
    assert found(Lives(), "nobody", *jobs) is None


def test_a_live_does_not_show_the_token_its_publishers_need() -> None:
    live = Lives().find("stage", [job("a", whip="http://w")], 0)
    assert isinstance(live, Live) and live.token is not None
    assert live.token.reveal() == "token-of-publishers"
    assert "token-of-publishers" not in repr(live)


def test_a_stream_that_has_ended_stays_for_a_while_unless_another_takes_the_name() -> None:
    lives, running = Lives(), job("b", hls=True, created=2)
    lives.ended(job("a", hls=True, whip="http://w"), 0)
    lives.ended(job("file"), 0)
    (over,) = lives.all([], 1)
    assert (over.job, over.over, over.whip) == ("a", True, None)
    assert found(lives, "stage", now=LINGER) == "a"
    assert found(lives, "stage", running) == "b"
    assert found(lives, "a", running) == "a"
    assert found(lives, "stage", now=LINGER + 1) is None


def test_of_several_that_have_ended_the_latest_has_the_name() -> None:
    lives = Lives()
    jobs: Sequence[Follower] = [job(str(number), hls=True) for number in range(150)]
    for number, one in enumerate(jobs):
        lives.ended(one, number / 10)
    assert found(lives, "stage", now=20) == "149"
    assert len(lives.all([], 20)) == 100
