"""The template a service comes with: whoever publishes into a room called studio is streamed live."""

from __future__ import annotations

from sqlalchemy import Connection

from egress.control import templates
from egress.control.jobs import insert_new
from egress.control.sealing import Sealer
from egress.control.tables import facts
from egress.model.template import read_template

NAME = "studio"
ROOMS = "studio*"
_DOCUMENT = {
    "name": NAME,
    "about": "Publish to /whip/studio, from a page at /publish/studio or from OBS, and watch at /live/studio/.",
    "rooms": [ROOMS],
    "server": "local:{room}",
    "pipelines": ["live-hls"],
}
_FACT = "first_template"


def furnish(connection: Connection, sealer: Sealer) -> bool:
    """Keep it in a store that never had a template; whether it did. One that was removed stays away."""
    if not insert_new(connection, facts, {"name": _FACT, "value": NAME}, "name"):
        return False
    if templates.page(connection, limit=1).items:
        return False
    templates.put(connection, sealer, read_template(_DOCUMENT))
    return True
