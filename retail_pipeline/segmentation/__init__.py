"""Segmentations as data: parameters in, a fitted segmentation out, which is JSON and compiles to SQL."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, TypeAdapter

from retail_pipeline.segmentation import guards
from retail_pipeline.segmentation.behaviour import BehaviourParameters, FittedBehaviour
from retail_pipeline.segmentation.clusters import ClusterParameters
from retail_pipeline.segmentation.compile import (
    DIALECT,
    DIALECTS,
    EXECUTED,
    LAPSED,
    evaluated,
    in_dialect,
    nobody,
    of_each_day,
    of_each_moment,
    statement,
)
from retail_pipeline.segmentation.fitted import (
    SCHEMA_VERSION,
    Card,
    Guards,
    Names,
    Snapshot,
    sealed,
    snapshot,
    too_few,
    unsealed,
)
from retail_pipeline.segmentation.rfm_grid import FittedRfmGrid, RfmGridParameters, Scale
from retail_pipeline.segmentation.spend_profile import FittedSpendProfile, SpendProfileParameters
from retail_pipeline.segmentation.spend_tiers import FittedSpendTiers, SpendTiersParameters
from retail_pipeline.segmentation.value_score import FittedValueScore, ValueScoreParameters

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DIALECT", "DIALECTS", "EXECUTED", "LAPSED", "SCHEMA_VERSION", "BehaviourParameters", "Card",
    "FittedBehaviour", "FittedRfmGrid", "FittedSegmentation", "FittedSpendProfile", "FittedSpendTiers",
    "FittedValueScore", "Guards", "Parameters", "RfmGridParameters", "Scale", "Snapshot",
    "SpendProfileParameters", "SpendTiersParameters", "ValueScoreParameters", "assign", "fit",
    "fit_snapshot", "from_json", "of_each_day", "of_each_moment", "segments", "snapshot", "to_json", "to_sql",
]  # fmt: skip

Parameters = Annotated[
    BehaviourParameters
    | SpendProfileParameters
    | ValueScoreParameters
    | RfmGridParameters
    | SpendTiersParameters,
    Field(discriminator="method"),
]
FittedSegmentation = Annotated[
    FittedBehaviour | FittedSpendProfile | FittedValueScore | FittedRfmGrid | FittedSpendTiers,
    Field(discriminator="method"),
]
NOBODY = "no customer has an order in the window"
TOO_FEW = (
    "{} customers are too few to draw lines between (`guards.fewest` is {}): names follow from each one's "
    "own figures, and nobody is compared with others"
)
_FITTED: TypeAdapter[FittedSegmentation] = TypeAdapter(FittedSegmentation)


def fit(
    features: pd.DataFrame,
    parameters: Parameters,
    seed: int = 0,
    champion: FittedSegmentation | None = None,
) -> FittedSegmentation:
    """Fit one method on one snapshot of ``rfm_features``; customers with frequency 0 are left out.

    Clusters take the names of those of the ``champion`` that they match. Raises ValueError when a needed
    column is absent, has missing or infinite values, or a customer repeats.
    """
    return fit_snapshot(snapshot(features), parameters, seed, champion)


def fit_snapshot(
    customers: Snapshot,
    parameters: Parameters,
    seed: int = 0,
    champion: FittedSegmentation | None = None,
    curve: bool = True,
) -> FittedSegmentation:
    """As ``fit``, of customers already read; without ``curve``, which takes time, the card lacks it."""
    count, rhythm = len(customers.values), guards.rhythm(customers, parameters.guards)
    if not count or too_few(parameters, count):
        model = {"method": parameters.method, "parameters": parameters, "rhythm": rhythm}
        seeded = {"seed": seed} if isinstance(parameters, ClusterParameters) else {}
        why = TOO_FEW.format(count, parameters.guards.fewest) if count and parameters.guards else NOBODY
        card = customers.card(parameters.segments if count else (), (why,))
        fitted = _FITTED.validate_python(model | seeded | {"card": card})
        if not count:
            return fitted
    else:
        fitted = parameters.fit(customers, seed, champion, curve)
        fitted = fitted.model_copy(update={"rhythm": rhythm})
    sizes = fitted.card.segments | Counter(assign(fitted, customers))
    return fitted.model_copy(update={"card": fitted.card.model_copy(update={"segments": sizes})})


def assign(fitted: FittedSegmentation, customers: Snapshot) -> Names:
    """The segment of each active customer, in their order: the query's answer without an engine.

    Empty names where the model was fitted on nobody.
    """
    if not fitted.card.customers:
        return np.full(len(customers.values), "", dtype=object)
    if fitted.knows_too_few:
        stages, segment, *_ = guards.without_lines(fitted)
    else:
        stages, segment = fitted.columns()
    return evaluated(stages, customers)(segment).astype(object)


def segments(parameters: Parameters) -> tuple[str, ...]:
    return parameters.segments


def to_sql(fitted: FittedSegmentation, dialect: str = DIALECT) -> str:
    """One select statement over a table ``rfm_features`` that holds one snapshot.

    Gives customer_id, segment, score (double; null for ``Lapsed``) and reason (text), one row a customer.
    Raises ValueError for a dialect that is not one of ``DIALECTS``.
    """
    if not fitted.card.customers:
        return in_dialect(nobody(), dialect)
    if fitted.knows_too_few:
        return in_dialect(statement(*guards.without_lines(fitted)), dialect)
    (stages, segment), (further, score, reason) = fitted.columns(), fitted.words()
    return in_dialect(statement({**stages, **further}, segment, score, reason), dialect)


def to_json(fitted: FittedSegmentation) -> str:
    """The model as JSON: the same bytes for the same model, sealed with a checksum."""
    return sealed(fitted.model_dump(mode="json"))


def from_json(text: str) -> FittedSegmentation:
    """The model that ``to_json`` wrote.

    Raises ValueError when the text is no JSON object, of another version, changed since it was written, or no
    model.
    """
    return unsealed(text, _FITTED.validate_python, "model")
