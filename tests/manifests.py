"""What any manifest must be: a document its own schema takes."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema

from egress.model.manifest import SCHEMA_FILE


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """A manifest held to the schema that is shipped; raises jsonschema.ValidationError."""
    schema = json.loads(files("egress.model").joinpath(SCHEMA_FILE).read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)
    return document
