"""`egress schedule`: jobs of a running service that start by the clock."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from egress.client import Client, part
from egress.commands.common import Output, settings_of

DONE = 0


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments, server=arguments.server)
    with Client(settings.server, settings.api_key) as client:
        _ACTIONS[arguments.action](client, arguments)
    return DONE


def _add(client: Client, arguments: argparse.Namespace) -> None:
    when = {name: value for name in ("at", "every", "cron") if (value := getattr(arguments, name)) is not None}
    job = {"room": arguments.room, "pipeline": arguments.pipeline}
    document: dict[str, Any] = {
        "name": arguments.name,
        "when": {**when, "timezone": arguments.timezone},
        "job": {name: value for name, value in job.items() if value is not None},
    }
    for name in ("duration", "lead", "misfire", "overlap"):
        if (value := getattr(arguments, name)) is not None:
            document[name] = value
    _tell(arguments, client.call("POST", "schedules", document))


def _list(client: Client, arguments: argparse.Namespace) -> None:
    for one in client.pages("schedules"):
        _tell(arguments, one)


def _show(client: Client, arguments: argparse.Namespace) -> None:
    one = client.call("GET", f"schedules/{part(arguments.id)}")
    _tell(arguments, one)
    for fired in client.call("GET", f"schedules/{part(arguments.id)}/occurrences")["items"]:
        line = f"  {fired['fire_at']}  {fired['state']}  {fired.get('job') or ''}  {fired.get('note') or ''}"
        _write(json.dumps(fired) if arguments.json else line.rstrip())


def _act(client: Client, arguments: argparse.Namespace) -> None:
    answer = client.call("POST", f"schedules/{part(arguments.id)}/{arguments.action}")
    _write(json.dumps(answer) if arguments.json else f"{arguments.id}: {arguments.action}")


def _remove(client: Client, arguments: argparse.Namespace) -> None:
    client.call("DELETE", f"schedules/{part(arguments.id)}")
    _write(json.dumps({"id": arguments.id}) if arguments.json else f"{arguments.id}: removed")


def _tell(arguments: argparse.Namespace, one: dict[str, Any]) -> None:
    if arguments.json:
        _write(json.dumps(one, ensure_ascii=False))
        return
    when = one["when"]
    said = next(str(when[name]) for name in ("at", "every", "cron") if when.get(name) is not None)
    coming = (one.get("next") or ["never again"])[0]
    paused = "  paused" if one["paused"] else ""
    _write(f"{one['id']}  {one['name']}  {said} {when['timezone']}  next {coming}  {one['job']['room']}{paused}")


def _write(line: str) -> None:
    out = Output(sys.stdout)
    out.write(line + "\n")
    out.flush()


_ACTIONS = {
    "add": _add,
    "list": _list,
    "show": _show,
    "pause": _act,
    "resume": _act,
    "run": _act,
    "remove": _remove,
}
