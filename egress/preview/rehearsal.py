"""A room made up over time: people come, speak, share and go as a script says, and operators direct."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from egress.media.avatar import PortraitError, picture_of
from egress.media.scene import PictureSource, Portrait
from egress.model.control import Command, Stop
from egress.model.direction import Direction
from egress.model.errors import RequestError
from egress.model.media import Nanos
from egress.model.pipeline import Pipeline
from egress.model.problems import did_you_mean, one_of, shown
from egress.model.room import (
    ConnectionLost,
    ConnectionRestored,
    Peer,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    PeerSpeaking,
    Room,
    RoomEvent,
    Track,
    TrackMuted,
    TrackPublished,
    TrackSource,
    TrackUnpublished,
)
from egress.preview.people import Guest
from egress.preview.script import Act, Join, Link, Moment, Rename, Script
from egress.preview.sources import Camera, Screen

CAMERA, MIC, SCREEN = TrackSource.CAMERA, TrackSource.MIC, TrackSource.SCREEN

Obey = Callable[[Command, Direction, Room], Direction]
"""The direction once a command is obeyed; raises RequestError."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What happens at a session time: events of the room, and how the picture is directed from then on."""

    at: Nanos
    events: tuple[RoomEvent, ...]
    direction: Direction
    stop: bool = False


class Rehearsal:
    """Everything that happens, checked beforehand, and the sources of the tracks that are published.

    Raises RequestError naming each step of the script that cannot happen: who is not there cannot leave.
    """

    def __init__(
        self, pipeline: Pipeline, obey: Obey, script: Script, guests: Sequence[Guest], *, screen: bool = False
    ) -> None:
        """`guests` are there from the beginning; `screen`: the first of them shares a screen."""
        self.script = script
        self.pictures: dict[str, PictureSource] = {}
        self.portraits: dict[str, Portrait] = {}
        self._speaking: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._shares = 0
        self._room = Room(script.room)
        self._obey = obey
        self._direction = Direction.of(pipeline)
        cues = [self._happened(0, self._comes(guest)) for guest in guests]
        if screen and guests:
            cues.append(self._happened(0, self._shares_screen(guests[0].id)))
        problems: list[tuple[str, str]] = []
        for moment in script.moments:
            try:
                cues.append(self._cue(moment))
            except RequestError as error:
                problems.extend(error.problems)
        if problems:
            listing = "".join(f"\n  {field}: {message}" for field, message in problems)
            count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            raise RequestError(f"{script.name}: {count}{listing}", tuple(problems))
        self.cues = tuple(cues)

    def speak(self, room: Room) -> None:
        """Let the mouths move of those who speak in a room."""
        self._speaking = {peer for peer, speaks in room.speaking.items() if speaks}

    def _happened(self, at: Nanos, events: Sequence[RoomEvent], *, stop: bool = False) -> Cue:
        for event in events:
            self._room = self._room.after(event)
        return Cue(at, tuple(events), self._direction, stop)

    def _cue(self, moment: Moment) -> Cue:
        step = moment.step
        if isinstance(step, Command):
            try:
                self._direction = self._obey(step, self._direction, self._room)
            except RequestError as error:
                found = [(f"command.{field}", message) for field, message in error.problems]
                raise self.script.refuse(moment, found) from None
            return self._happened(moment.at, (), stop=isinstance(step, Stop))
        if isinstance(step, Link):
            lost = step.do == "lost"
            return self._happened(moment.at, [ConnectionLost("as scripted") if lost else ConnectionRestored()])
        self._check(moment, step)
        if isinstance(step, Join) and step.avatar is not None:
            try:
                self.portraits[step.who] = picture_of((self.script.folder / step.avatar).read_bytes())
            except (OSError, PortraitError) as error:
                why = error.message if isinstance(error, PortraitError) else error.strerror or "cannot be read"
                problem = f"{shown(step.avatar)}: {why}; name a PNG, JPEG or WebP file beside the script"
                raise self.script.refuse(moment, [("avatar", problem)]) from None
        return self._happened(moment.at, self._steps(step))

    def _check(self, moment: Moment, step: Join | Rename | Act) -> None:
        """Refuse what nobody could do; raises RequestError."""
        who, there = step.who, step.who in self._room.peers
        wrong = ""
        if isinstance(step, Join):
            wrong = f"{shown(who)} is in the room already; choose another id, or let them leave first" if there else ""
        elif not there:
            known = tuple(self._room.peers)
            here = f"in the room: {one_of(known[:20])}" if known else "nobody is in the room; let somebody join first"
            wrong = f"{shown(who)} is not in the room then{did_you_mean(who, known)}; {here}"
        elif step.do == "speak" and all(track.muted for track in self._room.tracks_of(who, "audio")):
            wrong = f"{shown(who)} is muted then; unmute them first"
        elif step.do == "share" and self._screen(who) is not None:
            wrong = f"{shown(who)} shares a screen already; unshare it first"
        elif step.do == "unshare" and self._screen(who) is None:
            wrong = f"{shown(who)} shares no screen then; share one first"
        if wrong:
            raise self.script.refuse(moment, [("who", wrong)])

    def _steps(self, step: Join | Rename | Act) -> list[RoomEvent]:
        who = step.who
        if isinstance(step, Join):
            return self._comes(Guest(who, step.name or who, step.role, step.camera, step.muted))
        peer = self._room.peers[who]
        if isinstance(step, Rename):
            return [PeerChanged(replace(peer, name=step.name or peer.name, role=step.role or peer.role))]
        match step.do:
            case "leave":
                return [PeerLeft(who)]
            case "mute":
                return [TrackMuted(f"{who}/mic", True), PeerSpeaking(who, False)]
            case "unmute":
                return [TrackMuted(f"{who}/mic", False)]
            case "camera-off":
                return [TrackMuted(f"{who}/camera", True)]
            case "camera-on":
                camera = f"{who}/camera"
                return [TrackMuted(camera, False) if camera in self._room.tracks else self._camera(who)]
            case "speak" | "quiet":
                return [PeerSpeaking(who, step.do == "speak")]
            case "share":
                return self._shares_screen(who)
            case "unshare":
                screen = self._screen(who)
                return [TrackUnpublished(screen)] if screen is not None else []

    def _comes(self, guest: Guest) -> list[RoomEvent]:
        who = guest.id
        self._numbers.setdefault(who, len(self._numbers))
        events: list[RoomEvent] = [
            PeerJoined(Peer(who, guest.name, guest.role)),
            TrackPublished(Track(f"{who}/mic", who, "audio", MIC, muted=guest.muted)),
        ]
        if guest.camera:
            events.append(self._camera(who))
        # The server says who speaks from the beginning on: there is no sound to tell from.
        events.append(PeerSpeaking(who, guest.speaking and not guest.muted))
        return events

    def _camera(self, who: str) -> RoomEvent:
        track = f"{who}/camera"
        if track not in self.pictures:
            self.pictures[track] = Camera(self._numbers[who], partial(_within, who, lambda: self._speaking))
        return TrackPublished(Track(track, who, "video", CAMERA))

    def _shares_screen(self, who: str) -> list[RoomEvent]:
        self._shares += 1
        track = f"{who}/screen-{self._shares}"
        self.pictures[track] = Screen()
        return [TrackPublished(Track(track, who, "video", SCREEN))]

    def _screen(self, who: str) -> str | None:
        return next((t.id for t in self._room.tracks_of(who, "video") if t.source is SCREEN), None)


def _within(who: str, those: Callable[[], set[str]]) -> bool:
    return who in those()
