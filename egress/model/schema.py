"""The JSON schema of a pipeline document, for editors that complete and check YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from egress.model.pipeline import HlsDoc, Mp4Doc, OtherSinkDoc, Pipeline, RtmpDoc, SinkDoc, Video

_OTHER = "another"
_SINKS: Mapping[str, type[SinkDoc]] = {"mp4": Mp4Doc, "hls": HlsDoc, "rtmp": RtmpDoc, _OTHER: OtherSinkDoc}


def schema() -> dict[str, Any]:
    """The schema as plain data; durations, sizes and bitrates as they are written in YAML."""
    made = Pipeline.model_json_schema()
    sample = Pipeline(name="sample", sinks=tuple(model(kind=kind, to="sample") for kind, model in _SINKS.items()))
    parts: dict[str, BaseModel] = {
        type(part).__name__: part for part in (sample.select, sample.layout, sample.audio, sample.stop)
    }
    parts |= {"Video": Video(), "Pipeline": sample} | {type(sink).__name__: sink for sink in sample.sinks}
    for name, part in parts.items():
        said = part.model_dump(mode="json")
        for key, field in (made if name == "Pipeline" else made["$defs"][name])["properties"].items():
            field.pop("title", None)
            if "default" in field:
                field["default"] = said[key]
    # Without this every sink of ours would also be a valid sink of another package, and no typo would show.
    made["$defs"]["OtherSinkDoc"]["properties"]["kind"]["not"] = {"enum": [k for k in _SINKS if k != _OTHER]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Egress pipeline"}


def schema_text() -> str:
    """The schema as it stands in `pipelines/schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
