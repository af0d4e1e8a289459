"""A live channel of one's own: publish from a browser or OBS, watch in any browser; nothing else is needed."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

HERE = Path(__file__).parent
CHANNEL = "channel"
PATIENCE = 60.0


def main() -> int:
    """Start `egress serve`, keep the channel's pipeline and template, and say where to publish and to watch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", default="live-channel", help="output folder")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="where publishers and viewers come in")
    parser.add_argument("--seconds", type=float, help="have a made-up presenter on air for this long, then end")
    arguments = parser.parse_args()
    command = ["serve", "--json", "--listen", arguments.listen, "--to", arguments.to]
    egress = subprocess.Popen(
        [sys.executable, "-m", "egress.cli", *command, "--spool", f"{arguments.to}/spool"],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    # Ctrl-C is for the service: it takes the channel off the air, and ends when the recording is whole.
    signal.signal(signal.SIGINT, lambda *_: egress.send_signal(signal.SIGINT))
    assert egress.stdout is not None
    line = egress.stdout.readline()
    if not line:
        return egress.wait()
    url = json.loads(line)["url"]
    try:
        set_up(url)
        print(f"publish from {url}/publish/{CHANNEL}")
        print(f"OBS: service WHIP, server {url}/whip/{CHANNEL}")
        print(f"watch at {url}/live/{CHANNEL}/   dashboard at {url}/", flush=True)
        if arguments.seconds:
            show(url, arguments.seconds)
            egress.send_signal(signal.SIGINT)
        status = egress.wait()
    finally:
        egress.terminate()
        egress.wait()
    for path in sorted(Path(arguments.to).glob("recordings/*.mp4")):
        print(f"recorded {path.absolute()}")
    return status


def set_up(url: str) -> None:
    """Keep the pipeline and the template: how the channel looks, and that a publisher starts it."""
    pipeline = (HERE / "channel.yaml").read_bytes()
    template = json.loads((HERE / "template.json").read_text("utf-8"))
    with httpx.Client(base_url=f"{url}/api/v1") as http:
        answers = (
            http.put(f"/pipelines/{CHANNEL}", content=pipeline, headers={"Content-Type": "application/yaml"}),
            http.put(f"/templates/{CHANNEL}", json=template),
        )
    for answer in answers:
        if answer.is_error:
            sys.exit(f"refused: {answer.json()['message']}")


def show(url: str, seconds: float) -> None:
    """Put a made-up presenter on air, and wait until viewers see them for so long."""
    words = ["--whip", f"{url}/whip/{CHANNEL}", "--participants", "1", "--seconds", str(seconds + PATIENCE)]
    presenter = subprocess.Popen(
        [sys.executable, "-m", "egress.demo.participants", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + PATIENCE
        while httpx.get(f"{url}/live/{CHANNEL}/index.m3u8").status_code != 200:
            if time.monotonic() > end:
                sys.exit("nobody came on air")
            time.sleep(0.2)
        print("on air", flush=True)
        time.sleep(seconds)
    finally:
        presenter.terminate()
        presenter.wait()


if __name__ == "__main__":
    sys.exit(main())
