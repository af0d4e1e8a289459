"""How an HLS presentation ends: final playlists, by the process that made it or one that finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from egress.model.job import Artifact
from egress.sinks.captions import CueLog, restored
from egress.sinks.listing import Listing
from egress.sinks.marks import MarkLog, date_ranges
from egress.sinks.playlist import Tail
from egress.sinks.presentation import CAPTIONS, IFRAMES, INDEX, Presentation, captions_name, rendition_name, write_file
from egress.sinks.salvage import listings, salvage, strays
from egress.sinks.variants import index, peak

MARKS, CUES = "marks.jsonl", "captions.jsonl"
"""Files in the sink's folder in the spool."""


def end(presentation: Presentation, listings: Mapping[str, Listing], marks: MarkLog) -> Sequence[Artifact]:
    """Write every playlist for the last time, the multivariant one with what was measured; raises DestinationError."""
    ranges = date_ranges(marks.marks, marks.forgotten)
    ended = {name: listing for name, listing in listings.items() if listing.segments}
    for name, listing in ended.items():
        write_file(presentation.to / f"{name}.m3u8", listing.text(ranges, Tail(ended=True)).encode())
    meters = {name: listing.measured() for name, listing in ended.items()}
    write_file(presentation.to / INDEX, index(presentation, meters, ended=True).encode())
    media = [listing for name, listing in ended.items() if not name.startswith((IFRAMES, CAPTIONS))]
    duration = max(sum(segment.duration for segment in listing.segments if not segment.gap) for listing in media)
    size = sum(segment.size for listing in media for segment in listing.segments)
    details = {"segments": len(media[0].segments), "bandwidth": peak(meters)}
    return (Artifact("hls", str(presentation.to / INDEX), size, duration, details=details),)


def recovered(presentation: Presentation, spool: Path) -> Sequence[Artifact]:
    """End what a dead process left, from the files alone; `spool` is the sink's folder there."""
    made = listings(salvage(presentation))
    if not any(listing.segments for listing in made.values()):
        return ()
    made |= captions_left(presentation, spool, made)
    ended = end(presentation, made, MarkLog.load(spool / MARKS))
    for listing in made.values():
        for path in strays(presentation, listing):
            path.unlink(missing_ok=True)
    return ended


def captions_left(presentation: Presentation, spool: Path, made: Mapping[str, Listing]) -> dict[str, Listing]:
    """The captions beside what a dead process left."""
    if not presentation.captions:
        return {}
    cues = CueLog(spool / CUES).load()
    lead = next(made[name] for info in presentation.streams if made[name := rendition_name(info)].segments)
    names = {captions_name(track.language): track.language for track in presentation.captions}
    return {name: restored(presentation, language, cues.get(name, ()), lead) for name, language in names.items()}
