"""Pipelines as they may be shown: as their authors wrote them, without what is secret in addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from egress.model import document
from egress.model.errors import RequestError
from egress.model.secrets import HIDDEN, redact_url
from egress.model.streams import shown_stream

_STREAMS = ("rtmp", "srt")
_FIELDS = ("to", "backup")


def redacted(text: str) -> str:
    """The text, or where its secrets cannot be taken out of it as it is, what it says without them."""
    shown = text
    for secret, public in _pairs(_data(text)):
        shown = shown.replace(secret, public)
    # A secret may be written so that it is not found as text: with escapes, or over several lines.
    if not any(_pairs(_data(shown))):
        return shown
    return yaml.safe_dump(_public(_data(text)), sort_keys=False, allow_unicode=True)


def is_redacted(text: str) -> bool:
    """Whether an address in it was shown without what is secret, and so is of no use."""
    return any(HIDDEN in value for _, _, value in _addresses(_data(text)))


def _data(text: str) -> dict[str, Any]:
    try:
        return document.parse(text, "the pipeline").data
    except RequestError:
        return {}


def _addresses(data: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """(sink, field, value) of every address."""
    sinks = data.get("sinks")
    for sink in sinks if isinstance(sinks, list) else ():
        if isinstance(sink, dict):
            yield from ((sink, name, sink[name]) for name in _FIELDS if isinstance(sink.get(name), str))


def _pairs(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every address with a secret in it, and what may be shown of it."""
    for sink, _, value in _addresses(data):
        if (public := _shown(sink, value)) != value:
            yield value, public


def _public(data: dict[str, Any]) -> dict[str, Any]:
    for sink, name, value in tuple(_addresses(data)):
        sink[name] = _shown(sink, value)
    return data


def _shown(sink: Mapping[str, Any], value: str) -> str:
    if "{rtmp}" in value or HIDDEN in value:
        return value
    if sink.get("kind") in _STREAMS:
        return shown_stream(value)
    return redact_url(value) if "://" in value else value
