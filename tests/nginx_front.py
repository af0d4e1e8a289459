"""The sample's nginx in front of a server of ours, on ports of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rtmp_server import free_port

SAMPLE = Path(__file__).parents[1] / "samples" / "nginx-origin" / "nginx.conf"


class NginxFront:
    """Runs the configuration of samples/nginx-origin against `upstream` (http://HOST:PORT) for the length of the
    context."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        text = SAMPLE.read_text("utf-8")
        text, servers = re.subn(r"server 127\.0\.0\.1:8080;", f"server {upstream.removeprefix('http://')};", text)
        text, listens = re.subn(r"listen 127\.0\.0\.1:8081;", f"listen 127.0.0.1:{self._port};", text)
        assert (servers, listens) == (1, 1)
        if os.geteuid() == 0:
            # Workers of a root's nginx are nobody, who may not write into a folder of ours.
            text = f"user root;\n{text}"
        (folder / "tmp").mkdir(parents=True)
        (folder / "nginx.conf").write_text(text, "utf-8")

    def __enter__(self) -> Self:
        if not (nginx := shutil.which("nginx", path="/usr/sbin:/usr/bin")):
            raise RuntimeError("nginx is not installed; on Debian: apt-get install nginx-light")
        command = [nginx, "-p", str(self._folder), "-c", "nginx.conf", "-e", "stderr"]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("nginx did not start") from None
                time.sleep(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(60)
