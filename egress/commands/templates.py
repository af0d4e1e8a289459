"""`egress templates`: what a running service does about rooms without anybody asking."""

from __future__ import annotations

import argparse
from typing import Any

from egress.client import Client, part
from egress.commands.common import document_of, say, settings_of
from egress.model.errors import RequestError

DONE = 0


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments, server=arguments.server)
    with Client(settings.server, settings.api_key) as client:
        _ACTIONS[arguments.action](client, arguments)
    return DONE


def _list(client: Client, arguments: argparse.Namespace) -> None:
    for one in client.pages("templates"):
        say(arguments, one, _line(one))


def _show(client: Client, arguments: argparse.Namespace) -> None:
    one = client.call("GET", f"templates/{part(arguments.name)}")
    say(arguments, one, _line(one))
    if not arguments.json:
        for name, value in one["document"].items():
            if name != "name" and (said := _value(value)):
                say(arguments, {}, f"  {name:<12} {said}")


def _put(client: Client, arguments: argparse.Namespace) -> None:
    document = document_of(arguments.file)
    name = arguments.name or document.get("name")
    if not isinstance(name, str) or not name:
        missing = "is in no field of the file; write it there, or say --name NAME"
        raise RequestError(f"name {missing}", (("name", missing),))
    path = f"templates/{part(name)}"
    kept = client.call("PUT", path, {**document, "name": name}, version=arguments.version)
    say(arguments, kept, _line(kept))


def _delete(client: Client, arguments: argparse.Namespace) -> None:
    client.call("DELETE", f"templates/{part(arguments.name)}")
    say(arguments, {"name": arguments.name}, f"{arguments.name}: deleted")


def _line(one: dict[str, Any]) -> str:
    document = one["document"]
    off = "" if document.get("enabled", True) else "  off"
    made = ", ".join(document["pipelines"])
    rooms = ", ".join(document["rooms"])
    about = f"start: {document['start']}  {rooms} in {document['server']}  {made}"
    return f"{one['name']}  {about}  version {one['version']}{off}"


def _value(value: Any) -> str:
    """A value as people read it; "" where it says nothing."""
    if isinstance(value, dict):
        said = {name: _value(one) for name, one in value.items()}
        return ", ".join(f"{name}: {one}" for name, one in said.items() if one)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value)
    return "" if value is None else str(value)


_ACTIONS = {"list": _list, "show": _show, "put": _put, "delete": _delete}
