"""The previews there are golden pictures of: a pipeline, a script, and what else is asked for."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from egress.layouts.base import Tile
from egress.model.media import SECOND
from egress.preview.plan import Wanted, planned
from egress.preview.script import read
from egress.preview.showing import Showing

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Golden:
    """One picture: lines of a pipeline beside its name, size and sink; a script; and fields of Wanted."""

    pipeline: str
    script: str = "room: x"
    size: str = "640x360"
    at: float | None = None
    wanted: dict[str, Any] = field(default_factory=dict)


_MARKS = """
timeline:
  - {at: 0s, do: join, who: ada, name: Ada}
  - {at: 0s, do: join, who: bob, name: Bob, muted: true}
  - {at: 0s, do: join, who: cora, name: Cora, camera: no}
  - {at: 0s, do: join, who: dan, name: Dan, camera: no, muted: true}
"""

_NAMES = """
timeline:
  - {at: 0s, do: join, who: a, name: "محمد الفاتح", role: host}
  - {at: 0s, do: join, who: b, name: "山田 太郎"}
  - {at: 0s, do: join, who: c, name: "שרה לוי", camera: no}
  - {at: 0s, do: join, who: d, name: "Maximiliane von Hohenstein-Württemberg zu Langenburg", muted: yes}
  - {at: 0s, do: join, who: e, name: "प्रिया शर्मा", camera: no}
  - {at: 0s, do: join, who: f, name: "Nguyễn Thị Minh Khai"}
"""

_BRAND = """
theme:
  background: "#1b1035"
  surface: "#2a1a52"
  speaking: "#ffb000"
  label: "#ffb000"
  label_text: "#1b1035"
  muted: "#8c1d18"
layout: {kind: grid, margin: 24, gap: 12}
tiles: {radius: 16, border: 2}
overlays:
  - {kind: image, image: logo.png, place: bottom-right, width: 0.14, margin: 12}
  - {kind: title, text: "{room}: all hands"}
  - {kind: clock, place: bottom-left, format: "%H:%M"}
  - {kind: watermark, text: DRAFT}
roles:
  host: {accent: "#ffb000"}
"""

_LOWER = """
layout: {kind: speaker, single: true}
overlays:
  - {kind: lower-third, title: Grace Hopper, subtitle: Compilers, place: left}
"""

_CUSTOM = """
layout:
  kind: custom
  boxes:
    - {x: 0, y: 0, width: 0.66, height: 1, role: host}
    - {x: 0.68, y: 0, width: 0.32, height: 0.48}
    - {x: 0.68, y: 0.52, width: 0.32, height: 0.48, fit: contain}
"""

PICTURES: dict[str, Golden] = {
    "grid": Golden("layout: {kind: grid}", wanted={"participants": 4}),
    "speaker": Golden("layout: {kind: speaker}", wanted={"participants": 6}),
    "screen": Golden("layout: {kind: screen}", wanted={"participants": 5, "screen": True}),
    "pip": Golden("layout: {kind: pip}", wanted={"participants": 3}),
    "spotlight": Golden("layout: {kind: spotlight, roles: [host]}", wanted={"participants": 5}),
    "columns": Golden("layout: {kind: columns}", wanted={"participants": 3}),
    "custom": Golden(_CUSTOM, wanted={"participants": 3}),
    "portrait": Golden("layout: {kind: speaker}", size="360x640", wanted={"participants": 4}),
    "light": Golden("theme: light", wanted={"participants": 5}),
    "brand": Golden(_BRAND, "room: Acme", wanted={"participants": 4}),
    "lower-third": Golden(_LOWER, wanted={"participants": 2}),
    "marks": Golden("layout: {kind: grid}", _MARKS),
    "lost": Golden("layout: {kind: grid}", _MARKS + "  - {at: 1s, do: lost}\n"),
    "names": Golden("layout: {kind: grid}", _NAMES),
    "more": Golden("layout: {kind: grid, most: 9}", wanted={"participants": 20}),
    "card": Golden("cards: {start: {title: All hands, text: We begin at ten, duration: 3s}}", at=1.0),
    "fade": Golden(
        "tiles: {transition: 1s}", "participants: 1\ntimeline: [{at: 3s, do: join, who: zoe, name: Zoë}]", at=3.25,
        wanted={"participants": 1},
    ),
}  # fmt: skip
"""By the name of their files."""


def drawn(golden: Golden) -> tuple[Image.Image, tuple[Tile, ...]]:
    """The picture as it is now, and the tiles it shows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.yaml"
        path.write_text(
            f"name: golden\nvideo: {{size: {golden.size}, fps: 20}}\n"
            f"sinks: [{{kind: mp4, to: a.mp4}}]\n{golden.pipeline.strip()}\n",
            "utf-8",
        )
        at = None if golden.at is None else round(golden.at * SECOND)
        wanted = Wanted(
            str(path),
            Path(folder) / "a.png",
            read(golden.script, "script", FOLDER),
            assets=FOLDER,
            at=at,
            **golden.wanted,
        )
        plan = planned(wanted)
        assert plan.at is not None
        showing = Showing(plan.pipeline, plan.video, plan.rehearsal, _fail)
        canvas = showing.picture_at(plan.at)
        picture = Image.fromarray(canvas.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray())
        return picture, showing.tiles


def _fail(message: str) -> None:
    raise AssertionError(message)
