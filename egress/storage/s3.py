"""Objects of S3 stores, Amazon's or any other's: uploaded while they are made, there whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from egress.model.errors import DestinationError, RequestError
from egress.model.s3_address import S3Address
from egress.storage.base import Shelf, Stored, TakenError, clear
from egress.storage.followed import FollowedStorage
from egress.storage.s3_client import S3Client, looked
from egress.storage.s3_errors import S3Error
from egress.storage.s3_shelf import S3Shelf
from egress.storage.s3_state import UploadState
from egress.storage.s3_upload import S3Upload

_PROBE_NAME = ".egress-probe"
_PROBE = b"Egress asks whether it may write here."

_log = logging.getLogger(__name__)


class S3Storage(FollowedStorage[S3Upload]):
    """Addresses are `s3://bucket/key`. What is known of an upload lies beside its file until that has gone."""

    def preflight(self, to: str, *, replacing: bool) -> None:
        """Write a few bytes: to the very key, as an upload that is taken back; of a folder to an object that is
        removed. Look whether something is there."""
        address = S3Address.parse(to)
        client = S3Client(address, self.options, brisk=True)
        try:
            if to.endswith("/"):
                client.put(address.key + _PROBE_NAME, _PROBE, kind="text/plain", cache="no-store")
                client.remove(address.key + _PROBE_NAME)
                taken = not replacing and looked(client.any_inside, False)
            else:
                upload, _ = client.create("", "application/octet-stream")
                try:
                    client.send(upload, 1, _PROBE, sha256=None)
                finally:
                    client.abort(upload)
                taken = not replacing and looked(client.head, None) is not None
        except S3Error as error:
            raise RequestError(error.message, ((error.field, error.message),)) from None
        if taken:
            problem = f"{address} exists; remove it, use {{started}} in the name, or --overwrite"
            raise RequestError(problem, (("to", problem),))

    def presign(self, location: str, seconds: int) -> str | None:
        """An address signed by us, which the store compares when it is used."""
        return S3Client(S3Address.parse(location), self.options).presign(seconds)

    def remove(self, to: str, names: Sequence[str] = ()) -> None:
        """Delete the object, or those of the folder; of a bucket with versions the older ones stay."""
        if to.endswith("/"):
            clear(self.shelf(to), to, names)
        else:
            address = S3Address.parse(to)
            S3Client(address, self.options).remove(address.key)

    def shelf(self, to: str) -> Shelf:
        """A folder of objects."""
        return S3Shelf(to, self.options)

    def _begun(self, source: Path, to: str) -> S3Upload:
        return S3Upload(source, to, self.options)

    def put(self, source: Path, to: str, *, beside: str = "", moved: Callable[[int], None] | None = None) -> Stored:
        """Upload what of `source` is not there yet, complete the object and compare it.

        Goes on where a follower or a dead process stopped. Raises DestinationError, the file then kept.
        """
        self.hold()
        state = UploadState.of(source)
        places = [to, beside] if beside and beside != to else [to]
        if state.to and state.to not in places:
            self.forsake(source, state.to)
            self._upload = None
        try:
            if not beside or state.to != beside:
                upload = self._upload = self._upload or self._begun(source, to)
                upload.moved = moved or upload.moved
                try:
                    return upload.finish(replacing=not beside)
                except TakenError:
                    if not beside:
                        raise
                    upload.abandon()
            self._upload = S3Upload(source, beside, self.options, moved=moved)
            return self._upload.finish(replacing=True)
        except OSError as error:
            raise DestinationError(f"{to}: {source} cannot be read: {error.strerror or error}") from error

    def forsake(self, source: Path, to: str) -> None:
        """Take back an unfinished upload, with one attempt: the store may be the reason why it is forsaken."""
        state = UploadState.of(source)
        if state.to and state.begun and state.stored is None:
            try:
                S3Client(S3Address.parse(state.to), self.options, brisk=True).abort(state.upload)
            except S3Error as error:
                _log.warning("an unfinished upload stays behind: %s", error.message)
            state.forget()

    def taken(self, to: str) -> bool:
        """Whether there is an object, or one whose key goes on after a `to` that ends with a slash."""
        client = S3Client(S3Address.parse(to), self.options)
        if to.endswith("/"):
            return looked(client.any_inside, False)
        return looked(client.head, None) is not None
