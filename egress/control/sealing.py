"""Secrets at rest: sealed with AES-256-GCM by keys outside the database, and opened for their own row only."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from egress.disk import sync_folder
from egress.model.errors import Fault, RequestError
from egress.model.secrets import Secret

SHORTEST = 32
"""Characters a key must have: hexadecimal ones of this length hold 128 bits."""

_FORM = "s1"
_NONCE = 12


class Sealer:
    """Seals with the first of its keys and opens with any, so that keys can be changed."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        """Raises RequestError when there is no key or one is too short, never showing it."""
        if not keys:
            raise _wrong("names no key; set it to what openssl rand -hex 32 prints")
        for key in keys:
            if len(key.reveal()) < SHORTEST:
                raise _wrong(f"holds a key of fewer than {SHORTEST} characters; use what openssl rand -hex 32 prints")
        self._ciphers = {_name(key): AESGCM(_derived(key)) for key in keys}
        self._first = _name(keys[0])

    def __repr__(self) -> str:
        return f"Sealer({len(self._ciphers)} keys, hidden)"

    def seal(self, text: str, about: str) -> str:
        """`text` sealed; `about` says whose it is, like `webhook:ID`, and has to be said again to open it."""
        nonce = secrets.token_bytes(_NONCE)
        # Texts may hold half a surrogate pair, which is in no UTF-8.
        sealed = self._ciphers[self._first].encrypt(nonce, text.encode("utf-8", "surrogatepass"), about.encode())
        return f"{_FORM}.{self._first}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, about: str) -> Secret:
        """What was sealed; raises Fault when none of the keys is the right one, or it was sealed for another row."""
        form, _, rest = sealed.partition(".")
        name, _, body = rest.partition(".")
        if form == _FORM and (cipher := self._ciphers.get(name)):
            try:
                raw = base64.urlsafe_b64decode(body)
                return Secret(
                    cipher.decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode("utf-8", "surrogatepass")
                )
            except (InvalidTag, ValueError, binascii.Error):
                raise Fault(f"what is sealed for {about} was changed or belongs elsewhere; enter it again") from None
        raise Fault(f"what is sealed for {about} needs a key that is not in EGRESS_SECRET_KEY or the key file; add it")

    def is_current(self, sealed: str) -> bool:
        """Whether it was sealed with the first key."""
        return sealed.startswith(f"{_FORM}.{self._first}.")


def read_keys(setting: Secret | None, file: Path) -> tuple[Secret, ...]:
    """The keys of the setting (several with commas between, the first one seals), else those of a file, a line each.

    A file that is not there is made with a key of its own, readable by its owner only. Raises RequestError.
    """
    if setting:
        return tuple(Secret(part.strip()) for part in setting.reveal().split(",") if part.strip())
    try:
        _make(file)
        with file.open(encoding="ascii") as lines:
            mode = os.fstat(lines.fileno()).st_mode
            found = tuple(Secret(line.strip()) for line in lines if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise _wrong(f"is not set, and the key file {file} cannot be used: {why}") from None
    if mode & 0o077:
        raise _wrong(f"is not set, and others may read the key file {file}; run chmod 600 {file}")
    if not found:
        raise _wrong(f"is not set, and the key file {file} is empty; put back the key that was in it")
    return found


def _make(file: Path) -> None:
    """Make the key file unless it is there; of two servers that do so at once, linking a whole file decides."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    own = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as made:
            made.write(secrets.token_hex(32) + "\n")
            made.flush()
            os.fsync(made.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(own, file)
        sync_folder(file.parent)
    finally:
        own.unlink()


def _derived(key: Secret) -> bytes:
    return HKDF(SHA256(), 32, None, b"egress sealing 1").derive(key.reveal().encode())


def _name(key: Secret) -> str:
    """Which key it is, without saying anything about it: keys are long enough not to be guessed by their digest."""
    return hashlib.sha256(b"egress key name 1" + key.reveal().encode()).hexdigest()[:8]


def _wrong(what: str) -> RequestError:
    return RequestError(f"EGRESS_SECRET_KEY {what}", (("secret_key", what),))
