"""Blobs of Azure: staged while a file is made, there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from egress.model.azure_address import AzureAddress
from egress.model.errors import DestinationError, RequestError
from egress.storage.azure_client import AzureClient, AzureError
from egress.storage.azure_upload import AzureUpload
from egress.storage.base import Shelf, Stored, TakenError, clear
from egress.storage.followed import FollowedStorage
from egress.storage.s3_state import UploadState

_PROBE_NAME = ".egress-probe"
_PROBE = b"Egress asks whether it may write here."


class AzureStorage(FollowedStorage[AzureUpload]):
    """Addresses are `azure://account/container/name`. What is known of an upload lies beside its file."""

    def preflight(self, to: str, *, replacing: bool) -> None:
        """Write a few bytes beside the blob, or into the folder, and remove them; look whether something is there."""
        address = AzureAddress.parse(to)
        try:
            client = AzureClient(address, self.options, brisk=True)
            client.put(address.name + _PROBE_NAME, _PROBE, kind="text/plain", cache="no-store")
            client.remove(address.name + _PROBE_NAME)
            taken = not replacing and _taken(client, to)
        except AzureError as error:
            raise RequestError(error.message, ((error.field, error.message),)) from None
        if taken:
            problem = f"{address} exists; remove it, use {{started}} in the name, or --overwrite"
            raise RequestError(problem, (("to", problem),))

    def remove(self, to: str, names: Sequence[str] = ()) -> None:
        """Delete the blob, or those of the folder."""
        if to.endswith("/"):
            clear(self.shelf(to), to, names)
        else:
            address = AzureAddress.parse(to)
            AzureClient(address, self.options).remove(address.name)

    def shelf(self, to: str) -> Shelf:
        """A folder of blobs."""
        return AzureShelf(to, self.options)

    def _begun(self, source: Path, to: str) -> AzureUpload:
        return AzureUpload(source, to, self.options)

    def put(self, source: Path, to: str, *, beside: str = "", moved: Callable[[int], None] | None = None) -> Stored:
        """Stage what of `source` is not there yet, make the blob and compare it; raises DestinationError."""
        self.hold()
        try:
            if not beside or UploadState.of(source).to != beside:
                upload = self._upload = self._upload or self._begun(source, to)
                upload.moved = moved or upload.moved
                try:
                    return upload.finish(replacing=not beside)
                except TakenError:
                    if not beside:
                        raise
            self._upload = AzureUpload(source, beside, self.options, moved=moved)
            return self._upload.finish(replacing=True)
        except OSError as error:
            raise DestinationError(f"{to}: {source} cannot be read: {error.strerror or error}") from error

    def taken(self, to: str) -> bool:
        """Whether there is a blob, or one whose name goes on after a `to` that ends with a slash."""
        return _taken(AzureClient(AzureAddress.parse(to), self.options), to)


class AzureShelf(Shelf):
    """Blobs whose names begin with that of the folder."""

    def __init__(self, to: str, options: Mapping[str, str]) -> None:
        address = AzureAddress.parse(to.rstrip("/") + "/")
        self._prefix = address.name
        self._client = AzureClient(address, options)

    def put(self, name: str, data: bytes, *, kind: str, cache: str) -> None:
        """Make the blob; raises AzureError."""
        self._client.put(self._prefix + name, data, kind=kind, cache=cache)

    def remove(self, name: str) -> None:
        """Take the blob away; raises AzureError."""
        self._client.remove(self._prefix + name)

    def sizes(self) -> Mapping[str, int]:
        """Every blob below the folder; raises AzureError."""
        return {name.removeprefix(self._prefix): size for name, size in self._client.sizes(self._prefix).items()}


def _taken(client: AzureClient, to: str) -> bool:
    if to.endswith("/"):
        return bool(client.sizes(client.address.name, limit=1))
    return client.head() is not None
