"""A worker without media, for tests of what looks after workers: a real process with the real lock, socket and log.

What becomes of it is in the name of its room, words between dashes: `mute` never joins, `dies` is killed once it has
joined, `dies-once` only in its first attempt, `refused` ends at once by the room's fault, `lasting` takes no stop,
`silent` answers no command. It makes one file per sink.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from egress.lines import read_lines
from egress.model import control
from egress.model.errors import RequestError
from egress.model.order import JobOrder
from egress.model.places import room_name
from egress.reporting import Announcer, Reception
from egress.storage.spool import JobFolder

PULSE = 0.05


async def spawn(order: JobOrder) -> asyncio.subprocess.Process:
    """As egress.control.worker_run.spawn, for this worker."""
    with _log_of(order) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.fake_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin is not None
    process.stdin.write(order.model_dump_json().encode() + b"\n")
    await process.stdin.drain()
    return process


def _log_of(order: JobOrder) -> Any:
    return Path(order.log).open("ab")


def main() -> None:
    """Live one life."""
    order = JobOrder.model_validate_json(next(read_lines(0, longest=1 << 20)))
    words = room_name(order.room).split("-")
    folder = JobFolder(Path(order.folder))
    with folder.held() as mine:
        assert mine
        folder.create(order)
        reception = Reception(folder.path, order.attempt)
        os.write(1, b'{"type": "detached"}\n')
        os.close(1)
        print(f"attempt {order.attempt} of {order.id}", file=sys.stderr, flush=True)
        announce = Announcer(reception)
        if "refused" in words:
            end(order, announce, reception, state="failed", reason="the room says no", blame="room")
            return
        stop = threading.Event()
        if "mute" not in words:
            announce({"type": "ready", "whip": f"http://127.0.0.1:9/whip/{room_name(order.room)}"})
        said = control.answer
        listener = threading.Thread(target=obey, args=(reception.commands(), announce, stop, words, said), daemon=True)
        listener.start()
        count = 0
        while not stop.wait(PULSE):
            count += 1
            figures = {"elapsed": count * PULSE, "ticks": count, "bytes": count * 1000, "cpu": count * PULSE / 4}
            announce({"type": "alive", **figures, "sinks": [{"sink": "mp4", "seconds": count}]})
            if "dies" in words and count == 4 and ("once" not in words or order.attempt == 1):
                os.kill(os.getpid(), signal.SIGKILL)
        announce({"type": "state", "state": "stopping", "reason": "asked to stop"})
        while "lasting" in words:
            time.sleep(PULSE)
        end(order, announce, reception, state="finished", reason="asked to stop", blame=None)


def obey(
    lines: Iterator[bytes], announce: Announcer, stop: threading.Event, words: list[str], answer: Any = control.answer
) -> None:
    """Answer every command; a title cannot be had."""
    for line in lines:
        command = control.parse(line)
        if "silent" in words and not isinstance(command, control.Stop):
            continue
        error = None
        if isinstance(command, control.SetTitle):
            error = RequestError("text is not for this room", (("text", "is not for this room"),))
        if isinstance(command, control.AddDestination):
            told = {"type": "destination", "name": command.name, "to": "rtmp://host/app/…", "state": "live"}
            announce({**told, "bytes": 10, "retries": 0})
        if isinstance(command, control.Pause | control.Resume):
            announce({"type": "pause", "paused": isinstance(command, control.Pause), "at": 0.0})
        announce(answer(command, error=error, message="" if error else "done"))
        if isinstance(command, control.Stop):
            stop.set()


def end(order: JobOrder, announce: Announcer, reception: Reception, **said: str | None) -> None:
    """Say how the job ended, with a file for every sink."""
    rows = []
    for sink in order.pipeline.sinks:
        if sink.kind == "mp4" and said["state"] == "finished":
            Path(sink.to).parent.mkdir(parents=True, exist_ok=True)
            Path(sink.to).write_bytes(b"media")
            rows.append({"kind": "mp4", "location": sink.to, "size": 5, "duration": 1.5, "sha256": "00", "seen": 2})
    manifest = f"{order.manifest}-{order.id}" if "beside" in room_name(order.room) else order.manifest
    files = {
        "artifacts": rows,
        "manifest": manifest if said["state"] == "finished" else None,
        "spool": None,
        "undelivered": [],
    }
    announce({"type": "state", **said, "duration": 1.5, **files})
    announce.close()
    reception.close()


if __name__ == "__main__":
    main()
