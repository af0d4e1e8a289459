"""How a foreground job shows itself: one line while it runs, a table when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from egress.control.attempts import Ending

Event = dict[str, Any]


class Output(Protocol):
    """Where progress is shown."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Progress:
    """One line on a terminal that says how the job goes; plain lines where there is no terminal."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._live = out.isatty()
        self._bytes = 0
        self._elapsed = 0.0
        self._ticks = 0
        self._shown = 0.0
        self._stopping = False

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event.get("type"):
            case "alive":
                self._alive(event)
            case "room":
                who = event.get("peer", "")
                if event.get("event") in ("joined", "left"):
                    self._line(f"  {who} {event['event']}")
                elif event.get("event") in ("lost", "restored"):
                    reason = f": {event['reason']}" if event.get("reason") else ""
                    self._line(f"  connection to the room {event['event']}{reason}")
            case "control" if event.get("command") != "stop" or not event.get("ok"):
                name = event.get("command") or "command"
                self._line(f"  {name}: {'' if event.get('ok') else 'refused: '}{event.get('message')}")
            case "warning":
                self._line(f"  warning: {event.get('message')}")
            case "sink":
                self._line(f"  {event.get('sink')} failed: {event.get('reason')}")
            case "destination":
                reason = f": {event['reason']}" if event.get("reason") else ""
                self._line(f"  {event.get('name') or event.get('to')} {event.get('state')}{reason}")
            case "restart":
                self._bytes = self._ticks = 0
                self._stopping = False
                self._line(f"  the worker died ({event.get('reason')}); another one goes on")
            case "state" if event.get("state") == "stopping":
                self._stopping = True
                self._line(f"  stopping: {event.get('reason')}")
            case "job":
                self._line(f"  {event['state']}")
            case "listening":
                self._line(f"  listening on {event['url']}")
            case "ended":
                self._end()
            case _:
                pass

    def _end(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _alive(self, event: Event) -> None:
        elapsed, total, ticks = float(event["elapsed"]), int(event["bytes"]), int(event["ticks"])
        if not self._live and elapsed - self._shown < 5:
            return
        span = max(0.001, elapsed - self._elapsed)
        rate = (total - self._bytes) * 8 / span / 1e6
        fps = (ticks - self._ticks) / span
        self._elapsed, self._bytes, self._ticks = elapsed, total, ticks
        intake = event.get("intake", {})
        dropped = int(event.get("repeated", 0)) + int(intake.get("dropped", 0))
        text = (
            _finishing(event)
            if self._stopping and not fps
            else (
                f"{_clock(elapsed)}  {fps:4.1f} fps  {rate:5.2f} Mbit/s  "
                f"{people(event.get('participants', 0))}  {dropped} dropped"
            )
        )
        if self._live:
            self._out.write(f"\r\x1b[K{text}")
            self._out.flush()
        else:
            self._shown = elapsed
            self._line(text)

    def _line(self, text: str) -> None:
        self._out.write(f"\r\x1b[K{text}\n" if self._live else f"{text}\n")
        self._out.flush()


def _finishing(event: Event) -> str:
    """What is still to be done once a job has stopped: outputs that are made afterwards, and how far they are."""
    made = [f"{row['sink']} {row['percent']:.0f} %" for row in event.get("sinks", ()) if row.get("percent", 100) < 100]
    return f"{_clock(float(event['elapsed']))}  finishing {', '.join(made) or 'and delivering what was made'}"


def people(count: int) -> str:
    """How many there are, in words: 1 participant, 2 participants."""
    return f"{count} participant{'' if count == 1 else 's'}"


def summary(ending: Ending) -> str:
    """A table of what was made, and how it ended."""
    rows = [
        (str(row["kind"]), _clock(float(row["duration"])), _size(int(row["size"])), str(row["location"]))
        for row in ending.event.get("artifacts") or ()
    ]
    lines = [f"{ending.state}: {ending.reason}"]
    if rows:
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines += [
            f"  {kind:<{widths[0]}}  {length:>{widths[1]}}  {size:>{widths[2]}}  {where}"
            for kind, length, size, where in rows
        ]
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:{rest:04.1f}"


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{count} B"
