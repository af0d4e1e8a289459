"""`egress keys`: who may use the service, kept in its database."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

from egress.commands.common import Output, settings_of
from egress.control import keys
from egress.control.keys import Key
from egress.control.store import Store
from egress.control.values import micros, rfc3339
from egress.model.errors import RequestError
from egress.model.units import duration

DONE = 0


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments, database=arguments.database)
    store = Store.open(settings.database, settings.spool, settings.secret_key)
    try:
        {"add": _add, "list": _list, "revoke": _revoke}[arguments.action](store, arguments)
    finally:
        store.close()
    return DONE


def _add(store: Store, arguments: argparse.Namespace) -> None:
    expires = None
    if arguments.valid is not None:
        try:
            expires = micros() + duration(arguments.valid) // 1000
        except ValueError as error:
            raise RequestError(f"--for: {error}", (("for", str(error)),)) from None
    scopes = arguments.scope or ["read", "start", "stop"]
    with store.writing() as connection:
        key, secret = keys.create(connection, arguments.name, scopes, rooms=arguments.room, expires=expires)
    out = Output(sys.stdout)
    if arguments.json:
        out.write(json.dumps({**_row(key), "key": secret.reveal()}) + "\n")
    else:
        out.write(f"{secret.reveal()}\n")
        Output(sys.stderr).write(f"egress: key {key.id} of {key.name}; this is the only time it is shown\n")
    out.flush()


def _list(store: Store, arguments: argparse.Namespace) -> None:
    with store.reading() as connection:
        found = keys.all_keys(connection)
    out = Output(sys.stdout)
    for key in found:
        if arguments.json:
            out.write(json.dumps(_row(key)) + "\n")
            continue
        state = "revoked" if key.revoked else "over" if key.expires and key.expires <= micros() else "valid"
        rooms = ", ".join(key.rooms) or "every room"
        out.write(f"{key.id}  {key.prefix}…  {state:<8} {', '.join(key.scopes)}  {rooms}  {key.name}\n")
    out.flush()


def _revoke(store: Store, arguments: argparse.Namespace) -> None:
    with store.writing() as connection:
        key = keys.revoke(connection, arguments.id)
    at = datetime.fromtimestamp((key.revoked or 0) / 1e6, UTC)
    Output(sys.stderr).write(f"egress: key {key.id} of {key.name} is revoked since {at:%Y-%m-%d %H:%M} UTC\n")


def _row(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "rooms": list(key.rooms),
        "created": rfc3339(key.created),
        "expires": rfc3339(key.expires) if key.expires else None,
        "revoked": rfc3339(key.revoked) if key.revoked else None,
    }
