"""A sender (egress.sinks.sender) as its sink sees it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from egress.sinks.child import Child, Report, environment
from egress.sinks.rtmp_protocol import Trouble
from egress.sinks.sender_feed import END


class SenderProcess(Child):
    """One running sender, which says by itself what becomes of its connection.

    The system kills it when the thread that made it ends, so that one that hangs does not outlive a killed worker.
    """

    def __init__(self, order: bytes) -> None:
        root = str(Path(__file__).resolve().parents[2])
        around = environment("SSL_CERT_FILE", "SSL_CERT_DIR")
        around["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        super().__init__([sys.executable, "-m", "egress.sinks.sender", str(os.getpid())], around)
        self.send(order)

    def reports(self) -> list[Report]:
        """What it has reported since the last time."""
        found = []
        for line in self._lines():
            with contextlib.suppress(ValueError):
                if isinstance(said := json.loads(line), dict):
                    found.append(said)
        return found

    def finish(self) -> None:
        """Have it send what it has, say goodbye and end."""
        self.send(END)

    def death(self) -> tuple[Trouble, str]:
        """It dies only of a fault of its own."""
        return Trouble.SENDER, f"the sender died: {self.last_words or 'without a word'}"

    def silence(self) -> tuple[Trouble, str]:
        """It reports every second whatever its server does, so it hangs."""
        return Trouble.SENDER, "the sender hung and was killed"
