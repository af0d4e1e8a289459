"""A real SRT listener: ffmpeg on loopback that keeps what it is sent, byte by byte."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from tests.rtmp_server import wait_for


def free_udp_port() -> int:
    """A loopback port that was free a moment ago, out of those that nobody gets who asks for any."""
    while True:
        port = random.SystemRandom().randrange(10_000, 20_000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class SrtListener:
    """Takes one caller at a time, each start into a file of its own; use it as a context manager."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.port = free_udp_port()
        self.files: list[Path] = []
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SrtListener:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, **options: str) -> str:
        """Where to call."""
        query = f"?{urlencode(options)}" if options else ""
        return f"srt://127.0.0.1:{self.port}{query}"

    @property
    def received(self) -> int:
        """Bytes in the file of the last start."""
        return self.files[-1].stat().st_size if self.files[-1].exists() else 0

    def start(self) -> None:
        """Listen (again)."""
        self.files.append(self._folder / f"{len(self.files)}.ts")
        query = urlencode({"mode": "listener", **self._options})
        words = ["ffmpeg", "-v", "error", "-y", "-f", "data", "-nofind_stream_info"]
        words += ["-i", f"srt://127.0.0.1:{self.port}?{query}"]
        words += ["-map", "0", "-c", "copy", "-f", "data", "-flush_packets", "1", str(self.files[-1])]
        with (self._folder / "listener.log").open("ab") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: _bound(self.port), 60, "the SRT listener")

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def ended(self) -> None:
        """Wait until its caller has gone."""
        assert self._process is not None
        self._process.wait(60)
        self._process = None

    def freeze(self) -> None:
        """Stop it in its tracks: the port stays, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def _bound(port: int) -> bool:
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    time.sleep(0.02)
    return any(int(row.split()[1].rpartition(":")[2], 16) == port for row in rows)
