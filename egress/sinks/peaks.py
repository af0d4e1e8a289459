"""The loudness of a sound over time as pairs of peaks: measured from samples, kept on disk, written for players."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FULL = 32767
_ROW = np.dtype([("low", "<i2"), ("high", "<i2"), ("rms", "<i2")])
_AT_ONCE = 1 << 16
"""Rows read at once."""

Rows = NDArray[np.void]
"""Lowest and highest sample and the root of the mean square in each stretch, as shares of full scale times 32767."""


class PeakFile:
    """Peaks as they grow, in a file that is whole up to its last row at any moment; channels are averaged.

    Every row stands for `step` samples, the last one for what there is of them.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.samples = 0
        self._step = step
        self._rest: NDArray[np.float32] = np.empty(0, np.float32)
        self._file = path.open("wb", buffering=0)

    def add(self, sound: NDArray[np.float32]) -> None:
        """Take samples, shape (channels, samples), that follow those before; raises OSError."""
        self.samples += sound.shape[1]
        mono = np.concatenate((self._rest, sound.mean(axis=0, dtype=np.float32)))
        whole = len(mono) // self._step * self._step
        if whole:
            self._file.write(_rows(mono[:whole].reshape(-1, self._step)).tobytes())
        self._rest = mono[whole:]

    def silence(self, samples: int) -> None:
        """Take silence, of any length; raises OSError."""
        while samples > 0:
            count = min(samples, self._step * 1024)
            self.add(np.zeros((1, count), np.float32))
            samples -= count

    def close(self) -> None:
        """Write what is left; raises OSError."""
        if self._file.closed:
            return
        if len(self._rest):
            self._file.write(_rows(self._rest.reshape(1, -1)).tobytes())
        os.fsync(self._file.fileno())
        self._file.close()


def read_peaks(path: Path, most: int | None = None) -> Rows:
    """The whole rows of a file, `most` of them, mapped and not loaded; none where there is no file."""
    count = path.stat().st_size // _ROW.itemsize if path.is_file() else 0
    count = count if most is None else min(count, most)
    return np.memmap(path, _ROW, "r", shape=(count,)) if count else np.empty(0, _ROW)


def document(rows: Rows, rate: int, step: int) -> Iterator[bytes]:
    """JSON as players of waveforms read it (audiowaveform's data format, version 2), in pieces.

    `data` alternates between the lowest and the highest sample of each stretch, -128 to 127.
    """
    head = f'{{"version":2,"channels":1,"sample_rate":{rate},"samples_per_pixel":{step},"bits":8,"length":{len(rows)}'
    yield f'{head},"data":['.encode()
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        pairs = np.stack((part["low"], part["high"]), axis=1).astype(np.int32) // 256
        yield ("," if start else "").encode() + ",".join(map(str, pairs.ravel().tolist())).encode()
    yield b"]}\n"


def columns(rows: Rows, count: int) -> NDArray[np.float32]:
    """The rows drawn together or out to so many columns: shape (3, count), lowest, highest and rms as shares of full
    scale."""
    made = np.zeros((3, count), np.float32)
    if not len(rows):
        return made
    edges = np.linspace(0, len(rows), count + 1)
    for column in range(count):
        begin = int(edges[column])
        part = rows[begin : max(begin + 1, int(np.ceil(edges[column + 1])))]
        rms = part["rms"].astype(np.float32)
        made[:, column] = part["low"].min(), part["high"].max(), np.sqrt(np.mean(rms * rms))
    return (made / _FULL).astype(np.float32)


def _rows(blocks: NDArray[np.float32]) -> Rows:
    made = np.empty(len(blocks), _ROW)
    clipped = np.clip(blocks, -1.0, 1.0)
    made["low"] = np.floor(clipped.min(axis=1) * _FULL)
    made["high"] = np.floor(clipped.max(axis=1) * _FULL)
    made["rms"] = np.sqrt(np.mean(clipped * clipped, axis=1)) * _FULL
    return made
