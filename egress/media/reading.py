"""The task that takes one track's frames from its room."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from egress.model.errors import EndOfTrack
from egress.model.media import Deliverer, EncodedFrame, MediaSource

log = logging.getLogger(__name__)

RESTARTS = 3
"""How often reading begins again after failures in a row..."""
PAUSE = 0.25
"""...each time after so many seconds."""
ROW = 100
"""After this many frames without a failure, the next one is the first again."""
CLOSE_WITHIN = 5.0
"""Seconds after which a source, or a decoder, that does not let go is left behind."""


async def deliver(source: MediaSource, take: Callable[[EncodedFrame], None]) -> None:
    """Call `take` for each frame of a source, as `Deliverer.deliver`, whatever kind of source it is."""
    if isinstance(source, Deliverer):
        await source.deliver(take)
    while True:
        take(await source.recv())


class Reader:
    """Takes every frame of a source and hands it to `take`, on the loop's thread; `take` must not wait.

    Reading that fails, for anything but the end of the track, begins again a few times; `on_warning` is then told.
    """

    def __init__(
        self, source: MediaSource, take: Callable[[EncodedFrame], None], on_warning: Callable[[str], None]
    ) -> None:
        self.ended = False
        self.errors = 0
        self._source = source
        self._take = take
        self._on_warning = on_warning
        self._row = 0
        self._whole = 0
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read; called on the loop's thread."""
        self._task = loop.create_task(self._run(), name="intake")

    def stop(self) -> None:
        """Await no further frame; `close` is still to be called."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Stop reading; returns when the task has ended, or does not within CLOSE_WITHIN, which is told."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            _, hung = await asyncio.wait([task], timeout=CLOSE_WITHIN)
            if hung:
                self._on_warning(f"its reading did not end within {CLOSE_WITHIN:g} s and is left behind")
        # Who takes the frames holds this reader: with the way back cut both are freed at once, and need not wait for
        # the garbage collector, which knows nothing of how much memory decoders and pictures hold.
        self._take = self._on_warning = _ignore

    async def _run(self) -> None:
        try:
            while not await self._read():
                await asyncio.sleep(PAUSE)
        finally:
            self.ended = True

    async def _read(self) -> bool:
        """Read until the end; False when reading failed and is to begin again."""
        try:
            await deliver(self._source, self._hand)
            return True
        except EndOfTrack:
            return True
        except Exception as error:
            self.errors += 1
            self._row = self._row + 1 if self._whole < ROW else 1
            self._whole = 0
            log.exception("a track could not be read")
            if self._row > RESTARTS:
                self._on_warning(f"it can no longer be read: {type(error).__name__}: {error}")
                return True
            return False

    def _hand(self, frame: EncodedFrame) -> None:
        self._take(frame)
        self._whole += 1


def _ignore(_: object) -> None:
    """What a source that is left behind still gives goes nowhere."""
