"""A folder of thumbnails as it grows, and what its spool folder knows of it, so that any process can finish it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from egress.disk import write_json, write_whole
from egress.model.job import Artifact
from egress.model.media import SECOND, Nanos, Size
from egress.sinks.keyframes import jpeg
from egress.sinks.storyboard import Grid, Thumbnail, write_index

STATE = "thumbnails.json"
_LOG = "thumbnails.jsonl"
_INDEX, _LATEST, _POSTER = "thumbnails.json", "latest.jpg", "poster.jpg"
_OURS = ("thumb-*.jpg", "storyboard-*.jpg", "storyboard.vtt", "storyboard.json", _LATEST, _POSTER)
_QUALITY, _POSTER_QUALITY = 80, 88


class Album:
    """Thumbnails in `folder`; `direct`: it is their final place, else it lies in the spool. Methods raise OSError.

    `thumbnails.json` in the folder lists them: it is written when a sheet of the storyboard is full, and at the end.
    """

    def __init__(self, spool: Path, folder: Path, job: str, size: Size, *, storyboard: bool, direct: bool) -> None:
        self.folder = folder
        self.size = size
        self.direct = direct
        self.shown: list[Thumbnail] = []
        self.length: Nanos = 0
        self._spool = spool
        self._job = job
        self._storyboard = storyboard
        self._end: Nanos | None = None
        self._grid = Grid(size)

    @classmethod
    def load(cls, spool: Path, state: Mapping[str, Any]) -> Album:
        """The album a dead process left; pictures whose file is gone are left out."""
        album = cls(
            spool,
            Path(state["folder"]),
            str(state["job"]),
            Size(*state["size"]),
            storyboard=bool(state["storyboard"]),
            direct=bool(state["direct"]),
        )
        album._end, album.length = state.get("end"), int(state.get("length", 0))
        log = spool / _LOG
        for line in log.read_text("utf-8").splitlines() if log.is_file() else ():
            try:
                made = Thumbnail(**json.loads(line))
            except (ValueError, TypeError):
                # Cut short by the crash.
                continue
            if (album.folder / made.file).is_file():
                album.shown.append(made)
        if album.shown:
            album.length = max(album.length, album.shown[-1].at)
        return album

    @property
    def details(self) -> dict[str, Any]:
        """What the manifest says of it."""
        sheets = -(-len(self.shown) // self._grid.sheet) if self._storyboard else 0
        poster = {"poster": _POSTER} if (self.folder / _POSTER).is_file() else {}
        return {"pictures": len(self.shown), "box": str(self.size), "sheets": sheets, **poster}

    def begin(self) -> None:
        """Take the folder: what an earlier job of the same name left in it goes."""
        for pattern in _OURS:
            for path in self.folder.glob(pattern):
                path.unlink()
        self._keep()
        self._list()

    def add(self, picture: Image.Image, at: Nanos) -> None:
        """Write the next thumbnail, and a sheet that is full with it."""
        number = len(self.shown)
        made = Thumbnail(number, at, f"thumb-{number + 1:05}.jpg")
        data = jpeg(picture, _QUALITY)
        write_whole(self.folder / made.file, data)
        if self.direct:
            write_whole(self.folder / _LATEST, data)
        with (self._spool / _LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"number": number, "at": at, "file": made.file}) + "\n")
        self.shown.append(made)
        if self._storyboard and len(self.shown) % self._grid.sheet == 0:
            self._grid.draw(self.folder, self.shown, number // self._grid.sheet)
            self._index(at)
            self._list()

    def set_poster(self, picture: Image.Image) -> None:
        """Write the poster, in place of the one before."""
        write_whole(self.folder / _POSTER, jpeg(picture, _POSTER_QUALITY))

    def end_at(self, end: Nanos) -> None:
        """There was nobody any more after this time: no picture of it will be left."""
        self._end = end
        self._keep()

    def finish(self, length: Nanos) -> None:
        """Take out what lies after the end, and write the last sheet and the lists; may be done again."""
        self.length = length if self._end is None else min(length, self._end)
        while self._end is not None and len(self.shown) > 1 and self.shown[-1].at >= self._end:
            (self.folder / self.shown.pop().file).unlink(missing_ok=True)
        if self._storyboard and self.shown:
            sheets = range(-(-len(self.shown) // self._grid.sheet))
            for sheet in sheets:
                name, _, _ = self._grid.place(sheet * self._grid.sheet)
                if sheet == sheets[-1] or not (self.folder / name).is_file():
                    self._grid.draw(self.folder, self.shown, sheet)
            for path in self.folder.glob("storyboard-*.jpg"):
                if path.name > self._grid.place(len(self.shown) - 1)[0]:
                    path.unlink()
            self._index(self.length)
        self._list(ended=True)
        self._keep()

    def artifact(self) -> Artifact:
        """What there is, where it is."""
        size = sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        final = {} if self.direct else {"final": False}
        return Artifact("thumbnails", f"{self.folder}/", size, self.length, details={**self.details, **final})

    def _index(self, length: Nanos) -> None:
        write_index(self.folder, self._grid, self.shown, length)

    def _list(self, *, ended: bool = False) -> None:
        document = {
            "job": self._job,
            "ended": ended,
            "width": self.size.width,
            "height": self.size.height,
            "duration": round(self.length / SECOND, 3),
            "poster": _POSTER if (self.folder / _POSTER).is_file() else None,
            "thumbnails": [{"at": round(made.at / SECOND, 3), "file": made.file} for made in self.shown],
        }
        write_whole(self.folder / _INDEX, json.dumps(document).encode())

    def _keep(self) -> None:
        """Note what another process has to know to finish it."""
        document = {
            "folder": str(self.folder),
            "job": self._job,
            "size": [self.size.width, self.size.height],
            "storyboard": self._storyboard,
            "direct": self.direct,
            "end": self._end,
            "length": self.length,
        }
        write_json(self._spool / STATE, document)
