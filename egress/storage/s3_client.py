"""One bucket of an S3 store, as boto3 speaks to it: the few calls an upload needs, errors in our words."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from egress.model.s3_address import S3Address
from egress.storage.s3_errors import NO_CREDENTIALS, S3Error, translated

TOKEN = "egress-upload"
"""Metadata of an object by which the upload it came from is known again."""

CONNECT, READ = 5.0, 60.0
"""Seconds a store has to take a connection, and to answer while nothing moves."""

_ATTEMPTS = 3
_UNKNOWN_CHECKSUM = ("NotImplemented", "InvalidArgument", "InvalidRequest", "501")
"""What stores say that have not heard of checksums or conditions."""

T = TypeVar("T")

for _name in ("boto3", "botocore", "urllib3"):
    # At DEBUG they write out requests as they are signed, session tokens and all.
    logging.getLogger(_name).setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Head:
    """What a store says of an object; `sum` is its composite SHA-256 without the count of parts, "" when unknown."""

    size: int
    etag: str
    token: str
    sum: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A part the store has taken; `checked`: it compared the bytes with the SHA-256 that came along."""

    etag: str
    checked: bool


class S3Client:
    """Calls to one object's address; every one raises S3Error. Callable from several threads.

    `options` are those of egress.model.settings.Settings.storage_options. What they leave out comes from where other
    AWS tools take it: environment, profiles, roles. `plain`, an option, is for stores that know neither checksums but
    MD5 nor conditions. `brisk`: one attempt each and short waits, for asking before a job.
    """

    def __init__(self, address: S3Address, options: Mapping[str, str], *, brisk: bool = False) -> None:
        self.address = address
        self._options = dict(options)
        self._brisk = brisk
        self._plain = options.get("plain") == "yes"
        self._lock = threading.Lock()
        self._client: Any = None

    def renew(self) -> None:
        """Look for credentials anew at the next call."""
        with self._lock:
            self._client = None

    def create(self, token: str, kind: str) -> tuple[str, bool]:
        """Begin a multipart upload; says its id, and whether the store will check SHA-256 of its parts."""
        named = {"Key": self.address.key, "ContentType": kind, "Metadata": {TOKEN: token}}
        with self._asked() as client:
            if self._plain:
                return str(client.create_multipart_upload(**self._bucket, **named)["UploadId"]), False
            try:
                made = client.create_multipart_upload(**self._bucket, **named, ChecksumAlgorithm="SHA256")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _UNKNOWN_CHECKSUM:
                    raise
                made = client.create_multipart_upload(**self._bucket, **named)
        return str(made["UploadId"]), made.get("ChecksumAlgorithm") == "SHA256"

    def send(self, upload: str, number: int, data: bytes, *, sha256: bytes | None) -> Sent:
        """Send one part; with its SHA-256 for the store to compare, else with its MD5, which every store does."""
        if sha256 is not None:
            given = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(sha256).decode()}
        else:
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            given = {"ContentMD5": base64.b64encode(digest).decode()}
        with self._asked() as client:
            said = client.upload_part(**self._part_of(upload), PartNumber=number, Body=data, **given)
        checked = sha256 is not None and said.get("ChecksumSHA256") == given["ChecksumSHA256"]
        return Sent(_bare(said["ETag"]), checked)

    def parts(self, upload: str) -> dict[int, str]:
        """The ETag of every part the store holds of an upload."""
        with self._asked() as client:
            pages = client.get_paginator("list_parts").paginate(**self._part_of(upload))
            return {int(row["PartNumber"]): _bare(row["ETag"]) for page in pages for row in page.get("Parts", ())}

    def complete(self, upload: str, parts: list[dict[str, Any]], *, create_only: bool) -> str:
        """Make the object of its parts; says its ETag. With `create_only` it replaces none, where the store knows how.

        The code of the S3Error is PreconditionFailed when there is one.
        """
        asked = {**self._part_of(upload), "MultipartUpload": {"Parts": parts}}
        with self._asked() as client:
            if create_only and not self._plain:
                try:
                    return _bare(client.complete_multipart_upload(**asked, IfNoneMatch="*")["ETag"])
                except ClientError as error:
                    if error.response.get("Error", {}).get("Code") not in ("NotImplemented", "501"):
                        raise
            return _bare(client.complete_multipart_upload(**asked)["ETag"])

    def abort(self, upload: str) -> None:
        """Give up an upload, and the parts the store holds of it; one the store does not know is none."""
        try:
            with self._asked() as client:
                client.abort_multipart_upload(**self._part_of(upload))
        except S3Error as error:
            if error.code not in ("NoSuchUpload", "404"):
                raise

    def uploads(self) -> list[str]:
        """The uploads to this very key that nobody has completed."""
        with self._asked() as client:
            pages = client.get_paginator("list_multipart_uploads").paginate(**self._bucket, Prefix=self.address.key)
            rows = [row for page in pages for row in page.get("Uploads", ())]
        return [str(row["UploadId"]) for row in rows if row["Key"] == self.address.key]

    def head(self) -> Head | None:
        """The object as it is; None when there is none. The code of the S3Error is 403 when we may not look."""
        try:
            with self._asked() as client:
                asked = {} if self._plain else {"ChecksumMode": "ENABLED"}
                said = client.head_object(**self._bucket, Key=self.address.key, **asked)
        except S3Error as error:
            if error.code in ("404", "NoSuchKey"):
                return None
            raise
        return Head(
            int(said["ContentLength"]),
            _bare(said["ETag"]),
            str(said.get("Metadata", {}).get(TOKEN, "")),
            str(said.get("ChecksumSHA256", "")).partition("-")[0],
        )

    def presign(self, seconds: int) -> str:
        """An address at which the object can be fetched for so many seconds; asks nobody."""
        with self._asked() as client:
            asked = {**self._bucket, "Key": self.address.key}
            return str(client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds))

    def any_inside(self) -> bool:
        """Whether any object's key goes on after ours, that of a folder."""
        with self._asked() as client:
            said = client.list_objects_v2(**self._bucket, Prefix=self.address.key, MaxKeys=1)
        return bool(said.get("Contents"))

    def put(self, key: str, data: bytes, *, kind: str, cache: str) -> None:
        """Make an object of a few bytes at once, compared by the store with their MD5."""
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        said = {"ContentType": kind, "CacheControl": cache, "ContentMD5": digest}
        with self._asked() as client:
            client.put_object(**self._bucket, Key=key, Body=data, **said)

    def remove(self, key: str) -> None:
        """Take an object away; none is none."""
        with self._asked() as client:
            client.delete_object(**self._bucket, Key=key)

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of every object whose key begins so."""
        with self._asked() as client:
            pages = client.get_paginator("list_objects_v2").paginate(**self._bucket, Prefix=prefix)
            return {str(row["Key"]): int(row["Size"]) for page in pages for row in page.get("Contents", ())}

    @property
    def _bucket(self) -> dict[str, str]:
        return {"Bucket": self.address.bucket}

    def _part_of(self, upload: str) -> dict[str, str]:
        return {"Bucket": self.address.bucket, "Key": self.address.key, "UploadId": upload}

    @contextmanager
    def _asked(self) -> Iterator[Any]:
        try:
            yield self._connected()
        except (BotoCoreError, ClientError, ValueError) as error:
            secrets = tuple(self._options.get(name, "") for name in ("access_key", "secret_key"))
            raise translated(
                error, self.address, self._options.get("endpoint", ""), secrets, self.address.scheme
            ) from None

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._made()
            return self._client

    def _made(self) -> Any:
        given = self._options
        access, secret = given.get("access_key"), given.get("secret_key")
        if bool(access) != bool(secret):
            missing = f"{self.address.scheme}_{'secret' if access else 'access'}_key"
            raise S3Error(f"{self.address}: {missing} is missing; set both", NO_CREDENTIALS, field=missing)
        if not access and self.address.scheme != "s3":
            # What AWS tools find is for nobody else.
            field = f"{self.address.scheme}_access_key"
            raise S3Error(f"{self.address}: there are no credentials; set {field}", NO_CREDENTIALS, field=field)
        session = boto3.session.Session(
            aws_access_key_id=access, aws_secret_access_key=secret, profile_name=given.get("profile")
        )
        endpoint = given.get("endpoint")
        # Buckets as names of hosts need DNS made for them, which stores other than Amazon's seldom have.
        path_style = given.get("path_style", "yes" if endpoint else "no") == "yes"
        return session.client(
            "s3",
            endpoint_url=endpoint,
            region_name=given.get("region") or session.region_name or "us-east-1",
            config=Config(
                connect_timeout=CONNECT,
                read_timeout=2 * CONNECT if self._brisk else READ,
                retries={"mode": "adaptive", "total_max_attempts": 1 if self._brisk else _ATTEMPTS},
                s3={"addressing_style": "path" if path_style else "auto"},
                # The checksums newer SDKs add unasked are refused by several stores; ours are given with every part.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # Without being told, addresses are signed in the way newer regions do not know any more.
                signature_version="s3v4",
                tcp_keepalive=True,
                user_agent_extra="egress",
            ),
        )


def _bare(etag: str) -> str:
    return etag.strip('"')


def looked(look: Callable[[], T], otherwise: T) -> T:
    """What a look says, or `otherwise` when the store does not let us look."""
    try:
        return look()
    except S3Error as error:
        if error.code not in ("403", "AccessDenied", "NotImplemented", "501"):
            raise
        return otherwise
