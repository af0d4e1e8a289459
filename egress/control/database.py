"""Engines: connections to SQLite or PostgreSQL set up so that what is committed stays, and errors that say the fix."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, TimeoutError

from egress.model.errors import Conflict, EgressError, Fault, RequestError
from egress.model.secrets import Secret, redact

READERS = 2
"""Connections, and threads, that read at once. With more of them the interpreter is handed around, which costs a list
of jobs up to twice the CPU."""

BUSY = 10
"""Seconds a connection waits for another one's lock."""

WRITES = "egress_writes"
"""The execution option of connections whose transactions write."""

FORMS = "sqlite:////FOLDER/FILE or postgresql://USER:PASSWORD@HOST/NAME"

_PRAGMAS = (
    "foreign_keys=ON",
    "synchronous=FULL",
    "temp_store=MEMORY",
    "cache_size=-16384",
    f"journal_size_limit={64 << 20}",
)
"""Of every connection to SQLite: a commit is on the disk when it returns, so that a power cut loses no webhook."""

_JOURNAL_TRIES = 100


def read_url(setting: Secret | None, spool: Path) -> URL:
    """The database's address; a file in the spool when none is set. Raises RequestError, never showing it."""
    if setting is None:
        return URL.create("sqlite", database=str(spool / "egress.db"))
    try:
        url = make_url(setting.reveal())
    except (ArgumentError, ValueError):
        raise wrong(f"is no address of a database; write it like {FORMS}") from None
    match url.drivername:
        case "sqlite":
            if not url.database or url.database == ":memory:" or url.query:
                raise wrong("names no file; write it like sqlite:////FOLDER/FILE")
            return URL.create("sqlite", database=str(Path(url.database).expanduser().absolute()))
        case "postgresql" | "postgres" | "postgresql+psycopg":
            if not url.database:
                raise wrong("names no database; write it like postgresql://USER:PASSWORD@HOST/NAME")
            return url.set(drivername="postgresql+psycopg")
    raise wrong(f"is of a kind that is not known here; write it like {FORMS}")


def connect(url: URL) -> Engine:
    """An engine that has been connected once; raises RequestError when there is no getting in."""
    engine = _sqlite(url) if is_sqlite(url) else _postgresql(url)
    try:
        with engine.connect():
            return engine
    except (DBAPIError, OSError) as error:
        engine.dispose()
        raise wrong(f"cannot be used: {_plain(error, url)}; see that {_hint(url)}") from None


def is_sqlite(of: URL | Engine | Connection) -> bool:
    """Whether this is about a file of ours rather than a server."""
    return (of.get_backend_name() if isinstance(of, URL) else of.dialect.name) == "sqlite"


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Errors of the database as ours.

    RequestError for values no column takes, Conflict for rows that do not fit the others, Fault for all else.
    """
    try:
        yield
    except EgressError:
        raise
    except (DataError, UnicodeEncodeError, OverflowError):
        wrong_value = "holds a character or a number that cannot be kept; leave NUL and half surrogate pairs out"
        raise RequestError(f"a value {wrong_value}", (("", wrong_value),)) from None
    except IntegrityError as error:
        meanwhile = "is there already, or what it belongs to is gone; look at it again"
        raise Conflict(f"it {meanwhile}", (("", meanwhile),)) from error
    except (DBAPIError, TimeoutError) as error:
        raise Fault(f"the database (EGRESS_DATABASE) does not do as asked: {_plain(error, None)}") from error


def wrong(what: str) -> RequestError:
    """The refusal of the setting."""
    return RequestError(f"EGRESS_DATABASE {what}", (("database", what),))


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What SQLite makes beside it (-wal, -shm) gets the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _use_wal(path)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise wrong(
            f"cannot be used: {path}: {why}; name a file this user may write, on a disk of this machine"
        ) from None
    engine = create_engine(
        url,
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=READERS + 1,
        max_overflow=READERS,
        connect_args={"check_same_thread": False, "timeout": BUSY, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        # Transactions are begun below: the module itself would begin them late, and fail when two write at once.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Whoever reads sees each statement's own moment; whoever writes takes the lock before it looks.
        if connection.get_execution_options().get(WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _use_wal(path: Path) -> None:
    """Put the file into WAL mode, which it keeps. Changing it waits for no lock, so that two at once have to try."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY, isolation_level=None)) as connection:
        for attempt in range(_JOURNAL_TRIES):
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == _JOURNAL_TRIES - 1:
                    raise
                time.sleep(BUSY / _JOURNAL_TRIES)


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_size=READERS + 1,
            max_overflow=READERS,
            pool_recycle=1800,
            pool_timeout=BUSY,
            connect_args={
                "connect_timeout": BUSY,
                "application_name": "egress",
                # A server that stands still in a transaction must not hold up the others for longer than this.
                "options": "-c lock_timeout=20s -c idle_in_transaction_session_timeout=20s -c timezone=UTC",
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
            },
        )
    except ModuleNotFoundError:
        raise wrong("needs a driver that is not installed; run pip install 'egress[postgresql]'") from None


def _plain(error: Exception, url: URL | None) -> str:
    """What the driver says, in one line, without the password."""
    text = str(error.orig) if isinstance(error, DBAPIError) and error.orig else str(error)
    secrets = [url.password] if url is not None and url.password else []
    line = " ".join(text.split())
    return redact(line, *secrets) if len(line) <= 300 else redact(line, *secrets)[:299] + "…"


def _hint(url: URL) -> str:
    if is_sqlite(url):
        return "it is a database of SQLite, on a disk of this machine, that this user may write"
    return "the server runs, is reachable from here, and knows this user, password and database"
