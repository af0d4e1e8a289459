"""`egress serve`: the service, until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from sqlalchemy import Connection

from egress import logs
from egress.commands.common import DEFAULT_LISTEN, Output, address, settings_of
from egress.control import job_lists, templates
from egress.control.first_template import NAME as STUDIO
from egress.control.service import Service
from egress.model.media import SECOND
from egress.model.settings import Settings
from egress.web.auth import is_local
from egress.web.server import WebServer, address_had, settle
from egress.web.service import create_service_app

IMPATIENCE = 0.5
"""Seconds between two Ctrl-C that count as two: a terminal and a wrapper around us may both pass on one."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    own = {name: getattr(arguments, name) for name in ("database", "listen", "advertise")}
    settings = settings_of(arguments, **own)
    logs.configure(settings.log_level, "json" if arguments.json else settings.log_format)
    with asyncio.Runner() as runner:
        return runner.run(_Serving(arguments, settings).run())


class _Serving:
    """One run of the service and what signals mean to it."""

    def __init__(self, arguments: argparse.Namespace, settings: Settings) -> None:
        self._arguments = arguments
        self._settings = settings
        self._host, self._port = address(settings.listen) or DEFAULT_LISTEN
        self._ending = asyncio.Event()
        self._leaving = asyncio.Event()
        self._interrupted_at = float("-inf")
        self._stopping = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)
        local = is_local(f"{self._host}:{self._port}")
        host = f"[{self._host}]" if ":" in self._host else self._host
        # Before the service begins: it takes up jobs at once, and they would be left again.
        with address_had(self._host, self._port) as listener:
            url = f"http://{host}:{listener.getsockname()[1]}"
            async with Service.open(self._settings, self._arguments.to, url=url, exposed=not local) as service:
                app = create_service_app(service, scheduler=service.scheduler)
                async with WebServer(app, host=self._host, port=self._port, listener=listener) as web:
                    await self._greet(service, web.url, local=local)
                    settle()
                    await self._ending.wait()
                    await self._end(service)
        return 0

    def _signalled(self, number: int) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._interrupted_at < IMPATIENCE:
            return
        self._interrupted_at = now
        if self._ending.is_set():
            self._leaving.set()
        self._stopping = self._stopping or number == signal.SIGINT
        self._ending.set()

    async def _end(self, service: Service) -> None:
        """Have jobs end, or wait until they have; a second signal leaves them running."""
        running = len(service.supervisor.followers)
        if running:
            within = self._settings.drain // SECOND
            what = "stopping" if self._stopping else f"waiting up to {within} s for"
            self._say(f"{what} {running} job{'s' * (running > 1)}; once more ends at once and leaves them running")
        work = service.stop_all("the service was stopped") if self._stopping else self._drain(service)
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self._leaving.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if left := len(service.supervisor.followers):
            self._say(f"{left} job{'s go' if left > 1 else ' goes'} on; the next egress serve takes them up")

    async def _drain(self, service: Service) -> None:
        await service.drain(self._settings.drain / SECOND)

    async def _greet(self, service: Service, url: str, *, local: bool) -> None:
        if self._arguments.json:
            out = Output(sys.stdout)
            out.write(json.dumps({"type": "listening", "url": url, "server": service.server.id}) + "\n")
            out.flush()
            return
        self._say(f"{url}/  recordings go to {service.root}")
        if await service.store.read(_is_fresh):
            self._say(f"go live: open {url}/publish/{STUDIO} and allow the camera; watch at {url}/live/{STUDIO}/")
        if local:
            self._say("only this machine reaches it; docs/service.md says how to let others in")

    def _say(self, text: str) -> None:
        out = Output(sys.stderr)
        out.write(f"egress: {text}\n")
        out.flush()


def _is_fresh(connection: Connection) -> bool:
    """Whether nothing was done here yet, and the template is there with which anybody may begin."""
    known = (template.name for template in templates.page(connection).items)
    return STUDIO in known and not job_lists.page(connection, limit=1).items
