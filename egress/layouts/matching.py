"""Whether a peer's name fits what a document says: patterns with * and ?, small and capitals alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from egress.model.room import Peer


def fits(name: str, pattern: str) -> bool:
    """Whether the whole name fits: * is any text, ? any one character; letters are compared as people read them."""
    return _compiled(_plain(pattern)).fullmatch(_plain(name)) is not None


def named(peer: Peer, patterns: Iterable[str]) -> bool:
    """Whether a peer is meant: by its name, or by its id, which is its name when it has none."""
    return any(peer.id == pattern or fits(peer.name or peer.id, pattern) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(c) or re.escape(c) for c in re.sub(r"\*+", "*", pattern)), re.DOTALL)


def _plain(text: str) -> str:
    """One form for texts that read alike: composed (é as one character), without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
