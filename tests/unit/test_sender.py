"""The sender as a process: light, quick to give up, and silent about its key."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil

from egress.sinks.flv import Track
from egress.sinks.sender_feed import END, Frame, Limits, Order
from tests.rtmp_programme import programme
from tests.rtmp_server import ScriptedRtmp, silent_server

KEY = "canary-7f3e9a-4471"


def _run(told: bytes) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "egress.sinks.sender"]
    done = subprocess.run(command, input=told, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    assert b"canary" not in done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def _order(url: str) -> bytes:
    (audio,) = programme(2).only("audio").streams
    track = Track("audio", audio.extradata, audio.bitrate, rate=audio.rate, channels=audio.channels)
    return Order(url, (track,), Limits(handshake=0.5)).encode()


def test_it_loads_nothing_heavy() -> None:
    heavy = ("av", "numpy", "aiortc", "pydantic", "uvloop")
    code = f"import egress.sinks.sender, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout.strip() == b"[]"


def test_an_order_that_is_none_is_reported() -> None:
    (report,) = _run(b"nonsense\n")
    assert (report["event"], report["code"], report["reason"]) == ("lost", "sender", "the first line is not an order")


def test_a_stream_that_is_ended_before_the_server_answered_ends_at_once() -> None:
    with silent_server() as port:
        reports = _run(_order(f"rtmp://127.0.0.1:{port}/live/{KEY}") + END)
    assert [report["event"] for report in reports] == ["ended"]


def test_frames_of_a_track_that_was_not_ordered_are_reported() -> None:
    with ScriptedRtmp() as server:
        command = [sys.executable, "-m", "egress.sinks.sender"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(_order(server.url(KEY)))
            child.stdin.flush()
            while json.loads(child.stdout.readline())["event"] != "live":
                pass
            child.stdin.write(Frame(5, True, 0, 0, b"x").encode())
            child.stdin.flush()
            while (report := json.loads(child.stdout.readline()))["event"] == "alive":
                pass
            assert (report["event"], report["code"]) == ("lost", "sender")
            assert "track 5" in report["reason"]


_WORKER = """
import sys, time
from egress.sinks.sender_process import SenderProcess
child = SenderProcess(bytes.fromhex(sys.argv[1]))
while not child.reports():
    child.wait(1)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_sender_that_hangs_dies_with_its_worker() -> None:
    with silent_server() as port:
        order = Order(f"rtmp://127.0.0.1:{port}/live/{KEY}", (), Limits(handshake=600)).encode()
        worker = subprocess.Popen([sys.executable, "-c", _WORKER, order.hex()], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        sender = psutil.Process(int(worker.stdout.readline()))
        sender.send_signal(signal.SIGSTOP)
        worker.kill()
        worker.wait(30)
        worker.stdout.close()
        deadline = time.monotonic() + 60
        while sender.is_running() and sender.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.02)
        gone = not sender.is_running() or sender.status() == psutil.STATUS_ZOMBIE
        if not gone:
            sender.kill()
        assert gone


def test_a_sender_whose_worker_is_gone_already_does_not_begin() -> None:
    command = [sys.executable, "-m", "egress.sinks.sender", str(os.getppid())]
    done = subprocess.run(command, input=b"nonsense\n", capture_output=True, timeout=60, check=True)
    assert done.stdout == b""
