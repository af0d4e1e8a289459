"""`egress demo`: synthetic participants publish into a local room, and a job like any other records it."""

from __future__ import annotations

import argparse
import asyncio
import json
from functools import partial
from pathlib import Path

from egress.commands.common import DEFAULT_LISTEN, address, addresses, caution, finish, printer, settings_of
from egress.control.attempts import Ending
from egress.demo.troupe import Troupe, troupe
from egress.foreground import Foreground
from egress.model.errors import RequestError
from egress.model.media import MILLISECOND
from egress.model.order import JobOrder
from egress.ordering import make_order

ROOM = "local:demo"
MANIFEST = "manifest.json"
MOST = 49
FAILED = 1


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if not 1 <= arguments.participants <= MOST:
        raise RequestError(f"--participants must be 1 to {MOST}", (("participants", f"must be 1 to {MOST}"),))
    settings = settings_of(arguments)
    listen = address(arguments.listen)
    order = make_order(
        ROOM,
        pipeline=arguments.pipeline,
        root=arguments.out,
        spool=settings.spool,
        assets=settings.assets,
        seconds=arguments.seconds,
        streams=addresses(arguments.rtmp),
        reorder=settings.reorder_ms * MILLISECOND,
        private_avatars=settings.private_avatars,
        log_level=settings.log_level,
        storage_options=settings.storage_options(),
        ffmpeg=settings.ffmpeg,
        renamed={"mp4": "demo.mp4", "hls": "hls/"},
        layout=arguments.layout,
        manifest=MANIFEST,
        overwrite=arguments.overwrite or _made_by_a_demo(arguments.out),
    )
    show = printer(arguments.json)
    caution(order, show)
    job = Foreground(
        order,
        on_event=show,
        listen=listen or (DEFAULT_LISTEN if arguments.serve else ("127.0.0.1", 0)),
    )
    return asyncio.run(_run(job, order, arguments))


async def _run(job: Foreground, order: JobOrder, arguments: argparse.Namespace) -> int:
    async def after(ending: Ending) -> None:
        finish(ending, order, as_json=arguments.json)
        if arguments.serve and job.url:
            print(f"  watch it at {job.url}/live/{job.room_name}/  (Ctrl-C ends)", flush=True)
            await job.interrupted()

    async with troupe(arguments.participants, arguments.seconds + 10, arguments.codec) as participants:
        ending = await job.run(beside=partial(_publish, participants), after=after)
    return ending.exit_status if participants.status is None else FAILED


async def _publish(participants: Troupe, job: Foreground) -> None:
    status = await participants.perform(f"{job.url}/whip/{job.room_name}")
    job.tell({"type": "warning", "message": f"the participants have gone (exit status {status}); the rest is empty"})


def _made_by_a_demo(out: Path) -> bool:
    """Whether what is in a folder came from a demo, and may be replaced by the next one."""
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("room") == ROOM
