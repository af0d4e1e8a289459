"""The store: opened, brought into shape, written in turn, and what it says when it cannot be used."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select, text

from egress.control import migrations, values
from egress.control import store as store_module
from egress.control.store import Store
from egress.control.tables import facts, metadata, triggers_seen
from egress.model.errors import Fault, RequestError
from egress.model.secrets import Secret
from tests.postgres import Postgres
from tests.unit.conftest import Database

CANARY = "kanarie-77-geheim"


def keep(connection: Connection, name: str) -> None:
    connection.execute(insert(triggers_seen).values(source="test", event_id=name, at=1))


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(triggers_seen.c.event_id).order_by(triggers_seen.c.event_id)).scalars())


def test_migrations_lead_to_the_tables_the_code_knows(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_head_that_is_known_without_alembic_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def fresh(kind: str, folder: Path, request: pytest.FixtureRequest) -> Secret:
    """The address of a database nothing was ever made in."""
    if kind == "sqlite":
        return Secret(f"sqlite:///{folder}/in/some/folder/egress.db")
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_servers_that_start_at_once_on_a_new_database_make_it_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = fresh(kind, tmp_path, request)
    barrier = threading.Barrier(4)

    def start(_: int) -> Store:
        barrier.wait()
        return Store.open(url, tmp_path)

    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(start, range(4)))
    for opened in stores:
        with opened.writing() as connection:
            assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
            assert connection.execute(select(facts.c.name)).scalars().all() == ["seal"]
    for opened in stores:
        opened.close()


def test_a_database_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store.open(None, tmp_path).close()
    with sqlite3.connect(tmp_path / "egress.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(RequestError, match=r"EGRESS_DATABASE was used by another version of Egress .* 9999"):
        Store.open(None, tmp_path)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"mysql://egress:{CANARY}@db/egress", "kind that is not known"),
        ("nonsense", "no address"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        (f"postgresql://egress:{CANARY}@db", "names no database"),
        (f"postgresql://egress:{CANARY}@127.0.0.1:1/egress", "cannot be used: .*see that the server runs"),
        (f"postgresql://egress:{CANARY}@no.such.host.invalid/egress", "cannot be used"),
        (f"postgresql://egress:{CANARY}@127.0.0.1:x/egress", "no address"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_without_its_password(url: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"EGRESS_DATABASE .*{says}") as caught:
        Store.open(Secret(url), tmp_path)
    assert CANARY not in str(caught.value) and "database" in dict(caught.value.problems)


def test_a_password_that_is_wrong_is_not_repeated(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database().reveal().replace("tests@", f"nobody:{CANARY}@")
    with pytest.raises(RequestError, match="nobody") as caught:
        Store.open(Secret(url), tmp_path)
    assert CANARY not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database " * 500)
    with pytest.raises(RequestError, match=r"EGRESS_DATABASE cannot be used: .*notes\.txt: .*not a database"):
        Store.open(Secret(f"sqlite:///{file}"), tmp_path)
    assert file.read_text() == "no database " * 500


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"EGRESS_DATABASE cannot be used: .*/file"):
        Store.open(Secret(f"sqlite:///{tmp_path}/file/egress.db"), tmp_path)


def test_the_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    opened = Store.open(None, tmp_path)
    with opened.writing() as connection:
        keep(connection, "a")
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "egress.db": 0o600,
        "egress.db-wal": 0o600,
        "egress.db-shm": 0o600,
        "egress.key": 0o600,
    }
    opened.close()


def test_what_is_committed_is_on_the_disk_and_what_is_quiet_need_not_be(tmp_path: Path) -> None:
    opened = Store.open(None, tmp_path)
    with opened.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    with opened.writing(durable=False) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 1
    for _ in range(3):
        with opened.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    opened.close()


def test_a_transaction_is_whole_or_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.writing() as connection:
        keep(connection, "a")
        raise KeyError
    with store.writing() as connection:
        keep(connection, "b")
    with store.reading() as connection:
        assert names(connection) == ["b"]


def test_nobody_reads_what_is_not_committed_and_nobody_waits_for_it(store: Store, second: Store) -> None:
    with store.writing() as connection:
        keep(connection, "a")
        with second.reading() as other:
            assert names(other) == []
    with second.reading() as other:
        assert names(other) == ["a"]


def test_what_a_writer_has_read_stays_true_until_it_has_written(store: Store, race) -> None:
    with store.writing() as connection:
        connection.execute(insert(facts).values(name="count", value="0"))

    def count(own: Store) -> None:
        for _ in range(5):
            with own.writing() as connection:
                number = int(connection.execute(select(facts.c.value).where(facts.c.name == "count")).scalar_one())
                connection.execute(facts.update().where(facts.c.name == "count").values(value=str(number + 1)))

    race(count)
    with store.writing() as connection:
        counted = connection.execute(select(facts.c.value).where(facts.c.name == "count")).scalar_one()
        connection.execute(facts.delete().where(facts.c.name == "count"))
    assert counted == "40"


async def test_calls_from_the_loop_run_on_threads_and_listeners_hear_of_writes(store: Store) -> None:
    heard: list[str] = []
    stop = store.listen(lambda: heard.append(threading.current_thread().name))
    await store.write(keep, "a")
    await store.note(keep, "b")
    assert await store.read(names) == ["a", "b"]
    assert await store.run(lambda: threading.current_thread().name) != threading.current_thread().name
    stop()
    await store.write(keep, "c")
    assert heard == [threading.current_thread().name]


async def test_more_callers_than_may_wait_are_refused_and_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WAITING", 6)
    before, gate = store.refused, threading.Event()
    waiting = [asyncio.ensure_future(store.run(gate.wait)) for _ in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(Fault, match="try again"):
        await store.read(names)
    gate.set()
    await asyncio.gather(*waiting)
    assert store.refused == before + 1 and await store.read(names) == []


@pytest.mark.parametrize("value", ["half \ud800 a pair", "nul \0"])
def test_texts_that_no_column_takes_are_the_callers_fault(store: Store, value: str) -> None:
    try:
        with store.writing() as connection:
            keep(connection, value)
    except RequestError as error:
        assert "cannot be kept" in str(error)
    with store.reading() as connection:
        assert names(connection) in ([], [value])


def test_numbers_that_no_column_takes_are_the_callers_fault(store: Store) -> None:
    with pytest.raises(RequestError, match="cannot be kept"), store.reading() as connection:
        connection.execute(select(triggers_seen).where(triggers_seen.c.at < 1 << 70)).all()


async def test_a_deadlock_between_quiet_writers_undoes_one_that_then_tries_again(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.database()
    one, other = Store.open(url, tmp_path), Store.open(url, tmp_path)
    await one.write(keep, "a")
    await one.write(keep, "b")
    both = threading.Barrier(2)
    tries: list[str] = []

    def touch(connection: Connection, first: str, then: str) -> None:
        tries.append(first)
        for name in (first, then):
            mine = triggers_seen.c.event_id == name
            connection.execute(triggers_seen.update().where(mine).values(at=triggers_seen.c.at + 1))
            if name == first and len(tries) <= 2:
                both.wait()

    await asyncio.gather(one.note(touch, "a", "b"), other.note(touch, "b", "a"))
    assert len(tries) == 3
    with one.reading() as connection:
        assert connection.execute(select(triggers_seen.c.at)).scalars().all() == [3, 3]
    one.close()
    other.close()


def test_a_database_that_stops_answering_is_a_fault_that_names_the_setting(postgres: Postgres, tmp_path: Path) -> None:
    opened = Store.open(postgres.database(), tmp_path)
    postgres.drop_last()
    for _ in range(2):
        with pytest.raises(Fault, match="EGRESS_DATABASE"), opened.reading() as connection:
            names(connection)
    opened.close()


def test_a_server_comes_back_to_a_database_that_was_away(postgres: Postgres, tmp_path: Path) -> None:
    opened = Store.open(postgres.database(), tmp_path)
    with opened.reading() as connection:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with pytest.raises(Fault), opened.writing() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with opened.writing() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != mine
    opened.close()


def test_cursors_of_others_are_refused(database: Database) -> None:
    made = values.cursor(5, "x")
    assert values.read_cursor(made, int, str) == (5, "x")
    for text_ in (
        made[:-2],
        "",
        "%%%",
        values.cursor(5),
        values.cursor("5", "x"),
        values.cursor(1 << 70, "x"),
        "bnVsbA",
    ):
        with pytest.raises(RequestError, match="cursor"):
            values.read_cursor(text_, int, str)
