"""A real server of Azure's blob protocol for tests: Azurite as a process of its own, with signatures checked."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.house.tree import ROOT
from tests.rtmp_server import free_port
from tests.s3_server import BUCKET

ACCOUNT = "egress"
KEY = base64.b64encode(b"a key for tests, and for nothing else at all".ljust(64)).decode()

_INSTALLED = ROOT / ".venv" / "azurite" / "node_modules" / ".bin" / "azurite-blob"


class AzureServer:
    """Runs for the length of the context; fails where Azurite is not installed, which `tests/run` does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def options(self) -> dict[str, str]:
        """What a storage needs to know to use it."""
        return {"endpoint": f"http://127.0.0.1:{self.port}/{ACCOUNT}", "account_key": KEY, "part_mib": "1"}

    def __enter__(self) -> AzureServer:
        program = str(_INSTALLED) if _INSTALLED.exists() else shutil.which("azurite-blob")
        assert program is not None, "azurite-blob is not installed: run tests/run, or npm install -g azurite"
        self.port = free_port()
        command = [program, "--blobPort", str(self.port), "--location", str(self._folder), "--silent"]
        environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
        with (self._folder / "azurite.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--skipApiVersionCheck", "--disableTelemetry"], env=environment, stdout=log, stderr=log
            )
        limit = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() > limit:
                    self.__exit__()
                    text = (self._folder / "azurite.log").read_text()[-2000:]
                    raise AssertionError(f"azurite does not start: {text}") from None
                time.sleep(0.05)
        self.container.create_container()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def container(self) -> ContainerClient:
        """The container of the tests."""
        credential = {"account_name": ACCOUNT, "account_key": KEY}
        return BlobServiceClient(self.options["endpoint"], credential=credential).get_container_client(BUCKET)

    def read(self, name: str) -> bytes:
        """The bytes of a blob."""
        return bytes(self.container.download_blob(name).readall())

    def properties(self, name: str) -> Any:
        """What is known of a blob."""
        return self.container.get_blob_client(name).get_blob_properties()

    def names(self) -> set[str]:
        """The blobs there are."""
        return set(self.container.list_blob_names())
