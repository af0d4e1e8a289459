"""The rules the HLS checker knows, and what it found.

A: Apple's HLS authoring specification; B: draft-pantos-hls-rfc8216bis; C: ISO BMFF and CMAF; own words throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RULES = {
    "A1.2": "H.264 is High profile or lower, level 5.2 or lower",
    "A1.10": "parameter sets stand in the sample description (avc1), not in the samples",
    "A1.13": "an IDR at least every 2 s (should)",
    "A1.19": "never above 60 frames per second",
    "A1.26": "VOD: AVERAGE-BANDWIDTH within 10 % of what is measured",
    "A1.27": "VOD: BANDWIDTH within 10 % of the measured peak",
    "A1.28": "live: measured average below 110 % of AVERAGE-BANDWIDTH",
    "A1.29": "live: measured peak below 125 % of BANDWIDTH",
    "A1.30": "VOD: peak at most twice the average (should)",
    "A1.33": "all pictures have one shape",
    "A2.3": "there is stereo AAC",
    "A2.9": "stereo AAC has at most 160 kbit/s (should)",
    "A4.4": "every EXT-X-MEDIA but video has a LANGUAGE",
    "A5.3": "every segment of captions is WebVTT with an X-TIMESTAMP-MAP, and its cues are shown while it plays",
    "A5.5": "captions cover the whole programme, in the segments of the picture",
    "A5.5b": "a cue is in every segment in which it is shown",
    "A6.1": "there is an I-frame playlist",
    "A6.8": "an I-frame playlist says EXT-X-I-FRAMES-ONLY",
    "A6.10": "a byte range of an I-frame playlist holds its moof and one whole IDR",
    "A6.11": "the I-frame playlist has the others' target duration",
    "A7.3": "decode times continue from fragment to fragment and segment to segment",
    "A7.4": "every segment begins with an IDR",
    "A7.7": "no segment lasts more than 0.5 s above the target duration",
    "A8.1": "EXTINF has 5 decimals and sums to the real duration within a frame",
    "A8.2": "picture and sound have the same target duration, and once ended the same length",
    "A8.4": "every segment of a live playlist has a date by EXT-X-PROGRAM-DATE-TIME",
    "A8.6": "VOD and EVENT playlists say so, and only they",
    "A8.11": "a live playlist that has slid lists at least 6 segments",
    "A8.12": "a live playlist that has slid reaches back 15 min (should)",
    "A8.13": "the init segment changes at a discontinuity, and only there",
    "A8.15": "discontinuities stand at the same place in all renditions",
    "A8.16": "EXT-X-DISCONTINUITY-SEQUENCE is there when it may be needed",
    "A8.18": "nothing is redirected",
    "A8.20": "fragmented MP4 has an EXT-X-MAP",
    "A7.4v": "pictures of all sizes are cut at the same times, so that players can change between them",
    "A8.22": "picture and sound have the same segment boundaries (should)",
    "A9.1": "CODECS is given, and is what the media say",
    "A9.2": "RESOLUTION is given for a picture, and is what the media say",
    "A9.5": "picture and sound are separate streams (should)",
    "A9.11": "EXT-X-INDEPENDENT-SEGMENTS is given",
    "A9.14": "AVERAGE-BANDWIDTH is given and not above BANDWIDTH",
    "A9.15": "FRAME-RATE is given for a picture, and is what the media say",
    "A9.16": "VIDEO-RANGE is given unless all is SDR",
    "A14.2": "EXT-X-PART-INF gives PART-TARGET where there are parts",
    "A14.3": "PART-HOLD-BACK is at least 3 part targets",
    "B4.1": "a playlist begins with EXTM3U and has no tag twice that may stand once",
    "B4.2": "EXT-X-VERSION is what the tags need, and not higher",
    "B4.3": "attribute lists can be read, required attributes are there",
    "B4.4.3.8": "HOLD-BACK is at least 3 target durations, CAN-SKIP-UNTIL at least 6",
    "B4.4.4.9": "parts last 85 to 100 % of the part target (independent ones and the last of a segment may be shorter)",
    "B4.4.4.9i": "parts that begin with an IDR say INDEPENDENT=YES, and only those",
    "B4.4.4.2": "byte ranges lie within their files",
    "B4.4.5.1": "date ranges have a class, a duration that can be read, and attributes that can be quoted",
    "B4.4.5.3": "at most one EXT-X-PRELOAD-HINT of a type, for the part that follows",
    "B4.4.5.4": "a low-latency playlist reports on every other rendition, within a segment of the truth",
    "B6.2.1t": "no rounded EXTINF is above the target duration",
    "B6.2.1d": "dates follow each other by the durations between them",
    "B6.2.1g": "missing media are said to be a gap",
    "B6.2.1r": "what a playlist lists can be fetched",
    "B6.2.2": "a playlist is at least 3 target durations long once it has slid",
    "B6.2.2p": "parts are listed for the last 3 target durations, and not long before them",
    "B6.2.4": "dates, date ranges and server control are the same in all renditions",
    "B6.2.4t": "one instant has one date and one timestamp in all renditions",
    "C.boxes": "boxes fit into each other, one track an init segment, moof and mdat in pairs",
    "C.trun": "the sample table covers mdat exactly",
    "C.sequence": "fragment sequence numbers rise",
    "C.nal": "samples are whole NAL units",
    "C.cfr": "every frame of the picture lasts the same",
    "C.edits": "no edit list: players disagree about it in fragmented media",
    "C.emsg": "event messages hold ID3 text and lie in the segment that carries them",
    "C.parts": "the parts of a segment are its bytes",
    "A10.1": "playlists are compressed with gzip when asked for",
    "A10.4": "MIME types are those of HLS",
    "A8.24": "a live playlist is not stale",
    "B6.2.5b": "a blocking reload is answered when the part is there, not before and not much later",
    "B6.2.5m": "_HLS_part without _HLS_msn is refused with 400",
    "B6.2.5f": "a reload too far ahead is refused with 400",
    "B6.2.5s": "a delta update skips old segments and leaves the newer ones as they are",
    "B6.2.5e": "an ended playlist answers at once, whatever is asked",
    "B6.2.6": "a hinted part comes whole, an unknown one is 404",
    "B6.2.1c": "playlists only grow at the end, lose at the start, and keep their target duration",
    "B6.2.1n": "a new part comes within 1.5 part targets of the one before",
}


@dataclass(frozen=True)
class Violation:
    """One broken rule; `should`: of the kind a presentation may have reasons to break."""

    rule: str
    where: str
    message: str
    should: bool = False

    def __str__(self) -> str:
        return f"{'should ' if self.should else ''}{self.rule} {self.where}: {self.message} ({RULES[self.rule]})"


@dataclass
class Findings:
    """What was found; `tried` are the rules that something was held against."""

    violations: list[Violation] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)

    def expect(self, rule: str, where: str, holds: bool, message: str, *, should: bool = False) -> None:
        """Hold something against a rule."""
        assert rule in RULES, rule
        self.tried.add(rule)
        if not holds:
            self.violations.append(Violation(rule, where, message, should))

    @property
    def broken(self) -> list[Violation]:
        """Violations of what must be."""
        return [violation for violation in self.violations if not violation.should]
