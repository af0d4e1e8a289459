"""What is known of one upload, on disk beside the file it is of: enough to go on with it in another process."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egress.disk import read_json, write_json
from egress.storage.base import Stored

_SUFFIX = ".upload.json"


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part the store has confirmed: its ETag, and the SHA-256 (hex) of the bytes that were sent."""

    etag: str
    sha256: str


@dataclass(slots=True)
class UploadState:
    """One multipart upload of one file. Every change is on disk, whole, before what it makes possible is done.

    `begun` is set, and `upload` is not, while the store is being asked for an upload: a death in between leaves one
    there that has no name here. `stored` says that the object is there and has been compared.
    """

    path: Path
    to: str = ""
    token: str = ""
    upload: str = ""
    begun: str = ""
    part_size: int = 0
    checked: bool = True
    parts: dict[int, SentPart] | None = None
    stored: Stored | None = None

    @classmethod
    def of(cls, source: Path) -> UploadState:
        """The state of a file's upload; an empty one when there is none, or none that can be read."""
        path = source.with_name(source.name + _SUFFIX)
        document = read_json(path)
        try:
            stored = document["stored"]
            return cls(
                path,
                to=str(document["to"]),
                token=str(document["token"]),
                upload=str(document["upload"]),
                begun=str(document["begun"]),
                part_size=int(document["part_size"]),
                checked=bool(document["checked"]),
                parts={int(number): SentPart(*row) for number, row in document["parts"].items()},
                stored=Stored(**stored) if stored else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls(path)

    @property
    def sent(self) -> dict[int, SentPart]:
        """The parts the store has confirmed, by number."""
        if self.parts is None:
            self.parts = {}
        return self.parts

    def renamed(self, source: Path) -> None:
        """It lies beside another name of the file."""
        self.path = source.with_name(source.name + _SUFFIX)

    def begin(self, to: str, part_size: int) -> None:
        """Note that an upload is about to be asked for; raises OSError."""
        self.to, self.token, self.part_size = to, secrets.token_hex(16), part_size
        self.upload, self.begun = "", datetime.now(UTC).isoformat()
        self.parts, self.stored = {}, None
        self.save()

    def named(self, upload: str, *, checked: bool) -> None:
        """Note the upload the store has begun; `checked`: it compares the SHA-256 of parts. Raises OSError."""
        self.upload, self.checked = upload, checked
        self.save()

    def forget(self) -> None:
        """Note that there is no upload any more; raises OSError."""
        self.upload = self.begun = ""
        self.parts = {}
        self.save()

    def keep(self, stored: Stored) -> None:
        """Note that the object is in its place; raises OSError."""
        self.stored = stored
        self.save()

    def save(self) -> None:
        """Write it down; raises OSError."""
        write_json(self.path, self._document())

    def _document(self) -> dict[str, Any]:
        return {
            "to": self.to,
            "token": self.token,
            "upload": self.upload,
            "begun": self.begun,
            "part_size": self.part_size,
            "checked": self.checked,
            "parts": {str(number): [part.etag, part.sha256] for number, part in self.sent.items()},
            "stored": asdict(self.stored) if self.stored else None,
        }
