"""JSON that says when it was changed: how models and candidates are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def sealed(body: Mapping[str, Any]) -> str:
    """The data as JSON: the same bytes for the same data, with a checksum."""
    return _written({**body, "checksum": _checksum(body)})


def unsealed(text: str, kind: TypeAdapter[T], what: str, version: int) -> T:
    """The value that ``sealed`` wrote; errors call it ``what`` ("model").

    Raises ValueError when the text is no JSON object, of another ``schema_version``, changed since it was
    written, or not of this kind.
    """
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"the {what} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            "restore the file or fit the month again"
        ) from error
    if not isinstance(body, dict):
        raise ValueError(f"the {what} is no JSON object; restore the file or fit the month again")
    found = body.get("schema_version")
    if isinstance(found, int) and found != version:
        remedy = (
            "upgrade retail-pipeline or fit the month again" if found > version else "fit the month again"
        )
        raise ValueError(f"the {what} has schema_version {found}, this program reads {version}; {remedy}")
    if body.pop("checksum", None) != _checksum(body):
        raise ValueError(
            f"the {what} was changed after it was written (its checksum does not match); {what}s are never "
            "edited: change the settings and fit the month again, or restore the file"
        )
    try:
        return kind.validate_python(body)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(
            f"the {what} is not valid ({faults}); restore the file or fit the month again"
        ) from error


def _written(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_written(body).encode()).hexdigest()
