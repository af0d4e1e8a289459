"""The folder an HLS presentation lies in: whether it is taken, and taking away what was there."""

from __future__ import annotations

import shutil
from pathlib import Path

from egress.sinks.presentation import CAPTIONS, IFRAMES, INDEX, INIT, OWNER


def in_use(folder: Path) -> bool:
    """Whether there is a presentation."""
    return any(
        (folder / name).exists() for name in (INDEX, "video.m3u8", "audio.m3u8", f"video/{INIT}", f"audio/{INIT}")
    )


def clear(folder: Path) -> None:
    """Take away an earlier presentation: its playlists, and the folders it kept its media in."""
    if not folder.is_dir():
        return
    for name in (INDEX, "video.m3u8", "audio.m3u8", f"{IFRAMES}.m3u8", OWNER):
        (folder / name).unlink(missing_ok=True)
    for pattern in ("video-[1-9].m3u8", f"{IFRAMES}-[1-9].m3u8", f"{CAPTIONS}-*.m3u8"):
        for path in folder.glob(pattern):
            path.unlink()
    media = (folder / "video", folder / "audio", *folder.glob("video-[1-9]"), *folder.glob(f"{CAPTIONS}-*"))
    for path in media:
        shutil.rmtree(path, ignore_errors=True)
