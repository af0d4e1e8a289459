"""What every test may ask for: real components, which fail the test with instructions when they are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", max_examples=2000, print_blob=True, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
"""Made inputs are the same in every run, so that no change is refused for what it has not touched.

`HYPOTHESIS_PROFILE=explore tests/run tests/unit/test_calendar.py` tries many others, each time different ones.
"""

COMPONENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "chromium"),
    "ffmpeg": (("ffmpeg",), "ffmpeg"),
    "ffprobe": (("ffprobe",), "ffmpeg"),
    "nginx": (("nginx", "/usr/sbin/nginx"), "nginx-light"),
    "nginx-rtmp": (
        ("/usr/lib/nginx/modules/ngx_rtmp_module.so", "/usr/share/nginx/modules/ngx_rtmp_module.so"),
        "libnginx-mod-rtmp",
    ),
}
"""Components by name: where each may be, and the Debian package it comes from."""


def locate(name: str) -> Path | None:
    """Where a component is, or None."""
    for place in COMPONENTS[name][0]:
        if place.startswith("/"):
            if Path(place).exists():
                return Path(place)
        elif found := shutil.which(place):
            return Path(found)
    return None


@pytest.fixture
def component() -> Callable[[str], Path]:
    """`component("chromium")` is its path; a missing one fails the test, so that nothing passes by being skipped."""

    def find(name: str) -> Path:
        path = locate(name)
        if path is None:
            how = "the image of this CI lacks it" if os.environ.get("CI") else "run tests/run as root once"
            pytest.fail(f"{name} is missing: apt-get install {COMPONENTS[name][1]} ({how})", pytrace=False)
        return path

    return find
