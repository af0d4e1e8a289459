"""The store of the service: one database, brought into shape at start; what reads it and what writes it in turn."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from egress.control import database, migrations
from egress.control.resealing import check_keys
from egress.control.sealing import Sealer, read_keys
from egress.model.errors import Fault
from egress.model.secrets import Secret
from egress.ordering import check_writable

P = ParamSpec("P")
Result = TypeVar("Result")

WAITING = 1000
"""Calls that may wait for a thread; the next one is refused."""

_WRITERS_LOCK = 0x65677265_73730001
"""The advisory lock of PostgreSQL that writers take in turn."""

_MIGRATION_LOCK = _WRITERS_LOCK + 1
_DEADLOCKS = ("40P01", "40001")
_TRIES = 3
_WRITE_WITHIN = 30.0


class Store:
    """One database and the threads that talk to it.

    Writers go one at a time, on PostgreSQL by an advisory lock that all servers share: so events come out in the order
    of their numbers, and what a writer has read stays true until it has written. Quiet ones (`durable=False`) are for
    what comes again in a second, like heartbeats: they append no events and wait for no disk.
    """

    def __init__(self, engine: Engine, sealer: Sealer) -> None:
        self.sealer = sealer
        self._writes = engine.execution_options(**{database.WRITES: True})
        self._reads = engine if database.is_sqlite(engine) else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._engine = engine
        self._turn = threading.Lock()
        self._readers = ThreadPoolExecutor(database.READERS, "store-read")
        self._writers = ThreadPoolExecutor(1, "store-write")
        self._waiting = 0
        self.refused = 0
        self._listeners: list[Callable[[], object]] = []

    @classmethod
    def open(cls, url: Secret | None, spool: Path, key: Secret | None = None) -> Store:
        """The store at an address (EGRESS_DATABASE; None is a file in the spool), migrated, its secrets readable.

        `key` is EGRESS_SECRET_KEY; without it the key is in a file beside the database, or in the spool. Takes up to
        some seconds when the database is new. Raises RequestError naming the setting that is wrong.
        """
        if url is None:
            check_writable("spool", spool)
        address = database.read_url(url, spool)
        engine = database.connect(address)
        home = Path(str(address.database)).parent if database.is_sqlite(address) else spool
        try:
            store = cls(engine, Sealer(read_keys(key, home / "egress.key")))
            with database.plain_errors():
                store._migrate()
            with store.writing() as connection:
                check_keys(connection, store.sealer)
        except BaseException:
            engine.dispose()
            raise
        return store

    @property
    def is_shared(self) -> bool:
        """Whether other servers may use the same database."""
        return not database.is_sqlite(self._engine)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; each statement sees what is committed when it runs."""
        with database.plain_errors(), self._reads.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction: committed at the end, undone by an exception. One in a thread at a time.

        `durable=False` may be lost in a power cut, and appends no events.
        """
        with database.plain_errors():
            if self.is_shared:
                with self._writes.begin() as connection:
                    turn = f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})"
                    connection.exec_driver_sql(turn if durable else "SET LOCAL synchronous_commit = off")
                    yield connection
            else:
                with self._sqlite_turn(durable) as connection:
                    yield connection

    async def read(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """What `work(connection, ...)` gives, called on a thread; raises what it raises, Fault when too many wait."""

        def call() -> Result:
            with self.reading() as connection:
                return work(connection, *args, **kwargs)

        return await self._on(self._readers, call)

    async def write(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """What `work(connection, ...)` gives, called on a thread in a transaction; listeners hear of it afterwards.

        It may be called again when the database undid it for the sake of another one.
        """
        result = await self._on(self._writers, lambda: self._written(True, work, *args, **kwargs))
        for listener in tuple(self._listeners):
            listener()
        return result

    async def note(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """As `write`, for what comes again in a second: it waits for no disk, and nobody hears of it."""
        return await self._on(self._writers, lambda: self._written(False, work, *args, **kwargs))

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work()` gives, called on a thread that reads; it opens its own transactions."""
        return await self._on(self._readers, work)

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Have `listener` called on the loop after every `write` of this server; gives what ends that.

        Other servers' writes are found by looking: numbers of events go up in the order they are committed.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def close(self) -> None:
        """End what runs and let go of the database."""
        for threads in (self._readers, self._writers):
            threads.shutdown(cancel_futures=True)
        if not self.is_shared:
            with contextlib.suppress(DBAPIError), self._reads.connect() as connection:
                connection.exec_driver_sql("PRAGMA optimize")
        self._engine.dispose()

    async def _on(self, threads: ThreadPoolExecutor, call: Callable[[], Result]) -> Result:
        if self._waiting >= WAITING:
            self.refused += 1
            raise Fault(f"the database is too slow: {WAITING} calls wait for it; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        finally:
            self._waiting -= 1

    def _written(
        self, durable: bool, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        for attempt in range(_TRIES):
            try:
                with self.writing(durable=durable) as connection:
                    return work(connection, *args, **kwargs)
            except Fault as error:
                cause = error.__cause__
                state = getattr(cause.orig, "sqlstate", None) if isinstance(cause, DBAPIError) else None
                if state not in _DEADLOCKS or attempt == _TRIES - 1:
                    raise
        raise AssertionError

    @contextlib.contextmanager
    def _sqlite_turn(self, durable: bool) -> Iterator[Connection]:
        # Threads of this process queue here rather than in SQLite, which has waiters sleep and look again.
        if not self._turn.acquire(timeout=_WRITE_WITHIN):
            raise Fault(f"the database is too slow: nothing could be written for {_WRITE_WITHIN:g} s")
        try:
            with self._writes.connect() as connection:
                driver = connection.connection.dbapi_connection
                assert driver is not None
                if not durable:
                    driver.execute("PRAGMA synchronous=NORMAL")
                try:
                    with connection.begin():
                        yield connection
                finally:
                    if not durable:
                        driver.execute("PRAGMA synchronous=FULL")
        finally:
            self._turn.release()

    def _migrate(self) -> None:
        """Bring the database into the shape of this version; servers that start at once take turns."""
        with self._reads.connect() as connection:
            if _revisions(connection) == [migrations.HEAD]:
                return
        with self._writes.begin() as connection:
            if self.is_shared:
                # Another server's steps may take long.
                connection.execute(text("SET LOCAL lock_timeout = '5min'"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            if (found := _revisions(connection)) != [migrations.HEAD]:
                _upgrade(connection, found)


def _revisions(connection: Connection) -> Sequence[str]:
    """The steps the database has taken; none when nothing was ever made in it."""
    if not inspect(connection).has_table("alembic_version"):
        return ()
    return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


def _upgrade(connection: Connection, found: Sequence[str]) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        for revision in found:
            ScriptDirectory.from_config(config).get_revision(revision)
    except CommandError:
        raise database.wrong(
            f"was used by another version of Egress (its shape is {', '.join(found)}, not {migrations.HEAD}); "
            "run that version, or name another database"
        ) from None
    command.upgrade(config, "head")
