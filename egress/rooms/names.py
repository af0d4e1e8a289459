"""Names and ids made safe: what people call themselves, on one line, bounded, and fit for paths and documents."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_ID, LONGEST_NAME, LONGEST_ROLE, LONGEST_ADDRESS = 64, 64, 32, 1000


def line(text: str, longest: int = LONGEST_NAME) -> str:
    """Printable text on one line: no control, no direction-changing, no unassigned characters."""
    kept = (char if unicodedata.category(char)[0] != "C" else " " for char in unicodedata.normalize("NFC", text))
    return " ".join("".join(kept).split())[:longest].strip()


def token(text: str, longest: int = LONGEST_ID) -> str:
    """Letters, digits, dot, dash and underscore, not beginning with a dot or dash."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip(".-")[:longest].rstrip(".-")


def web_address(text: str) -> str:
    """An address of http or https in plain characters; '' for anything else."""
    return text if re.fullmatch(r"(?i)https?://[!-~]+", text) and len(text) <= LONGEST_ADDRESS else ""


def id_of(name: str) -> str:
    """The same id for the same name; a name that is more than its plain letters gets a digest, so that none is lost."""
    whole = "-".join(name.casefold().split())
    plain = token(whole)
    if plain == whole:
        return plain
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{token(whole, LONGEST_ID - 9) or 'peer'}-{digest}"
