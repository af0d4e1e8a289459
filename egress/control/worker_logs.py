"""What the workers of jobs logged: read here, or asked of the server that ran them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egress.control.commission import log_of
from egress.control.errands import Errands
from egress.control.jobs import KeptJob
from egress.model.errors import Conflict, NotFound

ASKED = "log"
"""The errand by which another server is asked for one; no command of a job has this name."""

_KEPT = 256 << 10


class WorkerLogs:
    """Those of one server, whose spool this is, and by its errands those of the others."""

    def __init__(self, spool: Path, server: str, errands: Errands) -> None:
        self._spool = spool
        self._server = server
        self._errands = errands

    async def of(self, job: KeptJob, lines: int, *, shared: bool) -> str:
        """The last lines, 256 KiB at most; raises NotFound saying where they are."""
        text = await self.read(job.id, lines)
        if text is not None:
            return text
        if job.server in (None, self._server):
            raise _missing("is not there, or not any more")
        where = f"is on the server that ran it, {job.server}"
        if not shared:
            raise _missing(where)
        try:
            answer = await self._errands.ask(job, {"command": ASKED, "lines": lines})
        except Conflict as error:
            raise _missing(f"{where}: {error.message.rpartition('now: ')[2]}") from None
        if not isinstance(text := answer.get("text"), str):
            raise _missing(f"{where}, which does not have it any more")
        return text

    async def answer(self, job_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What another server is told that asks for the log of a job."""
        return {"text": await self.read(job_id, int(asked["lines"]))}

    async def read(self, job_id: str, lines: int) -> str | None:
        """The last lines of a log that is here."""
        return await asyncio.to_thread(_last_lines, log_of(self._spool, job_id), lines)


def _last_lines(path: Path, most: int) -> str | None:
    try:
        with path.open("rb") as file:
            begin = max(0, file.seek(0, 2) - _KEPT)
            file.seek(begin)
            text = file.read(_KEPT).decode("utf-8", "replace")
    except OSError:
        return None
    lines = text.splitlines(keepends=True)
    return "".join((lines[1:] if begin else lines)[-most:])


def _missing(where: str) -> NotFound:
    return NotFound(f"the log of this job {where}", (("id", f"its log {where}"),))
