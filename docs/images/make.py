"""Makes the pictures of the README by `egress preview`: `python docs/images/make.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from egress.cli import main

HERE = Path(__file__).resolve().parent
LARGEST = 150 * 1024
GAP = 10

PEOPLE = ("--script", str(HERE / "people.yaml"), "--at", "4", "--size", "1280x720")
PARTS = (
    ("record-grid",),
    ("record-grid", "--layout", "speaker", "--theme", "light"),
    ("record-grid", "--layout", "screen", "--script", str(HERE / "screen.yaml")),
    (str(HERE / "branded.yaml"),),
)


def preview(folder: Path, number: int, words: tuple[str, ...]) -> Image.Image:
    """One part of the picture."""
    out = folder / f"{number}.png"
    if main(["preview", words[0], "--out", str(out), *PEOPLE, *words[1:]]) != 0:
        raise SystemExit(f"egress preview {' '.join(words)} failed")
    with Image.open(out) as image:
        return image.convert("RGB").resize((640, 360), Image.Resampling.LANCZOS)


def hero() -> Path:
    """Four looks of one room."""
    sheet = Image.new("RGB", (2 * 640 + GAP, 2 * 360 + GAP), "#ffffff")
    with tempfile.TemporaryDirectory() as folder:
        for number, words in enumerate(PARTS):
            place = (number % 2 * (640 + GAP), number // 2 * (360 + GAP))
            sheet.paste(preview(Path(folder), number, words), place)
    out = HERE / "looks.webp"
    sheet.save(out, quality=86, method=6)
    if out.stat().st_size > LARGEST:
        raise SystemExit(f"{out} is {out.stat().st_size // 1024} kB, more than {LARGEST // 1024}")
    return out


if __name__ == "__main__":
    print(hero())
