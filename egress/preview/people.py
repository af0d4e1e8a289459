"""Who is in a previewed room unless a script says so: one host, one who speaks, one muted, some without a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from egress.demo import people as demo

Names = Literal["plain", "varied"]

MOST = demo.MOST

_VARIED = (
    "Ada Lovelace",
    "山田 太郎",
    "Maximiliane von Hohenstein-Württemberg zu Langenburg",
    "محمد الفاتح",
    "Zoë 🎉",
    "김민준",
    "Ольга Ивановна",
    "שרה לוי",
    "Nguyễn Thị Minh Khai",
    "王小明",
    "Ἀριστοτέλης",
    "O’Brien, Seán (he/him)",
    "प्रिया शर्मा",
    "สมชาย",
    "Ĝis-Ĉeĥo Ŭ",
    "👩‍💻",
)
_SPEAKS, _MUTED, _WITHOUT, _EVERY = 1, 2, 3, 7


@dataclass(frozen=True, slots=True)
class Guest:
    """One made-up participant, as it comes in."""

    id: str
    name: str
    role: str
    camera: bool = True
    muted: bool = False
    speaking: bool = False


def guests(count: int, names: Names = "plain") -> tuple[Guest, ...]:
    """The first `count` participants (at most MOST) in order of joining; `varied` names are what breaks labels."""
    return tuple(_guest(index, count, names) for index in range(count))


def _guest(index: int, count: int, names: Names) -> Guest:
    person = demo.person(index)
    varied = names == "varied" and index < len(_VARIED)
    return Guest(
        person.id,
        _VARIED[index] if varied else person.name,
        person.role,
        camera=index % _EVERY != _WITHOUT,
        muted=index % _EVERY == _MUTED,
        speaking=index == min(_SPEAKS, count - 1),
    )
