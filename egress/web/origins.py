"""The live streams of all jobs, by name: an origin for each folder, kept as jobs come and go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egress.web.origin import Origin

if TYPE_CHECKING:
    from egress.control.service import Live, Service

_ENDED = 64
"""Names of streams that have ended and can still be watched to their end, until others take their places."""


def names_of(live: Live) -> Iterator[tuple[str, Path]]:
    """Names of a job's streams, and their folders: its room's or its id, followed by -2 and so on for further ones."""
    for base in (live.room_name, live.job.id):
        for index, folder in enumerate(live.hls):
            yield (base if index == 0 else f"{base}-{index + 1}"), folder


class Origins(Mapping[str, Origin]):
    """Origins by the names of their streams, as `Live` of the web looks them up."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._by_folder: dict[Path, Origin] = {}
        self._ended: OrderedDict[str, Origin] = OrderedDict()
        self._known: dict[str, Path] = {}

    def announce(self, job: str, event: Mapping[str, Any]) -> None:
        """Take what a worker announced of a stream's part or segment."""
        folder = event.get("folder")
        if isinstance(folder, str):
            self._origin(Path(folder)).announce(event)

    def look(self) -> None:
        """See which streams there are: what has ended is announced no more, and can be watched to its end."""
        known = {name: folder for live in self._service.lives() for name, folder in names_of(live)}
        for name, folder in self._known.items():
            if known.get(name) != folder and (origin := self._by_folder.get(folder)) is not None:
                self._ended[name] = origin
                self._ended.move_to_end(name)
                if folder not in known.values():
                    origin.silence()
        while len(self._ended) > _ENDED:
            self._ended.popitem(last=False)
        kept = set(known.values())
        self._by_folder = {folder: origin for folder, origin in self._by_folder.items() if folder in kept}
        self._known = known

    def silence(self) -> None:
        """Nobody waits any longer: the server ends."""
        for origin in (*self._by_folder.values(), *self._ended.values()):
            origin.silence()

    @property
    def waiting(self) -> int:
        """Requests that wait for a part or segment."""
        return sum(origin.waiting for origin in self._by_folder.values())

    def get(self, name: str, default: Any = None) -> Any:
        """The origin of a stream, also of one that began after anybody looked."""
        live = self._service.live(name) or self._service.live(name.rpartition("-")[0])
        if live is not None:
            for known, folder in names_of(live):
                if known == name:
                    self._known[name] = folder
                    return self._origin(folder)
        return self._ended.get(name, default)

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
