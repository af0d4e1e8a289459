"""What the service is set to: where it keeps its jobs, and who may use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from egress.model.media import SECOND, Nanos
from egress.model.secrets import Secret, signing
from egress.model.setting_values import (
    address_value,
    cores_value,
    database_value,
    duration_value,
    files_value,
    hook_value,
    livekit_value,
    log_format_value,
    rate_value,
    secret_value,
    setting,
    yes_or_no_value,
)
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
    advertise: str | None = field(
        default=None,
        metadata=setting(
            "Address at which browsers and other programs reach this server, like `https://egress-2.example.org`. "
            "Servers that share a database send publishers and viewers on to the one that holds their room.",
            address_value,
            default="none: other servers say on which one it is",
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
    token_secret: Secret | None = field(
        default=None,
        metadata=setting(
            "Secret that tokens for the API and for publishers are signed with, as `openssl rand -hex 32` prints it; "
            "several with commas between are all taken, and the first one signs.",
            signing,
            default="none",
            secret=True,
        ),
    )
    token_keys: tuple[Path, ...] = field(
        default=(),
        metadata=setting(
            "Files with Ed25519 public keys in PEM, commas between: tokens signed by their owners are taken too.",
            files_value,
            default="none",
        ),
    )
    hook_secret: Secret | None = field(
        default=None,
        metadata=setting(
            "Secret that Janus, 100ms or a program of your own presents when it tells of a room (`/api/v1/hooks/...`); "
            "several with commas between are all taken. One that begins with `whsec_` may also sign, by Standard "
            "Webhooks.",
            hook_value,
            default="none: those hooks are closed",
            secret=True,
        ),
    )
    livekit_keys: Secret | None = field(
        default=None,
        metadata=setting(
            "API keys that LiveKit signs its webhooks with, as NAME:SECRET, commas between.",
            livekit_value,
            default="none: that hook is closed",
            secret=True,
        ),
    )
    server: str = field(
        default="http://127.0.0.1:8080",
        metadata=setting(
            "Address of the service that `egress jobs` and `egress schedule` talk to.",
            address_value,
            default="`http://127.0.0.1:8080`",
        ),
    )
    api_key: Secret | None = field(
        default=None,
        metadata=setting(
            "API key that `egress jobs` and `egress schedule` bring, as `egress keys add` prints it.",
            secret_value,
            default="none",
            secret=True,
        ),
    )
    webhook_private: bool = field(
        default=False,
        metadata=setting(
            "true: webhooks may be sent to private addresses too, like those of your own network. Whoever may make "
            "webhooks then chooses what this machine sends there.",
            yes_or_no_value,
            default="`false`",
        ),
    )
    log_format: str = field(
        default="auto",
        metadata=setting(
            "How `egress serve` writes its log: `json`, a document a line; `plain`, for people; `auto`, plain on a "
            "terminal.",
            log_format_value,
        ),
    )
    api_rate: int = field(
        default=1000,
        metadata=setting(
            "Requests a second each caller may make of the API on average, a key or else an address; 0 is no limit.",
            rate_value,
        ),
    )
    capacity: float | None = field(
        default=None,
        metadata=setting(
            "CPU cores all jobs of this server may need together; a job beyond is refused.",
            cores_value,
            default="80 % of the cores there are",
        ),
    )
    drain: Nanos = field(
        default=600 * SECOND,
        metadata=setting(
            "How long SIGTERM waits for running jobs before they are left to the next `egress serve`.",
            duration_value,
            default="`10m`",
        ),
    )
