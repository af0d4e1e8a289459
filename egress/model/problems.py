"""Problems of a document: where, what is wrong, and how to mend it; and guesses at what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from egress.model.errors import RequestError


class Problem(NamedTuple):
    """One thing wrong with a document: `path` is the field (`sinks[1].part`), `message` says what and the fix."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule: the problem, and the other fields it was judged by."""

    problem: Problem
    reads: tuple[str, ...] = ()


def path_text(location: Iterable[str | int]) -> str:
    """The dotted form of a location: ('sinks', 1, 'part') is 'sinks[1].part'."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else str(step)
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean x?)' when something known is close to `word`, else nothing."""
    close = get_close_matches(word, tuple(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def one_of(known: Iterable[str]) -> str:
    """Known words as a sentence part, sorted."""
    return ", ".join(sorted(known)) or "none (is the package installed?)"


def shown(value: object) -> str:
    """A value as messages quote it: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def refuse(subject: str, problems: Sequence[Problem]) -> RequestError:
    """The error that carries all problems of a document; its message alone is enough to mend it."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listing = "".join(f"\n  {problem}" for problem in problems)
    return RequestError(f"{subject}: {count}{listing}", tuple((p.path, p.message) for p in problems))
