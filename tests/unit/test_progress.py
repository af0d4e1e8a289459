import io

from egress.control.attempts import Ending
from egress.progress import Progress, summary


class Terminal(io.StringIO):
    def isatty(self):
        return True


def alive(elapsed, **more):
    return {"type": "alive", "elapsed": elapsed, "ticks": int(elapsed * 30), "bytes": int(elapsed * 375_000), **more}


def test_on_a_terminal_one_line_is_rewritten():
    out = Terminal()
    progress = Progress(out)
    progress(alive(1.0, participants=4))
    progress(alive(2.0, participants=4, late=1, repeated=3, intake={"dropped": 3}))
    progress({"type": "ended"})
    text = out.getvalue()
    assert "\n" not in text
    assert "30.0 fps   3.00 Mbit/s  4 participants  6 dropped" in text


def test_without_a_terminal_a_line_every_few_seconds():
    out = io.StringIO()
    progress = Progress(out)
    for second in range(1, 12):
        progress(alive(float(second), participants=1))
    assert out.getvalue().splitlines() == [
        "00:00:05.0  30.0 fps   3.00 Mbit/s  1 participant  0 dropped",
        "00:00:10.0  30.0 fps   3.00 Mbit/s  1 participant  0 dropped",
    ]


def test_without_a_terminal_rates_are_those_since_the_last_line():
    out = io.StringIO()
    progress = Progress(out)
    for elapsed, ticks in ((2.0, 60), (4.9, 130), (5.0, 150)):
        progress({**alive(elapsed), "ticks": ticks})
    assert "30.0 fps" in out.getvalue()


def test_what_is_made_once_a_job_has_stopped_is_told_of_instead_of_rates():
    out = io.StringIO()
    progress = Progress(out)
    progress(alive(5.0, participants=2))
    progress({"type": "state", "state": "stopping", "reason": "enough"})
    still = {**alive(5.0), "elapsed": 10.0, "sinks": [{"sink": "mp4 a.mp4"}, {"sink": "webm a.webm", "percent": 42.3}]}
    progress(still)
    progress({**still, "elapsed": 15.0, "sinks": [{"sink": "mp4 a.mp4", "moved": 7}]})
    assert out.getvalue().splitlines()[1:] == [
        "  stopping: enough",
        "00:00:10.0  finishing webm a.webm 42 %",
        "00:00:15.0  finishing and delivering what was made",
    ]


def test_room_events_and_failures_get_a_line_of_their_own():
    out = io.StringIO()
    progress = Progress(out)
    progress({"type": "room", "event": "joined", "peer": "Ada"})
    progress({"type": "warning", "message": "Ada sends VP9"})
    progress({"type": "sink", "sink": "mp4 a.mp4", "state": "failed", "reason": "disk full"})
    progress({"type": "destination", "to": "rtmp://host/live/…abcd", "state": "failed", "reason": "refused"})
    assert out.getvalue().splitlines() == [
        "  Ada joined",
        "  warning: Ada sends VP9",
        "  mp4 a.mp4 failed: disk full",
        "  rtmp://host/live/…abcd failed: refused",
    ]


def test_commands_and_the_connection_get_a_line_of_their_own():
    out = io.StringIO()
    progress = Progress(out)
    progress({"type": "room", "event": "lost", "reason": "no answer"})
    progress({"type": "room", "event": "restored"})
    progress({"type": "control", "command": "pause", "ok": True, "message": "paused"})
    progress({"type": "control", "command": None, "ok": False, "message": "a command is not JSON"})
    progress({"type": "control", "command": "stop", "ok": True, "message": "stopping"})
    assert out.getvalue().splitlines() == [
        "  connection to the room lost: no answer",
        "  connection to the room restored",
        "  pause: paused",
        "  command: refused: a command is not JSON",
    ]


def test_the_summary_lists_what_was_made_also_by_recovery():
    row = {"kind": "mp4", "location": "/out/a.mp4", "size": 12_300_000, "duration": 75.5}
    ended = summary(Ending("finished", "asked to stop", {"artifacts": [row]}))
    assert ended.splitlines() == ["finished: asked to stop", "  mp4  00:01:15.5  12.3 MB  /out/a.mp4"]
    died = summary(Ending("failed", "the worker died", {"artifacts": [row]}))
    assert "12.3 MB" in died


def test_a_worker_that_died_is_told_of_and_figures_go_on_with_the_next_ones():
    out = Terminal()
    progress = Progress(out)
    progress(alive(60.0))
    progress({"type": "restart", "attempt": 2, "reason": "signal SIGKILL", "after": 0.0})
    progress({**alive(61.0), "ticks": 30, "bytes": 375_000})
    text = out.getvalue()
    assert "the worker died (signal SIGKILL); another one goes on\n" in text
    assert "00:01:01.0  30.0 fps   3.00 Mbit/s" in text
