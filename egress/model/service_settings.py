"""What the service is set to: where it keeps its jobs, and who may use it."""

from __future__ import annotations

from dataclasses import dataclass, field

from egress.model.secrets import Secret, signing
from egress.model.setting_values import database_value, secret_value, setting
from egress.model.storage_settings import StorageSettings


@dataclass(frozen=True, slots=True)
class ServiceSettings(StorageSettings):
    """The settings of `egress serve`."""

    database: Secret | None = field(
        default=None,
        metadata=setting(
            "Where the service keeps its jobs: `sqlite:////FOLDER/FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`, "
            "which several servers may share.",
            database_value,
            default="the file `egress.db` in the spool",
            secret=True,
        ),
    )
    secret_key: Secret | None = field(
        default=None,
        metadata=setting(
            "Key that secrets in the database are sealed with, as `openssl rand -hex 32` prints it; the same on all "
            "servers of one database. To change it, put another one and a comma before it.",
            secret_value,
            default="made once, in the file `egress.key` in the spool",
            secret=True,
        ),
    )
    playback_secret: Secret | None = field(
        default=None,
        metadata=setting(
            "Viewers of live streams need a token signed with it, made by `egress token playback`; several with commas "
            "between are all taken, and the first one signs. Without it whoever reaches the address may watch.",
            signing,
            default="none",
            secret=True,
        ),
    )
