"""A real PostgreSQL for tests: a cluster of its own in a folder, on a socket only, gone afterwards.

It refuses to run as root, so root runs it as the user `postgres` that comes with the Debian package.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from sqlalchemy import URL, create_engine, text

from egress.model.secrets import Secret

PACKAGE = "postgresql"
_FAST = (
    "-F",
    "-c",
    "listen_addresses=",
    "-c",
    "max_connections=100",
    "-c",
    "shared_buffers=32MB",
    "-c",
    "deadlock_timeout=20ms",
)
"""What is in it need not outlive the machine; nobody comes in but by the socket."""


def programs() -> Path:
    """The folder of PostgreSQL's programs, which are not on the path; raises FileNotFoundError naming the package."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("pg_ctl")
    if on_path is None:
        raise FileNotFoundError(f"PostgreSQL is missing: apt-get install {PACKAGE}, or run tests/run as root once")
    return Path(on_path).resolve().parent


class Postgres:
    """Runs for the length of the context; `database` makes an empty one."""

    def __init__(self) -> None:
        self._programs = programs()
        self._made = 0

    def __enter__(self) -> Postgres:
        # Sockets have short names, so the folder has too; its owner is whoever runs the server.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._user = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            self._user = "postgres"
            shutil.chown(self.folder, self._user)
        try:
            self._run("initdb", "-D", self._data, "-A", "trust", "-U", "tests", "-E", "UTF8", "--locale=C.UTF-8", "-N")
            options = " ".join((*_FAST, "-k", str(self.folder)))
            self._run(
                "pg_ctl", "-D", self._data, "-l", str(self.folder / "log"), "-w", "-t", "240", "-o", options, "start"
            )
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "240", "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def database(self) -> Secret:
        """The address of a fresh, empty database."""
        self._made += 1
        name = f"egress_{self._made}"
        self._do(f"CREATE DATABASE {name}")
        return Secret(self._url(name).set(drivername="postgresql").render_as_string(hide_password=False))

    def drop_last(self) -> None:
        """Take away the last database that was made, whoever is using it."""
        self._do(f"DROP DATABASE egress_{self._made} WITH (FORCE)")

    def _do(self, statement: str) -> None:
        engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _url(self, name: str) -> URL:
        return URL.create("postgresql+psycopg", username="tests", database=name, query={"host": str(self.folder)})

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", self._user, "--", *command]
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")
