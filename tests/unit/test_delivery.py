"""Files reach their target or its backup, leave what is another's alone, and are known again after a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egress.model.errors import DestinationError
from egress.sinks.base import Backup
from egress.sinks.delivery import Delivery
from egress.storage.local import LocalStorage


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def made(spool: Path, name: str = "a.mp4", data: bytes = b"recording") -> Path:
    path = spool / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def blocked(tmp_path: Path) -> Path:
    """A place nothing can be written to, whoever tries."""
    (tmp_path / "plain").write_text("not a folder")
    return tmp_path / "plain" / "a.mp4"


def test_a_file_goes_to_its_target(tmp_path: Path, spool: Path) -> None:
    delivery = Delivery(spool, str(tmp_path / "out" / "a.mp4"), job="j1")
    delivery.begin()
    done = delivery.file(made(spool))
    assert (done.location, done.size, dict(done.details)) == (str(tmp_path / "out" / "a.mp4"), 9, {})
    assert (tmp_path / "out" / "a.mp4").read_bytes() == b"recording"
    assert done.artifact("mp4", 5, {"chapters": []}).details == {"chapters": []}


def test_a_target_that_is_taken_is_refused_at_the_beginning_unless_it_may_be_replaced(tmp_path, spool) -> None:
    (tmp_path / "a.mp4").write_text("theirs")
    with pytest.raises(DestinationError, match="exists already"):
        Delivery(spool, str(tmp_path / "a.mp4"), job="j1").begin()
    delivery = Delivery(spool, str(tmp_path / "a.mp4"), job="j1", replacing=True)
    delivery.begin()
    delivery.file(made(spool))
    assert (tmp_path / "a.mp4").read_bytes() == b"recording"


def test_what_was_written_to_the_target_meanwhile_stays_and_ours_goes_beside_it(tmp_path, spool) -> None:
    delivery = Delivery(spool, str(tmp_path / "a.mp4"), job="j1")
    delivery.begin()
    (tmp_path / "a.mp4").write_text("theirs")
    assert delivery.file(made(spool)).location == str(tmp_path / "a-j1.mp4")
    assert (tmp_path / "a.mp4").read_text() == "theirs"


def test_a_file_its_target_will_not_have_goes_to_the_backup_and_says_so(tmp_path, spool) -> None:
    told: list[dict[str, Any]] = []
    backup = Backup(str(tmp_path / "kept" / "a.mp4"))
    delivery = Delivery(spool, str(blocked(tmp_path)), backup=backup, job="j1", announce=told.append)
    delivery.begin()
    done = delivery.file(made(spool))
    assert (tmp_path / "kept" / "a.mp4").read_bytes() == b"recording"
    assert done.details["backup"] is True and "plain" in done.details["primary_error"]
    assert [event["type"] for event in told] == ["warning"] and "backup" in told[0]["message"]


def test_what_nobody_takes_stays_and_both_reasons_are_told(tmp_path, spool) -> None:
    target = blocked(tmp_path)
    delivery = Delivery(spool, str(target), backup=Backup(str(target.with_name("b.mp4"))), job="j1")
    with pytest.raises(DestinationError, match=r"plain/a\.mp4.*nor does the backup take it.*plain/b\.mp4"):
        delivery.file(made(spool))
    assert (spool / "a.mp4").read_bytes() == b"recording"


def test_a_folder_goes_whole_with_its_folders(tmp_path, spool) -> None:
    for name in ("out/1.jpg", "out/sub/2.jpg"):
        made(spool, name)
    done = Delivery(spool, str(tmp_path / "thumbs"), job="j1").folder(spool / "out")
    assert done.location == f"{tmp_path}/thumbs/" and done.size == 18
    assert sorted(done.files) == ["1.jpg", "sub/2.jpg"]
    assert (tmp_path / "thumbs" / "sub" / "2.jpg").is_file()


def test_a_folder_that_is_anothers_is_left_alone(tmp_path, spool) -> None:
    (tmp_path / "thumbs").mkdir()
    (tmp_path / "thumbs" / "0.jpg").write_text("theirs")
    made(spool, "out/1.jpg")
    done = Delivery(spool, str(tmp_path / "thumbs"), job="j1").folder(spool / "out")
    assert done.location == f"{tmp_path}/thumbs-j1/"
    assert [path.name for path in (tmp_path / "thumbs").iterdir()] == ["0.jpg"]


class Died(Exception):
    """What a kill leaves, without the kill."""


@pytest.mark.parametrize("place", ["a.mp4", "a-j1.mp4"])
def test_a_file_whose_mover_died_before_it_could_say_so_is_known_again(tmp_path, spool, monkeypatch, place) -> None:
    real = LocalStorage.put

    def dies(self: LocalStorage, *args: Any, **named: Any) -> None:
        real(self, *args, **named)
        raise Died

    if place != "a.mp4":
        (tmp_path / "a.mp4").write_text("theirs")
    monkeypatch.setattr(LocalStorage, "put", dies)
    with pytest.raises(Died):
        Delivery(spool, str(tmp_path / "a.mp4"), job="j1").file(made(spool))
    monkeypatch.undo()
    again = Delivery.resumed(spool, str(tmp_path / "a.mp4"), None, None, job="j1")
    found = again.delivered(spool / "a.mp4")
    assert found is not None and (found.location, found.size) == (str(tmp_path / place), 9)
    (tmp_path / place).write_bytes(b"another's")
    assert Delivery.resumed(spool, str(tmp_path / "a.mp4"), None, None, job="j1").delivered(spool / "a.mp4") is None


def test_a_folder_half_delivered_is_gone_on_with_in_the_same_place(tmp_path, spool, monkeypatch) -> None:
    real = LocalStorage.put

    def dies(self: LocalStorage, source: Path, *args: Any, **named: Any) -> Any:
        if source.name == "3.jpg":
            raise Died
        return real(self, source, *args, **named)

    for number in range(5):
        made(spool, f"out/{number}.jpg", bytes([number]))
    monkeypatch.setattr(LocalStorage, "put", dies)
    with pytest.raises(Died):
        Delivery(spool, str(tmp_path / "thumbs"), job="j1").folder(spool / "out")
    monkeypatch.undo()
    assert Delivery.resumed(spool, str(tmp_path / "thumbs"), None, None).delivered(spool / "out") is None
    again = Delivery.resumed(spool, str(tmp_path / "thumbs"), None, None, job="j1")
    done = again.folder(spool / "out")
    assert done.location == f"{tmp_path}/thumbs/" and sorted(done.files) == [f"{n}.jpg" for n in range(5)]
    assert {path.name: path.read_bytes() for path in (tmp_path / "thumbs").iterdir()} == {
        f"{n}.jpg": bytes([n]) for n in range(5)
    }
    assert again.delivered(spool / "out") == done


def test_what_is_nowhere_is_not_called_delivered(tmp_path, spool) -> None:
    source = made(spool)
    Delivery(spool, str(tmp_path / "a.mp4"), job="j1").file(source)
    (tmp_path / "a.mp4").unlink()
    (spool / "delivered.jsonl").unlink()
    late = Delivery.resumed(spool, str(tmp_path / "a.mp4"), None, None, job="j1")
    assert late.delivered(source) is None
    with pytest.raises(DestinationError, match="gone from the spool"):
        late.file(source)
