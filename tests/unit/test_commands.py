import io
import time

import pytest

from egress.cli import BAD_INPUT, main
from egress.commands.common import Output, address, addresses, clock, open_to_strangers, unknown_variables
from egress.control.tokens import Tokens
from egress.model.errors import RequestError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        (":9000", ("127.0.0.1", 9000)),
        ("", None),
        (None, None),
    ],
)
def test_listening_addresses(text, found):
    assert address(text) == found


@pytest.mark.parametrize("text", ["abc", "host:", "host:99999", "8080"])
def test_a_wrong_listening_address_shows_a_right_one(text):
    with pytest.raises(RequestError, match=r"127\.0\.0\.1:8080"):
        address(text)


def test_stream_addresses_come_from_files_and_standard_input(tmp_path, monkeypatch):
    (tmp_path / "keys").write_text("rtmp://a/live/one\n\n  rtmp://b/live/two  \n")
    monkeypatch.setattr("sys.stdin", io.StringIO("rtmp://c/live/three\n"))
    found = addresses(["rtmp://d/live/four", f"@{tmp_path / 'keys'}", "@-"])
    assert found == ("rtmp://d/live/four", "rtmp://a/live/one", "rtmp://b/live/two", "rtmp://c/live/three")


def test_a_missing_address_file_is_named(tmp_path):
    with pytest.raises(RequestError, match="nothing-here"):
        addresses([f"@{tmp_path / 'nothing-here'}"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["record", "zoom:x"], "local:"),
        (["record", "local:x", "--pipeline", "nope"], "record-grid"),
        (["record", "local:x", "--listen", "here"], "HOST:PORT"),
        (["record", "local:x", "--seconds", "-1"], "--seconds"),
        (["demo", "--participants", "0"], "1 to 49"),
        (["demo", "--layout", "gird"], "grid"),
        (["recover", "no-such-folder"], "no-such-folder"),
        (["check", "no-such-file.yaml"], "no-such-file.yaml"),
    ],
)
def test_bad_input_is_refused_in_words_before_anything_starts(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EGRESS_SPOOL", str(tmp_path / "spool"))
    assert main(words) == BAD_INPUT
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_check_says_what_a_good_pipeline_makes(tmp_path, capsys):
    path = tmp_path / "good.yaml"
    path.write_text("name: good\nsinks:\n  - {kind: mp4, to: a.mp4}\n")
    assert main(["check", str(path)]) == 0
    assert "mp4" in capsys.readouterr().out


def test_check_lists_every_problem(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\nvideo: {fps: 0, size: 1281x0}\nsinks:\n  - {kind: mp4, to: ../a.mp4, colour: red}\n")
    assert main(["check", str(path)]) == BAD_INPUT
    said = capsys.readouterr().err
    for field in ("video.fps", "video.size", "sinks[0].to", "sinks[0].colour"):
        assert field in said


class Gone(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError

    def fileno(self):
        raise OSError


def test_a_job_goes_on_when_nobody_reads_what_it_says():
    out = Output(Gone())
    out.write("first")
    out.write("second")
    out.flush()


def test_a_mistyped_setting_is_told_of():
    environ = {"EGRESS_WHIP_TOKN": "x", "EGRESS_SPOOL": "y", "HOME": "z"}
    assert unknown_variables(environ) == ("EGRESS_WHIP_TOKN",)


def test_an_open_address_without_a_token_is_told_of():
    assert open_to_strangers(("0.0.0.0", 1), None)
    assert not open_to_strangers(("0.0.0.0", 1), "token")
    assert not open_to_strangers(("127.0.0.1", 1), None)
    assert not open_to_strangers(None, None)


def test_a_playback_token_lets_its_bearer_watch_one_stream(monkeypatch, capsys):
    monkeypatch.setenv("EGRESS_PLAYBACK_SECRET", f"{'n' * 32},{'o' * 32}")
    assert main(["token", "playback", "standup", "--for", "10m"]) == 0
    token = capsys.readouterr().out.strip()
    until = Tokens([b"n" * 32]).playback(token, "standup")
    assert until is not None and 590 < until - time.time() < 610
    assert Tokens([b"n" * 32]).playback(token, "other") is None
    assert Tokens([b"o" * 32]).playback(token, "standup") is None


@pytest.mark.parametrize(
    ("secret", "words", "says"), [("", [], "PLAYBACK_SECRET"), ("n" * 32, ["--for", "soon"], "--for")]
)
def test_no_token_is_made_without_a_secret_or_a_time(monkeypatch, capsys, secret, words, says):
    monkeypatch.setenv("EGRESS_PLAYBACK_SECRET", secret)
    assert main(["token", "playback", "standup", *words]) == BAD_INPUT
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("at", "zone", "read"),
    [
        ("2026-03-03T01:30:00.000000Z", "UTC", "Tue 2026-03-03 01:30:00 UTC"),
        ("2026-03-03T01:30:00.000000Z", "Europe/Berlin", "Tue 2026-03-03 02:30:00 CET"),
        ("2026-12-24T18:00", "Europe/Berlin", "Thu 2026-12-24 18:00:00 CET"),
        ("2026-12-24T18:00+00:00", "Europe/Berlin", "Thu 2026-12-24 19:00:00 CET"),
        (None, "UTC", ""),
    ],
)
def test_times_are_those_of_a_zone_to_the_second(at, zone, read):
    assert clock(at, zone) == read
