"""The live streams of all jobs, by name: an origin for each folder, kept as jobs come and go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from egress.control.lives import Live
from egress.control.service import Service
from egress.web.origin import Origin


def names_of(live: Live) -> Iterator[tuple[str, Path]]:
    """Names of a job's streams, and their folders: its room's or its id, followed by -2 and so on for further ones."""
    for base in (live.room_name, live.job):
        for index, folder in enumerate(live.hls):
            yield (base if index == 0 else f"{base}-{index + 1}"), folder


class Origins(Mapping[str, Origin]):
    """Origins by the names of their streams, as the middleware of live streams looks them up."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._by_folder: dict[Path, Origin] = {}

    def announce(self, job: str, event: Mapping[str, Any]) -> None:
        """Take what a worker announced of a stream's part or segment."""
        folder = event.get("folder")
        if isinstance(folder, str):
            self._origin(Path(folder)).announce(event)

    def look(self) -> None:
        """Nobody waits for streams that are over, and those nobody can watch any longer are let go."""
        over = {folder: live.over for live in reversed(self._service.lives()) for folder in live.hls}
        for folder in tuple(self._by_folder):
            if over.get(folder, True):
                self._by_folder[folder].silence()
            if folder not in over:
                del self._by_folder[folder]

    def silence(self) -> None:
        """Nobody waits any longer: the server ends."""
        for origin in self._by_folder.values():
            origin.silence()

    @property
    def waiting(self) -> int:
        """Requests that wait for a part or segment."""
        return sum(origin.waiting for origin in self._by_folder.values())

    def get(self, name: str, default: Any = None) -> Any:
        """The origin of a stream."""
        for asked in dict.fromkeys((name, name.rpartition("-")[0])):
            live = self._service.live(asked) if asked else None
            for known, folder in names_of(live) if live is not None else ():
                if known == name:
                    return self._origin(folder)
        return default

    def __getitem__(self, name: str) -> Origin:
        origin: Origin | None = self.get(name)
        if origin is None:
            raise KeyError(name)
        return origin

    def __iter__(self) -> Iterator[str]:
        return iter({name for live in self._service.lives() for name, _ in names_of(live)})

    def __len__(self) -> int:
        return len(set(self))

    def _origin(self, folder: Path) -> Origin:
        found = self._by_folder.get(folder)
        if found is None:
            found = self._by_folder[folder] = Origin(folder)
        return found
