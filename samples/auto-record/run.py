"""Record every room of a Janus by itself: starts Janus and `egress serve`, and keeps the template that binds them."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

HERE = Path(__file__).parent
PAGE = HERE.parent / "janus-recording"
ROOM = "1234"


def main() -> int:
    """Start Janus, Egress and a page to publish from; tell what happens until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", default="auto-record", help="output folder")
    parser.add_argument("--page", type=int, default=8000, metavar="PORT", help="where the page is served")
    parser.add_argument("--config", type=Path, default=HERE / "janus", help="folder of Janus's configuration")
    arguments = parser.parse_args()
    program = shutil.which("janus")
    if program is None:
        print("Janus is not installed; on Debian: sudo apt-get install janus", file=sys.stderr)
        return 2
    ws = f"127.0.0.1:{said(arguments.config / 'janus.transport.websockets.jcfg', 'ws_port')}"
    events = arguments.config / "janus.eventhandler.sampleevh.jcfg"
    listen = urlsplit(said(events, "backend")).netloc
    for address, what in ((ws, "Janus"), (listen, "egress serve")):
        if answers(address):
            print(f"{address} is taken, most likely by another {what}; stop it first", file=sys.stderr)
            return 2

    # Both in sessions of their own: Ctrl-C is for this script, which ends the jobs before their rooms.
    with tempfile.TemporaryFile() as log:
        janus = subprocess.Popen([program, "-F", str(arguments.config)], stdout=log, stderr=log, start_new_session=True)
        command = ["serve", "--json", "--listen", listen, "--to", arguments.to, "--spool", f"{arguments.to}/spool"]
        egress = subprocess.Popen(
            [sys.executable, "-m", "egress.cli", *command],
            env={**os.environ, "EGRESS_HOOK_SECRET": said(events, "backend_pwd")},
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        try:
            for ending in (signal.SIGINT, signal.SIGTERM):
                signal.signal(ending, signal.default_int_handler)
            url = listening(egress)
            if url is None or not waited_for(ws, janus):
                log.seek(0)
                print(f"it does not start:\n{log.read().decode(errors='replace')}", file=sys.stderr)
                return 2
            server = ThreadingHTTPServer(("127.0.0.1", arguments.page), partial(Page, directory=str(PAGE)))
            Thread(target=server.serve_forever, daemon=True).start()
            keep_template(url, f"janus+ws://{ws}/{{room}}")
            words = urlencode({"server": f"ws://{ws}", "room": ROOM})
            print(f"publish from http://127.0.0.1:{server.server_port}/?{words}", flush=True)
            print(f"dashboard at {url}/", flush=True)
            follow(url)
        except KeyboardInterrupt:
            # The service ends its jobs, and their recordings are whole, before it ends itself.
            egress.send_signal(signal.SIGINT)
            egress.wait()
            for path in sorted(Path(arguments.to).glob("recordings/*.mp4")):
                print(f"recorded {path.absolute()}", flush=True)
        finally:
            for process in (egress, janus):
                process.terminate()
                process.wait()
    return 0


class Page(SimpleHTTPRequestHandler):
    """Serves a folder, quietly."""

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def said(path: Path, name: str) -> str:
    """What a file of Janus's configuration sets `name` to."""
    found = re.search(rf'^\s*{name} = "?([^"\n]+)"?', path.read_text("utf-8"), re.MULTILINE)
    assert found, f"{path} does not set {name}"
    return found[1]


def answers(address: str) -> bool:
    """Whether something listens at an address of this machine."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def waited_for(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether a process came to listen at an address."""
    while not answers(address):
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return True


def listening(egress: subprocess.Popen[str]) -> str | None:
    """The address of the service once it takes requests; None when it ended before."""
    assert egress.stdout is not None
    line = egress.stdout.readline()
    return str(json.loads(line)["url"]) if line else None


def keep_template(url: str, server: str) -> None:
    """Have every room of Janus recorded."""
    template: dict[str, Any] = json.loads((HERE / "meetings.json").read_text("utf-8"))
    answer = httpx.put(f"{url}/api/v1/templates/meetings", json={**template, "server": server})
    if answer.is_error:
        sys.exit(f"the template is refused: {answer.json()['message']}")


def follow(url: str) -> None:
    """Tell what becomes of jobs."""
    with httpx.stream("GET", f"{url}/api/v1/events", timeout=None) as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                event = json.loads(line.removeprefix("data:"))
                kind, body = event.get("type", ""), event.get("body", {})
                if kind in ("job.running", "job.finished", "job.failed", "job.aborted"):
                    print(f"{kind.removeprefix('job.')}: {body['room']} {body['reason']}".rstrip(), flush=True)
                elif kind == "room.joined":
                    print(f"{body['peer']} joined", flush=True)


if __name__ == "__main__":
    sys.exit(main())
