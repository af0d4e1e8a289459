"""Objects of Google Cloud Storage, by the interface it has for tools that speak S3."""

from __future__ import annotations

from collections.abc import Mapping

from egress.storage.s3 import S3Storage

ENDPOINT = "https://storage.googleapis.com"


class GsStorage(S3Storage):
    """Addresses are `gs://bucket/key`; the keys are HMAC keys of a service account.

    Its XML API takes multipart uploads as S3 does, but compares MD5 alone (`Content-MD5`), and knows other conditions
    than S3 (`x-goog-if-generation-match`), so a key is looked at just before an object is made. Requests are signed
    for region `auto` (Cloud Storage documentation, "Interoperability with other storage providers").
    """

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        told = {"endpoint": ENDPOINT, **(options or {})}
        super().__init__({**told, "region": "auto", "path_style": "yes", "plain": "yes"})
