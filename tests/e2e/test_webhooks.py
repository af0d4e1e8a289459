"""Webhooks over deaths of the service: each event arrives, under its one id, whenever it is killed."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

import pytest

from egress.control import deliveries, events, hooks
from egress.control.hooks import Address
from egress.control.signing import new_secret, verify_standard
from egress.control.store import Store
from egress.model.secrets import Secret
from tests.e2e.test_service import serve

pytestmark = pytest.mark.beside

RECEIVER = """
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open(sys.argv[1], "a") as log:
            log.write(json.dumps([{k.lower(): v for k, v in self.headers.items()}, body.decode()]) + "\\n")
        time.sleep(0.05)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
"""Writes down what it is told, then answers: so it may have been told what its sender never learns."""

EVENTS = 240
DEATHS = 4


async def test_no_webhook_is_lost_or_sent_under_another_id_when_the_service_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "told.jsonl"
    receiver = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECEIVER, str(log), stdout=asyncio.subprocess.PIPE
    )
    assert receiver.stdout is not None
    port = int(await receiver.stdout.readline())
    secret = new_secret()
    (tmp_path / "spool").mkdir()
    store = Store.open(None, tmp_path / "spool")
    try:
        with store.writing() as connection:
            address = Address(Secret(f"http://127.0.0.1:{port}/hook"), (Secret(secret),))
            hooks.create(connection, store.sealer, address, events=("test.*",))
        happened: list[str] = []

        async def happen() -> None:
            for number in range(EVENTS):
                event = await store.write(events.append, "test.thing", {"number": number})
                happened.append(event.id)
                await asyncio.sleep(0.02)

        happening = asyncio.create_task(happen())
        chance = random.Random(7)
        for _ in range(DEATHS):
            async with serve(tmp_path, webhook_private="true") as served:
                enough = len(told(log)) + chance.randint(1, 30)
                async with asyncio.timeout(30):
                    while len(told(log)) < enough:
                        await asyncio.sleep(0.01)
                await served.killed()
        await happening
        async with serve(tmp_path, webhook_private="true"), asyncio.timeout(60):
            while (await store.read(deliveries.counts)) != {"delivered": EVENTS}:
                await asyncio.sleep(0.1)
    finally:
        receiver.kill()
        await receiver.wait()
        store.close()
    arrived: dict[str, int] = {}
    for headers, body in told(log):
        id_ = verify_standard([secret], headers, body.encode())
        assert arrived.setdefault(id_, json.loads(body)["data"]["number"]) == happened.index(id_)
    assert set(arrived) == set(happened) and len(happened) == EVENTS


def told(log: Path) -> list[tuple[dict[str, str], str]]:
    """What the receiver was told so far."""
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    return [(headers, body) for headers, body in map(json.loads, lines)]
