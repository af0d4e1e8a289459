"""A folder of an S3 store for many small objects: the segments and playlists of a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from egress.model.s3_address import S3Address
from egress.storage.base import Shelf
from egress.storage.s3_client import S3Client, looked
from egress.storage.s3_errors import S3Error

T = TypeVar("T")


class S3Shelf(Shelf):
    """Objects whose keys begin with that of the folder. Credentials that have expired are looked up anew."""

    def __init__(self, to: str, options: Mapping[str, str]) -> None:
        address = S3Address.parse(to.rstrip("/") + "/")
        self._prefix = address.key
        self._client = S3Client(address, options)

    def put(self, name: str, data: bytes, *, kind: str, cache: str) -> None:
        """Make the object; raises S3Error."""
        self._renewing(lambda: self._client.put(self._prefix + name, data, kind=kind, cache=cache))

    def remove(self, name: str) -> None:
        """Take the object away; raises S3Error."""
        self._renewing(lambda: self._client.remove(self._prefix + name))

    def sizes(self) -> Mapping[str, int] | None:
        """Every object below the folder; None when we may not list them. Raises S3Error."""
        found = self._renewing(lambda: looked(lambda: self._client.sizes(self._prefix), None))
        return None if found is None else {key.removeprefix(self._prefix): size for key, size in found.items()}

    def _renewing(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except S3Error as error:
            if not error.stale:
                raise
            self._client.renew()
            return ask()
