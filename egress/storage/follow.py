"""Uploads a file while it grows, on a thread of its own behind whoever writes it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Protocol

from egress.storage.base import StoreError

_LOOK = 0.5
"""Seconds between two looks at the file."""

_SHORTEST, _LONGEST = 1.0, 15.0
"""Seconds between two attempts while the store fails: doubled from the first to the second."""

_log = logging.getLogger(__name__)


class Growing(Protocol):
    """An upload that goes on while its file grows."""

    def send_next(self) -> bool:
        """Send what is whole and not sent yet, a piece; says whether there was one. Raises StoreError."""

    def note(self, error: StoreError) -> None:
        """Count a failure."""

    def lose(self) -> None:
        """Begin anew: the store has lost what was sent."""


class Follower:
    """Sends every part as soon as it is there; holds one part in memory, never waits for the writer or makes it wait.

    A store that fails is asked again and again, for as long as the file grows: the file itself is the queue.
    """

    def __init__(self, upload: Growing, source: Path) -> None:
        self._upload = upload
        self._source = source
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have it end after the part under way."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        wait = _LOOK
        while not self._stopped.wait(wait):
            try:
                wait = 0.0 if self._source.exists() and self._upload.send_next() else _LOOK
            except StoreError as error:
                wait = min(_LONGEST, max(_SHORTEST, 2 * wait))
                self._upload.note(error)
                if error.code == "NoSuchUpload":
                    self._upload.lose()
            except Exception:
                # The file is in the spool: what is not sent now is sent when it is whole.
                _log.exception("the upload of %s waits for its end", self._source)
                return
