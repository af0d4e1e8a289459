"""What the store forgets by itself, so that it does not grow for ever: never a job, an artifact or what still waits."""

from __future__ import annotations

from sqlalchemy import Connection

from egress.control import deliveries, errands, events, jobs, occurrences, servers, triggers_seen
from egress.control.values import Micros

DAY = 24 * 3600 * 1_000_000

KEPT_FOR = {
    "events": 30 * DAY,
    "deliveries": 30 * DAY,
    "idempotency keys": 2 * DAY,
    "triggers": 7 * DAY,
    "occurrences": 400 * DAY,
    "servers": DAY,
    "errands": DAY // 24,
}
"""Microseconds each is kept for."""


def prune(connection: Connection, now: Micros) -> dict[str, int]:
    """Forget what is older than it is kept for, some thousands of rows at most; gives how many of each.

    Called now and then (an hour is often enough) by any server: two that do so at once harm nothing.
    """
    forget = {
        "events": events.prune,
        "deliveries": deliveries.prune,
        "idempotency keys": jobs.forget_keys,
        "triggers": triggers_seen.prune,
        "occurrences": occurrences.prune,
        "servers": servers.prune,
        "errands": errands.forget,
    }
    return {what: forget[what](connection, now - age) for what, age in KEPT_FOR.items()}
