"""WHIP at the service's front door: who may publish, rooms that open because somebody comes, workers that know us."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from egress.control.lives import Live
from egress.control.service import GUEST, Service
from egress.model.errors import EgressError, Forbidden, RequestError
from egress.rooms import sdp
from egress.web import answers
from egress.web.auth import Gate
from egress.web.ingest import Ingest, refusal
from egress.web.live import sent_on


class Publishing(Ingest):
    """Passes WHIP requests on to the worker that holds the room; a POST to a room where no job runs may start one.

    Who publishes into a room that another server holds is sent on to it.
    """

    def __init__(self, service: Service, gate: Gate) -> None:
        super().__init__(self._whip)
        self._service = service
        self._gate = gate

    async def endpoint(self, request: Request) -> Response:
        """`/whip/{room}`: POST publishes, OPTIONS answers a browser's preflight."""
        room = request.path_params["room"]
        if request.method == "OPTIONS":
            return self.preflight()
        try:
            # Before anybody is let in: the token may be one that only the job's own server knows.
            if self._live(room) is None and (holder := await self._service.holder(room)) is not None:
                return sent_on(holder, request)
            await self._admit(request, room)
            if self._whip(room) is None:
                if (refused := await self._unfit(request)) is not None:
                    return refused
                await self._service.open_room(room, _role(request) or GUEST)
        except EgressError as error:
            return _refused(error)
        return await super().endpoint(request)

    async def resource(self, request: Request) -> Response:
        """`/whip/{room}/{resource}`: as for `Ingest`, by those who may publish."""
        if request.method == "OPTIONS":
            return self.preflight()
        room = request.path_params["room"]
        try:
            if self._live(room) is None and (holder := await self._service.holder(room)) is not None:
                return sent_on(holder, request)
            await self._admit(request, room)
        except EgressError as error:
            return _refused(error)
        return await super().resource(request)

    def passed_in(self, request: Request) -> dict[str, str]:
        """Headers a worker gets to see: the token it wants, whatever let the publisher in."""
        headers = super().passed_in(request)
        headers.pop("authorization", None)
        live = self._live(request.path_params["room"])
        if live is not None and live.token is not None:
            headers["authorization"] = f"Bearer {live.token.reveal()}"
        return headers

    def asked_in(self, request: Request) -> tuple[tuple[str, str], ...]:
        """The query, with the role of a token that was made for one."""
        others = tuple(pair for pair in super().asked_in(request) if pair[0] != "role")
        role = _role(request)
        return (*others, ("role", role)) if role else others

    async def _unfit(self, request: Request) -> Response | None:
        """The refusal of an offer that no worker would take: nothing is started for it."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/sdp":
            message = f"the offer must come as application/sdp, not {kind[:60] or 'without a Content-Type'}"
            return refusal(415, message, {"Accept-Post": "application/sdp"})
        body = await self.received(request)
        if isinstance(body, Response):
            return body
        try:
            sdp.read(body.decode())
        except UnicodeDecodeError:
            return refusal(400, "the offer is not UTF-8 text")
        except RequestError as error:
            return refusal(400, error.message)
        return None

    async def _admit(self, request: Request, room: str) -> None:
        live = self._live(room)
        address = live.room if live is not None else f"local:{quote(room, safe='')}"
        role = await self._gate.publisher(request, address, live.token if live is not None else None)
        said = request.query_params.get("role", "").strip()
        if role is not None and said and said.lower() != role.lower():
            wrong = f"this token is for the role {role[:100]}; leave ?role= out, or bring another token"
            raise Forbidden(wrong, (("role", "is not the token's"),))
        request.state.role = role if role is not None else said

    def _live(self, room: str) -> Live | None:
        live = self._service.live(room)
        return live if live is not None and not live.over else None

    def _whip(self, room: str) -> str | None:
        live = self._live(room)
        return live.whip if live is not None else None


def _role(request: Request) -> str:
    """The role of who publishes, once they were let in: that of their token, else what they say; "" without one."""
    role: str = request.state.role
    return role


def _refused(error: EgressError) -> Response:
    answer = answers.of_error(error)
    kept = {name: answer.headers[name] for name in ("retry-after", "www-authenticate") if name in answer.headers}
    message = error.message if answer.status_code < 500 or answer.status_code == 503 else "the room cannot be opened"
    return refusal(answer.status_code, message, kept)
