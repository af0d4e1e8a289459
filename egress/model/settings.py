"""What an installation is set to: default < file < environment < flag, each value checked where it came from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from egress.model.problems import Problem, did_you_mean, one_of, refuse
from egress.model.secrets import Secret
from egress.model.service_settings import ServiceSettings
from egress.model.setting_values import (
    LOG_LEVELS,
    folder_value,
    listen_value,
    log_level_value,
    milliseconds_value,
    secret_value,
    setting,
    text_value,
    token_value,
    yes_or_no_value,
)

PREFIX = "EGRESS_"
CONFIG_VARIABLE = "EGRESS_CONFIG"
CONFIG_FILE = "egress.toml"
"""Read from the current folder when no other file is named."""


def state_folder() -> Path:
    """The user's folder for things that must survive a crash but need no backup (XDG base directories)."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state") / "egress"


@dataclass(frozen=True, slots=True)
class Settings(ServiceSettings):
    """The settings of one process. Every field is a line of the table in docs/settings.md."""

    spool: Path = field(
        default_factory=lambda: state_folder() / "spool",
        metadata=setting(
            "Folder unfinished jobs live in until their outputs are in place; survives crashes.",
            folder_value,
            default="`$XDG_STATE_HOME/egress/spool`, or `~/.local/state/egress/spool`",
        ),
    )
    listen: str | None = field(
        default=None,
        metadata=setting(
            "HOST:PORT where publishers come in by WHIP and viewers watch HLS.",
            listen_value,
            default="`127.0.0.1:8080` where a command needs it",
        ),
    )
    whip_token: Secret | None = field(
        default=None,
        metadata=setting(
            "Publishers must present this bearer token; without it whoever reaches the address may publish.",
            token_value,
            default="none",
            secret=True,
        ),
    )
    assets: Path | None = field(
        default=None,
        metadata=setting(
            "Folder the pictures named in pipelines are taken from, beside the pipeline's own folder.",
            folder_value,
            default="none",
        ),
    )
    janus_pin: Secret | None = field(
        default=None,
        metadata=setting("Pin of the Janus room to join, where it has one.", secret_value, default="none", secret=True),
    )
    janus_token: Secret | None = field(
        default=None,
        metadata=setting(
            "Token for a Janus server or room that asks for one.", secret_value, default="none", secret=True
        ),
    )
    janus_api_secret: Secret | None = field(
        default=None,
        metadata=setting("The `api_secret` of the Janus server.", secret_value, default="none", secret=True),
    )
    reorder_ms: int = field(
        default=300,
        metadata=setting(
            "How many milliseconds a missing packet is waited for before it is given up.", milliseconds_value
        ),
    )
    private_avatars: bool = field(
        default=False,
        metadata=setting(
            "true: pictures peers name may be fetched from private addresses too, like those of your own network. "
            "Whoever joins the room then chooses what this machine asks there.",
            yes_or_no_value,
            default="`false`",
        ),
    )
    ffmpeg: str = field(
        default="ffmpeg",
        metadata=setting(
            "The ffmpeg program, by name or path, for outputs that it makes once a job has ended: WebM, MP3.",
            text_value,
        ),
    )
    log_level: str = field(
        default="WARNING", metadata=setting("How much is logged: " + ", ".join(LOG_LEVELS) + ".", log_level_value)
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


_BY_NAME: Mapping[str, Field[Any]] = {
    item.name: item for item in sorted(fields(Settings), key=lambda item: item.name not in Settings.__annotations__)
}
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
