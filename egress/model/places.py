"""Where outputs go: placeholders, names safe for every file system, and paths that stay under their root."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from egress.model.errors import RequestError
from egress.model.problems import Problem, did_you_mean, refuse, shown

PLACEHOLDERS: Mapping[str, str] = {
    "room": "name of the room",
    "job": "id of the job, unique",
    "started": "start of the job, UTC, like 20260131T174500Z",
    "date": "day of the start, UTC, like 2026-01-31",
    "time": "time of the start, UTC, like 17-45-00",
    "pipeline": "name of the pipeline",
}
"""What may stand in braces in a sink's `to`."""

MAX_VALUE = 100
MAX_NAME = 240
"""Longest value of a placeholder, and longest file or folder name made of them: file systems end at 255 bytes."""

MAX_ROOM = 300
"""Longest name of a local room."""

_BRACES = re.compile(r"\{([^{}]*)\}")


def safe(text: str) -> str:
    """`text` as a file name: ASCII letters, digits and . _ - only, 1 to 100 characters, no leading dot or dash.

    Texts that lose letters or their end get a short digest, so that different rooms do not share one name.
    """
    plain = unicodedata.normalize("NFKD", text)
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", "".join(c for c in plain if not unicodedata.combining(c)))
    name = re.sub(r"-{2,}", "-", kept).strip(".-")
    lost = any(c.isalnum() and not c.isascii() for c in plain)
    if name and not lost and len(name) <= MAX_VALUE:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: MAX_VALUE - 9].rstrip('.-') or 'unnamed'}-{digest}"


def room_name(address: str) -> str:
    """The part of a room's address people know it by, decoded; never its query, user or password.

    A local room's address is nothing but its name (`local_room_name` judges it); of others it is the end of the path.
    """
    scheme, colon, rest = address.partition(":")
    if not colon:
        return address
    if scheme.lower() == "local":
        return unquote(rest)
    parts = urlsplit(address)
    return unquote(PurePosixPath(parts.path).name) or parts.hostname or ""


def local_room_name(address: str) -> str:
    """The name in `local:NAME`, any text that can stand in a path of HTTP; raises RequestError naming the fix."""
    name = room_name(address)
    if not name.strip():
        problem = "has no name; write it like local:standup"
    elif len(name) > MAX_ROOM:
        problem = f"is {len(name)} characters long; a room's name may have {MAX_ROOM}"
    elif "/" in name or name in (".", ".."):
        whole = "-".join(part for part in name.split("/") if part.strip("."))
        problem = f"must be one name, without '/' and more than dots; write it like local:{whole or 'standup'}"
    elif any(unicodedata.category(char) == "Cs" for char in name):
        problem = "is no readable text; write it in UTF-8"
    else:
        return name
    raise RequestError(f"room {shown(address)} {problem}", (("room", problem),))


def values(*, room: str, job: str, pipeline: str, started: datetime) -> Mapping[str, str]:
    """What each placeholder stands for in one job; `room` is its name, `started` an aware time."""
    utc = started.astimezone(UTC)
    raw = {
        "room": room,
        "job": job,
        "pipeline": pipeline,
        "started": utc.strftime("%Y%m%dT%H%M%SZ"),
        "date": utc.strftime("%Y-%m-%d"),
        "time": utc.strftime("%H-%M-%S"),
    }
    return {name: safe(value) for name, value in raw.items()}


def expand(template: str, known: Mapping[str, str]) -> str:
    """`template` with every placeholder replaced; raises RequestError naming the placeholders there are."""
    if problems := template_problems(template, "to", known):
        raise refuse(f"{shown(template)}", problems)
    return _BRACES.sub(lambda match: known[match[1]], template)


def template_problems(template: str, path: str, known: Iterable[str] = PLACEHOLDERS) -> tuple[Problem, ...]:
    """What is wrong with the braces of a template."""
    known = tuple(known)
    listing = ", ".join(f"{{{name}}}" for name in known)
    found = [
        Problem(path, f"unknown placeholder {{{name[:60]}}}{did_you_mean(name, known)}; known: {listing}")
        for name in _BRACES.findall(template)
        if name not in known
    ]
    if "{" in (rest := _BRACES.sub("", template)) or "}" in rest:
        found.append(Problem(path, f"a brace stands alone in {shown(template)}; write placeholders like {{room}}"))
    return tuple(found)


def path_problems(relative: str, path: str) -> tuple[Problem, ...]:
    """What is wrong with a path (scheme taken off) that must stay under the output folder."""

    def wrong(message: str) -> tuple[Problem, ...]:
        return (Problem(path, message),)

    if any(unicodedata.category(c) in ("Cc", "Cs") for c in relative):
        return wrong("holds a control character; use printable ones")
    if relative.startswith(("/", "~")) or "\\" in relative or re.match(r"[A-Za-z]:", relative):
        return wrong(f"{shown(relative)} must be a path under the output folder, like recordings/{{room}}.mp4")
    names = [name for name in relative.split("/") if name not in ("", ".")]
    if ".." in names:
        return wrong(f"{shown(relative)} leads out of the output folder; remove '..'")
    if not names:
        return wrong("names no file; write a path like recordings/{room}.mp4")
    if hidden := next((name for name in names if name.startswith(".")), None):
        return wrong(f"{shown(hidden)} would be hidden; remove the leading dot")
    if long := next((name for name in names if len(name.encode("utf-8", "replace")) > MAX_NAME), None):
        return wrong(f"{shown(long)} is {len(long)} characters long; a name may have {MAX_NAME}")
    return ()


def under(root: Path, relative: str) -> Path:
    """The absolute path of `relative` below `root`; raises RequestError when it would be elsewhere, links followed."""
    if problems := path_problems(relative, "to"):
        raise refuse(f"{shown(relative)}", problems)
    home = root.resolve()
    target = (home / relative).resolve()
    if not target.is_relative_to(home) or target == home:
        raise refuse(f"{shown(relative)}", (Problem("to", f"leads out of {home} through a link; remove the link"),))
    return target
