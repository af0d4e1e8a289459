"""Where an object of an S3 store lies: `s3://bucket/key`, or `gs://` with Google's; taken apart and checked."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from egress.model.problems import Problem, refuse, shown

MAX_KEY = 980
"""Bytes a key may have: S3 ends at 1024, and a name of the job's own beside it, or its manifest's, is longer."""

_FORM = "write it like s3://bucket/folder/{room}.mp4"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_GS_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_NUMBERS = re.compile(r"\d+\.\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class S3Address:
    """One object: its bucket, and its key in it."""

    bucket: str
    key: str
    scheme: str = "s3"

    @classmethod
    def parse(cls, to: str) -> S3Address:
        """Take an address apart; raises RequestError naming the fix."""
        if problems := s3_problems(to, "to"):
            raise refuse(f"the address {shown(to)}", problems)
        bucket, _, key = to[5:].partition("/")
        return cls(bucket, key, to[:2].lower())

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


def s3_problems(to: str, path: str) -> tuple[Problem, ...]:
    """What is wrong with an address, placeholders filled in or not; `path` names the field.

    Names of buckets: Amazon S3 User Guide, "General purpose bucket naming rules"; Google allows '_' too.
    """

    def wrong(message: str) -> tuple[Problem, ...]:
        return (Problem(path, message),)

    form = _FORM.replace("s3", to[:2].lower(), 1)
    if to[:5].lower() not in ("s3://", "gs://"):
        return wrong(f"{shown(to)} has no bucket; {form}")
    bucket, slash, key = to[5:].partition("/")
    if "{" in bucket or "}" in bucket:
        return wrong(f"the bucket {shown(bucket)} must be written out; placeholders may stand after it")
    names = _GS_BUCKET if form.startswith("write it like gs") else _BUCKET
    if not names.fullmatch(bucket) or ".." in bucket or _NUMBERS.fullmatch(bucket):
        return wrong(f"{shown(bucket)} is no name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.'; {form}")
    if not slash or not key.strip("/"):
        return wrong(f"names a bucket and no object in it; {form}")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in key):
        return wrong("holds a control character; use printable ones")
    if any(name in ("", ".", "..") for name in key.removesuffix("/").split("/")):
        return wrong(f"{shown(key)} has an empty name, '.' or '..' in it; {form}")
    if (size := len(key.encode())) > MAX_KEY:
        return wrong(f"the key is {size} bytes long; it may have {MAX_KEY}")
    return ()
