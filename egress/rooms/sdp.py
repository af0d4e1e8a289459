"""SDP offers (RFC 8866, 8829) read leniently: what a receive-only peer needs to know of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from egress.model.errors import RequestError
from egress.model.media import Codec

_H264_PROFILES = ("42", "4d", "58", "64")
_MOST_TEXT = 512 * 1024
_MOST_SECTIONS = 128
_MLINE = re.compile(r"(\w+) (\d+)(?:/\d+)? (\S+) (.+)")

Setup = Literal["active", "passive", "actpass"]


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type of one section: `codec` when it is media we take, `repairs` when it is RTX of another one."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    fmtp: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    feedback: tuple[str, ...] = ()

    @property
    def codec(self) -> Codec | None:
        """Which of our codecs this is; None when we cannot take it."""
        match self.name.lower(), self.clock_rate:
            case "vp8", 90000:
                return Codec.VP8
            case "h264", 90000:
                profile = self.parameters.get("profile-level-id", "42e01f")[:2].lower()
                mode = self.parameters.get("packetization-mode", "0")
                return Codec.H264 if profile in _H264_PROFILES and mode in ("0", "1") else None
            case "opus", 48000:
                return Codec.OPUS
        return None

    @property
    def repairs(self) -> int | None:
        """The payload type that this RTX payload type repairs (RFC 4588 8.1)."""
        apt = self.parameters.get("apt", "")
        return int(apt) if self.name.lower() == "rtx" and apt.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Section:
    """One m-section of an offer; `ssrcs` in order of appearance, `repairs` maps an RTX SSRC to the one it repairs."""

    kind: str
    mid: str
    port: int
    protocol: str
    offered: tuple[str, ...]
    direction: str
    formats: Mapping[int, Format]
    extensions: Mapping[str, int]
    ssrcs: tuple[int, ...]
    repairs: Mapping[int, int]
    msid: str
    rtcp_mux: bool
    reduced_size: bool
    bundle_only: bool


@dataclass(frozen=True, slots=True)
class Transport:
    """The remote end of the one transport: ICE credentials, DTLS fingerprints (algorithm, value), candidates."""

    ufrag: str
    pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: Setup
    lite: bool
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A whole offer."""

    sections: tuple[Section, ...]
    bundle: tuple[str, ...]
    transport: Transport
    mixed: bool


def bad(what: str) -> RequestError:
    """The error about an offer that `what` is wrong with."""
    return RequestError(f"the SDP offer {what}", (("sdp", what),))


def read(text: str) -> Offer:
    """Read an offer; raises RequestError that says what is wrong with it."""
    if len(text) > _MOST_TEXT:
        raise bad(f"is longer than {_MOST_TEXT} characters")
    lines = [line.strip() for line in text.replace("\0", "").splitlines() if line.strip()]
    if not lines or lines[0] != "v=0":
        raise bad("does not begin with v=0: send an SDP offer as the body")
    for line in lines:
        if len(line) < 2 or line[1] != "=":
            raise bad(f"has a line that is not TYPE=VALUE: {line[:40]!r}; is it cut short?")
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            blocks.append([])
        blocks[-1].append(line)
    if len(blocks) == 1:
        raise bad("has no m-line: offer at least one audio or video section")
    if len(blocks) - 1 > _MOST_SECTIONS:
        raise bad(f"has {len(blocks) - 1} m-lines; at most {_MOST_SECTIONS} are taken")
    head = _attributes(blocks[0])
    attributes = [_attributes(block) for block in blocks[1:]]
    sections = tuple(
        _section(block[0][2:], found, index)
        for index, (block, found) in enumerate(zip(blocks[1:], attributes, strict=True))
    )
    bundle: tuple[str, ...] = ()
    for group in head.get("group", ()):
        name, *mids = group.split()
        if name == "BUNDLE":
            bundle = tuple(mids)
            break
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise bad("uses one a=mid for two sections")
    missing = [mid for mid in bundle if mid not in mids]
    if missing:
        raise bad(f"bundles mid {missing[0]!r} but has no such section; is it cut short?")
    return Offer(sections, bundle, _transport(head, attributes, mids, bundle), "extmap-allow-mixed" in head)


def _attributes(block: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in block:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            found.setdefault(name, []).append(value.strip())
    return found


def _transport(
    head: dict[str, list[str]], sections: list[dict[str, list[str]]], mids: list[str], bundle: tuple[str, ...]
) -> Transport:
    # The first bundled section describes the transport for all (RFC 8843 7.2); some senders fill in only one.
    order = sorted(range(len(mids)), key=lambda i: bundle.index(mids[i]) if mids[i] in bundle else len(bundle) + i)
    found = [sections[i] for i in order if "ice-ufrag" in sections[i]]
    source = {**head, **(found[0] if found else {})}
    ufrag, pwd = source.get("ice-ufrag", [""])[0], source.get("ice-pwd", [""])[0]
    if not ufrag or not pwd:
        raise bad("has no ICE credentials: a=ice-ufrag and a=ice-pwd are needed")
    prints = source.get("fingerprint") or next((s["fingerprint"] for s in sections if "fingerprint" in s), [])
    fingerprints = []
    for line in prints:
        algorithm, _, value = line.partition(" ")
        if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+", value.strip()):
            raise bad(f"has a malformed a=fingerprint: {line[:40]!r}")
        fingerprints.append((algorithm.lower(), value.strip()))
    if not any(algorithm in ("sha-256", "sha-384", "sha-512") for algorithm, _ in fingerprints):
        raise bad("has no a=fingerprint with sha-256, sha-384 or sha-512: media must be encrypted with DTLS-SRTP")
    setup = (source.get("setup") or ["actpass"])[0]
    if setup not in ("active", "passive", "actpass"):
        raise bad(f"has a=setup:{setup[:20]}; it must be actpass, active or passive")
    candidates = dict.fromkeys(line for found in (head, *sections) for line in found.get("candidate", ()))
    return Transport(ufrag, pwd, tuple(fingerprints), setup, "ice-lite" in head, tuple(candidates))  # type: ignore[arg-type]


def _section(mline: str, found: dict[str, list[str]], index: int) -> Section:
    match = _MLINE.fullmatch(mline)
    if not match:
        raise bad(f"has a malformed m-line: {mline[:60]!r}; is it cut short?")
    kind, port, protocol, offered = match[1], int(match[2]), match[3], tuple(match[4].split())
    formats = _formats(offered, found) if kind in ("audio", "video") else {}
    extensions: dict[str, int] = {}
    for line in found.get("extmap", ()):
        number, _, uri = line.partition(" ")
        number = number.partition("/")[0]
        if number.isdecimal() and 1 <= int(number) <= 255:
            extensions.setdefault(uri.split()[0] if uri.split() else "", int(number))
    ssrcs: dict[int, None] = {}
    msid = found.get("msid", [""])[0]
    for line in found.get("ssrc", ()):
        ssrc, _, rest = line.partition(" ")
        if ssrc.isdecimal() and int(ssrc) < 1 << 32:
            ssrcs[int(ssrc)] = None
            if rest.startswith("msid:") and not msid:
                msid = rest[5:]
    repairs: dict[int, int] = {}
    for line in found.get("ssrc-group", ()):
        name, *members = line.split()
        if name == "FID" and len(members) == 2 and all(member.isdecimal() for member in members):
            repairs[int(members[1])] = int(members[0])
    direction = next((name for name in ("sendonly", "recvonly", "inactive", "sendrecv") if name in found), "sendrecv")
    mid = found.get("mid", [str(index)])[0]
    if not re.fullmatch(r"[!-~]{1,64}", mid):
        raise bad(f"has a malformed a=mid: {mid[:40]!r}")
    return Section(
        kind,
        mid,
        port,
        protocol,
        offered,
        direction,
        formats,
        extensions,
        tuple(ssrcs),
        repairs,
        msid,
        "rtcp-mux" in found,
        "rtcp-rsize" in found,
        "bundle-only" in found,
    )


def _formats(offered: tuple[str, ...], found: dict[str, list[str]]) -> dict[int, Format]:
    maps: dict[str, tuple[str, int, int]] = {}
    for line in found.get("rtpmap", ()):
        number, _, text = line.partition(" ")
        bits = text.split("/")
        if len(bits) >= 2 and bits[1].isdecimal():
            maps[number] = (bits[0], int(bits[1]), int(bits[2]) if len(bits) > 2 and bits[2].isdecimal() else 1)
    fmtps = dict(line.partition(" ")[::2] for line in found.get("fmtp", ()))
    formats: dict[int, Format] = {}
    for number in offered:
        if not number.isdecimal() or int(number) > 127:
            raise bad(f"offers a malformed payload type {number[:20]!r}")
        if number not in maps:
            if int(number) >= 96:
                raise bad(f"offers payload type {number} without an a=rtpmap line; is it cut short?")
            continue
        fmtp = fmtps.get(number, "")
        pairs = (item.strip().partition("=") for item in fmtp.split(";") if item.strip())
        parameters = {key.strip().lower(): value.strip() for key, _, value in pairs}
        feedback = tuple(
            line.partition(" ")[2] for line in found.get("rtcp-fb", ()) if line.partition(" ")[0] in (number, "*")
        )
        formats[int(number)] = Format(int(number), *maps[number], fmtp, parameters, feedback)
    return formats
