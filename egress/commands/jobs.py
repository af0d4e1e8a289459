"""`egress jobs`: jobs of a running service, started, watched, changed and stopped from a command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from egress.client import OVER, Client, part
from egress.commands.common import Output, addresses, clock, say, settings_of
from egress.model.errors import RequestError
from egress.progress import Progress

DONE, FAILED = 0, 1


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments, server=arguments.server)
    with Client(settings.server, settings.api_key) as client:
        return int(_ACTIONS[arguments.action](client, arguments))


def _start(client: Client, arguments: argparse.Namespace) -> int:
    request: dict[str, Any] = {"room": arguments.room}
    for name in ("pipeline", "template", "duration"):
        if (value := getattr(arguments, name)) is not None:
            request[name] = value
    if streams := addresses(arguments.rtmp):
        request["destinations"] = list(streams)
    overrides = {name: value for name in ("layout", "title") if (value := getattr(arguments, name)) is not None}
    if overrides:
        request["overrides"] = overrides
    job = client.call("POST", "jobs", request)
    say(arguments, job, f"{job['id']}  {job['state']}")
    return _watched(client, job["id"], arguments) if arguments.watch else DONE


def _list(client: Client, arguments: argparse.Namespace) -> int:
    shown = client.pages("jobs", state=arguments.state, room=arguments.room, limit=min(arguments.limit, 200))
    for _, job in zip(range(arguments.limit), shown, strict=False):
        length = _length(job["duration"])
        say(arguments, job, f"{job['id']}  {job['state']:<10} {length:>8}  {job['pipeline']}  {job['room']}")
    return DONE


def _show(client: Client, arguments: argparse.Namespace) -> int:
    job = client.call("GET", f"jobs/{part(arguments.id)}")
    made = client.call("GET", f"jobs/{part(arguments.id)}/artifacts")["items"]
    if arguments.json:
        say(arguments, {**job, "artifacts": made}, "")
        return DONE
    rows = [(name, job.get(name)) for name in ("id", "room", "pipeline", "state", "reason")]
    rows += [(name, clock(job.get(name))) for name in ("created", "ended")]
    for name, value in [*rows, ("length", _length(job["duration"])), ("attempts", job["attempts"])]:
        if value not in (None, ""):
            say(arguments, {}, f"{name:<10} {value}")
    for one in made:
        say(arguments, {}, f"{one['kind']:<10} {one['location']}")
    return DONE


def _stop(client: Client, arguments: argparse.Namespace) -> int:
    job = client.call("POST", f"jobs/{part(arguments.id)}/stop", {"reason": arguments.reason})
    state = job["state"] if job["state"] in OVER else "stopping"
    follow = "" if arguments.watch or job["state"] in OVER else f"  (follow it: egress jobs watch {job['id']})"
    say(arguments, job, f"{job['id']}  {state}{follow}")
    return _watched(client, job["id"], arguments) if arguments.watch else DONE


def _say(client: Client, arguments: argparse.Namespace) -> int:
    """Any command to a running job: its name, or JSON, or a file with JSON for what others must not read."""
    text = _given(arguments.command)
    try:
        command = json.loads(text)
    except ValueError:
        command = {"command": text}
    answer = client.call("POST", f"jobs/{part(arguments.id)}/commands", command)
    say(arguments, answer, str(answer.get("message", "done")))
    return DONE


def _given(text: str) -> str:
    """What an argument says; `@FILE`, or `@-` for standard input, stands for what is in there."""
    if not text.startswith("@"):
        return text
    try:
        return (sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not text"
        what = f"{text}: {why}; name a file that holds one command as JSON"
        raise RequestError(what, (("command", what),)) from None


def _delete(client: Client, arguments: argparse.Namespace) -> int:
    client.call("DELETE", f"jobs/{part(arguments.id)}", artifacts="true" if arguments.artifacts else None)
    say(arguments, {"id": arguments.id}, f"{arguments.id}: deleted")
    return DONE


def _watch(client: Client, arguments: argparse.Namespace) -> int:
    return _watched(client, arguments.id, arguments)


def _logs(client: Client, arguments: argparse.Namespace) -> int:
    out = Output(sys.stdout)
    out.write(client.call("GET", f"jobs/{part(arguments.id)}/log", raw=True, tail=arguments.tail))
    out.flush()
    return DONE


def _watched(client: Client, job: str, arguments: argparse.Namespace) -> int:
    """Show what happens until the job is over; its end is the exit status."""
    show = Progress(Output(sys.stderr))
    state: dict[str, Any] = {}
    away = False
    for kind, data in client.follow(job):
        if arguments.json:
            say(arguments, {"kind": kind, **data}, "")
        elif kind == "figures":
            show({"type": "alive", **(data.get("figures") or {})})
        elif kind == "event":
            show(_seen(data))
        elif kind == "job" and data["state"] != state.get("state") and data["state"] not in OVER:
            show({"type": "job", "state": data["state"]})
        elif kind == "away" and not away:
            show({"type": "warning", "message": f"{data['reason']}; the job goes on meanwhile"})
        away = kind == "away"
        state = data if kind == "job" else state
    if not arguments.json:
        show({"type": "ended"})
        say(arguments, {}, f"{state['state']}: {state['reason']}")
        for one in client.call("GET", f"jobs/{part(job)}/artifacts")["items"]:
            say(arguments, {}, f"  {one['kind']}  {one['location']}")
    return DONE if state["state"] == "finished" else FAILED


def _seen(event: dict[str, Any]) -> dict[str, Any]:
    """An event of the service in the words of a worker, as progress is shown of."""
    if event["type"] == "job.recovering":
        return {"type": "restart", "reason": event["body"].get("reason") or "without a word"}
    return {**event["body"], "type": str(event["type"]).partition(".")[0]}


def _length(seconds: float | None) -> str:
    whole = round(seconds or 0)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


_ACTIONS = {
    "start": _start,
    "list": _list,
    "show": _show,
    "stop": _stop,
    "watch": _watch,
    "logs": _logs,
    "say": _say,
    "delete": _delete,
}
