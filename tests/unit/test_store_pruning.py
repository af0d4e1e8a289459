"""What the store forgets by itself, and what it never does."""

from __future__ import annotations

from sqlalchemy import insert

from egress.control import deliveries, events, hooks, job_lists, jobs, occurrences, pruning, schedules, triggers_seen
from egress.control.pruning import DAY, KEPT_FOR
from egress.control.store import Store
from egress.control.tables import errands
from egress.model.request import read_request
from egress.model.schedule import read_schedule
from egress.model.secrets import Secret

SCHEDULE = {"name": "s", "when": {"every": "day"}, "job": {"room": "local:a", "pipeline": "p"}}


def test_what_is_old_is_forgotten_but_for_jobs_and_what_still_waits(store: Store) -> None:
    with store.writing() as connection:
        hook = hooks.create(connection, store.sealer, hooks.Address(Secret("https://h/"), ()), events=("a",))
        request = read_request({"room": "local:a"})
        jobs.create(connection, store.sealer, jobs.Draft("j", request, "p", "me", idempotency_key="k"), now=0)
        for at in (0, 1):
            events.append(connection, "a", {}, at=at)
        (sent, _) = deliveries.claim(connection, "me", now=5, lease=1)
        deliveries.delivered(connection, sent.id, "me", status=200, now=6)
        triggers_seen.first_time(connection, "x", "1", now=0)
        schedule = schedules.create(connection, store.sealer, read_schedule(SCHEDULE), next_at=None).id
        occurrences.claim(connection, schedule, 0, "me")
        occurrences.claim(connection, schedule, 1, "me", state="missed")
        left = {"id": "e", "job": "j", "server": "s", "sealed": "", "taken": 0, "until": DAY}
        connection.execute(insert(errands).values(**left))
        assert set(pruning.prune(connection, DAY).values()) == {0}
        forgotten = pruning.prune(connection, 1000 * DAY)
        assert forgotten == dict.fromkeys(KEPT_FOR, 1) | {"events": 3, "servers": 0}
        assert [job.id for job in job_lists.page(connection).items] == ["j"]
        assert [one.state for one in deliveries.page(connection, webhook=hook.id).items] == ["waiting"]
        assert [one.state for one in occurrences.page(connection, schedule).items] == ["claimed"]
