"""The sender: one process, one connection to one RTMP server. `python -m egress.sinks.sender [PARENT]`

It reads an order and frames on stdin (see sender_feed), reports JSON lines on stdout and ends with its connection.
Reports: `live`; once a second `alive` with bytes sent; at the end `ended`, or `lost` with a code and a reason in which
neither address nor key stand. It may hang or be killed at any moment: its sink starts another. Given the process id of
its PARENT, it is killed when that ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from egress.model.address import RtmpAddress
from egress.model.errors import EgressError
from egress.model.secrets import redact
from egress.sinks import flv
from egress.sinks.rtmp_chunks import Kind
from egress.sinks.rtmp_connection import Connection
from egress.sinks.rtmp_protocol import RtmpError, Trouble
from egress.sinks.sender_feed import LINE_LIMIT, FeedError, Frame, Order, read_frame
from egress.sinks.stall import StallWatch

_BEAT = 1.0
_PR_SET_PDEATHSIG = 1

Report = Callable[[dict[str, Any]], None]


class Sender:
    """Carries out one order over one connection."""

    def __init__(self, order: Order, feed: asyncio.StreamReader, report: Report) -> None:
        self._order = order
        self._feed = feed
        self._report = report
        self._window = _window(order.tracks)
        self._connection = Connection(RtmpAddress.parse(order.url), order.limits, self._window)
        self._idle = 0.0

    @property
    def standing(self) -> dict[str, Any]:
        """Bytes sent, and seconds since the server last gave a sign of taking anything."""
        return {"sent": self._connection.written, "idle": round(self._idle, 1)}

    async def run(self) -> None:
        """Connect, publish, send until END; raises RtmpError, FeedError or Fault."""
        first = asyncio.create_task(read_frame(self._feed))
        try:
            if not await self._published(first):
                return
            self._report({"event": "live"})
            await _first_of(self._send(first), self._connection.listen(), self._watch())
            await self._connection.farewell()
        finally:
            first.cancel()
            await self._connection.close()

    async def _published(self, first: asyncio.Task[Frame | None]) -> bool:
        """Whether the server took the stream; False when the sink gave up or went away before."""
        publishing = asyncio.create_task(self._publish())
        beating = asyncio.create_task(self._beat())
        try:
            await asyncio.wait({publishing, first}, return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                return False
            await publishing
            return True
        finally:
            for task in (publishing, beating):
                task.cancel()
            await asyncio.gather(publishing, beating, return_exceptions=True)

    async def _publish(self) -> None:
        await self._connection.open()
        await self._connection.publish()

    async def _send(self, first: asyncio.Task[Frame | None]) -> None:
        """Send frames until the feed ends, declaring the tracks at the time of the first one."""
        tracks = self._order.tracks
        declared = False
        while True:
            try:
                frame = await first if not declared else await read_frame(self._feed)
            except EOFError:
                return
            if frame is None:
                return
            if not declared:
                declared = True
                # At time 0 always: FLV readers take metadata of a later time for a track of captions.
                await self._connection.send(Kind.DATA, 0, flv.metadata(tracks))
                for track in tracks:
                    kind, body = flv.header(track)
                    await self._connection.send(kind, frame.at, body)
            if frame.track >= len(tracks):
                raise FeedError(f"a frame of track {frame.track}, which was not ordered")
            if tracks[frame.track].kind == "video":
                body = flv.video(frame.data, key=frame.key, composition=frame.composition)
                await self._connection.send(Kind.VIDEO, frame.at, body)
            else:
                await self._connection.send(Kind.AUDIO, frame.at, flv.audio(frame.data))

    async def _watch(self) -> None:
        stall = StallWatch(time.monotonic(), self._window)
        while True:
            await asyncio.sleep(_BEAT)
            connection = self._connection
            self._idle = stall.idle(
                time.monotonic(),
                written=connection.written,
                pending=connection.pending,
                acks=connection.publisher.acknowledged,
            )
            self._report({"event": "alive", **self.standing})
            if self._idle >= self._order.limits.stall:
                raise RtmpError(Trouble.STALLED, f"the server has taken nothing for {self._idle:.0f} s")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            self._report({"event": "alive", **self.standing})


async def _first_of(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends; the others are cancelled, an error of the one that ended is raised."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _window(tracks: tuple[flv.Track, ...]) -> int:
    """After how many bytes the server shall acknowledge: about a second's worth."""
    return max(16_384, min(sum(track.bitrate for track in tracks) // 8, 2_500_000))


async def serve(report: Report) -> None:
    """Read the order from stdin and carry it out; whatever ends it is reported."""
    loop = asyncio.get_running_loop()
    feed = asyncio.StreamReader(limit=LINE_LIMIT)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(feed), sys.stdin)
    secrets: tuple[str, ...] = ()
    standing: dict[str, Any] = {"sent": 0, "idle": 0.0}
    try:
        order = Order.decode(await feed.readline())
        secrets = RtmpAddress.parse(order.url).secrets
        sender = Sender(order, feed, report)
        try:
            await sender.run()
        finally:
            standing = sender.standing
        report({"event": "ended", **standing})
    except RtmpError as error:
        report({"event": "lost", "code": error.code, "reason": redact(error.reason, *secrets), **standing})
    except (EgressError, FeedError) as error:
        report({"event": "lost", "code": Trouble.SENDER, "reason": redact(str(error), *secrets), **standing})
    except Exception as error:
        # The text of an unforeseen error may quote anything; its type and place are enough to mend it.
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        line = f"{where.tb_frame.f_code.co_name}:{where.tb_lineno}" if where is not None else "?"
        reason = f"the sender failed: {type(error).__name__} in {line}"
        report({"event": "lost", "code": Trouble.SENDER, "reason": reason, **standing})
    finally:
        transport.close()


def die_with(parent: int) -> None:
    """Be killed when the process `parent` (or the thread of it that started us) ends, or at once when it has."""
    # The end of stdin says the same, but a sender that hangs does not read it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """Entry of the process."""
    if len(sys.argv) > 1:
        die_with(int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def report(line: dict[str, Any]) -> None:
        os.write(1, json.dumps(line).encode() + b"\n")

    async def life() -> None:
        try:
            await serve(report)
        finally:
            # A name lookup that never returns sits in a thread which an ordinary exit would wait for.
            os._exit(0)

    asyncio.run(life())


if __name__ == "__main__":
    main()
