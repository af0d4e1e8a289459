"""In which order the letters of one line stand: the Unicode Bidirectional Algorithm (UAX 9) for plain text.

Text comes here without explicit formatting characters, so rules X1 to X8 have nothing to do, and the line is one
isolating run sequence.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

_PAIRS: Final = (
    "()[]{}༺༻༼༽᚛᚜⁅⁆⁽⁾₍₎⌈⌉⌊⌋❨❩❪❫❬❭❮❯❰❱❲❳❴❵⟅⟆⟦⟧⟨⟩⟪⟫⟬⟭⟮⟯⦃⦄⦅⦆⦇⦈⦉⦊⦋⦌⦍⦐⦏⦎⦑⦒⦓⦔⦕⦖⦗⦘⧘⧙⧚⧛⧼⧽"
    "⸢⸣⸤⸥⸦⸧⸨⸩〈〉《》「」『』【】〔〕〖〗〘〙〚〛﹙﹚﹛﹜﹝﹞（）［］｛｝｟｠｢｣"
)
"""BidiBrackets.txt: every opening bracket with the closing one after it."""
_OPENING: Final = dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True))
_NEUTRAL: Final = frozenset({"B", "S", "WS", "ON"})
_STRONG: Final = {"L": "L", "R": "R", "EN": "R", "AN": "R"}


def base_level(text: str) -> int:
    """0 where the first letter with a direction runs left to right (or there is none), 1 otherwise (P2, P3)."""
    first = next((kind for c in text if (kind := unicodedata.bidirectional(c)) in {"L", "R", "AL"}), "L")
    return 0 if first == "L" else 1


def levels(text: str, base: int) -> list[int]:
    """The embedding level of every character: even runs left to right, odd right to left."""
    kinds = [unicodedata.bidirectional(c) or _newer(c) for c in text]
    outer = "R" if base else "L"
    original = list(kinds)
    _weak(kinds, outer)
    _brackets(text, kinds, original, outer)
    _neutral(kinds, outer)
    found = [_implicit(kind, base) for kind in kinds]
    # L1: blanks at the end of the line stand at its end.
    for k in range(len(text) - 1, -1, -1):
        if original[k] not in {"WS", "S", "B", "BN"}:
            break
        found[k] = base
    return found


def visual(of_runs: list[int]) -> list[int]:
    """Indices of runs (of one level each) from left to right (L2)."""
    order = list(range(len(of_runs)))
    for level in range(max(of_runs, default=0), 0, -1):
        k = 0
        while k < len(order):
            end = k
            while end < len(order) and of_runs[order[end]] >= level:
                end += 1
            order[k:end] = reversed(order[k:end])
            k = max(end, k + 1)
    return order


def _newer(character: str) -> str:
    """The direction of what Python's table does not know yet: in the emoji's blocks none, elsewhere rightwards."""
    return "ON" if "\U0001f000" <= character <= "\U0001faff" else "L"


def _weak(kinds: list[str], outer: str) -> None:
    """W1 to W7: marks, digits and what stands among digits."""
    before, strong = outer, outer
    for k, kind in enumerate(kinds):
        if kind in {"NSM", "BN"}:
            kinds[k] = before
        elif kind == "EN" and strong == "AL":
            kinds[k] = "AN"
        elif kind in {"L", "R", "AL"}:
            strong = kind
        before = kinds[k]
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]
    for k in range(1, len(kinds) - 1):
        around = kinds[k - 1]
        joins = (kinds[k], around) in {("CS", "EN"), ("CS", "AN"), ("ES", "EN")}
        if joins and around == kinds[k + 1]:
            kinds[k] = around
    for start, end in _stretches(kinds, {"ET"}):
        if "EN" in {kinds[start - 1] if start else "", kinds[end] if end < len(kinds) else ""}:
            kinds[start:end] = ["EN"] * (end - start)
    strong = outer
    for k, kind in enumerate(kinds):
        if kind in {"ES", "ET", "CS"}:
            kinds[k] = "ON"
        elif kind in {"L", "R"}:
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[k] = "L"


def _brackets(text: str, kinds: list[str], original: list[str], outer: str) -> None:
    """N0: a pair of brackets runs as what is in it, or as what is before it."""
    for opened, closed in sorted(_pairs(text, kinds)):
        inside = {_STRONG[kind] for kind in kinds[opened + 1 : closed] if kind in _STRONG}
        if not inside:
            continue
        chosen = outer
        if outer not in inside:
            other = "L" if outer == "R" else "R"
            before = next((_STRONG[kind] for kind in reversed(kinds[:opened]) if kind in _STRONG), outer)
            chosen = other if before == other else outer
        for at in (opened, closed):
            kinds[at] = chosen
            # Marks that follow a bracket go with it.
            while at + 1 < len(kinds) and original[at + 1] == "NSM":
                at += 1
                kinds[at] = chosen


def _pairs(text: str, kinds: list[str]) -> Iterator[tuple[int, int]]:
    waiting: list[tuple[str, int]] = []
    for k, character in enumerate(text):
        if kinds[k] != "ON":
            continue
        if character in _OPENING:
            waiting.append((_OPENING[character], k))
        else:
            depth = next((d for d in range(len(waiting) - 1, -1, -1) if waiting[d][0] == character), None)
            if depth is not None:
                yield waiting[depth][1], k
                del waiting[depth:]


def _neutral(kinds: list[str], outer: str) -> None:
    """N1, N2: what has no direction takes that of both neighbours, or else the line's."""
    for start, end in _stretches(kinds, _NEUTRAL):
        left = _STRONG[kinds[start - 1]] if start else outer
        right = _STRONG[kinds[end]] if end < len(kinds) else outer
        kinds[start:end] = [left if left == right else outer] * (end - start)


def _implicit(kind: str, base: int) -> int:
    """I1, I2."""
    if base:
        return 1 if kind == "R" else 2
    return {"L": 0, "R": 1}.get(kind, 2)


def _stretches(kinds: list[str], wanted: set[str] | frozenset[str]) -> Iterator[tuple[int, int]]:
    k = 0
    while k < len(kinds):
        end = k
        while end < len(kinds) and kinds[end] in wanted:
            end += 1
        if end > k:
            yield k, end
        k = max(end, k + 1)
