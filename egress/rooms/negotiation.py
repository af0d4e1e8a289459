"""What we take of an offer, and the answer that says so (RFC 8829, 8843): receive only, one bundled transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from egress.model.media import Codec
from egress.rooms.sdp import Format, Offer, Section, bad

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ORIENTATION = "urn:3gpp:video-orientation"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_EXTENSIONS = (MID, ORIENTATION, TRANSPORT_CC)
_FEEDBACK = ("nack", "nack pli", "transport-cc")
_PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF")
_START_KBITS = 2000


@dataclass(frozen=True, slots=True)
class Plan:
    """What we do with one section: the formats and extensions taken, or `refused` with the reason."""

    section: Section
    formats: Mapping[int, Format]
    extensions: Mapping[str, int]
    refused: str = ""

    @property
    def receiving(self) -> bool:
        """Whether media may come on this section."""
        return not self.refused and self.section.direction in ("sendonly", "sendrecv")


def plan(offer: Offer, *, first: bool = True) -> tuple[Plan, ...]:
    """What to take of each section; raises RequestError when there is nothing at all that we could receive.

    A `first` offer has to send something; a later one may pause everything.
    """
    plans = tuple(_plan(offer, section) for section in offer.sections)
    media = [p for p in plans if p.section.kind in ("audio", "video") and p.section.port]
    if all(p.refused for p in plans):
        reasons = "; ".join(dict.fromkeys(p.refused for p in media)) or "it has no audio or video section"
        raise bad(f"has nothing we can receive: {reasons}")
    if first and not any(p.receiving for p in plans):
        raise bad("sends nothing: every section is recvonly or inactive; make them sendonly or sendrecv")
    return plans


def _plan(offer: Offer, section: Section) -> Plan:
    name = f"{section.kind} section {section.mid}"
    reason = ""
    formats: dict[int, Format] = {}
    if section.kind not in ("audio", "video"):
        reason = f"{name} is not audio or video"
    elif not section.port and not section.bundle_only:
        reason = f"{name} is disabled by the sender"
    elif section.protocol not in _PROTOCOLS:
        reason = f"{name} uses {section.protocol[:40]}, which is not RTP over DTLS"
    elif not section.rtcp_mux:
        reason = f"{name} lacks a=rtcp-mux"
    elif offer.bundle and section.mid not in offer.bundle:
        reason = f"{name} is not in the BUNDLE group"
    elif not offer.bundle and section is not offer.sections[0]:
        reason = f"{name} is not bundled with the first one (a=group:BUNDLE)"
    else:
        wanted = ("audio/", (Codec.OPUS,)) if section.kind == "audio" else ("video/", (Codec.VP8, Codec.H264))
        media = {pt: f for pt, f in section.formats.items() if f.codec in wanted[1]}
        formats = {pt: f for pt, f in section.formats.items() if pt in media or f.repairs in media}
        if not media:
            names = ", ".join(dict.fromkeys(f.name for f in section.formats.values())) or "none"
            ours = " or ".join(codec.upper() for codec in wanted[1])
            reason = f"{name} offers no codec we can take ({names}); offer {ours}"
    extensions = {uri: section.extensions[uri] for uri in _EXTENSIONS if uri in section.extensions}
    return Plan(section, {} if reason else formats, extensions, reason)


def answer(
    offer: Offer,
    plans: Sequence[Plan],
    *,
    ufrag: str,
    pwd: str,
    fingerprints: Sequence[tuple[str, str]],
    setup: str,
    candidates: Sequence[str],
    session: int,
    version: int,
) -> str:
    """The answer to `offer`: each section recvonly, inactive or refused (port 0), all on one transport."""
    bundled = " ".join(p.section.mid for p in plans if not p.refused)
    lines = ["v=0", f"o=- {session} {version} IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if offer.bundle:
        lines.append(f"a=group:BUNDLE {bundled}")
    if offer.mixed:
        lines.append("a=extmap-allow-mixed")
    lines.append("a=msid-semantic: WMS")
    for p in plans:
        section = p.section
        numbers = " ".join(map(str, p.formats)) or " ".join(section.offered)
        lines += [
            f"m={section.kind} {0 if p.refused else 9} {section.protocol} {numbers}",
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{ufrag}",
            f"a=ice-pwd:{pwd}",
            *(f"a=fingerprint:{algorithm} {value}" for algorithm, value in fingerprints),
            f"a=setup:{setup}",
            f"a=mid:{section.mid}",
        ]
        if section.kind in ("audio", "video"):
            lines.append("a=recvonly" if p.receiving else "a=inactive")
            lines += ["a=rtcp-mux", "a=rtcp-rsize"] if section.reduced_size else ["a=rtcp-mux"]
        if not p.refused:
            lines += [f"a=extmap:{number} {uri}" for uri, number in p.extensions.items()]
            for chosen in p.formats.values():
                lines += _format_lines(chosen)
        # In every section, refused ones too: some offerers read only the first, others only the last.
        lines += [f"a=candidate:{candidate}" for candidate in candidates]
        lines.append("a=end-of-candidates")
    return "\r\n".join(lines) + "\r\n"


def _format_lines(chosen: Format) -> list[str]:
    number = chosen.payload_type
    channels = f"/{chosen.channels}" if chosen.channels > 1 else ""
    lines = [f"a=rtpmap:{number} {chosen.name}/{chosen.clock_rate}{channels}"]
    fmtp = chosen.fmtp
    if chosen.codec is Codec.OPUS:
        # What we would like to be sent: stereo where there is stereo, and redundancy against loss.
        fmtp = "minptime=10;useinbandfec=1;stereo=1"
    elif chosen.codec is Codec.H264:
        fmtp = ";".join(f"{k}={v}" for k, v in chosen.parameters.items() if k != "sprop-parameter-sets")
    if chosen.codec in (Codec.VP8, Codec.H264) and "transport-cc" in chosen.feedback:
        # libwebrtc begins at 300 kbit/s unless told; where that is too much, our feedback says so within 100 ms.
        fmtp = ";".join(filter(None, (fmtp, f"x-google-start-bitrate={_START_KBITS}")))
    if fmtp:
        lines.append(f"a=fmtp:{number} {fmtp}")
    return lines + [f"a=rtcp-fb:{number} {name}" for name in _FEEDBACK if name in chosen.feedback]
