"""What lies in the spool and nobody follows: finished in a process of its own, for media modules stay out of here."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egress.control.detached_run import SOCKET, DetachedRun
from egress.control.processes import Process
from egress.storage.spool import JobFolder, Spool

FRESH = 60.0
"""Seconds a folder is left alone: a job in the foreground may just be between two of its workers."""

AWAY = 600.0
"""Seconds without a sign of life after which nobody is expected in a job's room any more."""

_SIGNS = ("pulse", "events.jsonl", "job.json", "lock")


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved of a job: rows of artifacts, where its manifest is if there is one, and what could not be."""

    rows: Sequence[Mapping[str, Any]]
    manifest: str | None
    problems: Sequence[str]


def is_alive(folder: Path) -> bool:
    """Whether a worker of this machine that holds a job's folder lives."""
    held = JobFolder(folder).holder()
    return held is not None and Process(*held).alive


def is_held(folder: Path) -> bool:
    """Whether a living worker holds a job's folder, which may be one of another machine."""
    if not folder.is_dir():
        return False
    with JobFolder(folder).seized() as mine:
        return not mine and (folder / "job.json").is_file()


async def settled(folder: Path) -> float:
    """Seconds since the last sign of life in a job's folder: 0 where its worker lives, which has then come to listen.

    A worker whose service died the moment it was started needs a while until it can be reached.
    """
    for _ in range(50):
        if not await asyncio.to_thread(is_alive, folder):
            return await asyncio.to_thread(silent_for, folder)
        if await asyncio.to_thread((folder / SOCKET).exists):
            break
        await asyncio.sleep(0.1)
    return 0.0


def silent_for(folder: Path) -> float:
    """Seconds since the last sign of life in a job's folder; 0 when there is none."""
    found = [path.stat().st_mtime for name in _SIGNS if (path := folder / name).is_file()]
    return max(0.0, time.time() - max(found)) if found else 0.0


def lying(spool: Path, followed: Sequence[str]) -> list[Path]:
    """Folders of jobs in the spool that are not followed, and have lain there for a while."""
    folders = (folder.path for folder in Spool(spool).folders())
    return [path for path in folders if path.name not in followed and silent_for(path) > FRESH]


def tidied(folder: Path) -> bool:
    """Take a folder away in which nothing is left to deliver; whether that was so."""
    job = JobFolder(folder)
    with job.seized() as mine:
        if not mine or job.undelivered():
            return False
        job.remove()
    return True


async def end_stray(folder: Path) -> None:
    """Have a worker end whose job is over for everybody else."""
    run = await DetachedRun.adopt(folder)
    if run is not None:
        run.ask_to_stop("its job was given up while its server was away")
        # The line has to be read before the connection goes.
        await asyncio.sleep(1)
        run.leave()


async def recover(folder: Path) -> Saved:
    """Finish one job from its folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "egress.cli", "recover", str(folder), "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    told = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    problems = [str(problem) for one in told for problem in one.get("problems", ())]
    if process.returncode and not problems:
        problems = [f"egress recover ended with exit status {process.returncode}"]
    rows = [row for one in told for row in one.get("artifacts", ())]
    return Saved(rows, next((one["manifest"] for one in told if one.get("manifest")), None), problems)
