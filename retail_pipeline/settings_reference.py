"""Every setting with its default and meaning, from the settings' own descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from retail_pipeline.ingest.profiles.cleaning import CleaningRules
from retail_pipeline.segmentation import Scale
from retail_pipeline.segmentation.gates import Gate


def setting_rows(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting below ``model`` as its full name (``<name>``: one of yours) and its line of a list.

    Those that several methods, or all gates or scales, have alike stand once.
    """
    for name, field in model.model_fields.items():
        full = f"{path}{name}"
        default = field.get_default(call_default_factory=True, validated_data={})
        inside = [
            found
            for found in _models(field.annotation)
            if found[0] is not CleaningRules or full == "cleaning"
        ]
        if name == "segmentations":
            yield full, _setting_row(full, default, field.description)
            yield from _methods([inner for inner, _ in inside])
            continue
        part = any(inner in (Gate, Scale) for inner, _ in inside)
        if part or not isinstance(default, BaseModel):
            yield full, _setting_row(full, default, field.description)
        for inner, key in inside:
            yield from setting_rows(inner, f"{path}<{inner.__name__.lower()}>." if part else f"{full}.{key}")


def _methods(models: list[type[BaseModel]]) -> Iterator[tuple[str, str]]:
    of: dict[tuple[str, str], dict[str, None]] = {}
    for model in models:
        for found in setting_rows(model, "segmentations.<name>."):
            of.setdefault(found, {})[model.model_fields["method"].default] = None
    for (name, row), methods in of.items():
        if not name.endswith(".method"):
            yield f"{name} {list(methods)}", f"{row} ({', '.join(methods)})"


def _setting_row(name: str, default: Any, description: str | None) -> str:
    return f"- `{name}`{shown(default)}: {' '.join((description or '').split())}"


def _models(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ""
    elif get_origin(annotation) is dict:
        yield from ((model, "<name>.") for model, _ in _models(get_args(annotation)[1]))
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
    else:
        yield from (found for argument in get_args(annotation) for found in _models(argument))


def shown(default: Any) -> str:
    """A default as the docs write it, in parentheses; empty where it is null or long."""
    if default is None or default is PydanticUndefined:
        return ""
    if isinstance(default, BaseModel):
        default = default.model_dump(exclude_unset=True)
    plain = json.loads(json.dumps(default, default=str))
    written = plain if isinstance(plain, str) else json.dumps(plain)
    return f" (`{written}`)" if written and len(written) < 60 else ""
