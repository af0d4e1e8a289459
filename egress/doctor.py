"""What this machine has for Egress, what is missing, what that is needed for, and how to mend it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from fractions import Fraction
from importlib import metadata
from pathlib import Path

from egress import pipelines, programs
from egress.model import registry

PYTHONS = ((3, 11), (3, 13))
UDP_BUFFER = 4 << 20
"""What each media socket asks for: a second of nine participants' video while the process is held up."""
GIB = 1 << 30
DISK_NEEDED, DISK_WANTED = 1 * GIB, 10 * GIB
CORES_WANTED = 2
SQLITE = (3, 35)
"""The first that says what a change of rows has changed (RETURNING)."""


class State(StrEnum):
    """How a finding is judged."""

    OK = "ok"
    LESS = "less"
    """Works, but not as well as it could."""
    ABSENT = "absent"
    """Not there, and only needed for some things."""
    MISSING = "missing"
    """Not there, and Egress cannot work without it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, what it is needed for, and the fix when it is not right."""

    name: str
    state: State
    found: str
    needed_for: str
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether Egress works with it like this."""
        return self.state is not State.MISSING


def examine(spool: Path, ffmpeg: str = programs.FFMPEG, database: str | None = None) -> tuple[Finding, ...]:
    """Look at everything: `spool` is the folder unfinished jobs will live in, `ffmpeg` a name or path of the program,
    `database` the address of the service's, None a file in the spool.

    Changes nothing, asks no server, raises nothing.
    """
    found: list[Finding] = []
    for look in (
        _python,
        _libav,
        _packages,
        _required,
        lambda: _database(database),
        _stores,
        lambda: _disk(spool),
        _network,
        _tls,
        _protocols,
        _cores,
        _shipped,
        _scripts,
        lambda: _ffmpeg(ffmpeg),
        _programs,
    ):
        try:
            found.extend(look())
        except Exception as error:
            # A doctor that dies of one finding helps nobody: what it could not look at is a finding too.
            name = getattr(look, "__name__", "disk").strip("_")
            found.append(Finding(name, State.MISSING, f"{type(error).__name__}: {error}", "Egress"))
    return tuple(found)


def as_json(findings: tuple[Finding, ...]) -> str:
    """The findings as one JSON document: {"ok": bool, "findings": [...]}."""
    rows = [asdict(finding) | {"ok": finding.ok} for finding in findings]
    return json.dumps({"ok": all(finding.ok for finding in findings), "findings": rows}, indent=2, ensure_ascii=False)


def as_text(findings: tuple[Finding, ...]) -> str:
    """The findings as a table for people, with the fixes below their lines."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        purpose = "" if finding.state is State.OK else f"  (for {finding.needed_for})"
        lines.append(f"{finding.state:<8} {finding.name:<{width}}  {finding.found}{purpose}")
        if finding.fix and finding.state is not State.OK:
            lines.append(f"{'':8} {'':{width}}  fix: {finding.fix}")
    broken = sum(not finding.ok for finding in findings)
    lines.append("everything needed is here" if not broken else f"{broken} needed here and missing")
    return "\n".join(lines)


def _judge(name: str, good: bool, found: str, needed_for: str, fix: str, otherwise: State = State.MISSING) -> Finding:
    return Finding(name, State.OK if good else otherwise, found, needed_for, "" if good else fix)


def _python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    fix = "install Python 3.11, 3.12 or 3.13 and make a new virtual environment with it"
    yield _judge("python", good, version, "everything", fix)


def _libav() -> Iterator[Finding]:
    reinstall = "pip install --force-reinstall --only-binary av 'av>=18,<19'"
    try:
        import av
        from av import library_versions
    except ImportError as error:
        yield Finding("libav", State.MISSING, str(error), "all media", reinstall)
        return
    parts = sorted(library_versions.items())
    versions = ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in parts)
    good = av.__version__.split(".")[0] == "18"
    yield _judge("libav", good, f"PyAV {av.__version__}, {versions}", "all media", reinstall)
    for name, needed_for, works in _codecs():
        good = works()
        yield _judge(name, good, "works" if good else "does not work", needed_for, reinstall)
    muxer = "mp4" in av.formats_available
    yield _judge("muxer mp4", muxer, "there" if muxer else "not there", "MP4 files", reinstall)


def _codecs() -> Iterator[tuple[str, str, Callable[[], bool]]]:
    """Every codec we use, and a function that tries it."""
    import av
    from av.audio.frame import AudioFrame
    from av.video.frame import VideoFrame

    def encodes(name: str) -> bool:
        try:
            context = av.CodecContext.create(name, "w")
            if isinstance(context, av.VideoCodecContext):
                context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
                context.framerate = Fraction(30)
                packets = context.encode(VideoFrame(64, 64, "yuv420p"))
            else:
                assert isinstance(context, av.AudioCodecContext)
                layout, form = "stereo", "fltp" if name == "aac" else "flt"
                context.sample_rate, context.layout, context.format = 48000, layout, form
                frame = AudioFrame(form, layout, 1024 if name == "aac" else 960)
                frame.sample_rate = 48000
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
                packets = context.encode(frame)
            return bool([*packets, *context.encode(None)])
        except (av.FFmpegError, ValueError):
            return False

    def decodes(name: str) -> bool:
        try:
            av.CodecContext.create(name, "r").open()
            return True
        except (av.FFmpegError, ValueError):
            return False

    yield "encoder libx264", "the picture", lambda: encodes("libx264")
    yield "encoder aac", "the sound", lambda: encodes("aac")
    yield "encoder libopus", "sound as Opus", lambda: encodes("libopus")
    yield "decoder vp8", "participants who send VP8", lambda: decodes("vp8")
    yield "decoder h264", "participants who send H.264", lambda: decodes("h264")
    yield "decoder libopus", "participants' sound", lambda: decodes("libopus")


def _packages() -> Iterator[Finding]:
    try:
        version = metadata.version("aiortc")
        good = version.startswith("1.16.")
    except metadata.PackageNotFoundError:
        version, good = "not installed", False
    # Our receiver takes the place of aiortc's by names that other versions need not have.
    yield _judge("aiortc", good, version, "WebRTC", "pip install 'aiortc==1.16.*'")
    try:
        yield Finding("uvloop", State.OK, metadata.version("uvloop"), "less CPU per packet")
    except metadata.PackageNotFoundError:
        yield Finding("uvloop", State.LESS, "not installed", "less CPU per packet", "pip install uvloop")


def _required() -> Iterator[Finding]:
    """Every package Egress names as its own need, the service's among them, without those of its extras."""
    named = [text for text in metadata.requires("egress") or () if "extra ==" not in text]
    lacking = []
    for text in named:
        name = re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            lacking.append(name)
    found = f"without {', '.join(lacking)}" if lacking else f"all {len(named)} are installed"
    yield _judge("packages", not lacking, found, "jobs and the service", f"pip install {' '.join(lacking)}")


def _database(address: str | None) -> Iterator[Finding]:
    """What speaks to the service's database; whether a server answers, `egress serve` says."""
    if (address or "").startswith("postgres"):
        try:
            found, good = f"PostgreSQL, by psycopg {metadata.version('psycopg')}", True
        except metadata.PackageNotFoundError:
            found, good = "PostgreSQL, but psycopg is not installed", False
        fix = "pip install 'egress[postgresql]', or unset EGRESS_DATABASE"
    else:
        good, found = sqlite3.sqlite_version_info >= SQLITE, f"SQLite {sqlite3.sqlite_version}"
        fix = f"use a Python built with SQLite {'.'.join(map(str, SQLITE))} or later"
    yield _judge("database", good, found, "egress serve", fix)


def _stores() -> Iterator[Finding]:
    """What storages need beside the packages of all."""
    try:
        found, good = f"azure-storage-blob {metadata.version('azure-storage-blob')}", True
    except metadata.PackageNotFoundError:
        found, good = "not installed", False
    yield _judge("azure", good, found, "azure:// stores", "pip install 'egress[azure]'", State.ABSENT)


def _disk(spool: Path) -> Iterator[Finding]:
    place = next(path for path in (spool, *spool.absolute().parents) if path.exists())
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    fix = "choose another folder: --spool DIR, or EGRESS_SPOOL"
    found = f"{spool}{'' if place == spool else ' (made when needed)'}"
    yield _judge("spool", writable, found if writable else f"{spool}: cannot write to {place}", "recording", fix)
    free = shutil.disk_usage(place).free
    state = State.OK if free >= DISK_WANTED else State.LESS if free >= DISK_NEEDED else State.MISSING
    amount = f"{free / GIB:.1f} GiB free, about {free * 8 / 3.2e6 / 3600:.0f} hours at 3 Mbit/s"
    yield Finding("disk", state, amount, "recording", "" if state is State.OK else f"free space, or {fix}")


def _network() -> Iterator[Finding]:
    # Linux grants what net.core.rmem_max allows and reports twice that.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // (2 if sys.platform == "linux" else 1)
    fix = f"sysctl -w net.core.rmem_max={UDP_BUFFER} (and put it into /etc/sysctl.d/ to keep it)"
    found = f"{granted // 1024} KiB of {UDP_BUFFER // 1024} wanted"
    yield _judge(
        "udp buffer", granted >= UDP_BUFFER, found, "no lost packets while the machine is busy", fix, State.LESS
    )


def _tls() -> Iterator[Finding]:
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    there = bool(paths.cafile) or bool(folder and folder.is_dir() and any(folder.iterdir()))
    found = (
        f"{ssl.OPENSSL_VERSION}, {'certificates of authorities found' if there else 'no certificates of authorities'}"
    )
    yield _judge("tls", there, found, "rtmps:// servers", "apt-get install ca-certificates", State.ABSENT)


def _cores() -> Iterator[Finding]:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = f"{count} {'core' if count == 1 else 'cores'}"
    fix = "use a machine with more cores, or a smaller picture in the pipeline"
    yield _judge("cpu", count >= CORES_WANTED, found, "1280x720 with several participants", fix, State.LESS)


def _shipped() -> Iterator[Finding]:
    names = pipelines.names()
    again = "pip install --force-reinstall egress (in a checkout: pip install -e .)"
    yield _judge("pipelines", bool(names), ", ".join(names) or f"none in {pipelines.folder()}", "jobs by name", again)
    sinks = registry.names("sinks")
    yield _judge("sinks", bool(sinks), ", ".join(sinks) or "none registered", "any output", again)


def _protocols() -> Iterator[Finding]:
    """What can come in and go out; libav's own network outputs are never used, for they can block for ever."""
    secure = "rtmps" if ssl.HAS_SNI else ""
    rooms = ", ".join(registry.names("connectors"))
    ways = ", ".join(word for word in ("hls over http", "rtmp", secure) if word)
    found = f"in: whip (rooms: {rooms}); out: {ways}; files: {', '.join(registry.names('storages'))}"
    again = "use a Python whose ssl module knows server names"
    yield _judge("protocols", bool(secure), found, "rtmps:// servers", again, State.ABSENT)


def _scripts() -> Iterator[Finding]:
    """Which names can be drawn: fonts of the commonest scripts are bundled, coloured emoji are too large for that."""
    from egress.media import fonts

    rarer = {"Ethiopic": "ሀ", "Khmer": "ក", "Lao": "ກ", "Burmese": "က", "Sinhala": "අ"}
    drawn = [script for script, letter in rarer.items() if fonts.font_for(letter, "medium") is not None]
    bundled = "Latin, Greek, Cyrillic, Arabic, Hebrew, Chinese, Japanese, Korean, Thai, eight of India and more"
    fix = "apt-get install fonts-noto-core"
    found = ", ".join((bundled, *drawn))
    yield _judge("scripts", len(drawn) == len(rarer), found, "names in rarer scripts", fix, State.ABSENT)
    emoji = fonts.emoji()
    found = emoji.name if emoji else "no font: left out of names"
    yield _judge(
        "emoji", emoji is not None, found, "emoji in names", "apt-get install fonts-noto-color-emoji", State.ABSENT
    )


_PROGRAMS = (
    ("chromium", ("chromium", "chromium-browser", "google-chrome"), "tests with a real browser", "chromium"),
    ("janus", ("janus",), "tests with a real room server", "janus"),
    ("nginx", ("nginx", "/usr/sbin/nginx"), "tests with a real RTMP server", "nginx-light libnginx-mod-rtmp"),
)


def _ffmpeg(command: str) -> Iterator[Finding]:
    ffmpeg = programs.find(command)
    has = programs.encoders(ffmpeg) if ffmpeg else frozenset()
    lacking = [name for name in programs.ENCODERS if name not in has]
    if ffmpeg and programs.srt_problem(ffmpeg):
        lacking.append("SRT")
    without = f", without {', '.join(lacking)}" if lacking else ""
    found = f"{ffmpeg}{without}" if ffmpeg else f"{command}: no such program"
    fix = "apt-get install ffmpeg, or say where it is: EGRESS_FFMPEG"
    yield _judge("ffmpeg", not lacking, found, "WebM and MP3 files, SRT", fix, State.ABSENT)


def _programs() -> Iterator[Finding]:
    for name, commands, needed_for, package in _PROGRAMS:
        path = next((found for command in commands if (found := shutil.which(command))), None)
        fix = f"apt-get install {package}"
        yield _judge(name, path is not None, path or "not installed", needed_for, fix, State.ABSENT)
