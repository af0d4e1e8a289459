"""The server over HTTP: what it is, and how much it can carry."""

from __future__ import annotations

import shutil
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from egress import __version__
from egress.control import servers
from egress.control.servers import Server
from egress.control.values import rfc3339
from egress.model import registry
from egress.web.answers import Json
from egress.web.api import views
from egress.web.api.call import Call, call
from egress.web.api.routes import Routes

routes = Routes("server")


@routes.on("GET /server", "read", views.ServerView)
async def get_server(request: Request) -> Response:
    """This server: its version, what it can carry, and those that share its database."""
    asked = call(request)
    service = asked.service
    alive = await service.store.read(servers.alive)
    room = service.capacity
    return Json(
        {
            "version": __version__,
            "name": service.server.name,
            "id": service.server.id,
            "started": rfc3339(service.server.started),
            "draining": service.draining,
            "capacity": {"total": room.total / 1000, "used": room.used / 1000, "free": room.free / 1000},
            "disk": await service.store.run(lambda: _disk(asked)),
            "rooms": registry.names("connectors"),
            "programs": await service.store.run(lambda: {"ffmpeg": shutil.which(service.settings.ffmpeg) is not None}),
            "publishing": {"token": service.settings.whip_token is not None or not await asked.gate.is_open()},
            "playback": {"token": service.settings.playback_secret is not None},
            "open": await asked.gate.is_open(),
            "servers": [_seen(one) for one in alive],
        }
    )


def _disk(asked: Call) -> dict[str, int]:
    place = asked.service.root
    while not place.exists() and place != place.parent:
        place = place.parent
    usage = shutil.disk_usage(place)
    return {"total": usage.total, "free": usage.free}


def _seen(server: Server) -> dict[str, Any]:
    return {
        "id": server.id,
        "name": server.name,
        "url": server.url,
        "draining": server.draining,
        "capacity": server.capacity_milli / 1000,
    }
