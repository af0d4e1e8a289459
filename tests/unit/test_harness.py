"""What the benchmarks say is what was measured: turns, medians, lines, tables, and what children used."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.benchmarks import harness

_BURN = "import time\nbegin = time.process_time()\nwhile time.process_time() - begin < 0.1: pass\n"


def test_variants_take_turns() -> None:
    turns: list[str] = []
    given = harness.interleaved({name: lambda name=name: turns.append(name) or len(turns) for name in "abc"}, 2)
    assert "".join(turns) == "abcabc"
    assert given == {"a": [1, 4], "b": [2, 5], "c": [3, 6]}


def test_ratios_are_taken_of_neighbours_before_their_median_is() -> None:
    assert harness.ratio([1.0, 20.0, 3.0], [1.0, 10.0, 2.0]) == 1.5


def test_a_line_says_what_a_tick_and_a_tile_cost() -> None:
    begin, each = harness.line([(1, 140.0), (4, 260.0), (9, 460.0)])
    assert (begin, each) == (pytest.approx(100), pytest.approx(40))


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_there(share: float, value: int) -> None:
    assert harness.percentile([*range(100, 0, -1)], share) == value


def test_a_table_is_the_same_on_a_terminal_and_on_a_page() -> None:
    columns, rows = ("clips", "CPU"), [(4, 0.1234), (16, 123.4), ("none", None)]
    assert harness.plain(columns, rows).splitlines() == ["clips    CPU", "4      0.123", "16       123", "none       –"]
    assert harness.markdown(columns, rows).splitlines() == [
        "| clips | CPU |",
        "| --- | ---: |",
        "| 4 | 0.123 |",
        "| 16 | 123 |",
        "| none | – |",
    ]


def test_a_command_counts_with_its_children() -> None:
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {_BURN!r}])\n{_BURN}"
    spent = harness.run([sys.executable, "-c", code])
    assert 0.2 <= spent.cpu < 1.0
    assert spent.memory > 5_000_000


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(harness.CommandFailed, match="it is broken"):
        harness.run([sys.executable, "-c", "raise SystemExit('it is broken')"])


def test_a_broken_bar_is_told_by_the_exit_status_and_in_the_file(tmp_path: Path) -> None:
    report = harness.Report("bench")
    report.table("costs", ("clips", "CPU"), [(4, 0.5)])
    report.bar("a tick", 99.0, 100.0)
    assert report.close(None) == 0
    report.bar("a tile", 41.0, 40.0)
    assert report.close(tmp_path / "found" / "bench.json") == 1
    document = json.loads((tmp_path / "found" / "bench.json").read_text())
    assert [bar["kept"] for bar in document["bars"]] == [True, False]
    assert document["tables"] == [{"title": "costs", "columns": ["clips", "CPU"], "rows": [[4, 0.5]]}]
    assert document["machine"]["cores"] >= 1
