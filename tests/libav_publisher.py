"""A WHIP publisher that is not ours: libavformat's muxer. `python -m tests.libav_publisher URL TOKEN`."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiortc import RTCCertificate
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from egress.demo.people import person
from egress.demo.picture import Artist
from egress.model.media import Size

FPS = 15
PICTURES = 45


def publish(url: str, token: str) -> None:
    """Three seconds of H.264 and Opus in real time."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = RTCCertificate.generateCertificate()
        # Built on GnuTLS it makes itself a P-224 key, which OpenSSL declines; WebRTC's usual kind is P-256.
        cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        cert.write_bytes(certificate._cert.public_bytes(Encoding.PEM))
        key.write_bytes(certificate._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        options = {"authorization": token, "cert_file": str(cert), "key_file": str(key)}
        _send(av.open(url, "w", format="whip", options=options))


def _send(container: Any) -> None:
    video = container.add_stream("libx264", rate=FPS)
    video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
    video.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "bf": "0", "g": "15"}
    audio = container.add_stream("libopus", rate=48_000)
    audio.codec_context.layout = "stereo"
    artist = Artist(person(0), Size(320, 180), FPS)
    block = 48_000 // FPS
    begun = time.monotonic()
    for index in range(PICTURES):
        time.sleep(max(0.0, begun + index / FPS - time.monotonic()))
        frame = artist.draw(index)
        frame.time_base = Fraction(1, FPS)
        container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2 * block), np.float32), "flt", "stereo")
        sound.sample_rate, sound.pts, sound.time_base = 48_000, index * block, Fraction(1, 48_000)
        container.mux(audio.encode(sound))
    with suppress(OSError):
        # It waits for an answer to its DELETE longer than the connection lives.
        container.close()


if __name__ == "__main__":
    publish(sys.argv[1], sys.argv[2])
