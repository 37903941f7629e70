"""Segmentations as data: parameters in, a fitted segmentation out, which is JSON and compiles to SQL.

Belongs here: the interface all methods share. Does not belong here: any method (its own module), reading
features, running SQL, storing models.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from retail_pipeline.core.segmentation import behaviour, rfm_grid
from retail_pipeline.core.segmentation.behaviour import BehaviourParameters, FittedBehaviour
from retail_pipeline.core.segmentation.compile import LAPSED
from retail_pipeline.core.segmentation.fitted import Card, snapshot
from retail_pipeline.core.segmentation.rfm_grid import FittedRfmGrid, RfmGridParameters, Scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LAPSED",
    "SCHEMA_VERSION",
    "BehaviourParameters",
    "Card",
    "FittedBehaviour",
    "FittedRfmGrid",
    "FittedSegmentation",
    "Parameters",
    "RfmGridParameters",
    "Scale",
    "fit",
    "from_json",
    "segments",
    "to_json",
    "to_sql",
]

SCHEMA_VERSION = 1

Parameters = Annotated[BehaviourParameters | RfmGridParameters, Field(discriminator="method")]
FittedSegmentation = Annotated[FittedBehaviour | FittedRfmGrid, Field(discriminator="method")]

_FITTED: TypeAdapter[FittedBehaviour | FittedRfmGrid] = TypeAdapter(FittedSegmentation)


def fit(features: pd.DataFrame, parameters: Parameters, seed: int = 0) -> FittedSegmentation:
    """Fit one method on one snapshot of ``rfm_features``; customers with frequency 0 are left out.

    Raises ValueError when a needed column is absent, has missing or infinite values, or a customer repeats.
    """
    customers = snapshot(features)
    if isinstance(parameters, BehaviourParameters):
        return behaviour.fit(customers, parameters, seed)
    return rfm_grid.fit(customers, parameters)


def segments(parameters: Parameters) -> tuple[str, ...]:
    """Every segment name the method can give with these parameters, without ``Lapsed``."""
    if isinstance(parameters, BehaviourParameters):
        return behaviour.segments(parameters)
    return rfm_grid.segments(parameters)


def to_sql(fitted: FittedSegmentation) -> str:
    """One select statement in DuckDB's dialect over a table ``rfm_features`` that holds one snapshot.

    Gives customer_id, segment, score (double; null for ``Lapsed``) and reason (text), one row a customer.
    """
    return behaviour.to_sql(fitted) if isinstance(fitted, FittedBehaviour) else rfm_grid.to_sql(fitted)


def to_json(fitted: FittedSegmentation) -> str:
    """The model as JSON: the same bytes for the same model, sealed with a checksum."""
    body = fitted.model_dump(mode="json")
    return _written({**body, "checksum": _checksum(body)})


def from_json(text: str) -> FittedSegmentation:
    """The model that ``to_json`` wrote.

    Raises ValueError when the text is no JSON object, of a newer version, changed since it was written, or no
    model.
    """
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"the model is no JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            "restore the file or fit the month again"
        ) from error
    if not isinstance(body, dict):
        raise ValueError("the model is no JSON object; restore the file or fit the month again")
    version = body.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ValueError(
            f"the model has schema_version {version}, this program reads up to {SCHEMA_VERSION}; "
            "upgrade retail-pipeline or fit the month again"
        )
    sealed = body.pop("checksum", None)
    if sealed != _checksum(body):
        raise ValueError(
            "the model was changed after it was written (its checksum does not match); models are never "
            "edited: change the settings and fit the month again, or restore the file"
        )
    try:
        return _FITTED.validate_python(body)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(
            f"the model is not valid ({faults}); restore the file or fit the month again"
        ) from error


def _written(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(_written(body).encode()).hexdigest()
