"""The description of the API as OpenAPI 3.1: every route with all its answers, errors too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from egress import __version__
from egress.model import control
from egress.web.api import views
from egress.web.api.routes import Gives, Routes, Said

_REF = "#/components/schemas/{model}"
_ABOUT = """Record and stream live WebRTC rooms.

Bring `Authorization: Bearer` and an API key or a token. Every route says which scope it needs: `read`, `start`, `stop`
or `admin`, which holds the others. A key or token may be for some rooms only; jobs in others do not exist for it.
Lists come in pages: `next` of one is the `cursor` of the following one. Every error is an `Error`."""

_REFUSALS = {
    400: "Something in the request is wrong: `details` says which fields, and how to mend them.",
    401: "There is no key or token with the request, or none that is valid.",
    403: "The key or token may not do this, or not in this room.",
    404: "There is no such thing, or not for this caller.",
    409: "It cannot be done as things stand.",
    413: "The body is too long.",
    415: "The body is of a type that is not read here.",
    416: "The file has no such range.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    500: "Egress failed; its log says why.",
    502: "Somebody else's server failed: the room's, or a destination.",
    503: "There is no room for this just now: too many jobs, or the server is about to end.",
}


def document(app: FastAPI, nouns: Iterable[Routes]) -> dict[str, Any]:
    """The whole description."""
    said = {name: one for routes in nouns for name, one in routes.said.items()}
    made: dict[str, Any] = get_openapi(
        title="Egress", version=__version__, description=_ABOUT, routes=app.routes, servers=[{"url": "/"}]
    )
    models = {model for one in said.values() for model in _models(one)} | {views.Error}
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation") for model in sorted(models, key=lambda model: model.__name__)
    ]
    names, schemas = models_json_schema(wanted, ref_template=_REF)
    reference = {model: names[model, "validation"] for model, _ in wanted}
    for command in control.COMMANDS.values():
        # Their own routes say which command it is.
        for name in control.Command.model_fields:
            schemas["$defs"].get(command.__name__, {}).get("properties", {}).pop(name, None)
    made["components"] = {
        "schemas": schemas["$defs"],
        "responses": {str(status): _refusal(status, about, reference) for status, about in _REFUSALS.items()},
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of POST /tokens."}
        },
    }
    for path in made["paths"].values():
        for operation in path.values():
            _complete(operation, said[operation["operationId"]], reference)
    return made


def _models(said: Said) -> Iterable[type[BaseModel]]:
    for given in (*said.gives.values(), tuple(said.takes.values())):
        yield from (model for model in given if isinstance(model, type))


def _complete(operation: dict[str, Any], said: Said, reference: dict[type[BaseModel], dict[str, Any]]) -> None:
    operation["security"] = [{"key": [said.scope]}]
    operation["description"] = f"{operation.get('description', '')}\n\nScope: `{said.scope}`.".lstrip()
    responses: dict[str, Any] = {}
    for status, gives in said.gives.items():
        shown = {"example": said.shows} if said.shows is not None else {}
        content = {kind: {**schema, **shown} for kind, schema in (_body(one, reference) for one in gives) if kind}
        responses[str(status)] = {
            "description": _SUCCESS.get(status, "Done."),
            **({"content": content} if content else {}),
        }
    responses |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in said.refuses}
    operation["responses"] = responses
    if said.takes:
        shown = {"example": said.example} if said.example is not None else {}
        content = {kind: {**_body(model or "text/plain", reference)[1], **shown} for kind, model in said.takes.items()}
        operation["requestBody"] = {"content": content, "required": not said.optional}


_SUCCESS = {
    200: "Done.",
    201: "Made.",
    202: "Begun.",
    204: "Done; there is nothing to say.",
    206: "Part of it.",
    304: "What you have is still right.",
    307: "It is elsewhere.",
}


def _body(gives: Gives, reference: dict[type[BaseModel], dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    if gives is None:
        return "", {}
    if not isinstance(gives, str):
        return "application/json", {"schema": reference[gives]}
    return gives, {"schema": {"type": "object"} if gives.endswith("json") else {"type": "string"}}


def _refusal(status: int, about: str, reference: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": about,
        "content": {"application/json": {"schema": reference[views.Error]}},
    }
    if status in (429, 503):
        made["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    return made
