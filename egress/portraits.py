"""Pictures of peers, fetched from the addresses they carry: strangers chose those, so nothing about them is trusted."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from egress.media.avatar import Picture, PortraitError, picture_of
from egress.model.internet import Address, Judge, public
from egress.model.media import MILLISECOND, SECOND, Nanos
from egress.pinned import Pinned, PinnedError, Resolve, pinned_request

MAX_BYTES = 2_000_000
MAX_REDIRECTS = 3
MAX_ADDRESSES = 3
"""Addresses of one name that are tried in turn, where one cannot be connected to."""
AT_ONCE = 4
WAITING = 256
"""Pictures being fetched or waited for; more are refused."""
KEPT = 64
"""Pictures and failures that are remembered; the one unused for longest goes first."""
WITHIN: Nanos = 5 * SECOND
CONNECT_WITHIN: Nanos = 1500 * MILLISECOND
FAILED_FOR: Nanos = 60 * SECOND

_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class _Known:
    """How fetching a picture ended; a failure counts until then, on the clock of the fetcher."""

    picture: Picture | None
    problem: str
    until: Nanos


@dataclass(slots=True)
class _Flight:
    """A picture on its way, and how many wait for it."""

    task: asyncio.Task[Picture]
    askers: int = 0


class Portraits:
    """Fetches pictures for one job, a few at once; all methods are called on the loop.

    A name is looked up once for each request, all its addresses are judged, and the connection goes to an address that
    was judged: what the name means a moment later does not matter. Nothing is taken from the environment but where
    certificate authorities are (SSL_CERT_FILE, SSL_CERT_DIR): no proxies; cookies are neither kept nor sent.
    """

    def __init__(
        self,
        judge: Judge = public,
        resolve: Resolve | None = None,
        within: Nanos = WITHIN,
        now: Callable[[], Nanos] = time.monotonic_ns,
    ) -> None:
        """`within` bounds one picture from its turn on: lookup, redirects, download and decoding together."""
        self._pinned = Pinned(judge, resolve, hint="; the setting private_avatars allows private ones")
        self._within = within
        self._now = now
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[Picture]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._closed = False
        self._trust: ssl.SSLContext | None = None
        # Threads of their own, lest strangers keep those busy that everything else in the process shares. One
        # decodes, so that only one large picture is in memory at a time.
        self._decoder = ThreadPoolExecutor(1, "portrait decoder")

    async def get(self, url: str) -> Picture:
        """The picture at an address, or what was found there lately; raises PortraitError saying why there is none.

        Those who ask for the same address while it is fetched share one fetch, which ends when nobody waits any more.
        """
        known = self._recall(url)
        if known is not None:
            if known.picture is None:
                raise PortraitError(known.problem)
            return known.picture
        flight = self._flights.get(url) or self._start(url)
        flight.askers += 1
        try:
            await asyncio.wait({flight.task})
        finally:
            flight.askers -= 1
            if not flight.askers:
                flight.task.cancel()
                self._land(url, flight)
        if flight.task.cancelled():
            raise PortraitError("pictures are no longer fetched: the job ends")
        return flight.task.result()

    async def close(self) -> None:
        """Fetch no more; whoever waits is told so."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._known.clear()
        self._decoder.shutdown(wait=False, cancel_futures=True)

    def _start(self, url: str) -> _Flight:
        if self._closed:
            raise PortraitError("pictures are no longer fetched: the job ends")
        if len(self._tasks) >= WAITING:
            raise PortraitError(f"more than {WAITING} pictures are waited for")
        task = asyncio.create_task(self._fetch(url), name="portrait")
        flight = self._flights[url] = _Flight(task)
        self._tasks.add(task)

        def ended(task: asyncio.Task[Picture]) -> None:
            self._tasks.discard(task)
            self._land(url, flight)
            if not task.cancelled():
                task.exception()  # Looked at: whoever asked may have gone meanwhile.

        task.add_done_callback(ended)
        return flight

    def _land(self, url: str, flight: _Flight) -> None:
        """Nobody joins this fetch any more: it is over, or about to be cancelled."""
        if self._flights.get(url) is flight:
            del self._flights[url]

    def _recall(self, url: str) -> _Known | None:
        known = self._known.get(url)
        if known is None:
            return None
        if known.picture is None and self._now() >= known.until:
            del self._known[url]
            return None
        self._known.move_to_end(url)
        return known

    async def _fetch(self, url: str) -> Picture:
        async with self._turns:
            picture, problem = None, ""
            try:
                async with asyncio.timeout(self._within / SECOND):
                    data = await self._download(_checked(url))
                    picture = await asyncio.get_running_loop().run_in_executor(self._decoder, picture_of, data)
            except PortraitError as error:
                problem = error.message
            except TimeoutError:
                problem = f"{_host(url)} took longer than {self._within / SECOND:g} s"
        self._known[url] = _Known(picture, problem, self._now() + FAILED_FOR)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        if picture is None:
            raise PortraitError(problem)
        return picture

    async def _download(self, url: httpx.URL) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            try:
                found = await self._ask(url)
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise PortraitError(f"{url.host} did not give it: {_said(error)}") from None
            if isinstance(found, bytes):
                return found
            url = found
        raise PortraitError(f"{url.host} is one redirect too many; {MAX_REDIRECTS} are followed")

    async def _ask(self, url: httpx.URL) -> bytes | httpx.URL:
        """What one address gives: the bytes of a file, or where else to look."""
        try:
            addresses = (await self._pinned.addresses(url))[:MAX_ADDRESSES]
        except PinnedError as error:
            raise PortraitError(error.message) from None
        if self._trust is None:
            loop = asyncio.get_running_loop()
            self._trust = await loop.run_in_executor(self._decoder, httpx.create_ssl_context)
        for number, address in enumerate(addresses, 1):
            # A connection of its own: a kept one might have proved another name than the one asked for now.
            alone = httpx.Limits(max_connections=1, max_keepalive_connections=0)
            async with httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False, limits=alone) as transport:
                try:
                    response = await transport.handle_async_request(_request(url, address))
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if number == len(addresses):
                        raise
                    continue
                try:
                    return await _answer(url, response)
                finally:
                    await response.aclose()
        raise PortraitError(f"{url.host} has no address")


def _checked(text: str | httpx.URL) -> httpx.URL:
    """An address that may be asked; raises PortraitError."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise PortraitError("its address cannot be read") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise PortraitError("its address is none of http or https")
    if url.port is not None and not 0 < url.port < 65536:
        raise PortraitError(f"its address at {url.host} has no possible port")
    if url.userinfo:
        raise PortraitError(f"its address at {url.host} holds a user name or password, which are not sent")
    return url.copy_with(fragment=None)


def _request(url: httpx.URL, address: Address) -> httpx.Request:
    headers = {"Accept": "image/png, image/jpeg, image/webp", "Accept-Encoding": "identity"}
    return pinned_request("GET", url, address, headers=headers, connect=CONNECT_WITHIN / SECOND)


async def _answer(url: httpx.URL, response: httpx.Response) -> bytes | httpx.URL:
    """The body of an answer, as it came, or where it sends us."""
    if response.status_code in _REDIRECTS and "location" in response.headers:
        try:
            return _checked(url.join(response.headers["location"]))
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise PortraitError(f"{url.host} redirects to what is no address") from None
    if response.status_code != 200:
        raise PortraitError(f"{url.host} answers {response.status_code}")
    large = PortraitError(f"{url.host} gives more than {MAX_BYTES // 1_000_000} MB")
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_BYTES:
        raise large
    data = bytearray()
    async for part in response.aiter_raw():
        data += part
        if len(data) > MAX_BYTES:
            raise large
    return bytes(data)


def _host(text: str) -> str:
    return _checked(text).host


def _said(error: Exception) -> str:
    """An error of the network, in its own words where it has any."""
    reason = getattr(error, "strerror", None) or str(error)
    return reason or type(error).__name__
