"""The doctor looks at the real machine, and judges what it finds."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from egress import doctor
from egress.doctor import Finding, State
from egress.media import fonts


def named(findings: tuple[Finding, ...], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_every_media_part_is_tried_and_works_here(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path / "spool")
    for name in ("python", "libav", "encoder libx264", "encoder aac", "encoder libopus", "decoder vp8", "decoder h264"):
        assert named(findings, name).state is State.OK, named(findings, name)
    assert not (tmp_path / "spool").exists(), "a doctor changes nothing"


def test_every_finding_that_is_not_right_says_what_it_is_for_and_the_fix(tmp_path: Path) -> None:
    for finding in doctor.examine(tmp_path):
        assert finding.found
        assert finding.needed_for
        assert finding.state is State.OK or finding.fix, finding


def test_a_spool_that_cannot_be_written_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = named(doctor.examine(tmp_path / "file" / "spool"), "spool")
    assert not spool.ok
    assert "EGRESS_SPOOL" in spool.fix


def test_a_full_disk_is_missing_and_a_small_one_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage(tmp_path))
    for free, state in ((100 << 20, State.MISSING), (5 << 30, State.LESS), (50 << 30, State.OK)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage(100 << 30, 0, free))
        assert named(doctor.examine(tmp_path), "disk").state is state


def test_programs_that_are_not_there_are_absent_but_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    chromium = named(doctor.examine(tmp_path), "chromium")
    assert (chromium.state, chromium.ok, chromium.fix) == (State.ABSENT, True, "apt-get install chromium")


def test_emoji_are_absent_where_no_font_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "emoji", lambda: None)
    emoji = named(doctor.examine(tmp_path), "emoji")
    assert (emoji.state, emoji.fix) == (State.ABSENT, "apt-get install fonts-noto-color-emoji")


def test_a_look_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise OSError("no disk today")

    monkeypatch.setattr(shutil, "disk_usage", broken)
    assert any("no disk today" in f.found and not f.ok for f in doctor.examine(tmp_path))


def test_the_two_forms_say_the_same() -> None:
    findings = (Finding("a", State.OK, "1", "x"), Finding("b", State.MISSING, "none", "y", "get b"))
    document = json.loads(doctor.as_json(findings))
    assert document["ok"] is False
    assert [row["state"] for row in document["findings"]] == ["ok", "missing"]
    text = doctor.as_text(findings)
    assert "fix: get b" in text
    assert "1 needed here and missing" in text


def test_what_the_service_needs_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = doctor.examine(tmp_path)
    assert {named(findings, name).state for name in ("packages", "database", "azure")} == {State.OK}
    assert "SQLite 3." in named(findings, "database").found
    shared = "postgresql://me:the-password@host/name"
    assert "psycopg 3." in named(doctor.examine(tmp_path, database=shared), "database").found
    there = metadata.distribution

    def without(name: str) -> metadata.Distribution:
        if name in ("fastapi", "psycopg", "azure-storage-blob"):
            raise metadata.PackageNotFoundError(name)
        return there(name)

    monkeypatch.setattr(metadata, "distribution", without)
    findings = doctor.examine(tmp_path, database=shared)
    assert (named(findings, "packages").state, named(findings, "packages").fix) == (
        State.MISSING,
        "pip install fastapi",
    )
    assert (
        named(findings, "database").state is State.MISSING and "egress[postgresql]" in named(findings, "database").fix
    )
    assert named(findings, "azure").state is State.ABSENT
    assert "the-password" not in doctor.as_text(findings)
