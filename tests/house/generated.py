"""The parts of the documentation that are made from the code: `python -m tests.house.generated` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from egress import pipelines
from egress.model import manifest, settings, trackfiles
from egress.model.control import COMMANDS, Command
from egress.model.look import LAYOUTS, OVERLAYS, LayoutDoc, OverlayDoc, Palette
from egress.model.places import PLACEHOLDERS
from egress.model.schema import schema, schema_text
from tests.house import api_reference
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


def commands_table() -> str:
    """One row a command."""
    rows = []
    for name, made in COMMANDS.items():
        own = [field for field in made.model_fields if field not in Command.model_fields]
        rows.append((f"`{name}`", ", ".join(f"`{field}`" for field in own), (made.__doc__ or "").strip()))
    return _table(("command", "with", "what happens"), rows)


def fields_tables() -> str:
    """Every field of a pipeline document, a table for each of its parts."""
    made = schema()
    parts: list[tuple[str, dict[str, Any]]] = [("The document", made)]
    parts += [(f"`{key}`", _part(made, name)) for key, name in _PARTS.items()]
    parts += _kinds(made, "layout", LayoutDoc, LAYOUTS)
    parts += [(f"`{key}`", _part(made, name)) for key, name in _LOOK.items()]
    parts += _kinds(made, "overlays", OverlayDoc, OVERLAYS)
    parts += [(f"`{key}`", _part(made, name)) for key, name in _CARDS.items()]
    parts += [(f"`{key}`", _part(made, name)) for key, name in _MEDIA.items()]
    return "\n\n".join(_section(title, part) for title, part in parts)


_PARTS = {"select": "Select"}
_LOOK = {"layout: kind: custom: each box": "BoxDoc", "tiles": "TilesDoc", "theme": "ThemeDoc"}
_CARDS = {
    "cards": "CardsDoc",
    "cards: start, end": "TimedCard",
    "cards: waiting, paused": "CardDoc",
    "roles: each role": "RoleDoc",
}
_MEDIA = {
    "video": "Video",
    "video.ladder: each rung": "RungDoc",
    "audio": "Audio",
    "sinks: kind: mp4": "Mp4Doc",
    "sinks: kind: hls": "HlsDoc",
    "sinks: kind: rtmp": "RtmpDoc",
    "sinks: kind: hls: captions: each": "CaptionsDoc",
    "sinks: kind: srt": "SrtDoc",
    "sinks: kind: audio": "AudioFileDoc",
    "sinks: kind: webm": "WebmDoc",
    "sinks: kind: thumbnails": "ThumbnailsDoc",
    "sinks: kind: waveform": "WaveformDoc",
    "sinks: kind: tracks": "TracksDoc",
    "stop": "Stop",
}
_NONE = {
    **dict.fromkeys(("roles", "names"), "everyone"),
    "sources": "all",
    **dict.fromkeys(Palette.__dataclass_fields__, "the base's"),
}
"""What a field stands for that is not given, where it is not "none"."""


def _part(made: dict[str, Any], name: str) -> dict[str, Any]:
    part: dict[str, Any] = made["$defs"][name]
    return part


def _kinds(
    made: dict[str, Any], key: str, base: type[BaseModel], kinds: Mapping[str, type[BaseModel]]
) -> Iterable[tuple[str, dict[str, Any]]]:
    """What all kinds of a union have, then what each has of its own."""
    common = base.model_json_schema()["properties"]
    for field in common.values():
        field.pop("title", None)
    yield f"`{key}`: every kind", {"description": base.__doc__, "properties": common}
    for kind, model in kinds.items():
        part = made["$defs"][model.__name__]
        own = {
            name: field for name, field in part["properties"].items() if name != "kind" and field != common.get(name)
        }
        yield f"`{key}: kind: {kind}`", {"description": part["description"], "properties": own}


def _section(title: str, part: dict[str, Any]) -> str:
    text = f"### {title}\n\n{part.get('description', '').strip()}"
    rows = [_row(key, field) for key, field in part["properties"].items()]
    return text + ("\n\n" + _table(("field", "default", "values", "what for"), rows) if rows else "")


def _row(key: str, field: dict[str, Any]) -> tuple[str, ...]:
    default = field.get("default")
    if "default" not in field:
        shown = "required"
    elif isinstance(default, bool):
        shown = str(default).lower()
    elif default in ([], {}):
        shown = "none"
    elif isinstance(default, dict):
        shown = f"title: {default['title']}" if default.get("title") else "its fields' defaults"
    else:
        shown = {None: _NONE.get(key, "none"), "": "empty"}.get(default, str(default))
    return (f"`{key}`", shown, _values(field), field.get("description", ""))


def _values(field: dict[str, Any]) -> str:
    choices = [choice for choice in field.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        field = choices[0]
    if "oneOf" in field or "$ref" in field or any("$ref" in choice for choice in choices):
        return "fields below"
    if field.get("type") == "array":
        inner = _values(field["items"])
        return f"a list: {inner}" if inner else "a list"
    if isinstance(field.get("additionalProperties"), dict):
        return "fields below, by role"
    if "anyOf" in field and all("enum" in choice or "const" in choice for choice in choices):
        return ", ".join(_values(choice) for choice in choices)
    if "enum" in field:
        return ", ".join(str(value) for value in field["enum"])
    if "const" in field:
        return str(field["const"])
    if field.get("type") in ("integer", "number"):
        return _range(field)
    if "examples" in field:
        return "like " + ", ".join(str(example) for example in field["examples"])
    if "anyOf" in field and "pattern" in field["anyOf"][0]:
        return "like 3M, 128k, 96000"
    if field.get("type") == "boolean":
        return "true, false"
    return f"up to {field['maxLength']} characters" if "maxLength" in field else ""


def _range(field: dict[str, Any]) -> str:
    low = str(field["minimum"]) if "minimum" in field else f"more than {field['exclusiveMinimum']}"
    high = f"to {field['maximum']}" if "maximum" in field else f"to less than {field['exclusiveMaximum']}"
    return f"{low} {high}"


def manifest_tables() -> str:
    """Every field of a manifest, a table for each of its parts."""
    return "\n\n".join(_manifest_part(model) for model in manifest.PARTS)


def _manifest_part(model: type[BaseModel]) -> str:
    made = model.model_json_schema(by_alias=True)
    rows = [(f"`{key}`", field.get("description", "")) for key, field in made["properties"].items()]
    return f"### {model.__name__}\n\n{(model.__doc__ or '').strip()}\n\n" + _table(("field", "what it says"), rows)


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/api.md": {"calls": api_reference.endpoints, "bodies": api_reference.bodies},
    "docs/control.md": {"commands": commands_table},
    "docs/manifest.md": {"fields": manifest_tables},
    "docs/settings.md": {"settings": settings_table},
    "docs/pipelines.md": {"fields": fields_tables, "placeholders": placeholders_table},
    "pipelines/README.md": {"pipelines": pipelines_table},
}
"""Files, and the blocks in them between `<!-- NAME: made by ... -->` and `<!-- /NAME -->`."""

WHOLE: dict[str, Callable[[], str]] = {
    "pipelines/schema.json": schema_text,
    f"egress/model/{manifest.SCHEMA_FILE}": manifest.schema_text,
    f"egress/model/{trackfiles.SCHEMA_FILE}": trackfiles.schema_text,
}
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
