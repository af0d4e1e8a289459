"""The project gives away no secret and no machine it was written on."""

from __future__ import annotations

import re

from tests.house.tree import ROOT, texts

SECRETS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"\bAKIA[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{30,}",
    r"\bxox[abp]-[0-9A-Za-z-]{20,}",
    r"\blive_\d{6,}_[A-Za-z0-9]{20,}",
    r"\beyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.",
)
MACHINE = (r"/wo" + r"rk/", r"/ro" + r"ot/", r"/home/[a-z]+/", r"/tmp/[a-z]+/")


def _found(patterns: tuple[str, ...]) -> list[str]:
    search = re.compile("|".join(patterns))
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if search.search(line)
    ]


def test_no_secret_stands_in_the_project() -> None:
    assert _found(SECRETS) == []


def test_no_path_of_one_machine_stands_in_the_project() -> None:
    assert _found(MACHINE) == []
