from datetime import UTC, datetime
from pathlib import Path

import pytest

from egress.model.control import Pin
from egress.model.errors import RequestError
from egress.model.media import MILLISECOND, SECOND
from egress.preview.script import STARTED, Act, Join, load, read

GOOD = """\
room: Weekly planning
started: 2026-03-01T09:30:00+01:00
participants: 2
timeline:
  - {at: 3s, do: leave, who: ada}
  - {at: 0s, do: join, who: zoe, name: Zoë, role: agent, camera: no, muted: yes}
  - {at: 1500ms, do: command, command: {command: pin, peers: zoe}}
"""


def problems(text: str) -> dict[str, str]:
    with pytest.raises(RequestError) as caught:
        read(text, "script.yaml")
    return dict(caught.value.problems)


def test_a_script_is_read_in_order_of_time():
    script = read(GOOD, "script.yaml", Path("here"))
    assert [moment.at for moment in script.moments] == [0, 1500 * MILLISECOND, 3 * SECOND]
    join, pin, leave = (moment.step for moment in script.moments)
    assert isinstance(join, Join)
    assert (join.who, join.name, join.role, join.camera, join.muted) == ("zoe", "Zoë", "agent", False, True)
    assert isinstance(pin, Pin)
    assert pin.peers == ("zoe",)
    assert isinstance(leave, Act)
    assert (script.room, script.participants, script.folder) == ("Weekly planning", 2, Path("here"))
    assert script.started == datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def test_moments_know_where_they_stand_in_the_text():
    by_time = read(GOOD, "script.yaml").moments
    assert [(moment.path, moment.line) for moment in by_time] == [
        ("timeline[1]", 6),
        ("timeline[2]", 7),
        ("timeline[0]", 5),
    ]


def test_steps_of_one_time_keep_their_order():
    script = read("timeline:\n" + "".join(f"  - {{at: 1s, do: join, who: p{n}}}\n" for n in range(9)), "x")
    assert [moment.step.who for moment in script.moments] == [f"p{n}" for n in range(9)]


def test_a_script_may_only_set_the_scene():
    script = read("room: quiet\n", "x")
    assert (script.moments, script.participants, script.started) == ((), None, STARTED)


def test_a_command_without_fields_may_be_a_word():
    assert read("timeline: [{at: 0s, do: command, command: pause}]", "x").moments[0].step.command == "pause"


@pytest.mark.parametrize(
    ("step", "field", "says"),
    [
        ("{at: 2, do: leave, who: ada}", "timeline[0].at", "2s"),
        ("{do: leave, who: ada}", "timeline[0].at", "like 2s"),
        ("{at: 2h, do: leave, who: ada}", "timeline[0].at", "within an hour"),
        ("{at: 2s, who: ada}", "timeline[0].do", "camera-off"),
        ("{at: 2s, do: leaf, who: ada}", "timeline[0].do", "did you mean 'leave'"),
        ("{at: 2s, do: [leave], who: ada}", "timeline[0].do", "unknown step"),
        ("{at: 2s, do: leave}", "timeline[0].who", "id of a peer"),
        ("{at: 2s, do: leave, who: 7}", "timeline[0].who", "quotes"),
        ("{at: 2s, do: leave, who: ''}", "timeline[0].who", "empty"),
        ("{at: 2s, do: leave, who: ada, nmae: x}", "timeline[0].nmae", "unknown key"),
        ("{at: 2s, do: join, who: ada, camera: maybe}", "timeline[0].camera", "true or false"),
        ("{at: 2s, do: command, command: {command: pin}}", "timeline[0].command.peers", "required"),
        ("{at: 2s, do: command, command: paws}", "timeline[0].command.command", "did you mean 'pause'"),
        ("{at: 2s, do: command, command: 7}", "timeline[0].command", "command of live control"),
        ("{at: 2s, do: command}", "timeline[0].command", "required"),
        ("leave", "timeline[0]", "must be a step"),
    ],
)
def test_a_wrong_step_is_named_with_its_line_and_the_fix(step, field, says):
    found = problems(f"room: x\ntimeline:\n  - {step}\n")
    assert says in found[field]
    assert "(line 3)" in found[field]


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("timeline: 7", "timeline", "list of steps"),
        ("participants: 99", "participants", "0 to 64"),
        ("started: soon", "started", "2026-01-31T17:45:00Z"),
        ("started: 9999-12-31T23:59:59Z", "started", "1970 to 2199"),
        ("started: 0001-01-01T00:00:00+05:00", "started", "1970 to 2199"),
        ("steps: []", "steps", "timeline"),
        ("room: ''", "room", "empty"),
    ],
)
def test_a_wrong_head_is_named(text, field, says):
    assert says in problems(text)[field]


def test_all_problems_are_told_at_once():
    text = "rooom: x\ntimeline:\n  - {at: 1, do: leaf}\n  - {at: 1, do: mute, whom: ada}\n"
    fields = ("timeline[0].do", "timeline[0].at", "timeline[1].at", "timeline[1].who", "timeline[1].whom")
    assert set(problems(text)) == {"rooom", *fields}


@pytest.mark.parametrize("text", ["", "- a\n- b", "timeline: [", "a: 1\na: 2", "\xff"])
def test_what_is_no_document_is_refused_in_words(text):
    assert problems(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"nothing\.yaml"):
        load(tmp_path / "nothing.yaml")


def test_a_file_is_read_with_its_folder(tmp_path):
    (tmp_path / "script.yaml").write_text(GOOD)
    assert load(tmp_path / "script.yaml").folder == tmp_path
