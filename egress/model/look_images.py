"""Pictures a pipeline names: found in its own folder or the assets, never outside, and known to be ones we can show."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar, cast

from pydantic import BaseModel

from egress.model.look import CardDoc, CardsDoc, ImageOverlay, ThemeDoc
from egress.model.media import Size
from egress.model.pipeline import Pipeline
from egress.model.problems import Problem, shown

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_SIDE = 16_384

_HEAD = 512 * 1024
"""Bytes read of a JPEG: its size stands after whatever a camera put first (EXIF, colour profile)."""

Part = TypeVar("Part")


def resolve_images(part: Part, name: str, folders: Sequence[Path]) -> tuple[Part, tuple[Problem, ...]]:
    """A pipeline (`name` is '') or a part of one (`name` is its field) with every picture an absolute path.

    `folders` are tried in turn; pictures that are already absolute must lie in one of them. With problems the part
    comes back as far as it could be resolved. Reads the head of each file.
    """
    found: list[Problem] = []
    return _resolve(part, name, folders, found), tuple(found)


def _resolve(part: Part, path: str, folders: Sequence[Path], found: list[Problem]) -> Part:
    if isinstance(part, tuple):
        return cast(Part, tuple(_resolve(item, f"{path}[{i}]", folders, found) for i, item in enumerate(part)))
    if isinstance(part, ImageOverlay | ThemeDoc | CardDoc):
        return cast(Part, _with_image(part, f"{path}.image", folders, found))
    if isinstance(part, Pipeline | CardsDoc):
        names = ("theme", "overlays", "cards") if isinstance(part, Pipeline) else tuple(type(part).model_fields)
        start = f"{path}." if path else ""
        update = {name: _resolve(getattr(part, name), f"{start}{name}", folders, found) for name in names}
        return cast(Part, part.model_copy(update=update))
    return part


def _with_image(doc: BaseModel, path: str, folders: Sequence[Path], found: list[Problem]) -> BaseModel:
    image: str | None = getattr(doc, "image", None)
    if image is None:
        return doc
    place = _find(image, folders)
    if isinstance(place, str):
        found.append(Problem(path, place))
        return doc
    if wrong := image_problem(place):
        found.append(Problem(path, f"{shown(image)} {wrong}"))
        return doc
    return doc.model_copy(update={"image": str(place)})


def _find(image: str, folders: Sequence[Path]) -> Path | str:
    """The file of a picture, or what is wrong with the way it is named."""
    if not image.strip() or any(unicodedata.category(char) in ("Cc", "Cs") for char in image):
        return "must be the name of a file, like logo.png"
    if "://" in image or "\\" in image or image.startswith("~"):
        return f"{shown(image)} must be a file beside the pipeline or in the assets folder, like logo.png"
    if ".." in PurePosixPath(image).parts:
        return f"{shown(image)} leads out of the pipeline's folder; remove '..', or put the file into the assets folder"
    homes = [folder.resolve() for folder in folders]
    linked = False
    for home in homes:
        try:
            place = (home / image).resolve()
            there = place.exists()
        except (OSError, RuntimeError, ValueError):
            continue
        if there and place.is_relative_to(home):
            return place
        linked = linked or there
    if linked:
        why = "lies outside of it" if image.startswith("/") else "leads out of it through a link"
        return f"{shown(image)} {why}; put the file itself beside the pipeline or into the assets folder"
    if not homes:
        return f"{shown(image)} cannot be found: no folder has pictures; name one by the setting assets (EGRESS_ASSETS)"
    listing = " or ".join(str(home) for home in homes)
    return f"{shown(image)} is not in {listing}; put it there, or name the assets folder it is in"


def image_problem(path: Path) -> str | None:
    """What keeps a file from being a picture that can be shown, told from its head; None when nothing does."""
    try:
        if not path.is_file():
            return "is no file; name a PNG, JPEG or WebP file"
        length = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if length > MAX_BYTES:
        return f"is {length / 1024 / 1024:.1f} MiB; a picture may have {MAX_BYTES // 1024 // 1024} MiB: save it smaller"
    kind, size = kind_and_size(head)
    if kind is None:
        return "is no PNG, JPEG or WebP picture; save it as one"
    if size is None or size.width < 1 or size.height < 1:
        return f"is a broken {kind} picture; save it again"
    if size.width * size.height > MAX_PIXELS or max(size.width, size.height) > MAX_SIDE:
        limit = f"{MAX_PIXELS // 1_000_000} million pixels and {MAX_SIDE} a side"
        return f"has {size} pixels; a picture may have {limit}: save it smaller"
    return None


def kind_and_size(head: bytes) -> tuple[str | None, Size | None]:
    """What the first bytes of a file say: PNG, JPEG or WebP, and the pixels it declares; None for what they do not."""
    kind = _kind(head)
    return kind, _SIZES[kind](head) if kind is not None else None


def _kind(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return None


def _png(head: bytes) -> Size | None:
    """IHDR comes first (W3C PNG 5.6): width and height, 32 bits each."""
    if len(head) < 24 or head[12:16] != b"IHDR":
        return None
    return Size(int.from_bytes(head[16:20]), int.from_bytes(head[20:24]))


def _jpeg(head: bytes) -> Size | None:
    """The frame header SOFn (ITU-T T.81 B.2.2), reached over the segments before it."""
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:  # fill bytes may stand before a marker
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return Size(int.from_bytes(head[at + 7 : at + 9]), int.from_bytes(head[at + 5 : at + 7]))
        elif marker in (0x01, *range(0xD0, 0xD8)):  # markers without a segment
            at += 2
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None


def _webp(head: bytes) -> Size | None:
    """The first chunk: lossy (RFC 6386 9.1), lossless, or extended (RFC 9649 2.7 and 3.4)."""
    chunk, data = head[12:16], head[20:30]
    if len(data) < 10:
        return None
    if chunk == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        return Size(int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF)
    if chunk == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if chunk == b"VP8X":
        return Size(int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1)
    return None


_SIZES = {"PNG": _png, "JPEG": _jpeg, "WebP": _webp}
