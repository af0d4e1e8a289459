"""One file made of another by ffmpeg, in a process of its own that yields to all others and can be killed at once."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffmpeg

from egress.disk import sync_folder
from egress.model.errors import DestinationError
from egress.model.media import SECOND, Nanos

_KEPT = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH")
"""What ffmpeg gets of the environment; the rest may hold secrets of the worker."""

_BLOCK = 1 << 14
_WORDS = 600
"""Characters of its last words that an error repeats."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a file is made of a programme: its streams ("v", "a"), its format, and options of ffmpeg's output."""

    streams: tuple[str, ...]
    form: str
    options: Mapping[str, str | int] = field(default_factory=dict)


def command(program: str, source: Path, target: Path, recipe: Recipe) -> list[str]:
    """The words that run ffmpeg: one input, one output with the input's tags and chapters, progress on stdout."""
    read = ffmpeg.input(str(source))
    made = ffmpeg.output(
        *(read[f"{stream}:0"] for stream in recipe.streams),
        str(target),
        format=recipe.form,
        map_metadata=0,
        map_chapters=0,
        **recipe.options,
    )
    said = made.global_args("-nostdin", "-hide_banner", "-loglevel", "error", "-nostats", "-progress", "pipe:1")
    return [str(word) for word in ffmpeg.compile(said, cmd=program, overwrite_output=True)]


class Transcode:
    """Runs ffmpeg once after another for one sink; `run` blocks, and the other methods may be called from any thread.

    It runs at the lowest priority of processor and disk, and dies with the thread that runs it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self._length: Nanos = 0
        self._done: Nanos = 0

    def run(self, program: str, source: Path, target: Path, recipe: Recipe, length: Nanos) -> None:
        """Make `target`, which appears whole or not at all; `length` is the media's, for the progress.

        Raises DestinationError with ffmpeg's last words; the source stays in any case.
        """
        partial = target.with_name(f"{target.name}.part")
        self._length, self._done = length, 0
        try:
            self._start(command(program, source, partial, recipe))
            words = self._follow()
            self._judge(target, words)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            raise DestinationError(f"{target.name} cannot be made by {program}: {error.strerror or error}") from error
        finally:
            self._end()
            partial.unlink(missing_ok=True)

    def cancel(self) -> None:
        """Kill what runs, and refuse to run anything more."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()

    def status(self) -> Mapping[str, Any]:
        """How far it has come; {} before it has begun."""
        if not self._length:
            return {}
        share = min(1.0, self._done / self._length)
        return {"transcoded": round(self._done / SECOND, 3), "percent": round(100 * share, 1)}

    def _start(self, words: Sequence[str]) -> None:
        root = str(Path(__file__).resolve().parents[2])
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        with self._lock:
            if self._cancelled:
                raise DestinationError("was given up before it had been made by ffmpeg")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "egress.sinks.niced", str(os.getpid()), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment,
                # A Ctrl-C on the terminal is for the worker, which then ends everything in good order.
                start_new_session=True,
            )

    def _follow(self) -> str:
        """Read what it says until it ends; returns its last words."""
        assert self._process is not None
        out, err = self._process.stdout, self._process.stderr
        assert out is not None
        assert err is not None
        progress, words = b"", b""
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            selector.register(err, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    pipe = out if key.fileobj is out else err
                    block = os.read(pipe.fileno(), _BLOCK)
                    if not block:
                        selector.unregister(pipe)
                    elif pipe is out:
                        *lines, progress = (progress + block).split(b"\n")
                        self._note(lines)
                    else:
                        words = (words + block)[-4 * _WORDS :]
        self._process.wait()
        return "; ".join(words.decode(errors="replace").split("\n")).strip("; ")[-_WORDS:]

    def _note(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            name, _, value = line.partition(b"=")
            # Microseconds; "N/A" before the first packet (ffmpeg's fftools).
            if name == b"out_time_us" and value.strip().isdigit():
                self._done = max(self._done, int(value) * 1000)

    def _judge(self, target: Path, words: str) -> None:
        assert self._process is not None
        status = self._process.returncode
        if self._cancelled:
            raise DestinationError(f"{target.name} was given up while ffmpeg made it; recover makes it again")
        if status != 0:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise DestinationError(f"{target.name} could not be made: ffmpeg {how}: {words or 'it said nothing'}")

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
