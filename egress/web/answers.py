"""Answers of the API: JSON, and every error as {code, message, details, blame} with the status it has in HTTP."""

from __future__ import annotations

import json
import logging
import math
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from egress.model import errors
from egress.model.errors import Blame, EgressError, RequestError
from egress.model.problems import path_text, shown

_TEXT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_UNCACHED = {"Cache-Control": "no-store"}
_RETRY = "2"
"""Seconds to wait before asking again what there was no room for."""

_log = logging.getLogger(__name__)

KINDS: tuple[tuple[type[EgressError], int, str], ...] = (
    (errors.Unauthorized, 401, "unauthorized"),
    (errors.Forbidden, 403, "forbidden"),
    (errors.NotFound, 404, "not_found"),
    (errors.Conflict, 409, "conflict"),
    (errors.TooMany, 429, "too_many"),
    (errors.RequestError, 400, "bad_request"),
    (errors.Draining, 503, "draining"),
    (errors.NoCapacity, 503, "no_capacity"),
    (errors.RoomRefused, 502, "room_refused"),
    (errors.RoomError, 502, "room_unreachable"),
    (errors.DestinationError, 502, "destination"),
)
"""What each error is over HTTP, the narrower ones first; any other is a fault of ours."""

STATUSES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    416: "bad_request",
    429: "too_many",
    502: "destination",
    503: "no_capacity",
}
"""The code of an answer that HTTP itself gives."""

CODES = tuple(sorted({code for _, _, code in KINDS} | set(STATUSES.values()) | {"fault"}))


class TooLarge(RequestError):
    """The body is longer than is taken here."""


class Unsupported(RequestError):
    """The body is of a type that is not read here."""


_KINDS: tuple[tuple[type[EgressError], int, str], ...] = (
    (TooLarge, 413, "too_large"),
    (Unsupported, 415, "unsupported_media_type"),
    *KINDS,
)


class Json(Response):
    """An answer of JSON: of bytes that are JSON already, or of plain data."""

    media_type = "application/json"

    def __init__(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, {**_UNCACHED, **(headers or {})})

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return content if isinstance(content, bytes) else _TEXT.encode(content).encode()


def refusal(
    status: int,
    code: str,
    message: str,
    problems: Iterable[tuple[str, str]] = (),
    *,
    blame: Blame = Blame.REQUEST,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """An error as every client reads it."""
    details = [{"field": field, "message": text} for field, text in problems]
    body = {"code": code, "message": message, "details": details, "blame": blame.value}
    return Json(body, status, headers)


def of_error(error: EgressError) -> Json:
    """The answer an error of ours is; of a fault it shows nothing but where to look for it."""
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            problems = error.problems if isinstance(error, RequestError) else ()
            message = error.message.partition("\n")[0] if problems else error.message
            return refusal(status, code, message, problems, blame=error.blame, headers=_headers(error))
    return of_fault(error)


def of_fault(error: BaseException) -> Json:
    """The answer to a failure of ours: an id to find it in the log by, and nothing of what is inside."""
    number = structlog.contextvars.get_contextvars().get("request") or secrets.token_hex(6)
    _log.error("fault %s", number, exc_info=error)
    message = f"Egress failed at this; its log says why under {number}"
    return refusal(500, "fault", message, blame=Blame.US)


def of_http(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Json:
    """The answer to what no route takes: an unknown path, another method."""
    code = STATUSES.get(status, "bad_request" if status < 500 else "fault")
    blame = Blame.REQUEST if status < 500 else Blame.US
    return refusal(status, code, detail, blame=blame, headers=headers)


async def on_error(request: Request, error: Exception) -> Response:
    """Handler of our own errors."""
    return of_error(error) if isinstance(error, EgressError) else of_fault(error)


async def on_http(request: Request, error: Exception) -> Response:
    """Handler of what the framework refuses."""
    if not isinstance(error, HTTPException):
        return of_fault(error)
    texts = {404: f"there is nothing at {request.url.path[:200]}", 405: f"{request.method} is not for this address"}
    return of_http(error.status_code, texts.get(error.status_code, str(error.detail)), error.headers)


async def on_parameters(request: Request, error: Exception) -> Response:
    """Handler of parameters in paths and queries that are not as documented."""
    if not isinstance(error, RequestValidationError):
        return of_fault(error)
    problems = tuple(dict.fromkeys(_parameter(detail) for detail in error.errors()))
    return refusal(400, "bad_request", "; ".join(f"{field}: {text}" for field, text in problems), problems)


def _parameter(detail: Mapping[str, Any]) -> tuple[str, str]:
    field = path_text(detail["loc"][1:]) or str(detail["loc"][0])
    if detail["type"] == "missing":
        return field, "is required"
    said = str(detail["msg"]).removeprefix("Value error, ")
    _, should, rule = said.partition(" should ")
    return field, f"{shown(detail.get('input'))} should {rule}" if should else said


def _headers(error: EgressError) -> dict[str, str]:
    if isinstance(error, errors.Unauthorized):
        return {"WWW-Authenticate": 'Bearer realm="egress"'}
    if isinstance(error, errors.TooMany):
        return {"Retry-After": str(max(1, math.ceil(error.after)))}
    if isinstance(error, errors.NoCapacity | errors.RoomUnreachable):
        return {"Retry-After": _RETRY}
    return {}
