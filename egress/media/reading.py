"""The task that takes one track's frames from its room."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from egress.model.errors import EndOfTrack
from egress.model.media import EncodedFrame, MediaSource

log = logging.getLogger(__name__)


class Reader:
    """Awaits every frame of a source and hands it to `take`, on the loop's thread; `take` must not wait."""

    def __init__(self, source: MediaSource, take: Callable[[EncodedFrame], None]) -> None:
        self.ended = False
        self.error: Exception | None = None
        self._source = source
        self._take = take
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read; called on the loop's thread."""
        self._task = loop.create_task(self._run(), name="intake")

    async def close(self) -> None:
        """Stop reading; returns when the task has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while True:
                self._take(await self._source.recv())
        except EndOfTrack:
            pass
        except Exception as error:
            log.exception("a track could not be read")
            self.error = error
        finally:
            self.ended = True
