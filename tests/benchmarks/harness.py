"""What every benchmark needs: variants that take turns, medians, ratios, a straight line, tables, and a JSON file.

A machine that others use too makes every figure larger, and no two alike: so variants of one question run in turn
within one run (A B C A B C), the medians count, and ratios are taken run by run before their median is. Carry the
ratios to another machine, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command used with all its children: CPU seconds (user and system), wall seconds, and the most bytes its
    processes had resident at once."""

    cpu: float
    wall: float
    memory: int


class CommandFailed(Exception):
    """A command of a benchmark ended with an error; the message holds the end of what it wrote."""


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, seconds: float = 600) -> Spent:
    """Run a command to its end; raises CommandFailed."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **env} if env else None,
    )
    assert process.stdout is not None
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(process.stdout.read()))  # type: ignore[union-attr]
    reader.start()
    most = 0
    while True:
        most = max(most, sum(map(resident, tree(process.pid))))
        # Waited for here and not by Popen: only so is the use of this one child known, with that of its children.
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - begun > seconds:
            process.kill()
        time.sleep(_LOOK_EVERY)
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if process.returncode:
        tail = b"".join(said)[-2000:].decode(errors="replace")
        raise CommandFailed(f"{' '.join(map(str, command))}\nended with {process.returncode}: {tail}")
    return Spent(usage.ru_utime + usage.ru_stime, time.monotonic() - begun, most)


def tree(pid: int) -> list[int]:
    """A process and all that came of it."""
    found, position = [pid], 0
    while position < len(found):
        parent = found[position]
        position += 1
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def resident(pid: int) -> int:
    """Bytes a process has resident; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def used(pid: int) -> float:
    """CPU seconds a process has used so far, with children it has waited for; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def interleaved(
    variants: Mapping[str, Callable[[], Answer]], runs: int, told: Callable[[str, Answer], None] | None = None
) -> dict[str, list[Answer]]:
    """What each variant gave, run by run, all variants taking turns; `told` hears of each as it comes."""
    given: dict[str, list[Answer]] = {name: [] for name in variants}
    for _ in range(runs):
        for name, variant in variants.items():
            given[name].append(variant())
            if told is not None:
                told(name, given[name][-1])
    return given


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of runs that were neighbours."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(a, b) of the straight line a + b x of least squares."""
    return statistics.linear_regression(*zip(*points, strict=True))[::-1]  # type: ignore[return-value]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 1).__int__() - 1))]


@dataclass
class Report:
    """Tables and bars of one benchmark: printed as it goes, and kept for the JSON file."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    tables: list[dict[str, Any]] = field(default_factory=list)
    bars: list[dict[str, Any]] = field(default_factory=list)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table and keep it."""
        self.tables.append({"title": title, "columns": [*columns], "rows": [[*row] for row in rows]})
        print(f"\n{title}\n{plain(columns, rows)}", flush=True)

    def bar(self, name: str, value: float, most: float) -> None:
        """Say whether a value keeps its bar; `most` is the highest one that does."""
        kept = value <= most
        self.bars.append({"name": name, "value": value, "most": most, "kept": kept})
        print(f"{'kept  ' if kept else 'BROKEN'}  {name}: {text(value)} (at most {text(most)})", flush=True)

    @property
    def broken(self) -> int:
        """How many bars are broken."""
        return sum(not bar["kept"] for bar in self.bars)

    def document(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {
            "benchmark": self.name,
            "machine": machine(),
            "facts": self.facts,
            "tables": self.tables,
            "bars": self.bars,
        }

    def close(self, file: Path | None) -> int:
        """Write the file, if one was asked for; the exit status."""
        about = machine()
        print(
            f"\n{about['cpu']}, {about['cores']} cores, load {' '.join(map(str, about['load']))}; "
            f"{about['system']}; Python {about['python']}",
            flush=True,
        )
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(self.document(), indent=1) + "\n")
        return int(self.broken > 0)


def plain(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table for a terminal: the first column to the left, the others to the right."""
    cells = [[*columns], *([text(value) for value in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The same table for a page of Markdown."""
    head = [" | ".join(columns), " | ".join("---" if k == 0 else "---:" for k in range(len(columns)))]
    return "\n".join(f"| {row} |" for row in (*head, *(" | ".join(map(text, row)) for row in rows)))


def text(value: Any) -> str:
    """A value of a table: three significant digits are more than these figures hold."""
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    if value == 0:
        return "0"
    size = abs(value)
    return (
        f"{value:.0f}"
        if size >= 100
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 1
        else f"{value:.3f}"
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    try:
        cpu = next(
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        cpu = platform.processor()
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(value, 1) for value in os.getloadavg()],
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def arguments(doc: str | None, runs: int = 5) -> argparse.ArgumentParser:
    """A parser with what all benchmarks understand."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument("--runs", type=int, default=runs, help=f"interleaved runs; the medians count (default {runs})")
    return parser


@contextmanager
def thread_time() -> Iterator[Callable[[], float]]:
    """Microseconds of CPU this thread has used since the context began."""
    begin = time.thread_time_ns()
    yield lambda: (time.thread_time_ns() - begin) / 1000
