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
    first, *others = ("".join("." if c == "?" else re.escape(c) for c in part) for part in pattern.split("*"))
    # What stands between two * is found where it comes first, and not looked for again: else a few * take hours.
    between = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    return re.compile(f"{first}{between}.*{others[-1]}" if others else first, re.DOTALL)


def _plain(text: str) -> str:
    """One form for texts that read alike: composed (é as one character), without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
