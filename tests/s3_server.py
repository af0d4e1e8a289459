"""A real S3 server for tests: moto as a process of its own, with signatures checked, and uploads to look into."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.rtmp_server import free_port

BUCKET = "recordings"
REGION = "eu-central-1"

_UNCHECKED = 3
"""Calls moto lets through before it checks signatures: those that make the user."""


class S3Server:
    """Runs for the length of the context. Parts may be as small as 1 KiB here, for tests to be short.

    `cut` stops the server from answering (its state is kept), `mend` lets it go on; a cut one takes connections and
    says nothing, like a server that hangs.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "moto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.access_key = ""
        self.secret_key = ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, str]:
        """What a storage needs to know to use it."""
        return {
            "endpoint": self.url,
            "region": REGION,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "part_mib": "1",
        }

    @property
    def environment(self) -> dict[str, str]:
        """The same as settings in an environment."""
        return {f"EGRESS_S3_{name.upper()}": value for name, value in self.options.items()}

    def __enter__(self) -> S3Server:
        self.port = free_port()
        environment = {
            **os.environ,
            "INITIAL_NO_AUTH_ACTION_COUNT": str(_UNCHECKED),
            "S3_UPLOAD_PART_MIN_SIZE": "1024",
        }
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            self._wait()
            self._make_user()
            self.client().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def cut(self) -> None:
        """Have it take connections and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self, service: str = "s3", *, access: str = "", secret: str = "") -> Any:
        """A client of boto3 with the user's keys."""
        return boto3.session.Session().client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=access or self.access_key or "nobody",
            aws_secret_access_key=secret or self.secret_key or "nothing",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def allow(self, *actions: str, name: str = "some") -> tuple[str, str]:
        """Another user, who may do only this; its keys."""
        return self._user(name, actions)

    def objects(self) -> list[str]:
        """The keys of the objects there are."""
        return [row["Key"] for row in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", ())]

    def read(self, key: str) -> bytes:
        """The bytes of an object."""
        data: bytes = self.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def head(self, key: str) -> dict[str, Any]:
        """What is known of an object."""
        found: dict[str, Any] = self.client().head_object(Bucket=BUCKET, Key=key)
        return found

    def uploads(self) -> list[str]:
        """Keys of the uploads nobody has completed or taken back."""
        return [row["Key"] for row in self.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]

    def requests(self) -> list[str]:
        """The lines of its log so far: one a request."""
        return self._log.read_text().splitlines()

    def _wait(self) -> None:
        limit = time.monotonic() + 60
        while True:
            # A connection alone: any request would count as one of those that are not checked.
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > limit:
                    raise AssertionError(f"moto does not start: {self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def _make_user(self) -> None:
        self.access_key, self.secret_key = self._user("egress", ("*",))

    def _user(self, name: str, actions: tuple[str, ...]) -> tuple[str, str]:
        iam = self.client("iam")
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=json.dumps(policy))
        return key["AccessKeyId"], key["SecretAccessKey"]
