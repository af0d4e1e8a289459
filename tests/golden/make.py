"""Makes the golden pictures anew: `python -m tests.golden.make [NAME ...]`. Look at every one that changed."""

from __future__ import annotations

import sys

from PIL import Image

from tests.golden.likeness import likeness, palette
from tests.golden.pictures import FOLDER, PICTURES, drawn


def main(names: list[str]) -> None:
    """Write the pictures of these names, or all; one that still looks the same keeps its file."""
    for name in names or PICTURES:
        path = FOLDER / f"{name}.png"
        picture, _ = drawn(PICTURES[name])
        if path.exists():
            with Image.open(path) as there:
                if there.size == picture.size and (found := likeness(there, picture)).alike:
                    print(f"{name}: as before ({found.mean:.2f}, {found.worst:.1f})")
                    continue
        small = palette(picture)
        small.save(path, optimize=True)
        found = likeness(small, picture)
        print(f"{name}: {path.stat().st_size // 1024} kB, off by {found.mean:.2f}, at worst {found.worst:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
