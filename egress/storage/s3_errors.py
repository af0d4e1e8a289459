"""What S3 stores answer when they will not, in words, with the setting or field that mends it."""

from __future__ import annotations

from collections.abc import Mapping

import botocore.exceptions as botocore

from egress.model.s3_address import S3Address
from egress.model.secrets import redact
from egress.storage.base import StoreError

ALLOW = "s3:PutObject, s3:GetObject, s3:ListBucket, s3:AbortMultipartUpload and s3:ListMultipartUploadParts"
"""What whoever records must be allowed; docs/storage.md holds a policy."""

_KEYS = "set s3_access_key and s3_secret_key, or s3_profile, or what other AWS tools read (docs/storage.md)"
_CLOCK = "the clock of this machine is wrong; set it"

_BY_CODE: Mapping[str, tuple[str, str]] = {
    "InvalidAccessKeyId": ("s3_access_key", "the store does not know this access key; correct s3_access_key"),
    "SignatureDoesNotMatch": ("s3_secret_key", "the secret key does not fit the access key; correct s3_secret_key"),
    "NoSuchBucket": ("to", "there is no bucket {bucket}; make it, or name another"),
    "InvalidBucketName": ("to", "the store takes no bucket of the name {bucket}; name another"),
    "AccessDenied": ("to", "may not be written by these credentials; allow them " + ALLOW),
    "AllAccessDisabled": ("to", "the store has closed bucket {bucket}; name another"),
    "AccountProblem": ("to", "the store has closed this account; ask whoever runs it"),
    "QuotaExceeded": ("to", "bucket {bucket} is full; make room in it, or name another"),
    "PermanentRedirect": ("s3_region", "bucket {bucket} is in another region; correct s3_region"),
    "AuthorizationHeaderMalformed": ("s3_region", "bucket {bucket} is in another region; correct s3_region"),
    "IllegalLocationConstraintException": ("s3_region", "bucket {bucket} is in another region; correct s3_region"),
    "ExpiredToken": ("s3_access_key", "the credentials have expired; renew them"),
    "ExpiredTokenException": ("s3_access_key", "the credentials have expired; renew them"),
    "InvalidToken": ("s3_access_key", "the session token is not valid; renew the credentials"),
    "RequestTimeTooSkewed": ("to", _CLOCK),
    "RequestExpired": ("to", _CLOCK),
    "301": ("s3_region", "bucket {bucket} is in another region; correct s3_region"),
}
"""By the store's code: the setting or field at fault, and what to do about it."""

_RENEWED = (
    *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "RequestExpired"),
    "InvalidAccessKeyId",
)
"""Codes that go away with fresh credentials, where the chain has them: keys are rotated while jobs run."""

_PASSING = (
    *("SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "InternalError", "ServiceUnavailable", "Throttling"),
    *("OperationAborted", "ConditionalRequestConflict", "BadDigest", "IncompleteBody", "408", "429"),
)

NO_CREDENTIALS = "NoCredentials"
UNREACHABLE = "Unreachable"


class S3Error(StoreError):
    """A store did not do as asked. `field` is the setting to mend, or "to"."""

    def __init__(self, message: str, code: str, *, field: str = "to", passing: bool = False) -> None:
        super().__init__(message, code, passing=passing)
        self.field = field

    @property
    def stale(self) -> bool:
        """Whether other credentials may help."""
        return self.code in _RENEWED


def translated(
    error: Exception, address: S3Address, endpoint: str, secrets: tuple[str, ...], settings: str = "s3"
) -> S3Error:
    """What botocore raised, as an error of ours; what it quotes is kept, without the secrets.

    `settings` is how the names of the settings begin that mend it.
    """
    found = _translated(error, address, endpoint, secrets)
    if settings == "s3":
        return found
    message, field = (text.replace("s3_", f"{settings}_") for text in (found.message, found.field))
    return S3Error(message, found.code, field=field, passing=found.passing)


def _translated(error: Exception, address: S3Address, endpoint: str, secrets: tuple[str, ...]) -> S3Error:
    if isinstance(error, botocore.ClientError):
        return _refused(error, address, secrets)

    def wrong(what: str, code: str, field: str, *, passing: bool = False) -> S3Error:
        return S3Error(f"{address}: {what}", code, field=field, passing=passing)

    where = endpoint or "Amazon S3"
    match error:
        case botocore.NoCredentialsError():
            return wrong(f"there are no credentials; {_KEYS}", NO_CREDENTIALS, "s3_access_key")
        case botocore.PartialCredentialsError():
            return wrong(f"half of the credentials is missing; {_KEYS}", NO_CREDENTIALS, "s3_secret_key")
        case botocore.ProfileNotFound():
            return wrong("there is no such profile in the AWS files; correct s3_profile", NO_CREDENTIALS, "s3_profile")
        case (
            botocore.TokenRetrievalError() | botocore.CredentialRetrievalError() | botocore.UnauthorizedSSOTokenError()
        ):
            return wrong(f"no credentials could be had; {_KEYS}", "ExpiredToken", "s3_access_key", passing=True)
        case botocore.SSLError():
            what = f"{where} has no certificate this machine trusts, or speaks no TLS; correct s3_endpoint"
            return wrong(what, UNREACHABLE, "s3_endpoint", passing=True)
        case botocore.HTTPClientError() | botocore.ConnectionError():
            what = f"{where} does not answer; correct s3_endpoint, or mend the network"
            return wrong(what, UNREACHABLE, "s3_endpoint", passing=True)
    # Texts of botocore's other errors may quote parameters.
    text = redact(str(error), *secrets)
    return wrong(f"{type(error).__name__}: {text}", type(error).__name__, "to")


def _refused(error: botocore.ClientError, address: S3Address, secrets: tuple[str, ...]) -> S3Error:
    said = error.response.get("Error", {})
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(said.get("Code") or status)
    field, text = _BY_CODE.get(code, ("to", ""))
    if not text:
        text = f"the store answered {code}: {redact(str(said.get('Message') or status), *secrets)}"
    passing = (status >= 500 and status != 501) or code in (*_PASSING, *_RENEWED)
    return S3Error(f"{address}: {text.format(bucket=address.bucket)}", code, field=field, passing=passing)
