"""Answers made once and sent to many: small files and rendered texts with their headers, ready for ASGI."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from starlette.types import Message, Receive, Scope, Send

KEPT: Final = 16 << 20
"""Bytes of bodies one folder's answers may hold in memory."""

LARGEST: Final = 2 << 20
"""Bytes of the largest file kept: parts, segments of ordinary length, init segments."""


class Ready:
    """An ASGI answer with status, headers and body made beforehand; HEAD gets no body, and who has `tag` gets 304."""

    __slots__ = ("_body", "_fresh", "_head", "_start", "size", "tag")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, *, tag: str = "") -> None:
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        pairs.append((b"x-content-type-options", b"nosniff"))
        if tag:
            pairs.append((b"etag", tag.encode("latin-1")))
        whole = [*pairs, (b"content-length", str(len(body)).encode())]
        self.tag = tag
        self.size = len(body)
        self._start: Message = {"type": "http.response.start", "status": status, "headers": whole}
        self._body: Message = {"type": "http.response.body", "body": body}
        self._head: Message = {"type": "http.response.body", "body": b""}
        bare = [pair for pair in pairs if pair[0] not in (b"content-type", b"content-encoding")]
        self._fresh: Message = {"type": "http.response.start", "status": 304, "headers": bare}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.tag and _has(scope, self.tag):
            await send(self._fresh)
            await send(self._head)
            return
        await send(self._start)
        await send(self._head if scope["method"] == "HEAD" else self._body)


def _has(scope: Scope, tag: str) -> bool:
    """Whether the client's copy is still the right one (If-None-Match)."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            tags = {item.strip().removeprefix("W/") for item in value.decode("latin-1").split(",")}
            return "*" in tags or tag in tags
    return False


class Memory:
    """The answers used last, by path, within KEPT bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Ready] = OrderedDict()
        self._size = 0

    def get(self, path: str, tag: str) -> Ready | None:
        """The answer for this version of a file; another version's is forgotten."""
        known = self._kept.get(path)
        if known is None:
            return None
        if known.tag != tag:
            self.forget(path)
            return None
        self._kept.move_to_end(path)
        return known

    def keep(self, path: str, answer: Ready) -> None:
        """Keep an answer in the place of older ones."""
        self.forget(path)
        self._kept[path] = answer
        self._size += answer.size
        while self._size > KEPT:
            self.forget(next(iter(self._kept)))

    def forget(self, path: str) -> None:
        """Let go of one answer."""
        known = self._kept.pop(path, None)
        if known is not None:
            self._size -= known.size
