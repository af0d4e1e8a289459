"""Documents other than pipelines, read from plain data: all that is wrong with them in words a newcomer can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from egress.model.problems import Problem, refuse, shown
from egress.model.wording import problem

Form = TypeVar("Form", bound=BaseModel)


def read_form(form: type[Form], data: Any, subject: str) -> Form:
    """The document that plain data describes; raises RequestError about `subject` naming every field that is wrong."""
    if not isinstance(data, Mapping):
        raise refuse(subject, [Problem("", f"{shown(data)} is not an object; write one with its fields")])
    try:
        return form.model_validate(data)
    except ValidationError as error:
        found = [problem(detail, form) for detail in error.errors(include_url=False)]
        raise refuse(subject, list(dict.fromkeys(found))) from None
