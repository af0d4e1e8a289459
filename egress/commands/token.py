"""`egress token`: make a token for somebody who may watch."""

from __future__ import annotations

import argparse

from egress.commands.common import settings_of
from egress.control.tokens import Tokens
from egress.model.errors import RequestError
from egress.model.media import SECOND
from egress.model.secrets import signing_keys
from egress.model.units import duration

DONE = 0


def run(arguments: argparse.Namespace) -> int:
    """Print a playback token for one stream; returns the exit status."""
    secrets = signing_keys(settings_of(arguments).playback_secret)
    if not secrets:
        missing = "is not set; anybody may watch, and needs no token"
        raise RequestError(f"EGRESS_PLAYBACK_SECRET {missing}", (("playback_secret", missing),))
    try:
        seconds = duration(arguments.valid) // SECOND
    except ValueError as error:
        raise RequestError(f"--for: {error}", (("for", str(error)),)) from None
    print(Tokens(secrets).mint("playback", arguments.name, seconds=seconds, rooms=(arguments.name,)))
    return DONE
