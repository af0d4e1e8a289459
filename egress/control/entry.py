"""Who may come in at all: the tokens that are taken, and whether friends can be told from strangers."""

from __future__ import annotations

from sqlalchemy import Connection

from egress.control import keys
from egress.control.tokens import Tokens
from egress.model.errors import RequestError
from egress.model.secrets import signing_keys
from egress.model.settings import Settings


def tokens_of(settings: Settings) -> Tokens:
    """What makes and verifies tokens by these settings; raises RequestError when a key cannot be used."""
    keys = []
    for path in settings.token_keys:
        try:
            keys.append(path.read_bytes())
        except OSError as error:
            wrong = f"{path} cannot be read: {error.strerror}"
            raise RequestError(f"EGRESS_TOKEN_KEYS: {wrong}", (("token_keys", wrong),)) from None
    return Tokens(signing_keys(settings.token_secret), keys)


def check_exposed(connection: Connection, settings: Settings) -> None:
    """Raise RequestError where other machines reach the service and anybody on them would be let in."""
    if not tokens_of(settings).usable and not keys.usable(connection):
        wrong = (
            "is reached from other machines, and there is no key yet: make one (egress keys add NAME --scope admin) "
            "or set EGRESS_TOKEN_SECRET, or listen on 127.0.0.1"
        )
        raise RequestError(f"the address to listen on {wrong}", (("listen", wrong),))
