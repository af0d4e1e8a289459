"""Headers of our pages: what they may load, and what others may do with them."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"

# hls.js demuxes in a worker that it makes from a blob, feeds the video element from another, and keeps date ranges in
# a text track whose source is an empty data: address.
_RULES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self'",
    "media-src": "'self' blob: data:",
    "worker-src": "blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'self'",
}


def policy(**more: str) -> str:
    """The Content-Security-Policy of a page, with other rules in the place of some (`img_src="…"`)."""
    rules = _RULES | {name.replace("_", "-"): value for name, value in more.items()}
    return "; ".join(f"{name} {value}" for name, value in rules.items())


PAGE_HEADERS = {
    "Content-Security-Policy": policy(),
    "Permissions-Policy": "camera=(self), microphone=(self), autoplay=(self), fullscreen=(self)",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
PLAIN = {"X-Content-Type-Options": "nosniff"}
