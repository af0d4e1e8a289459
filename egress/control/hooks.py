"""Webhooks: whom to tell what, and the secrets that sign it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from egress.control.sealing import Sealer
from egress.control.tables import deliveries, webhooks
from egress.control.values import Micros, Page, canonical, micros, new_id, paged, read_cursor
from egress.model.errors import NotFound
from egress.model.secrets import Secret, redact_url

Mode = Literal["standard", "livekit"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver; `events` are patterns over types of events, `shown_url` is fit for everyone's eyes."""

    id: str
    shown_url: str
    events: tuple[str, ...]
    mode: Mode
    enabled: bool
    note: str
    created: Micros
    updated: Micros


@dataclass(frozen=True, slots=True)
class Address:
    """Where a webhook is sent and what signs it: the first secret is the current one, others are being replaced.

    `name` is the API key's in LiveKit's mode.
    """

    url: Secret
    secrets: tuple[Secret, ...]
    name: str = ""


_W = webhooks.c
_COLUMNS = (_W.id, _W.url, _W.events, _W.mode, _W.enabled, _W.note, _W.created, _W.updated)


def create(
    connection: Connection,
    sealer: Sealer,
    address: Address,
    *,
    events: Sequence[str] = ("*",),
    mode: Mode = "standard",
    note: str = "",
    enabled: bool = True,
    now: Micros | None = None,
) -> Webhook:
    """Keep a webhook; from this transaction on it is told."""
    id_, at = new_id("whk"), micros() if now is None else now
    values = {
        "id": id_,
        "created": at,
        "updated": at,
        **_values(sealer, id_, address, events=events, mode=mode, note=note, enabled=enabled),
    }
    connection.execute(insert(webhooks).values(**values))
    return get(connection, id_)


def change(
    connection: Connection,
    sealer: Sealer,
    id_: str,
    *,
    address: Address | None = None,
    events: Sequence[str] | None = None,
    mode: Mode | None = None,
    note: str | None = None,
    enabled: bool | None = None,
    now: Micros | None = None,
) -> Webhook:
    """Change what is said of a webhook; raises NotFound. Deliveries of one that is not enabled are dropped."""
    values = _values(sealer, id_, address, events=events, mode=mode, note=note, enabled=enabled)
    values["updated"] = micros() if now is None else now
    if not connection.execute(update(webhooks).where(_W.id == id_).values(**values)).rowcount:
        raise _missing()
    if enabled is False:
        waiting = (deliveries.c.webhook == id_, deliveries.c.state == "waiting")
        connection.execute(
            update(deliveries)
            .where(*waiting)
            .values(state="dropped", error="the webhook was disabled", lease_owner=None)
        )
    return get(connection, id_)


def get(connection: Connection, id_: str) -> Webhook:
    """One webhook; raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(_W.id == id_)).one_or_none()
    if row is None:
        raise _missing()
    return _webhook(row)


def address(connection: Connection, sealer: Sealer, id_: str) -> Address:
    """Where to send and how to sign; raises NotFound."""
    sealed = connection.execute(select(_W.sealed).where(_W.id == id_)).scalar_one_or_none()
    if sealed is None:
        raise _missing()
    kept = json.loads(sealer.open(sealed, f"webhook:{id_}").reveal())
    return Address(Secret(kept["url"]), tuple(Secret(secret) for secret in kept["secrets"]), kept["name"])


def page(connection: Connection, *, limit: int = 50, after: str | None = None) -> Page[Webhook]:
    """All webhooks, the latest first."""
    statement = select(*_COLUMNS).order_by(_W.created.desc(), _W.id.desc()).limit(limit + 1)
    if after is not None:
        statement = statement.where(tuple_(_W.created, _W.id) < read_cursor(after, int, str))
    found = [_webhook(row) for row in connection.execute(statement)]
    return paged(found, limit, lambda one: (one.created, one.id))


def remove(connection: Connection, id_: str) -> None:
    """Forget a webhook and its deliveries; raises NotFound."""
    if not connection.execute(delete(webhooks).where(_W.id == id_)).rowcount:
        raise _missing()


def _values(sealer: Sealer, id_: str, address: Address | None, **said: Any) -> dict[str, Any]:
    """Columns of what was said; None was not."""
    values = {name: value for name, value in said.items() if value is not None}
    if "events" in values:
        values["events"] = canonical(list(values["events"]))
    if "enabled" in values:
        values["enabled"] = int(values["enabled"])
    if address is not None:
        kept = {
            "url": address.url.reveal(),
            "secrets": [secret.reveal() for secret in address.secrets],
            "name": address.name,
        }
        values["url"] = redact_url(address.url.reveal())
        values["sealed"] = sealer.seal(canonical(kept), f"webhook:{id_}")
    return values


def _webhook(row: Sequence[Any]) -> Webhook:
    id_, url, events, mode, enabled, note, created, updated = row
    return Webhook(id_, url, tuple(json.loads(events)), mode, bool(enabled), note, created, updated)


def _missing() -> NotFound:
    return NotFound("there is no such webhook")
