"""The service's API as another program calls it: requests, pages, and the stream of events; errors in its own words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx

from egress.model.errors import Blame, Conflict, EgressError, Forbidden, NotFound, RequestError, Unauthorized
from egress.model.secrets import Secret

WITHIN = 60.0
"""Seconds an answer may take: a start asks stores and rooms first."""

SILENCE = 50.0
"""Seconds after which a stream is given up: one that lives says so every 15."""

AWAY = 120.0
"""Seconds a service may be away from those who follow a job."""

AGAIN = 1.0

OVER = ("finished", "failed", "aborted")
"""States a job stays in."""

_ERRORS: Mapping[int, type[RequestError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict}


class ServiceError(EgressError):
    """The service failed, or cannot be reached."""

    def __init__(self, message: str, blame: Blame = Blame.US) -> None:
        super().__init__(message)
        self.blame = blame


class Client:
    """One service. Raises RequestError (with the fields that are wrong) when it refuses, ServiceError when it fails."""

    def __init__(self, server: str, key: Secret | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        self._server = server
        headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        base = f"{server.rstrip('/')}/api/v1/"
        self._http = httpx.Client(base_url=base, headers=headers, timeout=WITHIN, transport=transport, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, *, raw: bool = False, **query: Any) -> Any:
        """What the service answers, as plain data; `raw` is for text. Queries that are None are left out."""
        asked = {name: value for name, value in query.items() if value is not None}
        try:
            response = self._http.request(method, path, json=body, params=asked)
        except httpx.HTTPError as error:
            raise self._unreached(error) from None
        if response.is_error:
            raise _refusal(response.status_code, response.text)
        if raw:
            return response.text
        return response.json() if response.content else None

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        cursor = None
        while True:
            page = self.call("GET", path, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def follow(self, job: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind, data) of what happens to a job until it is over: first and last the job itself (`job`), between them
        `figures`, `event`s, and `away` with its `reason` whenever the service is not there.

        Jobs outlive their service, so it is waited for; raises ServiceError once it has been away for AWAY seconds,
        RequestError when it refuses.
        """
        path, last = f"jobs/{part(job)}", ""
        heard = time.monotonic()
        while True:
            try:
                for told in self._told(f"{path}/events", last):
                    heard = time.monotonic()
                    last = told.id or last
                    # A stream begins with a word of its own and tells what follows; the end may have come before.
                    kind, data = (told.kind, told.data) if told.data is not None else ("job", self.call("GET", path))
                    over = kind == "job" and data["state"] in OVER
                    if over:
                        # How a job is may be told before the events that made it so.
                        yield from (("event", event) for event in self._events_since(f"{path}/events", last))
                    yield kind, data
                    if over:
                        return
                why: EgressError = ServiceError("it ended the stream")
            except ServiceError as error:
                why = error
            if time.monotonic() - heard > AWAY:
                raise why
            yield "away", {"reason": why.message}
            time.sleep(AGAIN)

    def _events_since(self, path: str, last: str) -> Iterator[dict[str, Any]]:
        """Events after the one of the number `last`."""
        since: str | None = last
        while since:
            page = self.call("GET", path, since=since)
            yield from page["items"]
            since = page["next"]

    def _told(self, path: str, last: str) -> Iterator[_Told]:
        """What a stream of events says, after the one with the id `last`, until it ends."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        try:
            with self._http.stream(
                "GET", path, headers=headers, timeout=httpx.Timeout(WITHIN, read=SILENCE)
            ) as response:
                if response.is_error:
                    raise _refusal(response.status_code, response.read().decode(errors="replace"))
                yield from _events(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._unreached(error) from None

    def _unreached(self, error: httpx.HTTPError) -> ServiceError:
        why = str(error) or type(error).__name__
        mend = "is egress serve running there, and is that its address? (--server, EGRESS_SERVER)"
        return ServiceError(f"{self._server} cannot be reached ({why}); {mend}", Blame.REQUEST)


def part(text: str) -> str:
    """A name or id as one part of a path."""
    return quote(text, safe="")


@dataclass(frozen=True, slots=True)
class _Told:
    """One message of a stream of server-sent events; `data` is None where it holds nothing but words to the client."""

    id: str
    kind: str
    data: dict[str, Any] | None


def _events(lines: Iterator[str]) -> Iterator[_Told]:
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name:
            fields.setdefault(name, []).append(value.removeprefix(" "))
        elif not line and fields:
            data = json.loads("\n".join(fields["data"])) if "data" in fields else None
            yield _Told(fields.get("id", [""])[-1], fields.get("event", ["message"])[-1], data)
            fields = {}


def _refusal(status: int, text: str) -> EgressError:
    try:
        body = json.loads(text)
        message, details = str(body["message"]), body.get("details") or []
        problems = tuple((str(one["field"]), str(one["message"])) for one in details)
        blame = Blame(body.get("blame") or "us")
    except (ValueError, KeyError, TypeError):
        return ServiceError(f"the service answers {status}: {text[:200]}")
    if status == 401:
        message += " (EGRESS_API_KEY)"
    # What is wrong with each field is for people as well, where the message does not say it already.
    message += "".join(f"\n  {field}: {what}" for field, what in problems if field and what not in message)
    if status < 500:
        return _ERRORS.get(status, RequestError)(message, problems)
    return ServiceError(message, blame)
