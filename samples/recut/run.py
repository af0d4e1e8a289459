"""Keep the tracks of a room, then make two films of them: a grid, and one that follows whoever speaks."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

ROOM = "recut"
LAYOUTS = ("grid", "speaker")


def main() -> int:
    """Record a short call unless one is named, and compose it in each layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", nargs="?", help="of a job that kept its tracks; without it one is recorded")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to record")
    parser.add_argument("--to", default="recut", help="output folder")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="where publishers come in")
    arguments = parser.parse_args()
    Path(arguments.to).mkdir(parents=True, exist_ok=True)
    manifest = arguments.manifest or recorded(arguments.to, arguments.listen, arguments.seconds)
    if manifest is None:
        return 1
    for layout in LAYOUTS:
        out = Path(arguments.to) / f"{layout}.mp4"
        command = ["compose", manifest, "--layout", layout, "--out", str(out), "--overwrite"]
        made = subprocess.run([sys.executable, "-m", "egress.cli", *command], stdout=subprocess.DEVNULL, check=False)
        if made.returncode:
            return made.returncode
        print(f"composed {out}", flush=True)
    return 0


def recorded(to: str, listen: str, seconds: float) -> str | None:
    """The manifest of a call of two participants, whose tracks were kept; None when recording failed."""
    command = ["record", f"local:{ROOM}", "--pipeline", "tracks-only", "--to", to, "--listen", listen, "--json"]
    recorder = subprocess.Popen(
        [sys.executable, "-m", "egress.cli", *command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    participants = None
    address, manifest = "", None
    assert recorder.stdout is not None
    try:
        for line in recorder.stdout:
            event = json.loads(line)
            if event["type"] == "listening":
                address = event["url"]
            elif event["type"] == "ready":
                participants = publish(f"{address}/whip/{ROOM}", seconds)
            manifest = event.get("manifest", manifest)
    finally:
        for process in (participants, recorder):
            if process is not None:
                process.terminate()
                process.wait()
    return manifest


def publish(whip: str, seconds: float) -> subprocess.Popen[bytes]:
    """Two participants in a process of their own, as they would be on other machines."""
    command = ["--whip", whip, "--participants", "2", "--seconds", str(seconds + 5)]
    return subprocess.Popen(
        [sys.executable, "-m", "egress.demo.participants", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    sys.exit(main())
