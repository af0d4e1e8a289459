"""`egress webhooks`: whom a running service tells what happens, and what became of each telling."""

from __future__ import annotations

import argparse
from typing import Any

from egress.client import Client, part
from egress.commands.common import clock, document_of, say, settings_of

DONE = 0


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments, server=arguments.server)
    with Client(settings.server, settings.api_key) as client:
        _ACTIONS[arguments.action](client, arguments)
    return DONE


def _list(client: Client, arguments: argparse.Namespace) -> None:
    for one in client.pages("webhooks"):
        say(arguments, one, _line(one))


def _show(client: Client, arguments: argparse.Namespace) -> None:
    one = client.call("GET", _path(arguments))
    say(arguments, one, _line(one))


def _add(client: Client, arguments: argparse.Namespace) -> None:
    made = client.call("POST", "webhooks", document_of(arguments.file))
    say(arguments, made, _line(made))
    if made.get("secret") and not arguments.json:
        say(arguments, {}, f"  secret {made['secret']}  (this is the only time it is shown)")


def _put(client: Client, arguments: argparse.Namespace) -> None:
    kept = client.call("PUT", _path(arguments), document_of(arguments.file))
    say(arguments, kept, _line(kept))


def _delete(client: Client, arguments: argparse.Namespace) -> None:
    client.call("DELETE", _path(arguments))
    say(arguments, {"id": arguments.id}, f"{arguments.id}: deleted")


def _test(client: Client, arguments: argparse.Namespace) -> None:
    sent = client.call("POST", f"{_path(arguments)}/test")
    say(arguments, sent, _delivery(sent))


def _deliveries(client: Client, arguments: argparse.Namespace) -> None:
    shown = client.pages(f"{_path(arguments)}/deliveries", state=arguments.state, limit=min(arguments.limit, 200))
    for _, one in zip(range(arguments.limit), shown, strict=False):
        say(arguments, one, _delivery(one))


def _replay(client: Client, arguments: argparse.Namespace) -> None:
    again = client.call("POST", f"{_path(arguments)}/deliveries/{part(arguments.delivery)}/replay")
    say(arguments, again, _delivery(again))


def _path(arguments: argparse.Namespace) -> str:
    return f"webhooks/{part(arguments.id)}"


def _line(one: dict[str, Any]) -> str:
    off = "" if one["enabled"] else "  off"
    mode = "" if one["mode"] == "standard" else f"  {one['mode']}"
    return "  ".join((one["id"], one["url"], ", ".join(one["events"]) + mode + off, one["note"])).rstrip()


def _delivery(one: dict[str, Any]) -> str:
    tried = f"{one['attempts']} {'try' if one['attempts'] == 1 else 'tries'}"
    answered = f"answered {one['status']}" if one.get("status") else ""
    coming = f"next {clock(one['next_at'])}" if one.get("next_at") else ""
    about = (
        one["id"],
        clock(one["created"]),
        one["state"],
        one["type"],
        one.get("job"),
        tried,
        answered,
        one["error"],
        coming,
    )
    return "  ".join(str(word) for word in about if word)


_ACTIONS = {
    "list": _list,
    "show": _show,
    "add": _add,
    "put": _put,
    "delete": _delete,
    "test": _test,
    "deliveries": _deliveries,
    "replay": _replay,
}
