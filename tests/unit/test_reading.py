from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from egress.media.reading import RESTARTS, ROW, Reader
from egress.model.errors import EndOfTrack
from egress.model.media import Codec, EncodedFrame


class Source:
    """Gives what its script says: a frame, or an exception to raise; then the track ends."""

    def __init__(self, *script: int | Exception) -> None:
        self._script = list(script)

    async def recv(self) -> EncodedFrame:
        step = self._script.pop(0) if self._script else EndOfTrack()
        if isinstance(step, Exception):
            raise step
        return EncodedFrame(Codec.OPUS, b"", step, 0, True)

    def request_keyframe(self) -> None: ...

    def stats(self) -> dict[str, int]:
        return {}


class Case:
    """A reader at the end of its source."""

    def __init__(self, source: Source) -> None:
        self.frames: list[int] = []
        self.warnings: list[str] = []
        self.reader = Reader(source, lambda frame: self.frames.append(frame.rtp), self.warnings.append)

    async def run(self) -> None:
        self.reader.start(asyncio.get_running_loop())
        async with asyncio.timeout(60):
            while not self.reader.ended:
                await asyncio.sleep(0)
        await self.reader.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress.media.reading.PAUSE", 0)


async def test_reading_goes_on_after_a_failure() -> None:
    case = Case(Source(1, RuntimeError("once"), 2, 3))
    await case.run()
    assert case.frames == [1, 2, 3]
    assert case.reader.errors == 1 and case.warnings == []


async def test_reading_that_fails_again_and_again_is_given_up_and_told_once() -> None:
    case = Case(Source(*[RuntimeError("again")] * (RESTARTS + 5), 1))
    await case.run()
    assert case.frames == [] and case.reader.errors == RESTARTS + 1
    assert case.warnings == ["it can no longer be read: RuntimeError: again"]


async def test_failures_far_apart_are_no_row() -> None:
    script = [step for n in range(RESTARTS + 3) for step in (RuntimeError("rare"), *range(n * ROW, (n + 1) * ROW))]
    case = Case(Source(*script))
    await case.run()
    assert len(case.frames) == ROW * (RESTARTS + 3) and case.warnings == []


async def test_a_source_that_does_not_let_go_is_left_behind_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    free = asyncio.Event()

    class Stubborn(Source):
        async def recv(self) -> EncodedFrame:
            while not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    continue
            raise EndOfTrack

    monkeypatch.setattr("egress.media.reading.CLOSE_WITHIN", 0.01)
    case = Case(Stubborn())
    case.reader.start(asyncio.get_running_loop())
    await asyncio.sleep(0)
    await case.reader.close()
    assert len(case.warnings) == 1 and "left behind" in case.warnings[0]
    free.set()
    while not case.reader.ended:
        await asyncio.sleep(0)


class Taker:
    """Reads for itself, as intakes do."""

    def __init__(self, source: Source) -> None:
        self.reader = Reader(source, self.take, self.warn)

    def take(self, frame: EncodedFrame) -> None: ...

    def warn(self, message: str) -> None: ...


async def test_who_took_the_frames_is_freed_when_it_has_closed_its_reader() -> None:
    class Endless(Source):
        async def recv(self) -> EncodedFrame:
            await asyncio.Event().wait()
            raise EndOfTrack

    taker = Taker(Endless())
    freed = weakref.ref(taker)
    gc.disable()
    try:
        taker.reader.start(asyncio.get_running_loop())
        await asyncio.sleep(0)
        await taker.reader.close()
        del taker
        assert freed() is None
    finally:
        gc.enable()


async def test_a_source_that_hands_on_by_itself_needs_nobody_to_await_each_frame() -> None:
    class Pushing(Source):
        async def recv(self) -> EncodedFrame:
            raise AssertionError("nobody should wait for one")

        async def deliver(self, take: Callable[[EncodedFrame], None]) -> None:
            while True:
                take(await super().recv())

    case = Case(Pushing(1, RuntimeError("once"), 2))
    await case.run()
    assert case.frames == [1, 2] and case.reader.errors == 1
