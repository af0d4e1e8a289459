"""`egress demo`: synthetic participants publish into a local room, and a job like any other records it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from egress.commands.common import DEFAULT_LISTEN, address, addresses, finish, printer, settings_of
from egress.foreground import Ending, Foreground
from egress.model.errors import RequestError
from egress.model.media import MILLISECOND
from egress.model.order import JobOrder
from egress.ordering import make_order

ROOM = "local:demo"
MOST = 49


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
        seconds=arguments.seconds,
        streams=addresses(arguments.rtmp),
        reorder=settings.reorder_ms * MILLISECOND,
        log_level=settings.log_level,
        renamed={"mp4": "demo.mp4", "hls": "hls/"},
        layout=arguments.layout,
        manifest="manifest.json",
        overwrite=True,
    )
    job = Foreground(
        order,
        on_event=printer(arguments.json),
        listen=listen or (DEFAULT_LISTEN if arguments.serve else ("127.0.0.1", 0)),
    )
    beside = partial(_participants, arguments=arguments)
    ending = asyncio.run(_run(job, beside, order, arguments))
    return ending.exit_status


async def _run(
    job: Foreground,
    beside: Callable[[Foreground], Awaitable[None]],
    order: JobOrder,
    arguments: argparse.Namespace,
) -> Ending:
    async def after(ending: Ending) -> None:
        finish(ending, order, as_json=arguments.json)
        if arguments.serve and job.url:
            print(f"  watch it at {job.url}/live/{job.room_name}/  (Ctrl-C ends)", flush=True)
            await job.interrupted()

    return await job.run(beside=beside, after=after)


async def _participants(job: Foreground, *, arguments: argparse.Namespace) -> None:
    """Run the participants' process until cancelled; it ends with the job."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "egress.demo.participants",
        "--whip",
        f"{job.url}/whip/{job.room_name}",
        "--participants",
        str(arguments.participants),
        "--seconds",
        str(arguments.seconds + 10),
        "--codec",
        arguments.codec,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()
