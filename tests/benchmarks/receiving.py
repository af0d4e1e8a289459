"""What receiving costs: our receiver against aiortc's own, in one run: `python -m tests.benchmarks.receiving`.

Each side runs in a process of its own, fed by a publisher process each; CPU seconds of the receiving process per second
of media, decoding left out on both sides (aiortc's decoder threads are replaced by one that drops what it is given).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import uvloop

from egress.model.errors import EndOfTrack
from egress.model.media import EncodedFrame
from egress.rooms.peer import PeerConnection
from egress.rooms.receiver import ReceivedTrack
from tests.publisher import ClipTrack, Publisher, audio_clip, video_clip

WARM_UP = 3.0


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def send_line(text: str) -> None:
    print(len(text.encode()), text, sep="\n", end="", flush=True)


async def receive_text(stream: asyncio.StreamReader) -> str:
    size = int(await stream.readline())
    return (await stream.readexactly(size)).decode()


async def publish(participants: int, seconds: float) -> None:
    """The publisher process: offers on stdout, reads the answer on stdin."""
    tracks = [
        ClipTrack(kind, audio_clip() if kind == "audio" else video_clip()) for kind in ("audio", "video") * participants
    ]
    publisher = Publisher(tracks)
    await send_line(await publisher.offer())
    stdin = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    await publisher.accept(await receive_text(stdin))
    await asyncio.sleep(seconds + WARM_UP + 5)
    await publisher.close()


async def ours(offer: str, counts: dict[str, int]) -> tuple[str, Any]:
    async def take(track: ReceivedTrack) -> None:
        def count(_: EncodedFrame) -> None:
            counts[track.kind] += 1

        with suppress(EndOfTrack):
            await track.deliver(count)

    tasks: list[asyncio.Task[None]] = []
    peer = PeerConnection(on_track=lambda track: tasks.append(asyncio.create_task(take(track))))
    return await peer.answer(offer), peer


async def stock(offer: str, counts: dict[str, int]) -> tuple[str, Any]:
    import aiortc.rtcrtpreceiver
    from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    def drop(loop: Any, source: Any, sink: Any, error: Any) -> None:
        while (task := source.get()) is not None:
            counts["audio" if task[0].mimeType.startswith("audio") else "video"] += 1

    aiortc.rtcrtpreceiver.decoder_worker = drop
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    return peer.localDescription.sdp, peer


async def receive(kind: str, participants: int, seconds: float) -> None:
    """The receiving process: starts its publisher, measures itself, prints one line."""
    command = [sys.executable, "-m", "tests.benchmarks.receiving", "publish", str(participants), str(seconds)]
    publisher = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    assert publisher.stdin and publisher.stdout
    counts = {"audio": 0, "video": 0}
    answer, peer = await (stock if kind == "stock" else ours)(await receive_text(publisher.stdout), counts)
    publisher.stdin.write(f"{len(answer.encode())}\n{answer}".encode())
    await publisher.stdin.drain()
    await asyncio.sleep(WARM_UP)
    before, begun, had = cpu(), time.monotonic(), dict(counts)
    await asyncio.sleep(seconds)
    passed = time.monotonic() - begun
    used, got = cpu() - before, {name: counts[name] - had[name] for name in counts}
    rates = {name: got[name] / passed / participants for name in got}
    print(f"{kind:12} {used / passed:.3f} CPU s/s   {rates['video']:.1f} fps   {rates['audio']:.1f} audio frames/s")
    await peer.close()
    publisher.terminate()
    await publisher.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="all")
    parser.add_argument("participants", nargs="?", type=int, default=9)
    parser.add_argument("seconds", nargs="?", type=float, default=8.0)
    options = parser.parse_args()
    if options.what == "publish":
        asyncio.run(publish(options.participants, options.seconds))
    elif options.what == "all":
        for kind in ("stock", "ours", "ours-uvloop"):
            command = ["-m", "tests.benchmarks.receiving", kind, str(options.participants), str(options.seconds)]
            subprocess.run([sys.executable, *command], check=True)
    else:
        factory = uvloop.new_event_loop if options.what.endswith("uvloop") else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(receive(options.what, options.participants, options.seconds))


if __name__ == "__main__":
    main()
