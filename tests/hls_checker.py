"""Checks an HLS presentation over HTTP against the published rules: `python -m tests.hls_checker URL [--live]`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from urllib.parse import urljoin

import httpx

from tests.hls_caption_rules import check_captions
from tests.hls_findings import RULES, Findings, Violation
from tests.hls_ladder_rules import check_ladder
from tests.hls_live_rules import check_live
from tests.hls_media_rules import Rendition, check_media, check_tags
from tests.hls_reading import Fetcher, Playlist, attributes, nal_types, read_fragments, read_playlist, read_tags

__all__ = ["check", "check_live", "examine"]

_TIMEOUT = 60.0
_ATTEMPTS = 20
_NO_PICTURE = ("mp4a", "opus", "ac-3", "ec-3", "fLaC")


def check(url: str) -> list[Violation]:
    """Every rule broken by the presentation whose multivariant playlist is at `url`."""
    return examine(url).violations


def examine(url: str) -> Findings:
    """The same, with which rules were tried."""
    found = Findings()
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client:
        fetcher = Fetcher(client)
        text = fetcher.text(url)
        tags = read_tags(text)
        found.expect("B4.1", "multivariant", text.startswith("#EXTM3U"), "does not begin with #EXTM3U")
        if any(name == "EXTINF" for name, _ in tags):
            found.expect("B4.3", url, False, "is a media playlist; give the multivariant one")
            return found
        renditions = _renditions(found, fetcher, url, tags)
        media = [rendition for rendition in renditions.values() if not rendition.captions]
        for rendition in renditions.values():
            check_tags(found, rendition)
        for rendition in media:
            check_media(found, fetcher, rendition)
        lead = next((rendition for rendition in media if rendition.video), media[0] if media else None)
        for rendition in renditions.values():
            if rendition.captions:
                check_captions(found, fetcher, rendition, lead)
        _multivariant(found, tags, renditions)
        _iframes(found, fetcher, url, tags, renditions)
        _together(found, list(renditions.values()))
        check_ladder(found, media)
        _reports(found, renditions)
        found.expect("A8.18", url, not fetcher.redirected, f"redirects: {fetcher.redirected}")
        found.expect("B6.2.1r", url, not fetcher.missing, f"missing: {fetcher.missing}")
    return found


def _renditions(found: Findings, fetcher: Fetcher, url: str, tags: Sequence[tuple[str, str]]) -> dict[str, Rendition]:
    uris = [attributes(value)["URI"] for name, value in tags if name == "EXT-X-MEDIA" and "URI" in attributes(value)]
    uris += [value for name, value in tags if name == ""]
    found.expect("B4.3", url, bool(uris), "names no playlist")
    groups = [attributes(value) for name, value in tags if name == "EXT-X-MEDIA"]
    captions = {media.get("URI") for media in groups if media.get("TYPE") == "SUBTITLES"}
    # What playlists say of each other can be held against them when none has moved on while they were read.
    for _ in range(_ATTEMPTS):
        made: dict[str, Rendition] = {}
        for uri in dict.fromkeys(uris):
            address = urljoin(url, uri)
            made[uri] = Rendition(uri, read_playlist(address, fetcher.text(address)), captions=uri in captions)
        first = next(iter(made.values())).playlist
        if first.growing.msn == read_playlist(first.url, fetcher.text(first.url)).growing.msn:
            break
    return made


def _multivariant(found: Findings, tags: Sequence[tuple[str, str]], renditions: Mapping[str, Rendition]) -> None:
    versions = [value for name, value in tags if name == "EXT-X-VERSION"]
    highest = max(int(r.playlist.number("EXT-X-VERSION")) for r in renditions.values())
    fits = len(versions) <= 1 and all(int(version) <= highest for version in versions)
    found.expect("B4.2", "multivariant", fits, f"versions {versions}, the media playlists need {highest}")
    independent = any(name == "EXT-X-INDEPENDENT-SEGMENTS" for name, _ in tags)
    found.expect("A9.11", "multivariant", independent, "not said to be independent")
    groups: dict[str, list[str]] = {}
    for name, value in tags:
        if name != "EXT-X-MEDIA":
            continue
        media = attributes(value)
        missing = {"TYPE", "GROUP-ID", "NAME"} - set(media)
        found.expect("B4.3", "EXT-X-MEDIA", not missing, f"without {sorted(missing)}")
        found.expect("A4.4", "EXT-X-MEDIA", media.get("TYPE") == "VIDEO" or "LANGUAGE" in media, "no LANGUAGE")
        groups.setdefault(media.get("GROUP-ID", ""), []).append(media.get("URI", ""))
    codecs: list[str] = []
    for (name, value), (_, uri) in pairwise([*tags, ("", "")]):
        if name == "EXT-X-STREAM-INF":
            variant = attributes(value)
            codecs += variant.get("CODECS", "").split(",")
            uris = {uri: None}
            for kind in ("AUDIO", "SUBTITLES"):
                group = variant.get(kind, "")
                found.expect("B4.3", uri, group in {"", *groups}, f"no group {group}")
                # Sound alone is its own group too. Of several languages a viewer reads one.
                uris |= dict.fromkeys(groups.get(group, ())[:1])
            played = [renditions[u] for u in uris if u in renditions]
            _variant(found, uri, variant, played)
    found.expect("A2.3", "multivariant", "mp4a.40.2" in codecs, f"codecs are {codecs}")


def _variant(found: Findings, uri: str, variant: Mapping[str, str], played: Sequence[Rendition]) -> None:
    codecs = [codec for codec in variant.get("CODECS", "").split(",") if codec]
    found.expect("A9.1", uri, bool(codecs), "no CODECS")
    found.expect("B4.3", uri, "BANDWIDTH" in variant, "no BANDWIDTH")
    found.expect("A9.14", uri, "AVERAGE-BANDWIDTH" in variant, "no AVERAGE-BANDWIDTH")
    peak, average = int(variant.get("BANDWIDTH", 0)), int(variant.get("AVERAGE-BANDWIDTH", 0))
    found.expect("A9.14", uri, average <= peak, f"AVERAGE-BANDWIDTH {average} is above BANDWIDTH {peak}")
    video = [rendition for rendition in played if rendition.video]
    if any(not codec.startswith(_NO_PICTURE) for codec in codecs):
        found.expect("A9.2", uri, "RESOLUTION" in variant, "no RESOLUTION")
        found.expect("A9.15", uri, "FRAME-RATE" in variant, "no FRAME-RATE")
        found.expect("A9.16", uri, variant.get("VIDEO-RANGE", "SDR") in ("SDR", "HLG", "PQ"), "odd VIDEO-RANGE")
    found.expect("A9.5", uri, len(played) > 1 or len(codecs) < 2, "picture and sound in one stream", should=True)
    for rendition in video:
        init = rendition.init
        assert init is not None
        found.expect("A1.10", uri, init.entry in ("avc1", "hvc1"), f"sample entry {init.entry}")
        said = f"avc1.{init.config[1:4].hex()}"
        found.expect("A9.1", uri, said in [codec.lower() for codec in codecs], f"CODECS {codecs}, the media {said}")
        profile, level = init.config[1], init.config[3]
        found.expect("A1.2", uri, profile <= 100 and level <= 52, f"profile {profile}, level {level}")
        resolution = f"{init.width}x{init.height}"
        found.expect("A9.2", uri, variant.get("RESOLUTION") == resolution, f"the media are {resolution}")
        rate = float(variant.get("FRAME-RATE", 0))
        found.expect("A9.15", uri, abs(rate - 1 / rendition.frame) < 0.01, f"{rate}, the media {1 / rendition.frame}")
        found.expect("A1.19", uri, rate <= 60.01, f"{rate} frames per second")
    _bandwidth(found, uri, peak, average, played)
    for rendition in played:
        if rendition.init and rendition.init.entry == "mp4a":
            measured = _rates(rendition)[1]
            found.expect("A2.9", rendition.name, measured <= 170_000, f"{measured:.0f} bit/s", should=True)


def _rates(rendition: Rendition) -> tuple[float, float]:
    """Peak over runs of 0.5 to 1.5 target durations, and average, from the bytes themselves."""
    rows = [
        (segment.duration, rendition.sizes[segment.msn] * 8)
        for segment in rendition.playlist.segments
        if segment.msn in rendition.sizes
    ]
    total = sum(duration for duration, _ in rows)
    average = sum(bits for _, bits in rows) / total if total else 0.0
    peak = average
    for first in range(len(rows)):
        duration = bits = 0.0
        for length, size in rows[first:]:
            duration, bits = duration + length, bits + size
            if duration > 1.5 * rendition.target:
                break
            if duration >= 0.5 * rendition.target:
                peak = max(peak, bits / duration)
    return peak, average


def _bandwidth(found: Findings, uri: str, peak: int, average: int, played: Sequence[Rendition]) -> None:
    if not all(rendition.sizes and rendition.playlist.segments for rendition in played):
        return
    rates = [_rates(rendition) for rendition in played]
    real_peak, real_average = sum(p for p, _ in rates), sum(a for _, a in rates)
    if played and all(rendition.playlist.ended for rendition in played):
        off = abs(average - real_average) <= 0.1 * real_average
        found.expect("A1.26", uri, off, f"AVERAGE-BANDWIDTH {average}, measured {real_average:.0f}")
        found.expect("A1.27", uri, abs(peak - real_peak) <= 0.1 * real_peak, f"{peak}, measured {real_peak:.0f}")
        found.expect("A1.30", uri, peak <= 2 * average, f"peak {peak}, average {average}", should=True)
    else:
        found.expect("A1.28", uri, real_average < 1.1 * average, f"{average}, measured {real_average:.0f}")
        found.expect("A1.29", uri, real_peak < 1.25 * peak, f"{peak}, measured {real_peak:.0f}")


def _iframes(
    found: Findings,
    fetcher: Fetcher,
    url: str,
    tags: Sequence[tuple[str, str]],
    renditions: Mapping[str, Rendition],
) -> None:
    video = [rendition for rendition in renditions.values() if rendition.video]
    lists = [attributes(value) for name, value in tags if name == "EXT-X-I-FRAME-STREAM-INF"]
    if not video:
        return
    if any(rendition.playlist.segments for rendition in video):
        found.expect("A6.1", "multivariant", bool(lists), "no EXT-X-I-FRAME-STREAM-INF")
    for entry in lists:
        name = entry.get("URI", "")
        missing = {"URI", "BANDWIDTH", "CODECS", "RESOLUTION"} - set(entry)
        found.expect("B4.3", name, not missing, f"without {sorted(missing)}")
        address = urljoin(url, name)
        rendition = Rendition(name, read_playlist(address, fetcher.text(address)))
        check_tags(found, rendition)
        only = rendition.playlist.value("EXT-X-I-FRAMES-ONLY") is not None
        found.expect("A6.8", name, only, "does not say so")
        found.expect("A6.11", name, rendition.target == video[0].target, f"{rendition.target}, {video[0].target}")
        dates = {segment.date: segment.msn for segment in video[0].playlist.segments}
        counted = _discontinuities(video[0].playlist), _discontinuities(rendition.playlist)
        for key in (segment for segment in rendition.playlist.segments if segment.date in dates):
            numbers = counted[0][dates[key.date]], counted[1][key.msn]
            found.expect("A8.15", f"{name} #{key.msn}", numbers[0] == numbers[1], f"discontinuities so far: {numbers}")
        _ranges(found, fetcher, rendition.playlist, name)


def _ranges(found: Findings, fetcher: Fetcher, playlist: Playlist, name: str) -> None:
    for segment in playlist.segments:
        place = f"{name} #{segment.msn}"
        if segment.gap:
            continue
        found.expect("A6.10", place, segment.size is not None, "no byte range")
        if segment.size is None:
            continue
        data = fetcher.media(segment.uri, (segment.offset, segment.size))
        whole = fetcher.media(segment.uri)
        try:
            fragments = {fragment.at: fragment for fragment in read_fragments(whole)}
            first = fragments[segment.offset].samples[0]
            holds = 5 in nal_types(first.data) and data.endswith(first.data) and data[4:8] == b"moof"
            found.expect("A6.10", place, holds, "the range is not a moof and one whole IDR")
        except (KeyError, ValueError, IndexError) as error:
            found.expect("A6.10", place, False, f"no fragment begins at {segment.offset}: {error}")


def _discontinuities(playlist: Playlist) -> dict[int, int]:
    """The discontinuity sequence number of each segment."""
    count, counted = int(playlist.number("EXT-X-DISCONTINUITY-SEQUENCE")), {}
    for segment in playlist.segments:
        count += segment.discontinuity
        counted[segment.msn] = count
    return counted


def _together(found: Findings, renditions: Sequence[Rendition]) -> None:
    for one, two in pairwise(renditions):
        where = f"{one.name}, {two.name}"
        first, second = one.playlist, two.playlist
        found.expect("A8.2", where, one.target == two.target, f"target {one.target} and {two.target}")
        slack = one.frame + two.frame
        if first.ended and second.ended:
            apart = abs(first.duration - second.duration)
            found.expect("A8.2", where, apart <= slack, f"{first.duration:.3f} s and {second.duration:.3f} s")
        found.expect("B6.2.4", where, first.ended == second.ended, "one has ended, the other not", should=True)
        controls = [attributes(p.value("EXT-X-SERVER-CONTROL") or "") for p in (first, second)]
        found.expect("B6.2.4", where, controls[0] == controls[1], f"server control {controls}")
        if len(first.values("EXT-X-DATERANGE")) == len(second.values("EXT-X-DATERANGE")):
            same = sorted(first.values("EXT-X-DATERANGE")) == sorted(second.values("EXT-X-DATERANGE"))
            found.expect("B6.2.4", where, same, "date ranges differ")
        counted = _discontinuities(first), _discontinuities(second)
        for msn in sorted(counted[0].keys() & counted[1].keys())[:1]:
            numbers = counted[0][msn], counted[1][msn]
            found.expect("A8.15", f"{where} #{msn}", numbers[0] == numbers[1], f"discontinuities so far: {numbers}")
        others = {segment.msn: segment for segment in second.segments}
        for segment in first.segments:
            other = others.get(segment.msn)
            if other is None:
                continue
            place = f"{where} #{segment.msn}"
            found.expect("A8.15", place, segment.discontinuity == other.discontinuity, "only one is discontinuous")
            starts = one.start(segment), two.start(other)
            if starts[0] is None or starts[1] is None:
                continue
            message = f"begin at {starts[0]:.4f} and {starts[1]:.4f}"
            found.expect("A8.22", place, abs(starts[0] - starts[1]) <= slack, message, should=True)
            if segment.date and other.date:
                dates = (segment.date - other.date).total_seconds()
                skew = abs(dates - (starts[0] - starts[1]))
                found.expect("B6.2.4t", place, skew <= 0.002, f"dates and timestamps disagree by {skew * 1000:.1f} ms")


def _reports(found: Findings, renditions: Mapping[str, Rendition]) -> None:
    for name, rendition in renditions.items():
        if rendition.playlist.ended or rendition.playlist.value("EXT-X-PART-INF") is None:
            continue
        reports = {}
        for value in rendition.playlist.values("EXT-X-RENDITION-REPORT"):
            report = attributes(value)
            reports[urljoin(rendition.playlist.url, report.get("URI", ""))] = report
        for other in renditions.values():
            if other is rendition:
                continue
            report = reports.get(other.playlist.url)
            found.expect("B4.4.5.4", name, report is not None, f"no report on {other.name}")
            if report is not None:
                said, real = int(report.get("LAST-MSN", -9)), other.playlist.growing.msn
                found.expect("B4.4.5.4", name, abs(said - real) <= 1, f"{other.name} reaches {real}, said {said}")


def main(arguments: Sequence[str]) -> int:
    """Print what is broken; 1 when something must not be."""
    url = next(argument for argument in arguments if not argument.startswith("--"))
    found = examine(url)
    if "--live" in arguments:
        live = check_live(url)
        found.violations += live.violations
        found.tried |= live.tried
    for violation in found.violations:
        print(violation)
    print(f"{len(found.tried)} of {len(RULES)} rules tried, {len(found.broken)} broken")
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
