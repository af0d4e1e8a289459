"""Settings come from default, file, environment and flag, in that order, and secrets do not show."""

from __future__ import annotations

from pathlib import Path

import pytest

from egress.model import settings
from egress.model.errors import RequestError
from egress.model.settings import Settings

TOKEN = "canary-0123456789"


def test_defaults_stand_when_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Settings.load(environ={})
    assert made == Settings()
    assert made.spool == tmp_path / "state" / "egress" / "spool"


def test_a_relative_state_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert settings.state_folder() == Path.home() / ".local" / "state" / "egress"


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text('spool = "/file"\nreorder_ms = 100\nlisten = "1.2.3.4:1"\n')
    environ = {"EGRESS_SPOOL": "/env", "EGRESS_REORDER_MS": "200", "EGRESS_LISTEN": ""}
    made = Settings.load(config=file, environ=environ, flags={"spool": "/flag", "reorder_ms": None})
    assert (made.spool, made.reorder_ms, made.listen, made.log_level) == (Path("/flag"), 200, "1.2.3.4:1", "WARNING")


def test_the_file_is_named_by_flag_or_environment_or_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("egress.toml").write_text("reorder_ms = 101\n")
    Path("other.toml").write_text("reorder_ms = 102\n")
    assert Settings.load(environ={}).reorder_ms == 101
    assert Settings.load(environ={"EGRESS_CONFIG": "other.toml"}).reorder_ms == 102
    with pytest.raises(RequestError, match=r"missing\.toml: cannot be read: No such file"):
        Settings.load(config="missing.toml", environ={})


def test_all_problems_are_said_with_where_they_come_from(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text(f'spol = "/x"\nlisten = 8080\nwhip_token = "{TOKEN[:5]}"\n')
    environ = {"EGRESS_REORDER_MS": "soon", "EGRESS_LOG_LEVEL": "loud"}
    with pytest.raises(RequestError) as caught:
        Settings.load(config=file, environ=environ, flags={"spool": " "})
    problems = dict(caught.value.problems)
    assert problems[f"{file}: spol"] == "unknown setting (did you mean 'spool'?); known: " + ", ".join(
        sorted(settings.NAMES)
    )
    assert "20 to 5000" in problems["EGRESS_REORDER_MS"]
    assert "DEBUG, INFO" in problems["EGRESS_LOG_LEVEL"]
    assert problems["--spool"] == "must be a folder"
    assert f"{file}: listen" in problems
    assert "8 or more" in problems[f"{file}: whip_token"]
    assert TOKEN[:5] not in caught.value.message


@pytest.mark.parametrize("text", ["spool = ", "\x00", "spool = 1\nspool = 2\n"])
def test_a_file_that_is_no_toml_says_so(text: str, tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text(text)
    with pytest.raises(RequestError, match="is not TOML"):
        Settings.load(config=file, environ={})


@pytest.mark.parametrize("value", ["x", "host:", "host:70000", "host:٣", "", "a\nb:80"])
def test_a_bad_address_is_refused(value: str) -> None:
    with pytest.raises(RequestError, match="--listen"):
        Settings.load(environ={}, flags={"listen": value})


@pytest.mark.parametrize("value", ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0", ":80"])
def test_a_good_address_is_taken(value: str) -> None:
    assert Settings.load(environ={}, flags={"listen": value}).listen == value


def test_a_secret_does_not_show() -> None:
    made = Settings.load(environ={"EGRESS_WHIP_TOKEN": TOKEN})
    assert TOKEN not in f"{made} {made!r}"
    assert made.whip_token is not None
    assert made.whip_token.reveal() == TOKEN


def test_the_table_has_a_row_for_every_setting() -> None:
    assert [row[0] for row in settings.table()] == list(settings.NAMES)
    assert all(default and about for _, _, default, about in settings.table())


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("1", True), (" No ", False), ("false", False)])
def test_yes_and_no_are_said_in_the_usual_words(said: str, meant: bool) -> None:
    assert Settings.load(environ={"EGRESS_PRIVATE_AVATARS": said}).private_avatars is meant


def test_what_is_neither_yes_nor_no_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    for said in ('"maybe"', "2", "[]"):
        file.write_text(f"private_avatars = {said}\n")
        with pytest.raises(RequestError, match="private_avatars: must be yes or no"):
            Settings.load(config=file, environ={})
    file.write_text("private_avatars = true\n")
    assert Settings.load(config=file, environ={}).private_avatars is True


def test_storages_are_told_what_was_set_and_no_more() -> None:
    environ = {
        "EGRESS_S3_ENDPOINT": "https://s3.example.org/",
        "EGRESS_S3_SECRET_KEY": TOKEN,
        "EGRESS_S3_PATH_STYLE": "no",
    }
    made = Settings.load(environ=environ)
    s3 = {"endpoint": "https://s3.example.org", "secret_key": TOKEN, "path_style": "no", "part_mib": "16"}
    assert made.storage_options()["s3"] == s3
    assert made.storage_options()["gs"] == {"part_mib": "16"}, "nobody is told another's secrets"
    assert TOKEN not in repr(made)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("s3_endpoint", "s3.example.org", "like https://"),
        ("s3_endpoint", "https://host:port", "like https://"),
        ("s3_endpoint", f"https://key:{TOKEN}@s3.example.org", "without user"),
        ("s3_path_style", "maybe", "yes or no"),
        ("s3_part_mib", "0", "1 to 512"),
    ],
)
def test_what_no_store_could_be_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as refused:
        Settings.load(environ={settings.variable(name): value})
    assert TOKEN not in refused.value.message


@pytest.mark.parametrize(
    "value", ["mysql://u:kanarie-77@h/x", "kanarie-77", "sqlite:kanarie-77", "postgresql:kanarie-77"]
)
def test_an_address_of_a_database_that_is_none_is_refused_and_not_shown(value):
    with pytest.raises(RequestError, match="EGRESS_DATABASE: must be sqlite:////FOLDER/FILE") as caught:
        Settings.load(environ={"EGRESS_DATABASE": value})
    assert "kanarie" not in str(caught.value)


def test_what_opens_the_store_is_secret():
    environ = {"EGRESS_DATABASE": "postgresql://u:kanarie-77@h/x", "EGRESS_SECRET_KEY": "kanarie-77" * 4}
    made = Settings.load(environ=environ)
    assert made.database.reveal() == environ["EGRESS_DATABASE"] and "kanarie" not in repr(made)
