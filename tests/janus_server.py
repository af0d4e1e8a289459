"""A real Janus to test against: a process of its own with the VideoRoom plugin, rooms configured, and an admin API.

    async with JanusServer(folder, rooms=[JanusRoom(1001), JanusRoom(1002, codec="h264", pin="1234")]) as janus:
        janus.url(1001)          # what `egress record` takes

Rooms live in the configuration, so that they are there again after `kill()` and `start()`, on the same ports.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.rtmp_server import free_port

VIDEOROOM = "janus.plugin.videoroom"
ADMIN_KEY = "roomkey"
ADMIN_SECRET = "adminsecret"
ROOM_SECRET = "roomsecret"

_MODULES = Path("/usr/lib")
_PATIENCE = 60.0

_CORE = """
general: {{
  configs_folder = "{folder}/cfg"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  events_folder = "{folder}/events"
  loggers_folder = "{folder}/loggers"
  debug_level = 4
  debug_timestamps = true
  session_timeout = {session_timeout}
  reclaim_session_timeout = {reclaim}
  candidates_timeout = 10
  admin_secret = "{admin_secret}"
  {api_secret}
  token_auth = {tokens}
}}
media: {{ ipv6 = false, rtp_port_range = "{low}-{high}", no_media_timer = 2, slowlink_threshold = 4 }}
nat: {{ full_trickle = {trickle}, ice_lite = false, ice_tcp = false, ice_enforce_list = "{address}" }}
"""

_HTTP = """
general: {{
  json = "compact", base_path = "/janus", http = true, port = {http}, ip = "127.0.0.1",
  https = {secure}, secure_port = {https}, secure_ip = "127.0.0.1"
}}
certificates: {{ cert_pem = "{folder}/cert.pem", cert_key = "{folder}/key.pem" }}
admin: {{
  admin_base_path = "/admin", admin_http = true, admin_port = {admin}, admin_ip = "127.0.0.1", admin_https = false
}}
"""

_WEBSOCKETS = """
general: {{
  json = "compact", ws = true, ws_port = {ws}, ws_ip = "127.0.0.1",
  wss = {secure}, wss_port = {wss}, wss_ip = "127.0.0.1"
}}
certificates: {{ cert_pem = "{folder}/cert.pem", cert_key = "{folder}/key.pem" }}
admin: {{ admin_ws = false }}
"""

_EVENTS = """
general: {{
  enabled = true, events = "plugins", grouping = true, json = "compact", backend = "{address}",
  backend_user = "janus", backend_pwd = "{password}", max_retransmissions = 5, retransmissions_backoff = 100
}}
"""


class JanusRefused(Exception):
    """Janus answered with an error; `code` is its own number for it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"Janus refused ({code}): {reason}")
        self.code = code


@dataclass(frozen=True, slots=True)
class JanusRoom:
    """One VideoRoom as its configuration has it; `codec` is one codec, or several in order, comma between."""

    name: int | str
    codec: str = "vp8"
    pin: str | None = None
    publishers: int = 20
    bitrate: int = 2_000_000
    description: str = "a room"
    more: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """What `create` takes, and the configuration file."""
        return {
            "description": self.description,
            "secret": ROOM_SECRET,
            "publishers": self.publishers,
            "bitrate": self.bitrate,
            "fir_freq": 0,
            "audiocodec": "opus",
            "videocodec": self.codec,
            "h264_profile": "42e01f",
            "audiolevel_event": True,
            "audio_active_packets": 25,
            "audio_level_average": 50,
            "notify_joining": True,
            **({"pin": self.pin} if self.pin else {}),
            **self.more,
        }


def executable() -> str:
    """Where Janus is; raises RuntimeError saying how to get it."""
    if found := shutil.which("janus"):
        return found
    raise RuntimeError("Janus is not installed; on Debian: apt-get install janus")


def own_address() -> str:
    """This machine's own IPv4 address other than loopback.

    Janus takes loopback addresses for "no restriction" and then offers every address there is, and ICE agents leave
    loopback out as well. Traffic to the address stays in the machine. Raises RuntimeError when there is none.
    """
    for name, addresses in psutil.net_if_addrs().items():
        for one in addresses:
            if one.family.name == "AF_INET" and not one.address.startswith("127.") and psutil.net_if_stats()[name].isup:
                return one.address
    raise RuntimeError("Janus cannot be tested: this machine has no IPv4 address but loopback, and ICE needs one")


class JanusServer:
    """A Janus for the length of the context; `log` is what it said."""

    def __init__(
        self,
        folder: Path,
        *,
        rooms: list[JanusRoom] | None = None,
        api_secret: str | None = None,
        string_ids: bool = False,
        full_trickle: bool = False,
        session_timeout: int = 60,
        reclaim: int = 10,
        tokens: bool = False,
        secure: bool = False,
        events: tuple[str, str] | None = None,
    ) -> None:
        """`tokens`: only clients with one of `allow`ed tokens may come; `secure`: TLS as well, self-signed.

        `events`: where to post the events of its rooms, and the password to present there.
        """
        self.folder = folder / "janus"
        self.log = self.folder / "janus.log"
        self.api_secret = api_secret
        self.address = own_address()
        self.ws_port, self.http_port, self._admin_port = free_port(), free_port(), free_port()
        self.wss_port, self.https_port = free_port(), free_port()
        self._static = rooms if rooms is not None else [JanusRoom(1001)]
        self._string_ids = string_ids
        self._trickle = full_trickle
        self._session_timeout = session_timeout
        self._reclaim = reclaim
        self._tokens = tokens
        self._secure = secure
        self._events = events
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.AsyncClient(timeout=_PATIENCE, trust_env=False)
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> JanusServer:
        self._configure()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self._client.aclose()

    @property
    def certificate(self) -> Path:
        """What its TLS clients have to trust; it is for 127.0.0.1."""
        return self.folder / "cert.pem"

    @property
    def ws(self) -> str:
        """Its WebSocket address."""
        return f"ws://127.0.0.1:{self.ws_port}"

    @property
    def http(self) -> str:
        """Its HTTP address."""
        return f"http://127.0.0.1:{self.http_port}/janus"

    def url(self, room: int | str, port: int | None = None) -> str:
        """A room's address for `egress record`; `port` stands for something in front of the WebSocket."""
        return f"janus+ws://127.0.0.1:{port or self.ws_port}/{room}"

    def http_url(self, room: int | str) -> str:
        """A room's address for `egress record` by HTTP."""
        return f"janus+http://127.0.0.1:{self.http_port}/janus/{room}"

    async def start(self) -> None:
        """Start it (again) and wait until it answers."""
        process = self._process = self._spawn()
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                await self._client.get(f"{self.http}/info")
                if all(map(_listens, (self.ws_port, self._admin_port))):
                    return
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > end:
                    tail = self.log.read_text(errors="replace")[-2000:]
                    self.kill()
                    raise RuntimeError(f"Janus does not start: {tail}") from None
            await asyncio.sleep(0.05)

    async def left(self, *others: int) -> None:
        """Wait until nobody has a session but these: whoever leaves is gone when Janus has heard of it."""
        sessions: list[int] = []
        try:
            async with asyncio.timeout(_PATIENCE):
                while (sessions := await self.sessions()) and set(sessions) - set(others):
                    await asyncio.sleep(0.5)
        except TimeoutError:
            raise AssertionError(f"{sessions} are there, not only {others}") from None

    def kill(self) -> None:
        """Kill -9: nobody is told anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    async def stop(self) -> None:
        """End it politely, with a BYE to everyone."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 60)
            self._process = None

    def freeze(self) -> None:
        """Stop it in its tracks: sockets stay open, nothing is answered and no media flows."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def room(self, request: str, **more: Any) -> dict[str, Any]:
        """A request to the VideoRoom plugin that needs no session, so that the counts are of others only."""
        body = {"request": request, **more}
        answer = await self._admin("", "message_plugin", plugin=VIDEOROOM, request=body)
        response: dict[str, Any] = answer["response"]
        if "error_code" in response:
            raise JanusRefused(response["error_code"], response.get("error", ""))
        return response

    async def create(self, room: JanusRoom) -> None:
        """Create a room that does not outlive the process."""
        more = {"string_ids": True} if self._string_ids else {}
        await self.room("create", room=room.name, admin_key=ADMIN_KEY, permanent=False, **more, **room.settings())

    async def destroy(self, room: int | str) -> None:
        """Destroy a room under its participants."""
        await self.room("destroy", room=room, secret=ROOM_SECRET)

    async def rooms(self) -> list[dict[str, Any]]:
        """All rooms."""
        rooms: list[dict[str, Any]] = (await self.room("list"))["list"]
        return rooms

    async def participants(self, room: int | str) -> list[dict[str, Any]]:
        """Who is in a room, as anyone may ask."""
        found: list[dict[str, Any]] = (await self.room("listparticipants", room=room))["participants"]
        return found

    async def kick(self, room: int | str, who: int | str) -> None:
        """Throw a participant out."""
        await self.room("kick", room=room, secret=ROOM_SECRET, id=who)

    async def allow(self, token: str) -> None:
        """Let clients with this token in."""
        await self._admin("", "add_token", token=token, plugins=[VIDEOROOM])

    async def hang_up(self, handle: dict[str, Any]) -> None:
        """End the media of a handle (one of `handles`), not its signalling."""
        await self._admin(f"/{handle['session_id']}/{handle['handle_id']}", "hangup_webrtc")

    async def sessions(self) -> list[int]:
        """Everyone's sessions, also those that no participant can see."""
        found: list[int] = (await self._admin("", "list_sessions"))["sessions"]
        return found

    async def handles(self) -> list[dict[str, Any]]:
        """What Janus knows of every handle of every session."""
        found: list[dict[str, Any]] = []
        for session in await self.sessions():
            for handle in (await self._there(f"/{session}", "list_handles")).get("handles", ()):
                answer = await self._there(f"/{session}/{handle}", "handle_info")
                found += [answer["info"]] if answer else []
        return found

    async def subscribers(self) -> list[dict[str, Any]]:
        """Handles that receive: only here does a hidden bot show."""
        return [one for one in await self.handles() if one.get("plugin_specific", {}).get("type") == "subscriber"]

    async def substreams(self) -> list[int]:
        """The simulcast layers sent to subscribers now, in Janus's own words."""
        streams = [one for handle in await self.subscribers() for one in handle["plugin_specific"]["streams"]]
        return [one["simulcast"]["substream"] for one in streams if "simulcast" in one]

    async def _there(self, path: str, what: str) -> dict[str, Any]:
        """What the admin API says of a session or handle; {} when it went while we were asking (458, 459)."""
        try:
            return await self._admin(path, what)
        except JanusRefused as error:
            if error.code not in (458, 459):
                raise
            return {}

    async def _admin(self, path: str, what: str, **more: Any) -> dict[str, Any]:
        body = {"janus": what, "transaction": f"a{next(self._numbers)}", "admin_secret": ADMIN_SECRET, **more}
        answer = await self._client.post(f"http://127.0.0.1:{self._admin_port}/admin{path}", json=body)
        found: dict[str, Any] = answer.json()
        if found["janus"] != "success":
            raise JanusRefused(found["error"]["code"], found["error"]["reason"])
        return found

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [executable(), "-F", str(self.folder / "cfg"), "-C", str(self.folder / "cfg" / "janus.jcfg")]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def _configure(self) -> None:
        for name in ("cfg", "plugins", "transports", "events", "loggers"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        executable()
        found = sorted(_MODULES.glob("*/janus")) + sorted(_MODULES.glob("janus"))
        if not found:
            raise RuntimeError("the modules of Janus are not installed; on Debian: apt-get install janus")
        # Only what is wanted, so that nothing else opens ports.
        for module in (
            "plugins/libjanus_videoroom.so",
            "transports/libjanus_http.so",
            "transports/libjanus_websockets.so",
            *(("events/libjanus_sampleevh.so",) if self._events else ()),
        ):
            (self.folder / module).symlink_to(found[0] / module)
        low = 20_000 + self.ws_port % 160 * 250
        core = _CORE.format(
            folder=self.folder,
            session_timeout=self._session_timeout,
            reclaim=self._reclaim,
            admin_secret=ADMIN_SECRET,
            api_secret=f'api_secret = "{self.api_secret}"' if self.api_secret else "",
            low=low,
            high=low + 249,
            tokens=_jcfg(self._tokens),
            trickle=_jcfg(self._trickle),
            address=self.address,
        )
        rooms = "".join(f"room-{room.name}: {_jcfg(room.settings())}\n" for room in self._static)
        general = {"admin_key": ADMIN_KEY, "string_ids": self._string_ids}
        tls = {"secure": _jcfg(self._secure), "folder": self.folder}
        if self._secure:
            _certify(self.folder)
        texts = {
            "janus.jcfg": core,
            "janus.transport.http.jcfg": _HTTP.format(
                http=self.http_port, https=self.https_port, admin=self._admin_port, **tls
            ),
            "janus.transport.websockets.jcfg": _WEBSOCKETS.format(ws=self.ws_port, wss=self.wss_port, **tls),
            "janus.plugin.videoroom.jcfg": f"general: {_jcfg(general)}\n{rooms}",
        }
        if self._events is not None:
            texts["janus.jcfg"] += "events: { broadcast = true }\n"
            texts["janus.eventhandler.sampleevh.jcfg"] = _EVENTS.format(
                address=self._events[0], password=self._events[1]
            )
        for name, text in texts.items():
            (self.folder / "cfg" / name).write_text(text)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _certify(folder: Path) -> None:
    """A certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(addresses, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))


def _jcfg(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_jcfg(one)}" for key, one in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'
