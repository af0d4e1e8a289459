"""The JSON schema of a pipeline document, for editors that complete and check YAML."""

from __future__ import annotations

import json
from typing import Any, get_args

from egress.model.look import LAYOUTS, ThemeDoc
from egress.model.outputs import SINKS
from egress.model.pipeline import Pipeline
from egress.model.shape import all_models


def schema() -> dict[str, Any]:
    """The schema as plain data; durations, sizes and bitrates as they are written in YAML."""
    made = Pipeline.model_json_schema()
    for model in all_models():
        part = made if model is Pipeline else made["$defs"][model.__name__]
        said = model.model_construct().model_dump(mode="json", warnings=False)
        for key, field in part["properties"].items():
            field.pop("title", None)
            if "default" in field:
                field["default"] = said[key]
    # Without this every sink and layout of ours would also be a valid one of another package, and no typo would show.
    _only_others(made["$defs"]["OtherSinkDoc"], tuple(SINKS))
    _only_others(made["$defs"]["OtherLayoutDoc"], tuple(LAYOUTS))
    _or_its_base(made["properties"]["theme"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Egress pipeline"}


def _only_others(part: dict[str, Any], ours: tuple[str, ...]) -> None:
    kind = part["properties"]["kind"]
    kind["not"] = {"enum": list(ours)}
    kind.pop("default", None)
    part["required"] = sorted({"kind", *part.get("required", ())})


def _or_its_base(theme: dict[str, Any]) -> None:
    """`theme: light` is short for `theme: {base: light}`."""
    bases = get_args(ThemeDoc.model_fields["base"].annotation)
    theme["anyOf"] = [{"enum": list(bases), "type": "string"}, {"$ref": theme.pop("$ref")}]


def schema_text() -> str:
    """The schema as it stands in `pipelines/schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
