"""Previews look as their golden pictures do; `python -m tests.golden.make` makes those anew, to be looked at."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.golden.likeness import likeness
from tests.golden.pictures import FOLDER, PICTURES, drawn

LARGEST = 40 * 1024


@pytest.mark.parametrize("name", PICTURES)
def test_a_preview_looks_as_it_did(name, tmp_path):
    picture, _ = drawn(PICTURES[name])
    picture.save(tmp_path / f"{name}.png")
    with Image.open(FOLDER / f"{name}.png") as golden:
        found = likeness(golden, picture)
    assert found.alike, f"{found}; look at {tmp_path / name}.png; if it is right: python -m tests.golden.make {name}"


def test_golden_pictures_are_small_and_each_is_used():
    files = {path.stem for path in FOLDER.glob("*.png")} - {"logo"}
    assert files == set(PICTURES)
    assert all((FOLDER / f"{name}.png").stat().st_size <= LARGEST for name in files)
