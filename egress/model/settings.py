"""What an installation is set to: default < file < environment < flag, each value checked where it came from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from egress.model.problems import Problem, did_you_mean, one_of, refuse
from egress.model.secrets import Secret, signing

PREFIX = "EGRESS_"
CONFIG_VARIABLE = "EGRESS_CONFIG"
CONFIG_FILE = "egress.toml"
"""Read from the current folder when no other file is named."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def state_folder() -> Path:
    """The user's folder for things that must survive a crash but need no backup (XDG base directories)."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state") / "egress"


def _folder(value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("must be a folder")
    return Path(value).expanduser().absolute()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("must be text of printable characters")
    return value.strip()


def _listen(value: Any) -> str:
    text = _text(value)
    _, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or int(port[:6]) > 65535:
        raise ValueError("must be HOST:PORT, like 127.0.0.1:8080")
    return text


def _token(value: Any) -> Secret:
    if not isinstance(value, str) or len(value) < 8 or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be 8 or more ASCII characters without spaces")
    return Secret(value)


def _secret(value: Any) -> Secret:
    if not isinstance(value, str) or not value or len(value) > 1024 or not value.isprintable():
        raise ValueError("must be text of printable characters")
    return Secret(value)


def _database(value: Any) -> Secret:
    text = _text(value)
    if not text.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ValueError("must be sqlite:////FOLDER/FILE or postgresql://USER:PASSWORD@HOST/NAME")
    return Secret(text)


def _milliseconds(value: Any) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 20 <= value <= 5000:
        raise ValueError("must be a whole number of milliseconds, 20 to 5000")
    return value


def _yes(value: Any) -> bool:
    answers = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    answer = (
        value if isinstance(value, bool) else answers.get(value.strip().lower()) if isinstance(value, str) else None
    )
    if answer is None:
        raise ValueError("must be true or false")
    return answer


def _address(value: Any) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be an address like https://s3.example.org") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be an address like https://s3.example.org")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be an address without user, password, '?' and '#'")
    return text.rstrip("/")


def _yes_or_no(value: Any) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.strip().lower() not in known:
        raise ValueError("must be yes or no")
    return known[value.strip().lower()]


def _part_mib(value: Any) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 512:
        raise ValueError("must be a whole number of MiB, 1 to 512")
    return value


def _log_level(value: Any) -> str:
    level = value.upper() if isinstance(value, str) else value
    if level not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return str(level)


def _setting(about: str, parse: Callable[[Any], Any], *, default: str = "", secret: bool = False) -> Any:
    """A field of Settings; `default` is how the documentation writes its default where it depends on the user."""
    return {"about": about, "parse": parse, "shown": default, "secret": secret}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Every field is a line of the table in docs/settings.md."""

    spool: Path = field(
        default_factory=lambda: state_folder() / "spool",
        metadata=_setting(
            "Folder unfinished jobs live in until their outputs are in place; survives crashes.",
            _folder,
            default="`$XDG_STATE_HOME/egress/spool`, or `~/.local/state/egress/spool`",
        ),
    )
    listen: str | None = field(
        default=None,
        metadata=_setting(
            "HOST:PORT where publishers come in by WHIP and viewers watch HLS.",
            _listen,
            default="`127.0.0.1:8080` where a command needs it",
        ),
    )
    database: Secret | None = field(
        default=None,
        metadata=_setting(
            "Where the service keeps its jobs: `sqlite:////FOLDER/FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`, "
            "which several servers may share.",
            _database,
            default="the file `egress.db` in the spool",
            secret=True,
        ),
    )
    secret_key: Secret | None = field(
        default=None,
        metadata=_setting(
            "Key that secrets in the database are sealed with, as `openssl rand -hex 32` prints it; the same on all "
            "servers of one database. To change it, put another one and a comma before it.",
            _secret,
            default="made once, in the file `egress.key` in the spool",
            secret=True,
        ),
    )
    whip_token: Secret | None = field(
        default=None,
        metadata=_setting(
            "Publishers must present this bearer token; without it whoever reaches the address may publish.",
            _token,
            default="none",
            secret=True,
        ),
    )
    playback_secret: Secret | None = field(
        default=None,
        metadata=_setting(
            "Viewers of live streams need a token signed with it, made by `egress token playback`; several with commas "
            "between are all taken, and the first one signs. Without it whoever reaches the address may watch.",
            signing,
            default="none",
            secret=True,
        ),
    )
    assets: Path | None = field(
        default=None,
        metadata=_setting(
            "Folder the pictures named in pipelines are taken from, beside the pipeline's own folder.",
            _folder,
            default="none",
        ),
    )
    janus_pin: Secret | None = field(
        default=None,
        metadata=_setting("Pin of the Janus room to join, where it has one.", _secret, default="none", secret=True),
    )
    janus_token: Secret | None = field(
        default=None,
        metadata=_setting("Token for a Janus server or room that asks for one.", _secret, default="none", secret=True),
    )
    janus_api_secret: Secret | None = field(
        default=None,
        metadata=_setting("The `api_secret` of the Janus server.", _secret, default="none", secret=True),
    )
    reorder_ms: int = field(
        default=300,
        metadata=_setting("How many milliseconds a missing packet is waited for before it is given up.", _milliseconds),
    )
    private_avatars: bool = field(
        default=False,
        metadata=_setting(
            "true: pictures peers name may be fetched from private addresses too, like those of your own network. "
            "Whoever joins the room then chooses what this machine asks there.",
            _yes,
            default="`false`",
        ),
    )
    s3_endpoint: str | None = field(
        default=None,
        metadata=_setting(
            "Address of the S3 store that `s3://` targets go to, like `https://s3.example.org`.",
            _address,
            default="Amazon S3",
        ),
    )
    s3_region: str | None = field(
        default=None,
        metadata=_setting("Region of the buckets.", _text, default="what AWS tools are set to, or `us-east-1`"),
    )
    s3_access_key: str | None = field(
        default=None,
        metadata=_setting(
            "Access key of the S3 store.", _text, default="what AWS tools find: environment, profile, role"
        ),
    )
    s3_secret_key: Secret | None = field(
        default=None,
        metadata=_setting("Secret key that belongs to `s3_access_key`.", _secret, default="none", secret=True),
    )
    s3_profile: str | None = field(
        default=None,
        metadata=_setting("Profile in the AWS files to take credentials from.", _text, default="none"),
    )
    s3_path_style: bool | None = field(
        default=None,
        metadata=_setting(
            "Whether buckets are named in the path of addresses (yes) or in the host (no).",
            _yes_or_no,
            default="yes with `s3_endpoint`, else no",
        ),
    )
    s3_part_mib: int = field(
        default=16,
        metadata=_setting(
            "MiB in each part of an upload: 1 to 512, Amazon and others take 5 or more. The last parts are sent when a "
            "recording ends, so less ends sooner on a slow line.",
            _part_mib,
        ),
    )
    gs_access_key: str | None = field(
        default=None,
        metadata=_setting("Access id of an HMAC key for Google Cloud Storage (`gs://`).", _text, default="none"),
    )
    gs_secret_key: Secret | None = field(
        default=None,
        metadata=_setting("Secret that belongs to `gs_access_key`.", _secret, default="none", secret=True),
    )
    azure_account_key: Secret | None = field(
        default=None,
        metadata=_setting(
            "Key of the storage account that `azure://` targets name.", _secret, default="none", secret=True
        ),
    )
    azure_sas_token: Secret | None = field(
        default=None,
        metadata=_setting("SAS token to use instead of `azure_account_key`.", _secret, default="none", secret=True),
    )
    azure_endpoint: str | None = field(
        default=None,
        metadata=_setting(
            "Address of the blob service, where it is another than Azure's public one.",
            _address,
            default="`https://ACCOUNT.blob.core.windows.net`",
        ),
    )
    ffmpeg: str = field(
        default="ffmpeg",
        metadata=_setting(
            "The ffmpeg program, by name or path, for outputs that it makes once a job has ended: WebM, MP3.", _text
        ),
    )
    log_level: str = field(
        default="WARNING", metadata=_setting("How much is logged: " + ", ".join(LOG_LEVELS) + ".", _log_level)
    )

    def room_options(self, room: str) -> dict[str, str]:
        """What the connector of this room is told; secrets go to no connector but their own."""
        if not room.startswith("janus+"):
            return {}
        secrets = {
            "janus_pin": self.janus_pin,
            "janus_token": self.janus_token,
            "janus_api_secret": self.janus_api_secret,
        }
        return {name: value.reveal() for name, value in secrets.items() if value}

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

    @classmethod
    def load(
        cls,
        *,
        config: str | Path | None = None,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """The settings of this process; raises RequestError with every problem and where it came from.

        The file is `config`, else the one EGRESS_CONFIG names, else `egress.toml` in the current folder if there is
        one. A flag that is None was not given.
        """
        environ = os.environ if environ is None else environ
        path, named = _config_path(config, environ)
        chosen: dict[str, tuple[str, Any]] = {}
        problems: list[Problem] = []
        for key, value in (_read(path) if named or path.is_file() else {}).items():
            if key in NAMES:
                chosen[key] = (f"{path}: {key}", value)
            else:
                problems.append(
                    Problem(f"{path}: {key}", f"unknown setting{did_you_mean(key, NAMES)}; known: {one_of(NAMES)}")
                )
        for name in NAMES:
            if environ.get(variable(name)):
                chosen[name] = (variable(name), environ[variable(name)])
        for name, value in (flags or {}).items():
            if name not in NAMES:
                raise TypeError(f"there is no setting {name!r}")
            if value is not None:
                chosen[name] = (flag(name), value)
        values: dict[str, Any] = {}
        for name, (source, value) in chosen.items():
            try:
                values[name] = _BY_NAME[name].metadata["parse"](value)
            except ValueError as error:
                # The value itself is not repeated: it may be a secret in the wrong place.
                problems.append(Problem(source, str(error)))
        if problems:
            raise refuse("settings", problems)
        return cls(**values)


_BY_NAME: Mapping[str, Field[Any]] = {item.name: item for item in fields(Settings)}
NAMES: tuple[str, ...] = tuple(_BY_NAME)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The command-line flag of a setting, where a command has it."""
    return "--" + name.replace("_", "-")


def table() -> tuple[tuple[str, str, str, str], ...]:
    """For the documentation, one row a setting: name, environment variable, default, what it is for."""
    rows = []
    for item in _BY_NAME.values():
        default = item.metadata["shown"] or (f"`{item.default}`" if item.default is not MISSING else "")
        about = item.metadata["about"] + (" Secret." if item.metadata["secret"] else "")
        rows.append((item.name, variable(item.name), default, about))
    return tuple(rows)


def _config_path(config: str | Path | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The settings file, and whether somebody named it (then it must be there)."""
    named = config or environ.get(CONFIG_VARIABLE)
    return (Path(named).expanduser(), True) if named else (Path(CONFIG_FILE), False)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise refuse("settings", [Problem(str(path), f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError:
        raise refuse("settings", [Problem(str(path), "is not UTF-8 text; save it as UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        raise refuse("settings", [Problem(str(path), f"is not TOML: {error}")]) from None
