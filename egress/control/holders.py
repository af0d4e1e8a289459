"""Which other server holds what is asked for by name: its rooms, and the streams of its jobs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from sqlalchemy import Connection, or_, select

from egress.control import servers
from egress.control.lives import LINGER
from egress.control.store import Store
from egress.control.tables import jobs
from egress.control.tables import servers as server_rows
from egress.control.values import micros
from egress.model.job import ENDED, JobState

REMEMBERED = 2.0
"""Seconds an answer counts: viewers who ask on and on for what is nowhere ask the database no oftener than this."""

_MOST = 1000
_J, _S = jobs.c, server_rows.c
_LIVING = tuple(sorted(state.value for state in JobState if state not in ENDED))


class Holders:
    """What one server knows of the others. `clock` is monotonic, in seconds."""

    def __init__(self, store: Store, server: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._server = server
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()

    async def of(self, name: str) -> str | None:
        """The address, without a slash at its end, of another server that holds a room or job of this name and says
        where it is reached; None when none does."""
        if not self._store.is_shared or not name or "\0" in name:
            return None
        now = self._clock()
        known = self._known.get(name)
        if known is not None and now < known[0]:
            return known[1]
        found = await self._store.read(_holding, self._server, name)
        self._known[name] = (now + REMEMBERED, found)
        self._known.move_to_end(name)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return found


def _holding(connection: Connection, server: str, name: str) -> str | None:
    """A job that runs comes before one that is over, whose stream stays for a while; of several the first one."""
    now = micros()
    # Names of streams beyond a job's first end in -2 and so on.
    names = [name, base] if (base := name.rpartition("-")[0]) else [name]
    statement = (
        select(_J.state, _J.room_name, _J.id, _S.advertised)
        .join(server_rows, _S.id == _J.server)
        .where(
            or_(_J.room_name.in_(names), _J.id.in_(names)),
            or_(_J.state.in_(_LIVING), _J.ended > now - round(LINGER * 1e6)),
            _S.id != server,
            _S.heartbeat > now - servers.DEAD_AFTER,
        )
        .order_by(_J.created, _J.id)
    )
    found = sorted(
        connection.execute(statement).all(), key=lambda row: (name not in (row[1], row[2]), row[0] not in _LIVING)
    )
    return next((advertised for *_, advertised in found if advertised), None)
