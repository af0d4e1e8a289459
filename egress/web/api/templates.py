"""Templates over HTTP: what is done about rooms without anybody asking."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from egress.control import templates
from egress.control.templates import KeptTemplate
from egress.control.values import rfc3339
from egress.model.errors import RequestError
from egress.model.template import TemplateDoc, read_template
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Cursor, Limit, Name, Version, body, call, everywhere
from egress.web.api.routes import Routes

routes = Routes("templates")

_EXAMPLE = {
    "name": "team-meetings",
    "rooms": ["team-*"],
    "server": "local:{room}",
    "pipelines": ["record-grid"],
    "start": "role:host",
    "stop": {"empty_for": "1m", "max": "2h"},
}


@routes.on("GET /templates", "read", views.TemplatePage)
async def list_templates(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Templates by name."""
    page = await call(request).service.store.read(templates.page, limit=limit, after=cursor)
    return Json({"items": [_seen(one) for one in page.items], "next": page.next})


@routes.on("GET /templates/{name}", "read", views.TemplateView, refuses=(404,))
async def get_template(request: Request, name: Name) -> Response:
    """One template, without its secrets."""
    return Json(_seen(await call(request).service.store.read(templates.get, name)))


@routes.on("PUT /templates/{name}", "admin", views.TemplateView, also={201: views.TemplateView}, takes=TemplateDoc,
           example=_EXAMPLE, refuses=(404, 409))  # fmt: skip
async def put_template(request: Request, name: Name, version: Version = None) -> Response:
    """Keep a template under its name, in place of the one that has it."""
    asked = call(request)
    everywhere(asked)
    data = await body(request)
    doc = read_template({"name": name, **data} if isinstance(data, dict) else data)
    if doc.name != name:
        what = f"is {doc.name!r} in the body and {name[:63]!r} in the address; say the same in both"
        raise RequestError(f"name: {what}", (("name", what),))
    store = asked.service.store
    kept, is_first = await store.write(templates.put, store.sealer, doc, version=version)
    return Json(_seen(kept), 201 if is_first else 200)


@routes.on("DELETE /templates/{name}", "admin", status=204, refuses=(404,))
async def delete_template(request: Request, name: Name) -> Response:
    """Forget a template; its jobs go on."""
    asked = call(request)
    everywhere(asked)
    await asked.service.store.write(templates.remove, name)
    return Response(status_code=204)


def _seen(kept: KeptTemplate) -> dict[str, Any]:
    return {
        "name": kept.name,
        "document": kept.document,
        "version": kept.version,
        "created": rfc3339(kept.created),
        "updated": rfc3339(kept.updated),
    }
