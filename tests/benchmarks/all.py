"""The benchmarks of docs/performance.md, one after the other, and their tables put into the page.

    python -m tests.benchmarks.all [--quick] [--only NAME ...] [--to FOLDER] [--page docs/performance.md]

Writes NAME.json of each into the folder (default: build/benchmarks). With --page the tables between the marks
`<!-- NAME -->` and `<!-- / -->` of that page are replaced by those in the folder, also by ones of an earlier run. Exits
with 1 when a bar is broken. --quick takes about a quarter of an hour on two quiet cores, all of it two hours.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks import harness

QUICK: Mapping[str, tuple[str, ...]] = {
    "overhead": ("--runs", "5"),
    "compose": ("--runs", "3", "--count", "4", "9", "16", "--canvas", "1280x720", "--preset", "veryfast"),
    "room": ("--runs", "2", "--participants", "9", "16", "--seconds", "10"),
    "browser": ("--runs", "1", "--seconds", "10"),
    "tracks": ("--runs", "1", "--seconds", "10", "--per", "track"),
    "scale": ("--most", "5", "--growth", "--seconds", "8"),
    "costs": ("--seconds", "5"),
}
"""By benchmark, what makes it short."""


def main() -> int:
    """Run them; the number of those that broke a bar, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--only", nargs="*", choices=QUICK, default=[*QUICK], metavar="NAME", help="none: only the page"
    )
    parser.add_argument("--to", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    broken = 0
    for name in options.only:
        words = QUICK[name] if options.quick else ()
        print(f"\n== {name} {' '.join(words)}", flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--json", str(options.to / f"{name}.json"), *words]
        broken += subprocess.run(command).returncode != 0
    if options.page is not None:
        page = options.page.read_text("utf-8")
        for name in QUICK:
            if (found := options.to / f"{name}.json").exists():
                page = replaced(page, name, section(json.loads(found.read_text("utf-8"))))
        options.page.write_text(page, "utf-8")
    return min(broken, 1)


def replaced(page: str, name: str, text: str) -> str:
    """The page with what stands between the marks of a benchmark replaced."""
    return re.sub(
        rf"(<!-- {name} -->\n).*?(<!-- / -->)", lambda marks: f"{marks[1]}{text}\n{marks[2]}", page, flags=re.S
    )


def section(document: Mapping[str, Any]) -> str:
    """Tables and bars of one benchmark in Markdown."""
    machine, facts = document["machine"], document["facts"]
    begin = f"Measured {machine['measured'][:10]}: {machine['cpu']}, {machine['cores']} cores, load at the end "
    runs = f"{facts['runs']} interleaved runs, medians" if facts.get("runs", 1) > 1 else "one run"
    parts = [f"{begin}{machine['load'][0]}, Python {machine['python']}; {runs}."]
    for table in document["tables"]:
        parts.append(f"{table['title']}:")
        parts.append(harness.markdown(table["columns"], table["rows"]))
    if document["bars"]:
        rows = [
            (bar["name"], float(bar["value"]), float(bar["most"]), "kept" if bar["kept"] else "broken")
            for bar in document["bars"]
        ]
        parts.append(harness.markdown(("bar", "measured", "at most", ""), rows))
    return "\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
