"""Record a room into an MP4: two scripted participants publish, or you do from a browser."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys

ROOM = "first-recording"


def main() -> int:
    """Start `egress record`, send participants in once the room is open, and say where the MP4 is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", action="store_true", help="publish from a browser, until Ctrl-C")
    parser.add_argument(
        "--seconds", type=float, help="length of the recording (default 10; with --browser until Ctrl-C)"
    )
    parser.add_argument("--to", default="first-recording", help="output folder")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="where publishers come in")
    arguments = parser.parse_args()
    seconds = arguments.seconds or (None if arguments.browser else 10.0)

    command = ["record", f"local:{ROOM}", "--to", arguments.to, "--listen", arguments.listen, "--json"]
    command += ["--seconds", str(seconds)] if seconds else []
    recorder = subprocess.Popen(
        [sys.executable, "-m", "egress.cli", *command],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    # Ctrl-C is for the recorder, which ends cleanly; this script goes on reading until it has.
    signal.signal(signal.SIGINT, lambda *_: recorder.send_signal(signal.SIGINT))
    participants = None
    address = ""
    assert recorder.stdout is not None
    for line in recorder.stdout:
        event = json.loads(line)
        if event["type"] == "listening":
            address = event["url"]
        elif event["type"] == "ready" and arguments.browser:
            print(f"publish from {address}/publish/{ROOM}", flush=True)
        elif event["type"] == "ready" and seconds:
            participants = publish(f"{address}/whip/{ROOM}", seconds)
        elif event["type"] == "room" and event.get("event") in ("joined", "left"):
            print(f"{event.get('peer')} {event['event']}", flush=True)
        for artifact in event.get("artifacts", ()):
            print(f"recorded {artifact['location']}", flush=True)
    if participants is not None:
        participants.terminate()
        participants.wait()
    return recorder.wait()


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
