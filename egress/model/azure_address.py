"""Where a blob of Azure lies: `azure://account/container/name`, taken apart and checked."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from egress.model.problems import Problem, refuse, shown

MAX_NAME = 980
"""Bytes a blob's name may have here: Azure ends at 1024 characters, and a name of the job's own beside it is longer."""

_FORM = "write it like azure://account/container/folder/{room}.mp4"
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class AzureAddress:
    """One blob: its storage account, its container there, and its name in that."""

    account: str
    container: str
    name: str

    @classmethod
    def parse(cls, to: str) -> AzureAddress:
        """Take an address apart; raises RequestError naming the fix."""
        if problems := azure_problems(to, "to"):
            raise refuse(f"the address {shown(to)}", problems)
        account, container, name = to[len("azure://") :].split("/", 2)
        return cls(account, container, name)

    def __str__(self) -> str:
        return f"azure://{self.account}/{self.container}/{self.name}"


def azure_problems(to: str, path: str) -> tuple[Problem, ...]:
    """What is wrong with an address, placeholders filled in or not; `path` names the field.

    Names: Azure Storage documentation, "Naming and referencing containers, blobs, and metadata".
    """

    def wrong(message: str) -> tuple[Problem, ...]:
        return (Problem(path, message),)

    if to[:8].lower() != "azure://" or to.count("/") < 4:
        return wrong(f"{shown(to)} does not name an account, a container and a blob in it; {_FORM}")
    account, container, name = to[8:].split("/", 2)
    if not _ACCOUNT.fullmatch(account):
        return wrong(f"{shown(account)} is no storage account: 3 to 24 lower-case letters and digits; {_FORM}")
    if not _CONTAINER.fullmatch(container):
        return wrong(
            f"{shown(container)} is no name of a container: 3 to 63 lower-case letters, digits and single '-'; {_FORM}"
        )
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        return wrong("holds a control character; use printable ones")
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")):
        return wrong(f"{shown(name)} has an empty name, '.' or '..' in it; {_FORM}")
    if (size := len(name.encode())) > MAX_NAME:
        return wrong(f"the name is {size} bytes long; it may have {MAX_NAME}")
    return ()
