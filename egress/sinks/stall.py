"""Whether a server still takes what it is sent: from its acknowledgements and from what the socket still holds."""

from __future__ import annotations


class StallWatch:
    """Watches one connection. A dead-silent server looks healthy as long as kernels swallow what it does not read,
    so its own acknowledgements count as soon as it has shown that it sends them.

    `window`: after how many bytes it was asked to acknowledge. Times are monotonic seconds.
    """

    def __init__(self, now: float, window: int) -> None:
        self._moved = now
        self._delivered = 0
        self._acks = 0
        self._acked_at = now
        self._acked_written = 0
        self._stride = window

    def idle(self, now: float, *, written: int, pending: int, acks: int) -> float:
        """Seconds without any sign of progress.

        `written` bytes were handed over in all, `pending` of them have not reached the other host's kernel, `acks`
        acknowledgements came in all.
        """
        delivered = written - pending
        if delivered > self._delivered or not pending:
            self._moved = now
        self._delivered = max(delivered, self._delivered)
        if acks != self._acks:
            # Servers have their own idea of the window; only silence beyond what THIS one has shown means anything.
            self._stride = max(self._stride, written - self._acked_written)
            self._acks, self._acked_at, self._acked_written = acks, now, written
        silent = self._acks > 1 and written - self._acked_written > 2 * self._stride
        return max(now - self._moved, now - self._acked_at if silent else 0.0)
