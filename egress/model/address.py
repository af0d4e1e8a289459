"""Where an RTMP stream goes: `rtmp(s)://host/app/key` or a provider's name with a key, taken apart and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from egress.model.errors import RequestError
from egress.model.secrets import HIDDEN, redact_url

PROVIDERS = {
    "youtube": "rtmps://a.rtmps.youtube.com:443/live2/",
    "twitch": "rtmps://ingest.global-contribute.live-video.net:443/app/",
    "facebook": "rtmps://live-api-s.facebook.com:443/rtmp/",
    "mux": "rtmps://global-live.mux.com:443/app/",
}
"""What `youtube://KEY` and the like stand for; all of them over TLS."""

_BACKUPS = {"youtube": ("b.rtmps.youtube.com", "live2?backup=1")}
"""The second ingest of a provider that has one, a machine of its own: host and app; `youtube://KEY?backup=1`."""
_BACKUP = "?backup=1"

SCHEMES = ("rtmp", "rtmps", *PROVIDERS)
"""The schemes an RTMP destination may have."""
_FORM = "write it like rtmp://host/app/key, rtmps://host/app/key or youtube://KEY"
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class RtmpAddress:
    """One publishing address. `key` is the whole stream name with its query; `public` may be shown to anyone."""

    tls: bool
    host: str
    port: int
    app: str
    key: str = field(repr=False)
    public: str

    @classmethod
    def parse(cls, url: str) -> RtmpAddress:
        """Take an address apart; raises RequestError (naming the fix, never the key)."""
        public = shown(url)
        if _CONTROL.search(url):
            raise _wrong(public, "holds a space or control character")
        scheme, _, rest = url.partition("://")
        if (provider := PROVIDERS.get(scheme.lower())) is not None:
            if not rest.strip("/"):
                raise _wrong(public, "has no stream key")
            if rest.endswith(_BACKUP):
                return _backup(scheme.lower(), rest.removesuffix(_BACKUP).strip("/"), public)
            url = provider + rest.strip("/")
        try:
            parts = urlsplit(url, allow_fragments=False)
            port = parts.port
        except ValueError:
            # Its text would quote what stands where the port should, which may be the key.
            raise _wrong(public, "has no readable host and port") from None
        if parts.scheme not in ("rtmp", "rtmps"):
            # Without the slashes it may as well be a bare key with a colon in it.
            what = f"has the scheme {scheme[:20]!r}" if rest else "has no scheme"
            raise _wrong(public, f"{what}; it needs one of {', '.join(SCHEMES)}")
        if not parts.hostname:
            raise _wrong(public, "has no host")
        if port == 0:
            raise _wrong(public, "has port 0, which nobody listens at")
        if parts.username is not None:
            raise _wrong(public, "has user:password@, which RTMP servers take as part of the key's query, not there")
        app, _, name = parts.path.strip("/").rpartition("/")
        if not app or not name:
            raise _wrong(public, "has no stream key")
        tls = parts.scheme == "rtmps"
        key = f"{name}?{parts.query}" if parts.query else name
        return cls(tls, parts.hostname, port or (443 if tls else 1935), app, key, public)

    @property
    def tc_url(self) -> str:
        """The address without the key, as the `connect` command wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme, usual = ("rtmps", 443) if self.tls else ("rtmp", 1935)
        return f"{scheme}://{host}{'' if self.port == usual else f':{self.port}'}/{self.app}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not be shown, for `redact`."""
        name, _, query = self.key.partition("?")
        values = tuple(value for pair in query.split("&") if len(value := pair.partition("=")[2]) > 5)
        return tuple(text for text in (self.key, name, query, *values) if len(text) > 3)


def _backup(provider: str, key: str, public: str) -> RtmpAddress:
    if provider not in _BACKUPS:
        raise _wrong(public, f"asks for a backup, and of these only {', '.join(_BACKUPS)} has one")
    if not key or "/" in key:
        raise _wrong(public, "has no stream key")
    host, app = _BACKUPS[provider]
    return RtmpAddress(True, host, 443, app, key, public)


def shown(url: str) -> str:
    """What may be shown of an address meant for RTMP, right or wrong."""
    scheme, colon, _ = url.partition("://")
    if not colon:
        return HIDDEN
    # In an address of another kind, or one with no readable host, there is no telling where the key stands.
    if scheme.lower() in PROVIDERS and url.endswith(_BACKUP):
        return redact_url(url.removesuffix(_BACKUP)) + _BACKUP
    known = scheme.lower() in PROVIDERS or (scheme.lower() in SCHEMES and _readable(url))
    return redact_url(url) if known else f"{scheme}://{HIDDEN}"


def _readable(url: str) -> bool:
    try:
        port = urlsplit(url, allow_fragments=False).port
    except ValueError:
        return False
    return port is None or port >= 0


def _wrong(public: str, problem: str) -> RequestError:
    return RequestError(f"the RTMP address {public} {problem}; {_FORM}", (("to", f"{problem}; {_FORM}"),))
