"""`egress schedule`: jobs of a running service that start by the clock."""

from __future__ import annotations

import argparse
from typing import Any

from egress.client import Client, part
from egress.commands.common import clock, say, settings_of

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
        at = clock(fired["fire_at"], one["when"]["timezone"])
        say(arguments, fired, f"  {at}  {fired['state']}  {fired.get('job') or ''}  {fired.get('note') or ''}".rstrip())


def _rest(client: Client, arguments: argparse.Namespace) -> None:
    _tell(arguments, client.call("POST", f"schedules/{part(arguments.id)}/{arguments.action}"))


def _start(client: Client, arguments: argparse.Namespace) -> None:
    job = client.call("POST", f"schedules/{part(arguments.id)}/run")
    say(arguments, job, f"{job['id']}  {job['state']}")


def _remove(client: Client, arguments: argparse.Namespace) -> None:
    client.call("DELETE", f"schedules/{part(arguments.id)}")
    say(arguments, {"id": arguments.id}, f"{arguments.id}: removed")


def _tell(arguments: argparse.Namespace, one: dict[str, Any]) -> None:
    zone = one["when"]["timezone"]
    coming = "paused" if one["paused"] else f"next {clock((one.get('next') or [None])[0], zone) or 'never again'}"
    say(arguments, one, "  ".join((one["id"], one["name"], _when(one["when"]), coming, one["job"]["room"])))


def _when(when: dict[str, Any]) -> str:
    if when.get("at") is not None:
        return f"at {clock(when['at'], when['timezone'])}"
    if when.get("every") is not None:
        return f"every {when['every']}"
    return f"cron {when['cron']} {when['timezone']}"


_ACTIONS = {
    "add": _add,
    "list": _list,
    "show": _show,
    "pause": _rest,
    "resume": _rest,
    "run": _start,
    "remove": _remove,
}
