"""RTMP servers to test against: the real nginx-rtmp, a scripted one that can misbehave, and ports that say nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from egress.sinks import amf0
from egress.sinks.rtmp_chunks import ChunkReader, ChunkWriter, Kind, Message

_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")

_CONFIG = """
load_module {module};
{user}worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ worker_connections 256; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; chunk_size 4096; ping 30s; ping_timeout 30s; timeout 60s;
  application live {{ live on; notify_method get; {callback}
    record all; record_path {folder}/rec; record_unique on; record_suffix -%H%M%S.flv; }} }} }}
http {{ access_log off; client_body_temp_path {folder}/t/b; proxy_temp_path {folder}/t/p;
  fastcgi_temp_path {folder}/t/f; uwsgi_temp_path {folder}/t/u; scgi_temp_path {folder}/t/s;
  server {{ listen 127.0.0.1:{http}; location /stat {{ rtmp_stat all; }} location /control {{ rtmp_control all; }} }} }}
"""


_HELD: list[socket.socket] = []


def free_port() -> int:
    """A loopback port that nobody else is given while this process lives.

    A socket holds it that does not listen: who asks for any port gets another one, connections to it are refused, and
    a server that asks for this one by SO_REUSEADDR, as all do, has it.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _HELD.append(holder)
    return int(holder.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until `condition()` is truthy and return it; AssertionError when it never is."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
    return found


class NginxRtmp:
    """A real nginx-rtmp on loopback that records what is published to `live`; use it as a context manager.

    With `authorise`, each publish is asked of it: it gets the query arguments of the callback (`name`, and those of
    the publishing URL) and returns the HTTP status to answer.
    """

    def __init__(self, folder: Path, authorise: Callable[[dict[str, str]], int] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self._http = free_port()
        self._authorise = authorise
        self._master: subprocess.Popen[bytes] | None = None
        self._gate: ThreadingHTTPServer | None = None

    def __enter__(self) -> NginxRtmp:
        assert _MODULE.exists(), "nginx-rtmp is not installed: apt-get install nginx-light libnginx-mod-rtmp"
        (self.folder / "rec").mkdir(parents=True, exist_ok=True)
        (self.folder / "t").mkdir(exist_ok=True)
        callback = ""
        if self._authorise is not None:
            self._gate = _gate(self._authorise)
            callback = f"on_publish http://127.0.0.1:{self._gate.server_port}/publish;"
        config = _CONFIG.format(
            module=_MODULE,
            user="user root; " if os.geteuid() == 0 else "",
            folder=self.folder,
            port=self.port,
            http=self._http,
            callback=callback,
        )
        (self.folder / "nginx.conf").write_text(config)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._gate is not None:
            self._gate.shutdown()
            self._gate.server_close()

    def url(self, key: str) -> str:
        """Where to publish under a key."""
        return f"rtmp://127.0.0.1:{self.port}/live/{key}"

    def recordings(self, key: str) -> list[Path]:
        """What was recorded under a key, oldest first."""
        found = (self.folder / "rec").glob(f"{key}-*.flv")
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def start(self) -> None:
        """Start it (again)."""
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        command = [program, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        with (self.folder / "out.log").open("ab") as log:
            self._master = subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)
        wait_for(lambda: _listens(self.port), 60, "nginx listening")

    def stop(self) -> None:
        """Kill it and all its workers."""
        if self._master is not None:
            self.thaw()
            for process in self._processes():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._master.wait(60)
            self._master = None

    def kill_worker(self) -> None:
        """Kill -9 the worker; the master starts another at once."""
        for process in self._workers():
            process.kill()

    def freeze(self) -> None:
        """Stop it in its tracks: TCP stays up, nothing is read."""
        for process in self._processes():
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        with suppress(psutil.NoSuchProcess):
            for process in self._processes():
                process.send_signal(signal.SIGCONT)

    def drop(self, key: str) -> None:
        """Throw the publisher of a key out."""
        url = f"http://127.0.0.1:{self._http}/control/drop/publisher?app=live&name={key}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            answer.read()

    def over(self, key: str) -> None:
        """Wait until nobody publishes under a key any more, and its recording is whole."""
        wait_for(lambda: f"<name>{key}</name>" not in self.stat(), 60, f"the end of {key}")

    def stat(self) -> str:
        """nginx-rtmp's statistics as XML."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}/stat", timeout=60) as answer:
            return str(answer.read().decode())

    def _workers(self) -> list[psutil.Process]:
        assert self._master is not None
        return list(psutil.Process(self._master.pid).children())

    def _processes(self) -> list[psutil.Process]:
        assert self._master is not None
        return [psutil.Process(self._master.pid), *self._workers()]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _gate(authorise: Callable[[dict[str, str]], int]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(authorise(dict(parse_qsl(urlsplit(self.path).query))))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@dataclass
class Visit:
    """One connection to a scripted server: what was published, in order."""

    key: str = ""
    tc_url: str = ""
    messages: list[Message] = field(default_factory=list)
    ended_well: bool = False

    def media(self, kind: Kind) -> list[Message]:
        """Messages of access units (no sequence headers) of one kind."""
        return [m for m in self.messages if m.kind == kind and len(m.payload) > 1 and m.payload[1] == 1]


class ScriptedRtmp:
    """A small RTMP server whose manners are set: a context manager on a thread per connection.

    `refuse(n)` is asked for connection n (from 0) and returns an onStatus code to refuse the publish with, or None.
    `hang_up(n)` returns after how many access units the connection is cut, or None.
    """

    def __init__(
        self,
        refuse: Callable[[int], str | None] = lambda _: None,
        hang_up: Callable[[int], int | None] = lambda _: None,
        port: int = 0,
    ) -> None:
        self.visits: list[Visit] = []
        self._refuse = refuse
        self._hang_up = hang_up
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def url(self, key: str) -> str:
        """Where to publish under a key."""
        return f"rtmp://127.0.0.1:{self.port}/live/{key}"

    def __enter__(self) -> ScriptedRtmp:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            visit = Visit()
            self.visits.append(visit)
            self._spawn(self._serve, sock, visit, len(self.visits) - 1)

    def _serve(self, sock: socket.socket, visit: Visit, number: int) -> None:
        with sock, suppress(OSError, EOFError):
            hello = _exactly(sock, 1537)
            sock.sendall(b"\x03" + bytes(1536) + hello[1:])
            _exactly(sock, 1536)
            reader, writer = ChunkReader(most=16 << 20), ChunkWriter()
            limit = self._hang_up(number)
            while data := sock.recv(65536):
                for message in reader.feed(data):
                    if message.kind == Kind.COMMAND:
                        for answer in self._command(amf0.decode(message.payload), visit, number):
                            sock.sendall(writer.write(3, answer))
                    elif message.kind in (Kind.AUDIO, Kind.VIDEO, Kind.DATA):
                        visit.messages.append(message)
                        if limit is not None and len(visit.messages) >= limit:
                            return

    def _command(self, values: list[Any], visit: Visit, number: int) -> Iterator[Message]:
        name, transaction = values[0], values[1]
        if name == "connect":
            visit.tc_url = values[2]["tcUrl"]
            yield Message(Kind.WINDOW_SIZE, 0, 0, struct.pack(">I", 5_000_000))
            yield Message(Kind.PEER_BANDWIDTH, 0, 0, struct.pack(">IB", 5_000_000, 2))
            info = {"level": "status", "code": "NetConnection.Connect.Success"}
            yield _said("_result", transaction, {"fmsVer": "test"}, info)
        elif name == "createStream":
            yield _said("_result", transaction, None, 1)
        elif name == "publish":
            visit.key = values[3]
            code = self._refuse(number)
            level = "status" if code is None else "error"
            info = {"level": level, "code": code or "NetStream.Publish.Start", "description": f"about {visit.key}"}
            yield Message(Kind.COMMAND, 0, 1, amf0.encode("onStatus", 0, None, info))
        elif name == "deleteStream":
            visit.ended_well = True


def _said(*values: Any) -> Message:
    return Message(Kind.COMMAND, 0, 0, amf0.encode(*values))


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server whose TCP accepts connections and which never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections, held so that nobody else gets it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


class TlsFront:
    """TLS in front of a plain RTMP server on loopback; `heard` is what came out of the TLS, in order.

    Its certificate is for `name`, signed by a CA of its own (the file `ca`); use it as a context manager.
    """

    def __init__(self, folder: Path, behind: int, name: str = "localhost") -> None:
        self.heard = bytearray()
        self.ca = folder / "ca.pem"
        self._behind = behind
        chain = _certificates(folder, name)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(chain)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> TlsFront:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def url(self, key: str) -> str:
        """Where to publish under a key."""
        return f"rtmps://localhost:{self.port}/live/{key}"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0, ssl=self._context)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pipe(reader, outer, self.heard), self._pipe(inner, writer, None))

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, copy: bytearray | None) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if copy is not None:
                    copy += data
                sink.write(data)
                await sink.drain()
        sink.close()


def _certificates(folder: Path, name: str) -> Path:
    """A CA in `ca.pem`, and the file with key and certificate of `name`."""
    now = datetime.now(UTC)

    def certificate(subject: str, issuer: str, key: Any, signer: Any, *, ca: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=1),
            not_valid_after=now + timedelta(days=1),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(issued_by, critical=False)
        if not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
        return builder.sign(signer, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("test CA", "test CA", root_key, root_key, ca=True)
    leaf = certificate(name, "test CA", key, root_key, ca=False)
    pem = serialization.Encoding.PEM
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(root.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "leaf.pem").write_bytes(secret + leaf.public_bytes(pem))
    return folder / "leaf.pem"
