"""Secrets at rest: opened for their own row by one of the keys, and by nobody else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from egress.control import hooks, jobs
from egress.control.resealing import SEALED
from egress.control.sealing import Sealer, read_keys
from egress.control.store import Store
from egress.control.tables import metadata
from egress.model.errors import Fault, RequestError
from egress.model.request import read_request
from egress.model.secrets import Secret

OLD, NEW, OTHER = Secret("a" * 32), Secret("b" * 32), Secret("c" * 40)
CANARY = "kanarie-77"


def test_what_is_sealed_shows_nothing_and_comes_back_whole() -> None:
    sealer = Sealer([OLD])
    for text in ("", CANARY, "ä\ud800\0" * 100):
        sealed = sealer.seal(text, "job:1")
        assert sealer.open(sealed, "job:1").reveal() == text and CANARY not in sealed and sealed.isascii()
    assert sealer.seal(CANARY, "job:1") != sealer.seal(CANARY, "job:1")
    assert "a" * 8 not in repr(sealer) + str(vars(sealer))


@pytest.mark.parametrize("spoilt", ["job:2", "", "changed", "cut", "plain"])
def test_what_was_moved_or_changed_does_not_open(spoilt: str) -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal(CANARY, "job:1")
    text = {
        "changed": sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:],
        "cut": sealed[:20],
        "plain": "x",
    }
    with pytest.raises(Fault) as caught:
        sealer.open(text.get(spoilt, sealed), spoilt if spoilt in ("job:2", "") else "job:1")
    assert CANARY not in str(caught.value)


def test_the_first_key_seals_and_every_key_opens() -> None:
    sealed = Sealer([OLD]).seal(CANARY, "x")
    both = Sealer([NEW, OLD])
    assert both.open(sealed, "x").reveal() == CANARY and not both.is_current(sealed)
    assert both.is_current(both.seal(CANARY, "x"))
    with pytest.raises(Fault, match="EGRESS_SECRET_KEY"):
        Sealer([NEW]).open(sealed, "x")


def test_keys_that_are_missing_or_short_are_refused_without_being_shown() -> None:
    for keys in ([], [Secret(CANARY)], [OLD, Secret(CANARY)]):
        with pytest.raises(RequestError, match="EGRESS_SECRET_KEY") as caught:
            Sealer(keys)
        assert CANARY not in str(caught.value)


def test_the_setting_comes_before_the_file_which_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "egress.key"
    assert read_keys(Secret(f"{'a' * 32} , {'b' * 32},"), file) == (OLD, NEW) and not file.exists()
    barrier = threading.Barrier(8)

    def read(_: int) -> tuple[Secret, ...]:
        barrier.wait()
        return read_keys(None, file)

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(read, range(8)))
    assert len(found) == 1 and file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["egress.key"]
    file.write_text("b" * 32 + "\n\n" + "a" * 32 + "\n")
    assert read_keys(None, file) == (NEW, OLD)


def test_a_key_file_that_others_may_read_or_that_is_empty_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "egress.key"
    read_keys(None, file)
    file.chmod(0o640)
    with pytest.raises(RequestError, match="chmod 600"):
        read_keys(None, file)
    file.chmod(0o600)
    for content, says in ((b"", "is empty"), (b"\xff", "cannot be used")):
        file.write_bytes(content)
        with pytest.raises(RequestError, match=says):
            read_keys(None, file)


def test_every_sealed_column_is_known_to_whoever_changes_keys() -> None:
    assert {table for table in metadata.sorted_tables if "sealed" in table.c} == {table for table, _, _ in SEALED}


def test_keys_are_changed_by_putting_another_one_first_and_then_leaving_the_old_one_out(tmp_path: Path) -> None:
    store = Store.open(None, tmp_path, OLD)
    with store.writing() as connection:
        hook = hooks.create(connection, store.sealer, hooks.Address(Secret(f"https://h/?t={CANARY}"), ()))
        request = read_request({"room": "local:a", "room_options": {"pin": CANARY}})
        jobs.create(connection, store.sealer, jobs.Draft("j", request, "p", "me"))
    store.close()
    for key in (Secret(f"{NEW.reveal()},{OLD.reveal()}"), NEW):
        store = Store.open(None, tmp_path, key)
        with store.reading() as connection:
            assert hooks.address(connection, store.sealer, hook.id).url.reveal() == f"https://h/?t={CANARY}"
            assert jobs.request(connection, store.sealer, "j")[0].room_options == {"pin": CANARY}
        store.close()
    for key in (OLD, OTHER):
        with pytest.raises(RequestError, match=r"EGRESS_SECRET_KEY .* is not the key"):
            Store.open(None, tmp_path, key)


def test_no_secret_of_a_request_lies_in_the_database_in_the_open(store: Store) -> None:
    request = {
        "room": "local:a",
        "room_options": {"pin": CANARY},
        "destinations": [f"rtmp://host/live/{CANARY}-key"],
        "pipeline": {"name": "x", "sinks": [{"kind": "rtmp", "to": f"rtmp://host/live/{CANARY}-key"}]},
    }
    with store.writing() as connection:
        jobs.create(connection, store.sealer, jobs.Draft("j", read_request(request), "x", "me", pipeline_doc=request))
        hooks.create(
            connection, store.sealer, hooks.Address(Secret(f"https://u:{CANARY}@h/?t={CANARY}"), (Secret(CANARY),))
        )
    with store.reading() as connection:
        everything = [row for table in metadata.sorted_tables for row in connection.execute(select(table)).all()]
    assert len(everything) >= 5 and CANARY not in str(everything)
