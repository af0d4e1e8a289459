"""Jobs begin, change, die, go on and end through the service, with real worker processes that make no media."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from egress.control import (
    artifacts,
    attempts,
    detached_run,
    events,
    following,
    job_moves,
    job_views,
    jobs,
    servers,
    templates,
)
from egress.control.following import Follower
from egress.control.jobs import KeptJob, RoomTaken
from egress.control.processes import Process
from egress.control.service import Service
from egress.control.store import Store
from egress.control.updates import Update
from egress.control.upkeep import identify
from egress.control.values import micros
from egress.model.errors import Conflict, Draining, Forbidden, NoCapacity, NotFound, RequestError
from egress.model.job import JobState
from egress.model.request import Caller, JobRequest
from egress.model.settings import Settings
from egress.model.template import TemplateDoc
from tests import fake_worker
from tests.postgres import Postgres

ADMIN = Caller("tests", frozenset({"admin"}))
Environ = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def without_media(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers make no media, and those that follow a dead one do so at once; none outlives its test."""
    spawned: list[int] = []

    async def spawn(order: Any) -> Any:
        process = await fake_worker.spawn(order)
        spawned.append(process.pid)
        return process

    monkeypatch.setattr(detached_run, "spawn", spawn)
    monkeypatch.setattr(attempts, "DELAYS", (0.0,))
    yield
    for pid in spawned:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def settings_in(folder: Path, **more: str) -> Settings:
    """Settings of a service of its own."""
    environ = {f"EGRESS_{name.upper()}": value for name, value in more.items()}
    return Settings.load(flags={"spool": folder / "spool"}, environ={"EGRESS_CAPACITY": "8", **environ})


@contextlib.asynccontextmanager
async def serving(folder: Path, **more: str) -> AsyncIterator[Service]:
    """A service over a folder."""
    async with Service.open(settings_in(folder, **more), folder / "out") as service:
        yield service


def request(room: str = "local:standup", **more: Any) -> JobRequest:
    """A request for a recording."""
    return JobRequest.model_validate({"room": room, "pipeline": "record-grid", **more})


async def running(service: Service, room: str = "local:standup", **more: Any) -> Follower:
    """A job whose worker is in its room."""
    made = await service.start(request(room, **more), ADMIN)
    follower = service.supervisor.followers[made.job.id]
    await asyncio.wait_for(follower.ready.wait(), 60)
    return follower


async def ended(service: Service, follower: Follower) -> KeptJob:
    """A job once it is over."""
    await asyncio.wait_for(follower.over.wait(), 60)
    return await service.store.read(jobs.get, follower.id)


def there(place: str | Path) -> bool:
    """Whether there is a file or folder."""
    return Path(place).exists()


async def types(service: Service, job: str) -> list[str]:
    """What happened to a job."""
    return [event.type for event in await service.store.read(events.since, 0, job=job)]


async def test_a_job_goes_from_its_start_to_its_file_and_all_of_it_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        heard: list[Update] = []

        hearing = asyncio.create_task(_hear(service, heard))
        await asyncio.sleep(0)
        made = await service.start(request(metadata={"for": "me"}), ADMIN)
        assert (made.repeated, made.job.state, made.job.attempts) == (False, JobState.STARTING, 1)
        follower = service.supervisor.followers[made.job.id]
        await asyncio.wait_for(follower.ready.wait(), 60)
        live = service.live("standup")
        assert live is not None and live == service.live(made.job.id)
        assert (live.whip, live.room_name) == ("http://127.0.0.1:9/whip/standup", "standup")
        while "figures" not in {update.kind for update in heard}:
            await asyncio.sleep(0.02)
        await service.stop(made.job.id, "enough")
        job = await ended(service, follower)
        assert (job.state, job.desired, job.duration_ns) == (JobState.FINISHED, "stop", 1_500_000_000)
        (artifact,) = await service.store.read(artifacts.of_job, job.id)
        assert there(artifact.location)
        assert (artifact.kind, artifact.duration_ns, artifact.details) == ("mp4", 1_500_000_000, {"seen": 2})
        while not any(u.kind == "job" and u.data["state"] == "finished" for u in heard):
            await asyncio.sleep(0.02)
        told = [update.data["type"] for update in heard if update.kind == "event"]
        assert told == await types(service, job.id)
        assert told == [
            "job.starting",
            "job.running",
            "job.asked_to_stop",
            "job.stopping",
            "artifact.ready",
            "job.finished",
        ]
        assert {update.room for update in heard} == {"local:standup"}
        assert await service.log(job, 10) == f"attempt 1 of {job.id}\n"
        assert not there(follower.order.folder)
        assert service.live("standup") is None
        hearing.cancel()


async def test_a_manifest_is_known_by_where_it_came_to_be(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        for room in ("local:standup", "local:beside"):
            follower = await running(service, room)
            wanted = follower.order.manifest
            await service.stop(follower.id, "enough")
            live = (await ended(service, follower)).live
            assert live["manifest"] == (f"{wanted}-{follower.id}" if "beside" in room else wanted)


async def test_a_pause_is_said_of_a_job_while_it_lasts(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        heard: list[Update] = []
        hearing = asyncio.create_task(_hear(service, heard))
        made = await service.start(request(), ADMIN)
        follower = service.supervisor.followers[made.job.id]
        await asyncio.wait_for(follower.ready.wait(), 60)
        for command, paused in (("pause", True), ("resume", False)):
            await service.command(made.job.id, {"command": command})
            async with asyncio.timeout(60):
                while not any(u.kind == "job" and u.data["paused"] is paused for u in heard):
                    await asyncio.sleep(0.02)
            heard.clear()
        assert [kind for kind in await types(service, made.job.id) if "pause" in kind] == ["pause.began", "pause.ended"]
        await service.command(made.job.id, {"command": "pause"})
        await service.stop(made.job.id, "enough")
        assert not job_views.view(await ended(service, follower))["paused"]
        hearing.cancel()


async def _hear(service: Service, heard: list[Update]) -> None:
    async with service.subscribe() as updates:
        async for update in updates:
            heard += [update]


async def test_what_may_not_begin_does_not(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        with pytest.raises(Forbidden, match="scope start"):
            await service.start(request(), Caller("reader", frozenset({"read"})))
        with pytest.raises(Forbidden, match="local:standup"):
            await service.start(request(), Caller("other", frozenset({"start"}), ("team-*",)))
        with pytest.raises(RequestError) as wrong:
            await service.start(request(overrides={"layout": "gird"}), ADMIN)
        assert [field for field, _ in wrong.value.problems] == ["overrides.layout.kind"]
        with pytest.raises(RequestError, match="pipeline"):
            await service.start(JobRequest(room="local:standup"), ADMIN)
        service.supervisor.draining = True
        with pytest.raises(Draining):
            await service.start(request(), ADMIN)
        assert service.capacity.used == 0
        assert not service.supervisor.followers


async def test_a_repeated_request_gives_the_job_it_made_also_when_nothing_else_may_begin(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        first = await service.start(request(), ADMIN, idempotency="once", body={"a": 1})
        service.supervisor.draining = True
        second = await service.start(request(), ADMIN, idempotency="once", body={"a": 1})
        assert (second.repeated, second.job.id) == (True, first.job.id)
        with pytest.raises(Conflict):
            await service.start(request(), ADMIN, idempotency="once", body={"a": 2})


async def test_a_job_beyond_the_capacity_is_refused_and_one_alone_is_not(tmp_path: Path) -> None:
    async with serving(tmp_path, capacity="0.1") as service:
        follower = await running(service)
        with pytest.raises(NoCapacity, match=r"0 are free.*EGRESS_CAPACITY"):
            await service.start(request("local:second"), ADMIN)
        await service.stop(follower.id, "enough")
        await ended(service, follower)
        await service.start(request("local:second"), ADMIN)


async def test_commands_are_answered_by_the_worker(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        follower = await running(service)

        async def layout() -> Any:
            return job_views.view(await service.store.read(jobs.get, follower.id))["layout"]

        assert await layout() == "grid"
        answer = await service.command(follower.id, {"command": "layout", "layout": "speaker", "id": 7})
        while await layout() != "speaker":
            await asyncio.sleep(0.01)
        assert answer == {"id": 7, "command": "layout", "ok": True, "message": "done", "details": {}}
        with pytest.raises(RequestError) as refused:
            await service.command(follower.id, {"command": "title", "text": "No"})
        assert refused.value.problems == (("text", "is not for this room"),)
        with pytest.raises(RequestError, match="unknown command"):
            await service.command(follower.id, {"command": "dance"})
        with pytest.raises(NotFound):
            await service.command("nobody", {"command": "pause"})
        assert (await service.command(follower.id, {"command": "stop"}))["ok"]
        job = await ended(service, follower)
        assert await layout() is None
        with pytest.raises(Conflict, match="it is finished"):
            await service.command(job.id, {"command": "pause"})


async def test_a_worker_that_answers_nothing_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "ANSWER_WITHIN", 0.1)
    async with serving(tmp_path) as service:
        follower = await running(service, "local:silent")
        with pytest.raises(Conflict, match="has not answered"):
            await service.command(follower.id, {"command": "pause"})


async def test_a_worker_that_dies_is_followed_by_another_which_hears_of_added_destinations(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        follower = await running(service)
        secret = "rtmp://host/app/SECRETKEY"
        await service.command(follower.id, {"command": "add-destination", "to": secret, "name": "main"})
        assert [(one["name"], one["state"]) for one in follower.destinations] == [("main", "live")]
        first = follower.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        while follower.pid in (None, first) or follower.state is not JobState.RUNNING:
            await asyncio.sleep(0.02)
        # What the follower knows is written down a moment later, the wish to stop at once.
        while (await service.store.read(jobs.get, follower.id)).state is not JobState.RUNNING:
            await asyncio.sleep(0.02)
        await service.stop(follower.id, "enough")
        job = await ended(service, follower)
        assert (job.state, job.attempts) == (JobState.FINISHED, 2)
        told = [event async for event in _events(service, job.id)]
        assert [event["type"] for event in told if event["type"].startswith("job.")] == [
            "job.starting",
            "job.running",
            "job.recovering",
            "job.running",
            "job.asked_to_stop",
            "job.stopping",
            "job.finished",
        ]
        again = [event for event in told if event["type"] == "destination.live"]
        assert [event["body"]["attempt"] for event in again] == [1, 2]
        assert "SECRETKEY" not in json.dumps(told)
        assert any("SECRETKEY" in line for line in await service.store.read(jobs.wishes, service.store.sealer, job.id))


async def _events(service: Service, job: str) -> AsyncIterator[dict[str, Any]]:
    for event in await service.store.read(events.since, 0, job=job):
        yield {"type": event.type, "body": event.body}


async def test_a_worker_that_never_joins_is_replaced_by_its_deadline_and_the_job_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STARTING_WITHIN", 0.2)
    monkeypatch.setattr(attempts, "MOST_DEATHS", 2)
    async with serving(tmp_path) as service:
        monkeypatch.setattr("egress.control.supervisor.PULSE", 0.1)
        made = await service.start(request("local:mute"), ADMIN)
        job = await ended(service, service.supervisor.followers[made.job.id])
        assert (job.state, job.attempts, job.blame) == (JobState.FAILED, 2, "us")
        assert "did not join its room within 0.2 s" in job.reason


async def test_a_worker_that_does_not_end_is_ended_once_nothing_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CLOSING_WITHIN", 0.1)
    monkeypatch.setattr(following, "STANDSTILL", 0.2)
    monkeypatch.setattr("egress.control.supervisor.PULSE", 0.05)
    async with serving(tmp_path) as service:
        follower = await running(service, "local:lasting")
        await service.stop(follower.id, "enough")
        job = await ended(service, follower)
        assert (job.state, job.blame) == (JobState.FAILED, "us")
        assert "nothing moved for 0.2 s" in job.reason and "was recovered" in job.reason
        assert job.live["manifest"] == follower.order.manifest and there(follower.order.manifest)


async def test_a_recovery_that_does_not_end_is_left_to_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: attempts.Attempts, why: str) -> attempts.Ending:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(attempts.Attempts, "_recovered", never)
    monkeypatch.setattr(attempts, "MOST_DEATHS", 1)
    monkeypatch.setattr(following, "RECOVERING_WITHIN", 0.1)
    monkeypatch.setattr("egress.control.supervisor.PULSE", 0.05)
    async with serving(tmp_path) as service:
        made = await service.start(request("local:dies"), ADMIN)
        job = await ended(service, service.supervisor.followers[made.job.id])
        assert (job.state, "egress recover" in job.reason) == (JobState.FAILED, True)


async def test_a_room_that_refuses_fails_the_job_with_its_blame(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        made = await service.start(request("local:refused"), ADMIN)
        job = await ended(service, service.supervisor.followers[made.job.id])
        assert (job.state, job.blame, job.reason) == (JobState.FAILED, "room", "the room says no")
        assert job.live["manifest"] is None, "it made none: where it was to be, another job's may lie"


async def test_jobs_go_on_without_the_service_and_the_next_one_takes_them_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        going, dying, stopping = [await running(service, f"local:{name}") for name in ("going", "dying", "stopping")]
        pids = [follower.pid for follower in (going, dying, stopping)]
        server = service.server.id
    os.kill(pids[1] or 0, signal.SIGKILL)
    with Store.open(None, tmp_path / "spool").writing() as connection:
        job_moves.ask_stop(connection, stopping.id, "by another server")
    async with serving(tmp_path) as service:
        assert service.server.id == server
        followers = service.supervisor.followers
        assert set(followers) == {going.id, dying.id, stopping.id}
        assert followers[going.id].whip == "http://127.0.0.1:9/whip/going", "it is published to as before"
        job = await ended(service, followers[stopping.id])
        assert (job.state, job.attempts) == (JobState.FINISHED, 1)
        again = followers[dying.id]
        while again.state is not JobState.RUNNING or again.pid in (None, pids[1]):
            await asyncio.sleep(0.02)
        assert followers[going.id].pid == pids[0]
        await service.stop_all("the test is over")
        for id_, count in ((going.id, 1), (dying.id, 2)):
            job = await service.store.read(jobs.get, id_)
            assert (job.state, job.attempts) == (JobState.FINISHED, count)
            assert (await types(service, id_)).count("job.finished") == 1
        assert (await types(service, going.id)).count("job.running") == 1, "nothing is told twice"


async def test_a_job_whose_end_nobody_saw_ends_as_its_worker_said(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        follower = await running(service)
        folder = Path(follower.order.folder)
    run = await detached_run.DetachedRun.adopt(folder)
    assert run is not None
    run.ask_to_stop("by hand")
    await asyncio.wait_for(_all_of(run), 60)
    async with serving(tmp_path) as service:
        if (left := service.supervisor.followers.get(follower.id)) is not None:
            await ended(service, left)
        job = await service.store.read(jobs.get, follower.id)
        assert job.state is JobState.FINISHED
        assert len(await service.store.read(artifacts.of_job, job.id)) == 1
        assert not there(folder)


async def _all_of(run: detached_run.DetachedRun) -> None:
    async for _ in run.events():
        pass


async def test_draining_waits_for_jobs_and_leaves_those_that_last(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        follower = await running(service)
        assert not await service.drain(0.1)
        assert service.draining
        (row,) = await service.store.read(servers.all_servers)
        assert row.draining
        asyncio.get_running_loop().call_later(0.1, follower.ask_to_stop, "it is over")
        assert await service.drain(10)
    assert (await _job(tmp_path, follower.id)).state is JobState.FINISHED


async def _job(folder: Path, id_: str) -> KeptJob:
    store = Store.open(None, folder / "spool")
    try:
        return await store.read(jobs.get, id_)
    finally:
        store.close()


async def test_a_stop_asked_of_another_server_is_seen_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.control.supervisor.PULSE", 0.05)
    async with serving(tmp_path) as service:
        follower = await running(service)
        await service.store.write(job_moves.ask_stop, follower.id, "by way of another server")
        job = await ended(service, follower)
        assert (job.state, "job.stopping" in await types(service, job.id)) == (JobState.FINISHED, True)


async def test_commands_reach_jobs_of_another_server_and_are_answered_by_their_workers(
    tmp_path: Path, postgres: Postgres
) -> None:
    shared = {"database": postgres.database().reveal(), "secret_key": "k" * 32}
    async with serving(tmp_path, **shared) as holder, serving(tmp_path / "elsewhere", **shared) as service:
        follower = await running(holder)
        answer = await service.command(follower.id, {"command": "layout", "layout": "speaker", "id": "mine"})
        assert (answer["ok"], answer["id"]) == (True, "mine")
        await service.command(follower.id, {"command": "add-destination", "to": "rtmp://host/app/key", "name": "b"})
        assert [one["name"] for one in follower.destinations] == ["b"]
        with pytest.raises(RequestError) as refused:
            await service.command(follower.id, {"command": "title", "text": "Ours"})
        assert refused.value.problems == (("text", "is not for this room"),)
        await holder.stop(follower.id, "enough")
        await ended(holder, follower)
        with pytest.raises(Conflict, match="it is finished"):
            await service.command(follower.id, {"command": "pause"})


async def test_what_is_removed_takes_its_files_along_but_none_outside_of_the_output_folder(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        follower = await running(service)
        with pytest.raises(Conflict, match="stop it first"):
            await service.remove(follower.id, artifacts=True)
        await service.stop(follower.id, "enough")
        job = await ended(service, follower)
        (made,) = await service.store.read(artifacts.of_job, job.id)
        precious = tmp_path / "precious.mp4"
        precious.write_bytes(b"not ours")
        outside = artifacts.of_row({"kind": "mp4", "location": str(precious)})
        await service.store.write(artifacts.add, job.id, outside)
        with pytest.raises(Conflict, match="1 of 3 things") as left:
            await service.remove(job.id, artifacts=True)
        assert left.value.problems == ((str(precious), "it is outside of the output folder"),)
        assert not there(made.location) and there(precious)
        await service.remove(job.id)
        assert there(precious)
        with pytest.raises(NotFound, match="the log of this job is not there"):
            await service.log(job, 10)
        with pytest.raises(NotFound):
            await service.store.read(jobs.get, job.id)


async def test_a_template_says_the_rest_and_lets_one_job_into_a_room(tmp_path: Path) -> None:
    doc = TemplateDoc.model_validate(
        {
            "name": "meetings",
            "pipelines": ["record-grid", "live-hls"],
            "roles": ["host"],
            "destinations": [{"to": "rtmp://host/app/key", "name": "main"}],
            "overrides": {"title": "Ours"},
            "stop": {"max": "1h"},
            "metadata": {"of": "template"},
        }
    )
    async with serving(tmp_path) as service:
        await service.store.write(templates.put, service.store.sealer, doc)
        asked = JobRequest(room="local:standup", template="meetings", metadata={"by": "me"})
        made = await service.start(asked, ADMIN)
        assert (made.job.template, made.job.pipeline) == ("meetings", "record-grid")
        assert json.loads(made.job.metadata_json) == {"by": "me", "of": "template"}
        pipeline = service.supervisor.followers[made.job.id].order.pipeline
        assert pipeline.select.roles == ("host",)
        assert pipeline.stop.max == 3600 * 10**9
        assert [(sink.kind, getattr(sink, "name", None)) for sink in pipeline.sinks] == [
            ("mp4", None),
            ("rtmp", "main"),
        ]
        with pytest.raises(RoomTaken) as taken:
            await service.start(asked, ADMIN)
        assert taken.value.job == made.job.id
        second = await service.start(asked.model_copy(update={"pipeline": "live-hls"}), ADMIN)
        kinds = [sink.kind for sink in service.supervisor.followers[second.job.id].order.pipeline.sinks]
        assert "rtmp" not in kinds


async def test_somebody_who_publishes_opens_a_room_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        asked = 0

        async def opener(name: str, role: str) -> str:
            nonlocal asked
            asked += 1
            return (await service.start(request(f"local:{name}"), ADMIN)).job.id

        service.opener = opener
        opened = await asyncio.gather(*(service.open_room("stage") for _ in range(3)))
        assert asked == 1
        assert {live.whip if live else None for live in opened} == {"http://127.0.0.1:9/whip/stage"}


async def test_strangers_are_not_let_in_without_any_key(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with pytest.raises(RequestError, match="egress keys add") as refused:
        async with Service.open(settings, tmp_path / "out", exposed=True):
            pass
    assert refused.value.problems[0][0] == "listen"
    async with Service.open(settings_in(tmp_path, token_secret="s" * 32), tmp_path / "out", exposed=True):
        pass


async def test_two_services_of_one_spool_are_one_too_many(tmp_path: Path) -> None:
    async with serving(tmp_path):
        with pytest.raises(RequestError, match="another egress serve"):
            async with serving(tmp_path):
                pass


@pytest.mark.parametrize("shared", [True, False])
async def test_jobs_of_a_server_that_is_gone_go_on_where_its_spool_is_and_are_given_up_elsewhere(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    monkeypatch.setattr("egress.control.supervisor.PULSE", 0.02)
    database = postgres.database().reveal()
    async with serving(tmp_path, database=database) as service:
        follower = await running(service)
        gone, pid = service.server.id, follower.pid
        monkeypatch.setattr(service.supervisor, "_beat", _nothing)
    # It is not started again: nobody else can be it.
    held = identify(tmp_path / "spool", alone=True)
    other = tmp_path if shared else tmp_path / "elsewhere"
    async with serving(other, database=database, secret_key=key_of(tmp_path)) as service:
        assert service.server.id != gone
        await service.store.write(_last_beat, gone, micros() - 3600 * 1_000_000)
        if shared:
            while (taken := service.supervisor.followers.get(follower.id)) is None or taken.whip is None:
                await asyncio.sleep(0.02)
            assert taken.whip == "http://127.0.0.1:9/whip/standup"
            await service.stop(taken.id, "enough")
            job = await ended(service, taken)
            assert (job.state, job.server, job.attempts) == (JobState.FINISHED, service.server.id, 1)
        else:
            while not (job := await service.store.read(jobs.get, follower.id)).is_over:
                await asyncio.sleep(0.02)
            assert (job.state, job.blame) == (JobState.FAILED, "us")
            assert "egress recover" in job.reason
    held.release()
    if not shared:
        # The server comes back, and finds a worker whose job was given up.
        monkeypatch.setattr("egress.control.orphans.FRESH", -1.0)
        async with serving(tmp_path, database=database, secret_key=key_of(tmp_path)):
            worker = Process.of(pid or 0)
            while worker is not None and worker.alive:
                await asyncio.sleep(0.02)


async def _nothing() -> None:
    return


def key_of(folder: Path) -> str:
    """The key a server made for itself."""
    return (folder / "spool" / "egress.key").read_text().splitlines()[0]


def _last_beat(connection: Connection, server: str, at: int) -> None:
    servers.beat(connection, server, now=at)
