"""`egress serve` says where it is and how to begin, and is not open to strangers."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from egress.cli import BAD_INPUT, DONE, main
from egress.commands import serve


@pytest.fixture(autouse=True)
def ends_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told to end when it has said what it says, and reads nobody's settings."""
    greet = serve._Serving._greet

    async def greeted(self: serve._Serving, *words: object, **more: bool) -> None:
        await greet(self, *words, **more)  # type: ignore[arg-type]
        self._ending.set()

    monkeypatch.setattr(serve._Serving, "_greet", greeted)
    monkeypatch.setenv("EGRESS_SPOOL", str(tmp_path / "spool"))
    # Commands hand their settings file on to processes of theirs; what was set here is taken back.
    monkeypatch.setenv("EGRESS_CONFIG", "")
    monkeypatch.delenv("EGRESS_CONFIG")
    monkeypatch.chdir(tmp_path)


def test_it_says_where_it_listens_and_how_to_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--listen", "127.0.0.1:0", "--to", "out"]) == DONE
    said = capsys.readouterr().err
    assert f"recordings go to {tmp_path / 'out'}" in said
    assert "/publish/studio" in said and "only this machine reaches it" in said


def test_programs_are_told_where_it_listens_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--listen", "127.0.0.1:0", "--json"]) == DONE
    said = json.loads(capsys.readouterr().out)
    assert said["type"] == "listening" and said["url"].startswith("http://127.0.0.1:")


def test_it_does_not_let_strangers_in(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["serve", "--listen", "0.0.0.0:0"]) == BAD_INPUT
    assert "egress keys add" in capsys.readouterr().err
    monkeypatch.setenv("EGRESS_TOKEN_SECRET", "s" * 32)
    assert main(["serve", "--listen", "0.0.0.0:0"]) == DONE


def test_a_database_that_cannot_be_had_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--listen", "127.0.0.1:0", "--database", "mysql://x"]) == BAD_INPUT
    assert "database" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--spool", "file"], "the spool {here}/file cannot be used: it is a file; name a folder"),
        (["--spool", "file/spool"], "a part of it is a file"),
        (["--spool", "/proc/spool"], "--spool, EGRESS_SPOOL"),
        (["--to", "file"], "the output folder file cannot be used: it is a file; name a folder"),
        (["--to", "/proc/out"], "--to"),
        (["--database", "sqlite:///file"], "EGRESS_DATABASE cannot be used: {here}/file: file is not a database"),
        (["--database", "sqlite:///folder"], "{here}/folder: Is a directory"),
        (["--config", "folder"], "folder: cannot be read: Is a directory"),
        (["--listen", "no such host:80"], "can not listen: no such host:80"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (tmp_path / "file").write_text("no database, and no folder either\n" * 10)
    (tmp_path / "folder").mkdir()
    assert main(["serve", "--listen", "127.0.0.1:0", *words]) == BAD_INPUT
    said = capsys.readouterr().err
    assert says.format(here=tmp_path) in said and "Traceback" not in said


def test_an_address_in_use_is_refused_before_anything_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["serve", "--listen", where]) == BAD_INPUT
    assert f"can not listen on {where}: Address already in use; choose another" in capsys.readouterr().err
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("words", [["keys", "list"], ["recover"], ["record", "local:x"]])
def test_a_spool_that_is_a_file_is_named_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([*words, "--spool", "file"]) == BAD_INPUT
    assert f"spool {tmp_path}/file" in capsys.readouterr().err
