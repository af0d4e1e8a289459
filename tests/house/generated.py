"""The parts of the documentation that are made from the code: `python -m tests.house.generated` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from egress import pipelines
from egress.model import settings
from egress.model.places import PLACEHOLDERS
from egress.model.schema import schema, schema_text
from tests.house.tree import ROOT

COMMAND = "python -m tests.house.generated"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def settings_table() -> str:
    """One row a setting."""
    rows = [(f"`{name}`", f"`{variable}`", default, about) for name, variable, default, about in settings.table()]
    return _table(("setting", "environment", "default", "what for"), rows)


def placeholders_table() -> str:
    """One row a placeholder."""
    return _table(("placeholder", "stands for"), [(f"`{{{name}}}`", about) for name, about in PLACEHOLDERS.items()])


def pipelines_table() -> str:
    """One row a shipped pipeline."""
    rows = [(f"[{name}]({name}.yaml)", pipelines.load(name).about) for name in pipelines.names()]
    return _table(("pipeline", "makes"), rows)


def fields_tables() -> str:
    """Every field of a pipeline document, a table for each of its parts."""
    made = schema()
    parts = [("The document", made)]
    parts += [(f"`{key}`", made["$defs"][name]) for key, name in _PARTS.items()]
    return "\n\n".join(
        f"### {title}\n\n{part.get('description', '').strip()}\n\n"
        + _table(("field", "default", "values", "what for"), [_row(key, f) for key, f in part["properties"].items()])
        for title, part in parts
    )


_PARTS = {
    "select": "Select",
    "layout": "LayoutDoc",
    "video": "Video",
    "audio": "Audio",
    "sinks: kind: mp4": "Mp4Doc",
    "sinks: kind: hls": "HlsDoc",
    "sinks: kind: rtmp": "RtmpDoc",
    "stop": "Stop",
}


def _row(key: str, field: dict[str, Any]) -> tuple[str, ...]:
    if "default" not in field:
        shown = "required"
    elif isinstance(field["default"], bool):
        shown = str(field["default"]).lower()
    elif isinstance(field["default"], dict):
        shown = "its fields' defaults"
    else:
        shown = {None: "everyone", "": "empty"}.get(field["default"], str(field["default"]))
    return (f"`{key}`", shown, _values(field), field.get("description", ""))


def _values(field: dict[str, Any]) -> str:
    if "$ref" in field or any("$ref" in choice for choice in field.get("anyOf", ())):
        return "fields below"
    if "enum" in field:
        return ", ".join(str(value) for value in field["enum"])
    if "const" in field:
        return str(field["const"])
    if "minimum" in field:
        return f"{field['minimum']} to {field['maximum']}"
    if "examples" in field:
        return "like " + ", ".join(str(example) for example in field["examples"])
    if "anyOf" in field and "pattern" in field["anyOf"][0]:
        return "like 3M, 128k, 96000"
    if field.get("type") == "boolean":
        return "true, false"
    return ""


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/settings.md": {"settings": settings_table},
    "docs/pipelines.md": {"fields": fields_tables, "placeholders": placeholders_table},
    "pipelines/README.md": {"pipelines": pipelines_table},
}
"""Files, and the blocks in them between `<!-- NAME: made by ... -->` and `<!-- /NAME -->`."""

WHOLE: dict[str, Callable[[], str]] = {"pipelines/schema.json": schema_text}
"""Files that are made whole."""


def expected(name: str) -> str:
    """What a file should hold, given what people wrote around the made parts."""
    path = ROOT / name
    if name in WHOLE:
        return WHOLE[name]()
    text = path.read_text("utf-8")
    for block, make in BLOCKS[name].items():
        begin, end = f"<!-- {block}: made by {COMMAND} -->", f"<!-- /{block} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{name} must hold {begin} … {end}")
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


def main() -> None:
    """Write every made part anew."""
    for name in (*WHOLE, *BLOCKS):
        Path(ROOT / name).write_text(expected(name), "utf-8")
        print(name)


if __name__ == "__main__":
    main()
