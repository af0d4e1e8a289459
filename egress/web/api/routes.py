"""Routes of the API that say all of themselves: the scope they need, bodies in and out, and what they refuse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.requests import Request

from egress.control.sealing import Sealer
from egress.model.request import Scope
from egress.web.api.call import PREFIX, Call
from egress.web.api.links import BEARER, MARK, is_valid
from egress.web.auth import Gate

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Any]])
Gives = type[BaseModel] | str | None
"""The model of a body of JSON, another body's media type, or no body."""

ALWAYS = (400, 401, 403, 429, 500, 503)
"""Errors any route may answer with."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a route says of itself, beside its parameters and its docstring. `refuses` are statuses of errors."""

    scope: Scope
    gives: Mapping[int, tuple[Gives, ...]]
    takes: Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    optional: bool = False
    example: Any = None
    shows: Any = None
    refuses: tuple[int, ...] = ()


class Routes(APIRouter):
    """The routes of one noun."""

    def __init__(self, noun: str) -> None:
        super().__init__(prefix=PREFIX, tags=[noun])
        self.said: dict[str, Said] = {}

    def on(
        self,
        what: str,
        scope: Scope,
        gives: Gives | tuple[Gives, ...] = None,
        *,
        status: int = 200,
        also: Mapping[int, Gives] | None = None,
        takes: type[BaseModel] | Mapping[str, type[BaseModel] | None] | None = None,
        optional: bool = False,
        example: Any = None,
        shows: Any = None,
        refuses: tuple[int, ...] = (),
        moves: bool = False,
        linked: bool = False,
        head: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """A decorator: `what` is like `GET /jobs/{id}`; `example` of the body in, `shows` of the answer.

        It `moves` where the answer may lead elsewhere (307); `linked` routes take a link in the place of a key, and
        `head` ones answer HEAD. Answers are not checked against their models: the tests do that.
        """
        method, _, path = what.partition(" ")
        bodies = {} if takes is None else takes if isinstance(takes, Mapping) else {"application/json": takes}
        given = gives if isinstance(gives, tuple) else (gives,)
        refused = tuple(sorted({*ALWAYS, *refuses, *((413, 415) if bodies else ())}))
        answers = {status: given} | {number: (other,) for number, other in (also or {}).items()}
        if moves:
            answers[307] = (None,)
        said = Said(scope, answers, bodies, optional, example, shows, refused)

        def keep(endpoint: Endpoint) -> Endpoint:
            name = endpoint.__name__
            self.said[name] = said
            for verb in (method, "HEAD") if head else (method,):
                self.add_api_route(
                    path,
                    endpoint,
                    methods=[verb],
                    dependencies=[Depends(needs(scope, linked=linked))],
                    response_model=None,
                    status_code=status,
                    operation_id=name,
                    include_in_schema=verb == method,
                )
            return endpoint

        return keep


def needs(scope: Scope, *, linked: bool = False) -> Callable[[Request], Awaitable[None]]:
    """A dependency of routes: who asks is known, and has the scope; or brings a link to the artifact it is about."""

    async def admitted(request: Request) -> None:
        gate: Gate = request.app.state.gate
        by_link = linked and _by_link(request, gate.service.store.sealer)
        caller = BEARER if by_link else await gate.admit(request, scope)
        request.state.call = Call(gate.service, caller, gate)

    return admitted


def _by_link(request: Request, sealer: Sealer) -> bool:
    token = request.query_params.get("token")
    path = str(request.path_params.get("path", ""))
    if path.startswith(MARK):
        token = path[len(MARK) :].partition("/")[0]
    return token is not None and is_valid(sealer, str(request.path_params["id"]), token)
