"""`egress serve` says where it is and how to begin, and is not open to strangers."""

from __future__ import annotations

import json
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
