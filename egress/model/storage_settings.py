"""What storages elsewhere are set to: where they are, and who we are to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from egress.model.secrets import Secret
from egress.model.setting_values import (
    address_value,
    part_mib_value,
    secret_value,
    setting,
    text_value,
    yes_or_no_value,
)


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The settings of storages."""

    s3_endpoint: str | None = field(
        default=None,
        metadata=setting(
            "Address of the S3 store that `s3://` targets go to, like `https://s3.example.org`.",
            address_value,
            default="Amazon S3",
        ),
    )
    s3_region: str | None = field(
        default=None,
        metadata=setting("Region of the buckets.", text_value, default="what AWS tools are set to, or `us-east-1`"),
    )
    s3_access_key: str | None = field(
        default=None,
        metadata=setting(
            "Access key of the S3 store.", text_value, default="what AWS tools find: environment, profile, role"
        ),
    )
    s3_secret_key: Secret | None = field(
        default=None,
        metadata=setting("Secret key that belongs to `s3_access_key`.", secret_value, default="none", secret=True),
    )
    s3_profile: str | None = field(
        default=None,
        metadata=setting("Profile in the AWS files to take credentials from.", text_value, default="none"),
    )
    s3_path_style: bool | None = field(
        default=None,
        metadata=setting(
            "Whether buckets are named in the path of addresses (yes) or in the host (no).",
            yes_or_no_value,
            default="yes with `s3_endpoint`, else no",
        ),
    )
    s3_part_mib: int = field(
        default=16,
        metadata=setting(
            "MiB in each part of an upload: 1 to 512, Amazon and others take 5 or more. The last parts are sent when a "
            "recording ends, so less ends sooner on a slow line.",
            part_mib_value,
        ),
    )
    gs_access_key: str | None = field(
        default=None,
        metadata=setting("Access id of an HMAC key for Google Cloud Storage (`gs://`).", text_value, default="none"),
    )
    gs_secret_key: Secret | None = field(
        default=None,
        metadata=setting("Secret that belongs to `gs_access_key`.", secret_value, default="none", secret=True),
    )
    azure_account_key: Secret | None = field(
        default=None,
        metadata=setting(
            "Key of the storage account that `azure://` targets name.", secret_value, default="none", secret=True
        ),
    )
    azure_sas_token: Secret | None = field(
        default=None,
        metadata=setting("SAS token to use instead of `azure_account_key`.", secret_value, default="none", secret=True),
    )
    azure_endpoint: str | None = field(
        default=None,
        metadata=setting(
            "Address of the blob service, where it is another than Azure's public one.",
            address_value,
            default="`https://ACCOUNT.blob.core.windows.net`",
        ),
    )

    def storage_options(self) -> dict[str, dict[str, str]]:
        """What storages are told, by the scheme of their addresses; secrets go to no storage but their own."""
        s3 = {
            "endpoint": self.s3_endpoint,
            "region": self.s3_region,
            "access_key": self.s3_access_key,
            "secret_key": self.s3_secret_key.reveal() if self.s3_secret_key else None,
            "profile": self.s3_profile,
            "path_style": None if self.s3_path_style is None else ("yes" if self.s3_path_style else "no"),
            "part_mib": str(self.s3_part_mib),
        }
        gs = {
            "access_key": self.gs_access_key,
            "secret_key": self.gs_secret_key.reveal() if self.gs_secret_key else None,
            "part_mib": str(self.s3_part_mib),
        }
        azure = {
            "account_key": self.azure_account_key.reveal() if self.azure_account_key else None,
            "sas_token": self.azure_sas_token.reveal() if self.azure_sas_token else None,
            "endpoint": self.azure_endpoint,
            "part_mib": str(self.s3_part_mib),
        }
        return {
            scheme: {name: value for name, value in options.items() if value}
            for scheme, options in (("s3", s3), ("gs", gs), ("azure", azure))
        }
