"""The reference of the API for docs/api.md, made from its OpenAPI description: calls, bodies, and what answers hold."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from egress.web.api import openapi
from egress.web.api.call import PREFIX
from egress.web.service import NOUNS

_REF = "#/components/schemas/"
_NOUNS = {
    "jobs": "Jobs",
    "events": "Events",
    "artifacts": "Artifacts",
    "pipelines": "Pipelines",
    "templates": "Templates",
    "schedules": "Schedules",
    "webhooks": "Webhooks",
    "access": "Keys and tokens",
    "server": "The server",
}
_NAMES = {"{id}": "$ID", "{name}": "$NAME", "{delivery}": "$DELIVERY", "{path}": "$PATH_IN_IT"}
_SHOWN = (
    *("JobRequest", "Destination", "Overrides", "JobView", "DestinationView", "Links", "Answer"),
    *("EventView", "ArtifactView", "UrlView", "PipelineItem", "PipelineView", "CheckView", "CheckProblem"),
    *("TemplateDoc", "EndRule", "TemplateView", "ScheduleDoc", "When", "ScheduleView", "OccurrenceView"),
    *(
        "WebhookDoc",
        "WebhookView",
        "DeliveryView",
        "KeyDoc",
        "KeyView",
        "TokenDoc",
        "TokenView",
        "ServerView",
        "Error",
        "Detail",
    ),
)
"""Schemas with a table of their own; the others are lists of them, commands, or parts of pipelines."""


def description() -> dict[str, Any]:
    """The OpenAPI document, without a service behind it."""
    app = FastAPI(openapi_url=None)
    for noun in NOUNS:
        app.include_router(noun)
    return openapi.document(app, NOUNS)


def endpoints() -> str:
    """Every call, noun by noun: what it does, the scope it needs, how curl makes it, and what it answers."""
    paths = description()["paths"]
    calls = [(method, path, said) for path, methods in paths.items() for method, said in methods.items()]
    assert {said["tags"][0] for _, _, said in calls} == set(_NOUNS)
    parts = []
    for noun, title in _NOUNS.items():
        mine = [call for call in calls if call[2]["tags"] == [noun]]
        rows = "\n".join(_row(*call) for call in mine)
        lines = "\n".join(_curl(*call) for call in mine)
        table = f"| call | scope | answers | what it does |\n| --- | --- | --- | --- |\n{rows}"
        parts.append(f"### {title}\n\n{table}\n\n```sh\n{lines}\n```")
    return "\n\n".join(parts)


def bodies() -> str:
    """What is sent and what is answered, a table each."""
    schemas = description()["components"]["schemas"]
    return "\n\n".join(_table(name, schemas[name]) for name in _SHOWN)


def _row(method: str, path: str, said: Mapping[str, Any]) -> str:
    scope = said["security"][0]["key"][0]
    about = said["description"].partition("\n\nScope:")[0].partition("\n")[0]
    query = [one["name"] for one in said.get("parameters", ()) if one["in"] == "query"]
    if query:
        about += " Query: " + ", ".join(f"`{name}`" for name in query) + "."
    where = path.removeprefix(PREFIX)
    return f"| `{method.upper()} {where}` | {scope} | {_answers(said)} | {about} |"


def _answers(said: Mapping[str, Any]) -> str:
    found = []
    for status, response in said["responses"].items():
        if int(status) >= 300:
            continue
        kinds = [_kind(kind, content) for kind, content in (response.get("content") or {}).items()]
        found.append(" ".join([status, " or ".join(filter(None, kinds))]).strip())
    return ", ".join(found)


def _kind(kind: str, content: Mapping[str, Any]) -> str:
    name = _name(content["schema"])
    if name:
        return name
    return {"*/*": "the file", "application/json": "JSON", "text/event-stream": "a stream of events"}.get(kind, kind)


def _name(schema: Mapping[str, Any]) -> str:
    """What a schema is called in the tables."""
    name = str(schema.get("$ref", "")).removeprefix(_REF)
    if name.endswith("Page"):
        return f"a page of `{name.removesuffix('Page')}View`".replace("PipelineView", "PipelineItem")
    return f"`{name}`" if name else ""


def _curl(method: str, path: str, said: Mapping[str, Any]) -> str:
    where = path
    for placeholder, variable in _NAMES.items():
        where = where.replace(placeholder, variable)
    words = ["curl", "-H", '"$AUTH"']
    if method == "delete":
        words += ["-X", "DELETE"]
    elif method == "put":
        words += ["-X", "PUT"]
    if said["operationId"] in ("follow", "follow_job"):
        words += ["-N", "-H", "'Accept: text/event-stream'"]
    content = next(iter(said.get("requestBody", {}).get("content", {}).items()), None)
    if content is not None:
        kind, body = content
        words += ["-H", f"'Content-Type: {kind}'"]
        example = body.get("example", {})
        sent = example if isinstance(example, str) else json.dumps(example)
        words += ["--data-binary" if isinstance(example, str) else "-d", _quoted(sent)]
    elif method == "post":
        words += ["-X", "POST"]
    kinds = set(said["responses"].get("200", {}).get("content", {}))
    if "*/*" in kinds:
        words += ["-L", "-OJ" if where.endswith("content") else "-O"]
    elif kinds & {"image/jpeg", "image/png"}:
        words += ["-o", "picture"]
    return " ".join([*words, f'"$SERVER{where}"'])


def _quoted(text: str) -> str:
    if "\n" in text:
        return "@pipeline.yaml"
    return shlex.quote(text)


def _table(name: str, schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for field, said in schema["properties"].items():
        about = re.sub(r"\s+", " ", said.get("description", "")).replace("|", "\\|")
        must = "yes" if field in required and name.endswith(("Doc", "Request", "Destination", "When")) else ""
        rows.append(f"| `{field}` | {_type(said)} | {must} | {about} |")
    about = str(schema.get("description", "")).replace("\n", " ").strip()
    given = any(row.split("|")[3].strip() for row in rows)
    head = "| field | holds | required | what for |\n| --- | --- | --- | --- |"
    if not given:
        head = "| field | holds | what for |\n| --- | --- | --- |"
        rows = [re.sub(r"\|  \| ", "| ", row, count=1) for row in rows]
    return f"### {name}\n\n{about}\n\n{head}\n" + "\n".join(rows)


def _type(said: Mapping[str, Any]) -> str:
    choices = said.get("anyOf") or said.get("oneOf")
    if choices is not None:
        found = list(dict.fromkeys(_type(one) for one in choices))
        return " or ".join(found)
    if "$ref" in said:
        name = str(said["$ref"]).removeprefix(_REF)
        return {"Blame": "request, room, destination, us", "JobState": "a state"}.get(name, f"`{name}`")
    if "enum" in said:
        return ", ".join(str(one) for one in said["enum"])
    if "const" in said:
        return str(said["const"])
    kind = said.get("type")
    if kind == "array":
        items = said.get("items") or {}
        inner = _type(items) if items else ""
        return f"a list of {inner}" if inner and inner != "anything" else "a list"
    if kind == "string" and said.get("format") == "date-time":
        return "a time"
    words = {"string": "text", "integer": "a number", "number": "a number", "boolean": "true or false"}
    return words.get(str(kind), {"object": "an object", "null": "null"}.get(str(kind), "anything"))
