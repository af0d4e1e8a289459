"""How the values of settings are read: each from text or a file's value, or a ValueError that says what it must be."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from egress.model.media import Nanos
from egress.model.secrets import Secret
from egress.model.units import duration

_SIGNING = "whsec_"

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS = ("auto", "json", "plain")


def folder_value(value: Any) -> Path:
    """A folder, absolute."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("must be a folder")
    return Path(value).expanduser().absolute()


def text_value(value: Any) -> str:
    """Printable text, stripped."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("must be text of printable characters")
    return value.strip()


def listen_value(value: Any) -> str:
    """HOST:PORT."""
    text = text_value(value)
    _, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or int(port[:6]) > 65535:
        raise ValueError("must be HOST:PORT, like 127.0.0.1:8080")
    return text


def token_value(value: Any) -> Secret:
    """A secret that fits into a header."""
    if not isinstance(value, str) or len(value) < 8 or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be 8 or more ASCII characters without spaces")
    return Secret(value)


def hook_value(value: Any) -> Secret:
    """Secrets that fit into a header, with commas between; those of Standard Webhooks are in base64."""
    parts = value.split(",") if isinstance(value, str) else [""]
    for part in parts:
        token_value(part)
        if part.startswith(_SIGNING):
            try:
                base64.b64decode(part.removeprefix(_SIGNING), validate=True)
            except ValueError:
                raise ValueError(f"must be base64 after {_SIGNING}") from None
    return Secret(",".join(parts))


def livekit_value(value: Any) -> Secret:
    """NAME:SECRET, several with commas between."""
    pairs = [pair.strip().partition(":") for pair in value.split(",")] if isinstance(value, str) else []
    if not pairs or not all(name and secret for name, _, secret in pairs):
        raise ValueError("must be NAME:SECRET, several with commas between")
    return Secret(",".join(f"{name}:{token_value(secret).reveal()}" for name, _, secret in pairs))


def secret_value(value: Any) -> Secret:
    """A secret of printable text."""
    if not isinstance(value, str) or not value or len(value) > 1024 or not value.isprintable():
        raise ValueError("must be text of printable characters")
    return Secret(value)


def database_value(value: Any) -> Secret:
    """The address of a database, which may hold a password."""
    text = text_value(value)
    if not text.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ValueError("must be sqlite:////FOLDER/FILE or postgresql://USER:PASSWORD@HOST/NAME")
    return Secret(text)


def milliseconds_value(value: Any) -> int:
    """Milliseconds, 20 to 5000."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 20 <= value <= 5000:
        raise ValueError("must be a whole number of milliseconds, 20 to 5000")
    return value


def cores_value(value: Any) -> float:
    """CPU cores; raises ValueError."""
    try:
        cores = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        cores = math.nan
    if not 0.1 <= cores <= 1024:
        raise ValueError("must be a number of CPU cores, like 3.5")
    return cores


def duration_value(value: Any) -> Nanos:
    """A length of time, as in pipelines; raises ValueError."""
    return duration(value)


def address_value(value: Any) -> str:
    """The address of an HTTP server."""
    text = text_value(value)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be an address like https://host.example.org:8443") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be an address like https://host.example.org:8443")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be an address without user, password, '?' and '#'")
    return text.rstrip("/")


def yes_or_no_value(value: Any) -> bool:
    """Whether."""
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.strip().lower() not in known:
        raise ValueError("must be yes or no (or true or false)")
    return known[value.strip().lower()]


def part_mib_value(value: Any) -> int:
    """MiB of one part of an upload."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 512:
        raise ValueError("must be a whole number of MiB, 1 to 512")
    return value


def log_level_value(value: Any) -> str:
    """One of LOG_LEVELS."""
    level = value.upper() if isinstance(value, str) else value
    if level not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return str(level)


def log_format_value(value: Any) -> str:
    """One of LOG_FORMATS."""
    if value not in LOG_FORMATS:
        raise ValueError(f"must be one of {', '.join(LOG_FORMATS)}")
    return str(value)


def setting(about: str, parse: Callable[[Any], Any], *, default: str = "", secret: bool = False) -> Any:
    """A field of Settings; `default` is how the documentation writes its default where it depends on the user."""
    return {"about": about, "parse": parse, "shown": default, "secret": secret}


def files_value(value: Any) -> tuple[Path, ...]:
    """Paths of files: a list, or text with commas between."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) and part.strip() for part in parts):
        raise ValueError("must be paths of files, commas between")
    return tuple(Path(part.strip()).expanduser().absolute() for part in parts)


def rate_value(value: Any) -> int:
    """Requests a second, 0 for no limit."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise ValueError("must be a whole number of requests a second; 0 is no limit")
    return value
