"""A YAML text as plain data: one mapping, no duplicate keys, no bombs, and the line of every field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from egress.model.problems import Problem, path_text, refuse

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
"""How many values a text may stand for once its aliases are followed; a pipeline needs about a hundred."""


@dataclass(frozen=True, slots=True)
class Document:
    """Data read from a text, and the 1-based line each field (`sinks[1].part`) stands on."""

    data: dict[str, Any]
    lines: Mapping[str, int]

    def with_line(self, problem: Problem) -> Problem:
        """The problem with the line of its field, or of the mapping the field is missing from."""
        path = problem.path
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return Problem(problem.path, f"{problem.message} (line {self.lines.get(path, 1)})")


def parse(text: str | bytes, name: str) -> Document:
    """Read one YAML (or JSON) mapping; raises RequestError with line and column. `name` is what messages call it."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise _refused(name, f"is {len(raw):,} bytes long; a pipeline may have {MAX_BYTES // 1024} KiB")
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(name, f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    try:
        loader = yaml.SafeLoader(decoded)
        try:
            node = loader.get_single_node()
            problems = _Walk(node).problems if node is not None else ()
            if problems:
                raise refuse(name, problems)
            if not isinstance(node, yaml.MappingNode):
                what = "is empty" if node is None else "is not a mapping"
                raise _refused(name, f"{what}; it must be `key: value` lines, beginning with `name:`")
            data = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _refused(name, _yaml_message(error)) from None
    except yaml.YAMLError as error:
        raise _refused(name, f"is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise _refused(name, "is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise _refused(name, f"holds a value nobody can read: {str(error).partition(';')[0]}") from None
    lines: dict[str, int] = {}
    _lines(node, (), lines)
    return Document(data, lines)


def _refused(name: str, message: str) -> Exception:
    return refuse(name, (Problem("", message),))


def _yaml_message(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    hint = "; indent with spaces, not tabs" if "\\t" in (error.problem or "") else ""
    about = ", ".join(part for part in (error.context, error.problem) if part)
    return f"{where}not valid YAML: {about}{hint}"


class _Walk:
    """Every node once: finds duplicate and odd keys, and how much the text stands for with aliases followed."""

    def __init__(self, root: yaml.Node) -> None:
        self.problems: list[Problem] = []
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        if self._size(root, ()) > MAX_NODES:
            self.problems.append(Problem("", f"stands for more than {MAX_NODES:,} values; use fewer aliases"))

    def _size(self, node: yaml.Node, location: tuple[str | int, ...]) -> int:
        key = id(node)
        if key in self._open:
            self.problems.append(Problem(path_text(location), f"holds itself (line {node.start_mark.line + 1})"))
            return 1
        if key not in self._sizes:
            self._open.add(key)
            self._sizes[key] = 1 + sum(
                self._size(child, (*location, step)) for step, child in self._children(node, location)
            )
            self._open.discard(key)
        return self._sizes[key]

    def _children(self, node: yaml.Node, location: tuple[str | int, ...]) -> list[tuple[str | int, yaml.Node]]:
        if isinstance(node, yaml.SequenceNode):
            return list(enumerate(node.value))
        if not isinstance(node, yaml.MappingNode):
            return []
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem("", f"line {line}: a key must be a plain word"))
            elif key.value in seen:
                message = f"line {line}: the key stands twice (first on line {seen[key.value]}); keep one"
                self.problems.append(Problem(path_text((*location, str(key.value))), message))
            else:
                seen[key.value] = line
        return [(_key_text(key), value) for key, value in node.value]


def _key_text(key: yaml.Node) -> str:
    return str(key.value) if isinstance(key, yaml.ScalarNode) else "?"


def _lines(node: yaml.Node, location: tuple[str | int, ...], into: dict[str, int]) -> None:
    """Note the line of every field; a field reached again through an alias keeps its first line."""
    into.setdefault(path_text(location), node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _lines(child, (*location, index), into)
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            step = (*location, _key_text(key))
            into[path_text(step)] = key.start_mark.line + 1
            _lines(child, step, into)
