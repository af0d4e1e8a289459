"""One layout's document in terms of another's."""

from __future__ import annotations

from typing import Any, TypeVar

from egress.model.look import LayoutDoc

Doc = TypeVar("Doc", bound=LayoutDoc)

_SHARED = ("gap", "margin", "fit", "most", "screens", "strip", "share")


def like(doc: LayoutDoc, into: type[Doc], kind: str, **more: Any) -> Doc:
    """A document of another kind that says the same, as far as both can say it, and `more`."""
    said = {
        name: getattr(doc, name) for name in _SHARED if name in type(doc).model_fields and name in into.model_fields
    }
    return into.model_validate({**said, **more, "kind": kind})
