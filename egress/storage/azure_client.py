"""One container of Azure Blob Storage, as its library speaks to it: the few calls uploads need, and its errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from egress.model.azure_address import AzureAddress
from egress.model.errors import RequestError
from egress.model.secrets import redact
from egress.storage.base import StoreError

try:
    from azure.core import MatchConditions
    from azure.core.exceptions import AzureError as LibraryError
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
    from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings
except ImportError:
    _MISSING = "azure:// needs a library that is not installed: pip install 'egress[azure]'"
    raise RequestError(_MISSING, (("to", _MISSING),)) from None

TOKEN = "egressupload"
"""Metadata of a blob by which the upload it came from is known again; names are those of C# identifiers."""

GONE = "InvalidBlockList"
TAKEN = "BlobAlreadyExists"

_CONNECT, _READ = 5, 60

# At INFO it writes out every request.
logging.getLogger("azure").setLevel(logging.WARNING)


class AzureError(StoreError):
    """A store did not do as asked. `field` is the setting to mend, or "to"."""

    def __init__(self, message: str, code: str, *, field: str = "to", passing: bool = False) -> None:
        super().__init__(message, code, passing=passing)
        self.field = field


@dataclass(frozen=True, slots=True)
class Head:
    """What a store says of a blob."""

    size: int
    token: str


class AzureClient:
    """Calls to one blob's address, and to others in its container; every one raises AzureError. Callable from several
    threads.

    `options` are those of egress.model.settings.Settings.storage_options. `brisk`: short waits.
    """

    def __init__(self, address: AzureAddress, options: Mapping[str, str], *, brisk: bool = False) -> None:
        self.address = address
        self._endpoint = options.get("endpoint") or f"https://{address.account}.blob.core.windows.net"
        self._secrets = tuple(options.get(name, "") for name in ("account_key", "sas_token"))
        key, sas = self._secrets
        if not key and not sas:
            message = f"{address}: there are no credentials; set azure_account_key or azure_sas_token"
            raise AzureError(message, "NoCredentials", field="azure_account_key")
        credential = {"account_name": address.account, "account_key": key} if key else sas.removeprefix("?")
        with self._asked():
            service = BlobServiceClient(
                self._endpoint,
                credential=credential,
                # Whoever calls tries again, and knows for how long.
                retry_total=0,
                connection_timeout=_CONNECT,
                read_timeout=2 * _CONNECT if brisk else _READ,
            )
        self._container = service.get_container_client(address.container)

    def stage(self, block: str, data: bytes) -> None:
        """Send one block, compared by the store with its MD5."""
        with self._asked():
            self._blob().stage_block(block, data, length=len(data), validate_content=True)

    def blocks(self) -> dict[str, int]:
        """The blocks the store holds that are in no blob yet, and their sizes."""
        try:
            with self._asked():
                _, uncommitted = self._blob().get_block_list("uncommitted")
        except AzureError as error:
            if error.code != "BlobNotFound":
                raise
            return {}
        return {block.id: block.size for block in uncommitted}

    def commit(self, blocks: Sequence[str], token: str, kind: str, *, create_only: bool) -> None:
        """Make the blob of its blocks. The code of the AzureError is TAKEN when `create_only` and there is one."""
        condition = {"match_condition": MatchConditions.IfMissing} if create_only else {}
        with self._asked():
            self._blob().commit_block_list(
                [BlobBlock(block) for block in blocks],
                content_settings=ContentSettings(content_type=kind),
                metadata={TOKEN: token},
                **condition,
            )

    def head(self) -> Head | None:
        """The blob as it is; None when there is none."""
        try:
            with self._asked():
                said = self._blob().get_blob_properties()
        except AzureError as error:
            if error.code in ("BlobNotFound", "404"):
                return None
            raise
        return Head(int(said.size), str((said.metadata or {}).get(TOKEN, "")))

    def put(self, name: str, data: bytes, *, kind: str, cache: str) -> None:
        """Make a blob of a few bytes at once, compared by the store with their MD5."""
        settings = ContentSettings(content_type=kind, cache_control=cache)
        with self._asked():
            self._blob(name).upload_blob(data, overwrite=True, content_settings=settings, validate_content=True)

    def remove(self, name: str) -> None:
        """Take a blob away; none is none."""
        try:
            with self._asked():
                self._blob(name).delete_blob()
        except AzureError as error:
            if error.code not in ("BlobNotFound", "404"):
                raise

    def sizes(self, prefix: str, limit: int | None = None) -> dict[str, int]:
        """Bytes of every blob whose name begins so, or of the first ones."""
        with self._asked():
            found: dict[str, int] = {}
            for row in self._container.list_blobs(name_starts_with=prefix):
                found[str(row.name)] = int(row.size)
                if limit is not None and len(found) >= limit:
                    break
            return found

    def _blob(self, name: str = "") -> Any:
        return self._container.get_blob_client(name or self.address.name)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except (LibraryError, ValueError) as error:
            raise self._translated(error) from None

    def _translated(self, error: Exception) -> AzureError:
        if isinstance(error, ServiceRequestError | ServiceResponseError):
            what = f"{self._endpoint} does not answer; correct the account or azure_endpoint, or mend the network"
            return AzureError(f"{self.address}: {what}", "Unreachable", field="azure_endpoint", passing=True)
        if not isinstance(error, HttpResponseError):
            text = redact(str(error), *self._secrets)
            return AzureError(f"{self.address}: {text}", type(error).__name__, field="azure_account_key")
        status = int(error.status_code or 0)
        code = getattr(error, "error_code", None) or status
        code = str(getattr(code, "value", code))
        if code == "ContainerNotFound":
            what = f"there is no container {self.address.container}; make it, or name another"
            return AzureError(f"{self.address}: {what}", code)
        if status in (401, 403):
            what = f"the store refuses these credentials ({code}); correct azure_account_key or azure_sas_token"
            return AzureError(f"{self.address}: {what}", code, field="azure_account_key")
        passing = status >= 500 or status in (408, 429)
        return AzureError(f"{self.address}: the store answered {status} {code}", code, passing=passing)
