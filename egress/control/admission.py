"""Who gets in: what a job is expected to cost, what jobs were seen to cost, and whether there is room for one more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from egress.control.cost import CAMERA, cost
from egress.model.errors import NoCapacity
from egress.model.order import JobOrder
from egress.model.outputs import FileDoc
from egress.model.pipeline import Pipeline
from egress.model.targets import scheme_of

SHARE = 0.8
"""Of all cores, what jobs may need together: people join and speak, and encoders have harder scenes."""

_CGROUP = Path("/sys/fs/cgroup/cpu.max")

PARTICIPANTS = 4
"""People expected in a room before anybody is there; those who come are measured."""

AHEAD = 600
"""Seconds of every job's output that must fit on the disks."""

FLOOR = 512 << 20
"""Bytes that stay free on a disk whatever is recorded."""

EARLY = 60.0
"""Seconds a job runs before what it was seen to need counts alone: until then people still come."""


@dataclass(frozen=True, slots=True)
class Room:
    """What there is, in thousandths of a core; `used` is what running jobs need by now."""

    total: int
    used: int

    @property
    def free(self) -> int:
        """What is left."""
        return max(0, self.total - self.used)


def capacity(cores: float | None) -> int:
    """Thousandths of a core for jobs: what the setting says, else a share of what this process may use."""
    return round((available_cores() * SHARE if cores is None else cores) * 1000)


def available_cores() -> float:
    """Cores this process may use: those it may run on, less where its control group (cgroup v2) gets less."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = _CGROUP.read_text("ascii").split()
        return min(cores, int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return cores


def estimate(pipeline: Pipeline) -> int:
    """Thousandths of a core a job of this pipeline is expected to need."""
    return round(cost(pipeline, [CAMERA] * PARTICIPANTS).total)


def corrected(expected: int, seen: float, age: float) -> int:
    """What a job counts for: `seen` is the cores it used lately, `age` how many seconds it has run."""
    measured = round(seen * 1000)
    return max(expected, measured) if age < EARLY else measured


def growth(order: JobOrder) -> Mapping[Path, int]:
    """Bytes a job is expected to write within AHEAD, by folder: its own in the spool, and those of its files."""
    pipeline = order.pipeline
    bits = pipeline.audio.bitrate + (pipeline.video.bitrate if pipeline.video else 0)
    size = bits * AHEAD // 8
    found: dict[Path, int] = {}
    for sink in pipeline.sinks:
        if not isinstance(sink, FileDoc) or sink.kind in ("thumbnails", "waveform"):
            continue
        local = scheme_of(sink.to) == "file" and sink.kind == "hls"
        folder = Path(sink.to) if local else Path(order.folder)
        rungs = sum(rung.bitrate for rung in pipeline.video.ladder) if pipeline.video and sink.kind == "hls" else 0
        found[folder] = found.get(folder, 0) + size + rungs * AHEAD // 8
    return found


def check_cpu(needed: int, room: Room) -> None:
    """Raise NoCapacity when a job does not fit beside those that run; one alone is let in whatever it needs."""
    if room.used and needed > room.free:
        raise NoCapacity(
            f"this job is expected to need {_cores(needed)} CPU cores, and of {_cores(room.total)} for jobs here "
            f"{_cores(room.free)} are free; stop another job, make a smaller picture, or raise EGRESS_CAPACITY"
        )


def check_disks(jobs: Iterable[Mapping[Path, int]], mine: Mapping[Path, int], places: Iterable[Path] = ()) -> None:
    """Raise NoCapacity when a disk has no room for what all jobs write within AHEAD; `places` are to be looked at too.

    Folders on one disk count together; what moves from the spool to its place on the same disk counts once.
    """
    wanted: dict[int, int] = {}
    where: dict[int, Path] = {}
    for folders in (dict.fromkeys(places, 0), *jobs, mine):
        for folder, size in folders.items():
            there = _existing(folder)
            disk = there.stat().st_dev
            wanted[disk] = wanted.get(disk, 0) + size
            where.setdefault(disk, there)
    touched = {_existing(folder).stat().st_dev for folder in (*mine, *places)}
    for disk in touched:
        free = shutil.disk_usage(where[disk]).free
        if free < wanted[disk] + FLOOR:
            raise NoCapacity(
                f"the disk of {where[disk]} has {_mib(free)} MiB free; ten minutes of all jobs with this one need "
                f"{_mib(wanted[disk])} MiB, and {_mib(FLOOR)} MiB stay free; make room there, or use another disk"
            )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _cores(milli: int) -> str:
    return f"{milli / 1000:.2f}".rstrip("0").rstrip(".")


def _mib(size: int) -> int:
    return size >> 20
