"""How long after a recording's end its object is there: a large file grows, is uploaded behind, and ends.

    python -m tests.benchmarks.upload 2048 BUCKET     2 GiB, into a bucket of the store that EGRESS_S3_* name
    python -m tests.benchmarks.upload                 256 MiB, into a moto of its own

Moto joins all parts in memory when an upload is completed, a second for each 100 MiB, so large files say nothing
there. The file is sparse but for its first bytes: what is measured is the way, not the disk.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from egress.model.settings import Settings
from egress.storage.s3 import S3Storage
from tests.s3_server import BUCKET, S3Server

STEP = 4 << 20
LIMIT = 3.0
"""Seconds the object may take to be there."""


def measure(options: dict[str, str], bucket: str, size: int, folder: Path) -> float:
    """Seconds from the end of a growing file to the object's being there and compared."""
    source = folder / "recording.mp4"
    source.write_bytes(b"")
    storage = S3Storage(options)
    storage.follow(source, f"s3://{bucket}/benchmark/recording.mp4")
    part = int(options["part_mib"]) << 20
    began = time.monotonic()
    with source.open("r+b") as file:
        written = 0
        while written < size:
            written = min(size, written + STEP)
            file.truncate(written)
            # A recording grows no faster than it is uploaded, on a line that carries it at all.
            while storage.status()["uploaded"] < written - 3 * part:
                time.sleep(0.01)
        file.seek(44)
        file.write(b"closed!!")
    grown = time.monotonic()
    stored = storage.put(source, f"s3://{bucket}/benchmark/recording.mp4")
    taken = time.monotonic() - grown
    assert stored.size == size
    print(f"{size >> 20} MiB grew in {grown - began:.1f} s; the object was there {taken:.2f} s after the end")
    return taken


def main() -> int:
    """Measure; exits with 1 when it took too long."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 256) << 20
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        if len(sys.argv) > 2:
            taken = measure(Settings.load().storage_options()["s3"], sys.argv[2], size + 12345, folder)
        else:
            with S3Server(folder) as server:
                taken = measure({**server.options, "part_mib": "16"}, BUCKET, size + 12345, folder)
    return int(taken > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
