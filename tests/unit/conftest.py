"""The store of the service as tests get it: on SQLite and on PostgreSQL, empty, and shared by two servers if asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from egress.control.store import Store
from egress.control.tables import facts, metadata
from egress.model.secrets import Secret
from tests.postgres import Postgres


@dataclass(frozen=True)
class Database:
    """Where a store is, for whoever opens it once more."""

    url: Secret
    folder: Path
    store: Store


def _open(url: Secret, folder: Path) -> Iterator[Database]:
    store = Store.open(url, folder)
    yield Database(url, folder, store)
    store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that runs while there are tests."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("sqlite")
    yield from _open(Secret(f"sqlite:///{folder}/egress.db"), folder)


@pytest.fixture(scope="session")
def _postgresql(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from _open(postgres.database(), tmp_path_factory.mktemp("postgresql"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database of either kind."""
    found: Database = request.getfixturevalue(f"_{request.param}")
    with found.store.writing(durable=False) as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not facts:
                connection.execute(table.delete())
    return found


@pytest.fixture
def store(database: Database) -> Store:
    """An empty store."""
    return database.store


@pytest.fixture
def second(database: Database) -> Iterator[Store]:
    """The same store as another server has it."""
    opened = Store.open(database.url, database.folder)
    yield opened
    opened.close()


Race = Callable[[Callable[[Store], object]], list[object]]


@pytest.fixture
def race(store: Store, second: Store) -> Iterator[Race]:
    """`race(work)` is what work(store) gave to each of eight threads of two servers that did it at once."""
    with ThreadPoolExecutor(8) as threads:

        def run(work: Callable[[Store], object]) -> list[object]:
            return list(threads.map(work, [store, second] * 4))

        yield run
