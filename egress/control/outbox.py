"""The outbox at work: takes what webhooks are to be told, signs and sends it, and tries again over a day."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx
import jwt
from sqlalchemy import Connection

from egress.control import deliveries, hooks
from egress.control.deliveries import Delivery
from egress.control.hooks import Address, Webhook
from egress.control.store import Store
from egress.control.telling import message, signed
from egress.control.values import Micros, micros, since_epoch
from egress.model.errors import EgressError, Fault, NotFound
from egress.model.internet import Judge, public
from egress.pinned import PORTS, Pinned, PinnedError, Resolve, pinned_request

SECOND = 1_000_000
RETRIES = tuple(seconds * SECOND for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400))
"""Microseconds from one try to the next; after the last one a delivery is given up, a good day after the first."""

WITHIN = 15.0
CONNECT_WITHIN = 5.0
AT_ONCE = 32
"""Deliveries on their way."""
EACH = 4
"""Of them to one webhook, so that a slow receiver holds up nobody else's."""
LEASE: Micros = 120 * SECOND
LOOK_EVERY = 5.0
"""Seconds between two looks for what other servers wrote."""
LONGEST_WAIT = 24 * 3600 * SECOND
_JITTER = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try: the `status` of HTTP if there was one, what went wrong, how long to wait at least."""

    status: int | None
    error: str = ""
    after: Micros = 0

    @property
    def good(self) -> bool:
        """Whether it arrived."""
        return self.status is not None and 200 <= self.status < 300


class Outbox:
    """Sends deliveries of one server; several servers share the work. Order is not kept: receivers have ids and times.

    When a webhook does not take one delivery, the others for it wait for that one's next try: a receiver in trouble is
    not flooded, and holds up no other's.
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        *,
        judge: Judge = public,
        resolve: Resolve | None = None,
        now: Callable[[], Micros] = micros,
    ) -> None:
        self.sent = 0
        self.failed = 0
        self._store = store
        self._owner = owner
        self._now = now
        self._pinned = Pinned(judge, resolve, hint="; the setting webhook_private allows private ones")
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._awake = asyncio.Event()
        self._trust: ssl.SSLContext | None = None

    async def run(self) -> None:
        """Send what is due, for ever; when it is cancelled, what is on its way is sent again by whoever comes next."""
        # What we claimed and never settled was on its way when we died.
        await self._store.write(deliveries.release, self._owner, now=self._now())
        deaf = self._store.listen(self._awake.set)
        try:
            while True:
                try:
                    wait = await self.turn()
                except EgressError as error:
                    _log.warning("webhooks wait: %s", error.message)
                    wait = LOOK_EVERY
                self._awake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._awake.wait()
        finally:
            deaf()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def turn(self) -> float:
        """Begin to send what is due, as far as there is room; seconds until there may be more."""
        room = AT_ONCE - len(self._tasks)
        due = await self._store.read(deliveries.next_due)
        if room > 0 and due is not None and due <= self._now():
            for delivery in await self._store.write(
                deliveries.claim, self._owner, now=self._now(), lease=LEASE, most=room
            ):
                if self._busy[delivery.webhook] >= EACH:
                    await self._store.write(self._put_off, delivery)
                    continue
                self._begin(delivery)
            due = await self._store.read(deliveries.next_due)
        return LOOK_EVERY if due is None else min(LOOK_EVERY, max(0.05, (due - self._now()) / SECOND))

    async def settled(self) -> None:
        """Wait for what is on its way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, delivery: Delivery) -> None:
        self._busy[delivery.webhook] += 1
        task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.webhook}")
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._busy[delivery.webhook] -= 1
            if not task.cancelled() and (error := task.exception()) is not None:
                # Its lease ends, and it is tried again.
                _log.error("a webhook could not be told", exc_info=error)
            self._awake.set()

        task.add_done_callback(ended)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            webhook, address = await self._store.read(self._receiver, delivery.webhook)
        except NotFound:
            return
        except Fault as error:
            # What is sealed with another key, or the database: a day of tries says it in the log of deliveries.
            await self._store.write(self._failed, delivery, Answer(None, error.message))
            return
        body = message(delivery, webhook.mode)
        if body is None or not webhook.enabled:
            why = "the webhook was disabled" if body is not None else "LiveKit has no word for it"
            await self._store.write(
                deliveries.given_up, delivery.id, self._owner, error=why, status=None, state="dropped"
            )
            return
        answer = await self._post(delivery, webhook, address, body)
        if answer.good:
            self.sent += 1
            await self._store.write(
                deliveries.delivered, delivery.id, self._owner, status=answer.status or 0, now=self._now()
            )
        else:
            self.failed += 1
            await self._store.write(self._failed, delivery, answer)

    def _receiver(self, connection: Connection, webhook: str) -> tuple[Webhook, Address]:
        return hooks.get(connection, webhook), hooks.address(connection, self._store.sealer, webhook)

    def _failed(self, connection: Connection, delivery: Delivery, answer: Answer) -> None:
        """Try again later, or give up; the webhook's others wait meanwhile."""
        if answer.status == 410:
            deliveries.given_up(
                connection, delivery.id, self._owner, error="it is gone for good (410)", status=410, state="dropped"
            )
            hooks.change(connection, self._store.sealer, delivery.webhook, enabled=False)
            return
        if delivery.attempts >= len(RETRIES):
            deliveries.given_up(connection, delivery.id, self._owner, error=answer.error, status=answer.status)
            return
        wait = RETRIES[delivery.attempts] * (1 + random.uniform(-_JITTER, _JITTER))
        at = self._now() + min(LONGEST_WAIT, max(round(wait), answer.after))
        deliveries.again(connection, delivery.id, self._owner, next_at=at, error=answer.error, status=answer.status)
        deliveries.put_off_others(connection, delivery.webhook, min(at, self._now() + RETRIES[1]))

    def _put_off(self, connection: Connection, delivery: Delivery) -> None:
        """Leave all that waits for a busy webhook for a second: a long queue must not be gone through each time."""
        until = self._now() + SECOND
        deliveries.put_off(connection, delivery.id, self._owner, until)
        deliveries.put_off_others(connection, delivery.webhook, until)

    async def _post(self, delivery: Delivery, webhook: Webhook, address: Address, body: bytes) -> Answer:
        try:
            headers = signed(delivery, address, webhook.mode, body, self._now() // SECOND)
            url = httpx.URL(address.url.reveal())
            if url.scheme not in PORTS or not url.host:
                return Answer(None, "its address is none of http or https")
            async with asyncio.timeout(WITHIN):
                return await self._ask(url, headers, body)
        except PinnedError as error:
            return Answer(None, error.message)
        except TimeoutError:
            return Answer(None, f"no answer within {WITHIN:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, jwt.PyJWTError) as error:
            # Their words may hold the address, and an address may hold a secret.
            return Answer(None, f"it could not be reached: {type(error).__name__}")

    async def _ask(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> Answer:
        """One POST to the first address that can be connected to; redirects are not followed."""
        addresses = (await self._pinned.addresses(url))[:3]
        if self._trust is None:
            self._trust = await asyncio.to_thread(httpx.create_ssl_context)
        alone = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        for number, where in enumerate(addresses, 1):
            request = pinned_request(
                "POST", url, where, headers=headers, content=body, connect=CONNECT_WITHIN, within=WITHIN
            )
            async with httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False, limits=alone) as transport:
                try:
                    response = await transport.handle_async_request(request)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if number == len(addresses):
                        raise
                    continue
                try:
                    return _judged(response, self._now())
                finally:
                    await response.aclose()
        raise PinnedError(f"{url.host} has no address")


def _judged(response: httpx.Response, now: Micros) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer(status)
    where = " and sends elsewhere, which is not followed" if 300 <= status < 400 else ""
    return Answer(status, f"it answers {status}{where}", _after(response.headers.get("retry-after", ""), now))


def _after(said: str, now: Micros) -> Micros:
    """How long Retry-After asks to wait: seconds or a date (RFC 9110, 10.2.3); 0 for what is neither."""
    if said.isdecimal() and said.isascii():
        return int(said[:8]) * SECOND
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return 0
    return max(0, since_epoch(at) - now) if at.tzinfo is not None else 0
