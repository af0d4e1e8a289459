"""Addresses of artifacts that work for a while without a key, as browsers and players need them."""

from __future__ import annotations

import time

from egress.control.sealing import Sealer
from egress.model.errors import EgressError
from egress.model.request import Caller

MARK = "~"
"""What a token in a path begins with: files of a folder name each other, and so stay below it."""

BEARER = Caller("a link", frozenset({"read"}))
"""Who comes with one: it is looked at before, so every room may be its."""


def link(sealer: Sealer, artifact: str, seconds: int) -> str:
    """A token for one artifact; the servers of one database know each other's."""
    return sealer.seal(str(int(time.time()) + seconds), f"link:{artifact}")


def is_valid(sealer: Sealer, artifact: str, token: str) -> bool:
    """Whether a token is for this artifact, and is not over."""
    try:
        return time.time() < int(sealer.open(token, f"link:{artifact}").reveal())
    except (EgressError, ValueError):
        return False
