"""`egress record`: one job in the foreground."""

from __future__ import annotations

import argparse
import asyncio

from egress.commands.common import (
    DEFAULT_LISTEN,
    address,
    addresses,
    caution,
    finish,
    open_to_strangers,
    printer,
    settings_of,
)
from egress.foreground import Foreground
from egress.model.errors import RequestError
from egress.model.media import MILLISECOND
from egress.model.secrets import signing_keys
from egress.ordering import make_order


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    settings = settings_of(arguments)
    if arguments.control and "@-" in arguments.rtmp:
        problem = "@- and --control would both read standard input; put the addresses into a file"
        raise RequestError(f"--rtmp {problem}", (("rtmp", problem),))
    listen = address(arguments.listen or settings.listen)
    if listen is None and arguments.room.startswith("local:"):
        # A local room nobody can reach would be no room: publishers need an address to come in.
        listen = DEFAULT_LISTEN
    order = make_order(
        arguments.room,
        pipeline=arguments.pipeline,
        root=arguments.to,
        spool=settings.spool,
        assets=settings.assets,
        seconds=arguments.seconds,
        streams=addresses(arguments.rtmp),
        whip_token=settings.whip_token.reveal() if settings.whip_token else None,
        room_options=settings.room_options(arguments.room),
        reorder=settings.reorder_ms * MILLISECOND,
        log_level=settings.log_level,
        storage_options=settings.storage_options(),
        ffmpeg=settings.ffmpeg,
        overwrite=arguments.overwrite,
        private_avatars=settings.private_avatars,
    )
    show = printer(arguments.json)
    if open_to_strangers(listen, settings.whip_token):
        show({"type": "warning", "message": "anybody who reaches this address may publish; set EGRESS_WHIP_TOKEN"})
    caution(order, show)
    job = Foreground(
        order,
        on_event=show,
        listen=listen,
        commands=0 if arguments.control else None,
        playback_secrets=signing_keys(settings.playback_secret),
    )
    return finish(asyncio.run(job.run()), order, as_json=arguments.json)
