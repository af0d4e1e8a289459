"""Sheets of thumbnails for players' seek bars, and what says which part of a sheet stands for which time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from egress.disk import write_whole
from egress.model.media import SECOND, Nanos, Size
from egress.sinks.keyframes import jpeg

_MOST = 10
_LONGEST = 4096
"""Pixels a sheet's sides may have: larger pictures are refused by some phones."""
_QUALITY = 78


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One picture: its number, the time it shows, and its file in the folder."""

    number: int
    at: Nanos
    file: str


@dataclass(frozen=True, slots=True)
class Grid:
    """How thumbnails of one size lie on sheets."""

    size: Size

    @property
    def columns(self) -> int:
        """Thumbnails beside each other."""
        return max(1, min(_MOST, _LONGEST // self.size.width))

    @property
    def rows(self) -> int:
        """Thumbnails below each other on a full sheet."""
        return max(1, min(_MOST, _LONGEST // self.size.height))

    @property
    def sheet(self) -> int:
        """Thumbnails on a full sheet."""
        return self.columns * self.rows

    def place(self, number: int) -> tuple[str, int, int]:
        """The sheet's file name and the left upper corner of the number-th thumbnail."""
        sheet, index = divmod(number, self.sheet)
        row, column = divmod(index, self.columns)
        return f"storyboard-{sheet + 1:03}.jpg", column * self.size.width, row * self.size.height

    def draw(self, folder: Path, shown: Sequence[Thumbnail], sheet: int) -> None:
        """Write one sheet from the files of its thumbnails, no higher than they need; raises OSError."""
        part = shown[sheet * self.sheet : (sheet + 1) * self.sheet]
        rows = -(-len(part) // self.columns)
        columns = min(self.columns, len(part))
        canvas = Image.new("RGB", (columns * self.size.width, rows * self.size.height))
        for index, thumbnail in enumerate(part):
            _, left, top = self.place(index)
            with Image.open(folder / thumbnail.file) as picture:
                canvas.paste(picture, (left, top))
        name, _, _ = self.place(sheet * self.sheet)
        write_whole(folder / name, jpeg(canvas, _QUALITY))


def write_index(folder: Path, grid: Grid, shown: Sequence[Thumbnail], length: Nanos) -> None:
    """Write `storyboard.vtt` (WebVTT with media fragments) and `storyboard.json`; raises OSError.

    Each thumbnail stands for the time until the next one, the first from 0 and the last to the end.
    """
    starts = [0 if index == 0 else thumbnail.at for index, thumbnail in enumerate(shown)]
    ends = [*starts[1:], max(length, starts[-1] + SECOND // 1000)] if starts else []
    cues, tiles = ["WEBVTT\n"], []
    width, height = grid.size.width, grid.size.height
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        name, left, top = grid.place(number)
        cues.append(f"{_clock(start)} --> {_clock(end)}\n{name}#xywh={left},{top},{width},{height}\n")
        tiles.append({"start": round(start / SECOND, 3), "url": name, "x": left, "y": top})
    document: dict[str, Any] = {
        "tile_width": width,
        "tile_height": height,
        "duration": round(length / SECOND, 3),
        "tiles": tiles,
    }
    write_whole(folder / "storyboard.vtt", "\n".join(cues).encode())
    write_whole(folder / "storyboard.json", json.dumps(document).encode())


def _clock(at: Nanos) -> str:
    """A time as WebVTT writes it."""
    seconds, milliseconds = divmod(round(at / 1_000_000), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
