"""Record a Janus VideoRoom into an MP4: starts Janus, serves a page to publish from, and records until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

HERE = Path(__file__).parent
ROOM = "1234"


def main() -> int:
    """Start Janus and the page, run `egress record`, and say where the MP4 is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, help="length of the recording (default until Ctrl-C)")
    parser.add_argument("--to", default="janus-recording", help="output folder")
    parser.add_argument("--page", type=int, default=8000, metavar="PORT", help="where the page is served")
    parser.add_argument("--config", type=Path, default=HERE / "janus", help="folder of Janus's configuration")
    arguments = parser.parse_args()
    program = shutil.which("janus")
    if program is None:
        print("Janus is not installed; on Debian: sudo apt-get install janus", file=sys.stderr)
        return 2
    port = re.search(r"ws_port = (\d+)", (arguments.config / "janus.transport.websockets.jcfg").read_text())
    assert port is not None
    if arguments.page and answers(arguments.page):
        print(f"port {arguments.page} is taken; serve the page elsewhere: --page PORT", file=sys.stderr)
        return 2
    if answers(int(port[1])):
        print(
            f"port {port[1]} is taken, most likely by a Janus that runs already, as Debian's package starts one; "
            "stop it: sudo systemctl stop janus",
            file=sys.stderr,
        )
        return 2

    with tempfile.TemporaryFile() as log:
        # In a session of its own: Ctrl-C is for the recorder, which needs Janus until it has ended cleanly.
        janus = subprocess.Popen([program, "-F", str(arguments.config)], stdout=log, stderr=log, start_new_session=True)
        try:
            while not answers(int(port[1])):
                if janus.poll() is not None:
                    log.seek(0)
                    print(f"Janus does not start:\n{log.read().decode(errors='replace')}", file=sys.stderr)
                    return 2
                time.sleep(0.1)
            server = ThreadingHTTPServer(("127.0.0.1", arguments.page), Page)
            Thread(target=server.serve_forever, daemon=True).start()
            words = urlencode({"server": f"ws://127.0.0.1:{port[1]}", "room": ROOM})
            publish = f"http://127.0.0.1:{server.server_port}/?{words}"
            return record(f"janus+ws://127.0.0.1:{port[1]}/{ROOM}", publish, arguments.to, arguments.seconds)
        finally:
            janus.terminate()
            janus.wait()


class Page(SimpleHTTPRequestHandler):
    """Serves this folder, quietly."""

    def __init__(self, *words: object) -> None:
        super().__init__(*words, directory=str(HERE))

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def answers(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def record(room: str, publish: str, to: str, seconds: float | None) -> int:
    """Run the recorder to its end and tell what happens; its exit status."""
    command = ["record", room, "--to", to, "--json", *(["--seconds", str(seconds)] if seconds else [])]
    recorder = subprocess.Popen(
        [sys.executable, "-m", "egress.cli", *command], stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    signal.signal(signal.SIGINT, lambda *_: recorder.send_signal(signal.SIGINT))
    assert recorder.stdout is not None
    for line in recorder.stdout:
        event = json.loads(line)
        if event["type"] == "ready":
            print(f"publish from {publish}", flush=True)
        elif event["type"] == "room" and event.get("event") in ("joined", "left"):
            print(f"{event.get('peer')} {event['event']}", flush=True)
        for artifact in event.get("artifacts", ()):
            print(f"recorded {artifact['location']}", flush=True)
    return recorder.wait()


if __name__ == "__main__":
    sys.exit(main())
