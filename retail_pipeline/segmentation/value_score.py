"""Method `value_score`: recency, frequency and monetary clustered one by one, scores summed (METHODS.md, 3).

A feature's score counts the cuts that a customer is above: 0 is the worst group, and the most recent are the
best. The segmentation's score is the sum of the three.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from sqlglot import exp

from retail_pipeline.segmentation import one_feature
from retail_pipeline.segmentation.compile import (
    Sql,
    choose,
    double,
    integer,
    joined,
    nobody,
    scored,
    sql,
    stage,
    statement,
    text,
    whole,
)
from retail_pipeline.segmentation.fitted import RFM, Array, Card, Frozen, Names, Snapshot, rounded

Scores = npt.NDArray[np.int64]

LOW, MID, HIGH = "Low Value", "Mid Value", "High Value"


class ValueScoreParameters(Frozen):
    """Settings of the method `value_score`."""

    method: Literal["value_score"] = "value_score"
    clusters: int = Field(
        default=4,
        ge=2,
        le=10,
        description="Groups of each feature, 2 to 10",
    )
    mid_from: int = Field(default=3, ge=1, description="The lowest sum that is Mid Value")
    high_from: int = Field(default=5, ge=2, description="The lowest sum that is High Value")
    grid_above: int = Field(
        default=200_000,
        ge=one_feature.CELLS,
        description="Above so many different values (at least 50000), a weighted grid is clustered",
    )

    @model_validator(mode="after")
    def _every_segment_can_be_reached(self) -> ValueScoreParameters:
        highest = len(RFM) * (self.clusters - 1)
        if not self.mid_from < self.high_from <= highest:
            raise ValueError(
                f"mid_from {self.mid_from} must be below high_from {self.high_from}, and that at most "
                f"{highest}: with {self.clusters} clusters the three scores sum to 0 to {highest}"
            )
        return self


class Groups(Frozen):
    """The groups of one feature, ascending: their means, and the cuts half-way between.

    A value on a cut belongs below it.
    """

    centres: Annotated[tuple[float, ...], Field(min_length=1)]
    cuts: tuple[float, ...]

    @model_validator(mode="after")
    def _alternate(self) -> Groups:
        if len(self.cuts) != len(self.centres) - 1 or any(
            not low < cut < high for (low, high), cut in zip(pairwise(self.centres), self.cuts, strict=True)
        ):
            raise ValueError(f"the cuts {self.cuts} must lie between the centres {self.centres}")
        return self

    @property
    def best(self) -> int:
        """The score of the best group."""
        return len(self.cuts)


class FittedValueScore(Frozen):
    """A fitted `value_score` segmentation; without ``groups`` there was nobody to fit."""

    schema_version: Literal[2] = 2
    method: Literal["value_score"] = "value_score"
    parameters: ValueScoreParameters
    groups: dict[str, Groups] | None
    card: Card

    @model_validator(mode="after")
    def _is_whole(self) -> FittedValueScore:
        if self.groups is not None and self.groups.keys() != set(RFM):
            raise ValueError(f"groups are of {', '.join(RFM)}, not of {', '.join(self.groups)}")
        return self


def segments(parameters: ValueScoreParameters) -> tuple[str, ...]:
    """The three names, whatever the parameters."""
    return (HIGH, MID, LOW)


def fit(customers: Snapshot, parameters: ValueScoreParameters) -> FittedValueScore:
    """The best groups of each feature."""
    if not len(customers.values):
        return FittedValueScore(parameters=parameters, groups=None, card=customers.card({}, ()))
    groups, notes = dict[str, Groups](), list[str]()
    for name in RFM:
        groups[name], noted = _groups(name, customers.feature(name), parameters)
        notes += noted
    reach = sum(found.best for found in groups.values())
    for segment, least in ((MID, parameters.mid_from), (HIGH, parameters.high_from)):
        if reach < least:
            notes.append(f"nobody can be {segment}: the scores sum to {reach} at most, it begins at {least}")
    sizes = dict.fromkeys(segments(parameters), 0) | Counter(_names(customers, groups, parameters))
    card = customers.card(sizes, notes, _inertia(customers, groups))
    return FittedValueScore(parameters=parameters, groups=groups, card=card)


def assign(fitted: FittedValueScore, customers: Snapshot) -> Names:
    """The segment of each active customer, as the query gives it; empty where the model knows nobody."""
    if fitted.groups is None:
        return np.full(len(customers.values), "", dtype=object)
    return _names(customers, fitted.groups, fitted.parameters)


def to_sql(fitted: FittedValueScore) -> str:
    """The query that assigns every customer of ``rfm_features``."""
    if fitted.groups is None:
        return nobody()
    scores = {_score(name): _score_sql(name, fitted.groups[name]) for name in RFM}
    total = exp.column("total_score")
    shown = [scored(name, fitted.groups[name].best) for name in RFM]
    parameters = fitted.parameters
    high, mid = total >= integer(parameters.high_from), total >= integer(parameters.mid_from)
    return statement(
        {
            "scored": stage("active", scores),
            "summed": stage("scored", {total.name: sql(" + ".join(scores))}),
        },
        segment=choose([(high, text(HIGH)), (mid, text(MID))], text(LOW)),
        score=sql("cast(total_score as double)"),
        reason=joined(shown[0], ", ", shown[1], ", ", shown[2], "; sum ", whole(total.name)),
    )


def _groups(name: str, values: Array, parameters: ValueScoreParameters) -> tuple[Groups, list[str]]:
    """The groups of one feature, and the fall-backs taken."""
    places, counts = np.unique(values, return_counts=True)
    weights = counts.astype(np.float64)
    notes = []
    if len(places) < parameters.clusters:
        notes.append(
            f"{name} has {len(places)} of {parameters.clusters} groups, no more different values: its scores "
            f"go from 0 to {len(places) - 1}"
        )
    if len(places) > parameters.grid_above:
        different = len(places)
        places, weights = one_feature.cells(places, weights)
        notes.append(
            f"{name} was fitted on a weighted grid of {len(places):,} cells for {different:,} values"
        )
    found = one_feature.centres(places, weights, min(parameters.clusters, len(places)))
    centres = tuple(map(rounded, found))
    cuts = tuple(rounded((low + high) / 2) for low, high in pairwise(centres))
    return Groups(centres=centres, cuts=cuts), notes


def _scores(name: str, values: Array, groups: Groups) -> Scores:
    above = np.searchsorted(groups.cuts, values, side="left")
    return groups.best - above if name == "recency_days" else above


def _names(customers: Snapshot, groups: Mapping[str, Groups], parameters: ValueScoreParameters) -> Names:
    total = sum(_scores(name, customers.feature(name), groups[name]) for name in RFM)
    reached = np.searchsorted([parameters.mid_from, parameters.high_from], total, side="right")
    return np.array([LOW, MID, HIGH], dtype=object)[reached]


def _inertia(customers: Snapshot, groups: Mapping[str, Groups]) -> float:
    """Sum of the three features' squared distances to the own centre, each in units of its spread."""
    total = 0.0
    for name in RFM:
        values, found = customers.feature(name), groups[name]
        own = np.array(found.centres)[np.searchsorted(found.cuts, values, side="left")]
        variance = values.var() if np.ptp(values) > 0 else 1.0
        total += float(((values - own) ** 2).sum() / variance)
    return rounded(total)


def _score_sql(name: str, groups: Groups) -> Sql:
    """The score as one CASE from the highest cut down."""
    above = [
        sql("cast(:value as double) > :cut", value=exp.column(name), cut=double(cut)) for cut in groups.cuts
    ]
    scores = [integer(i) for i in range(groups.best + 1)]
    if name == "recency_days":
        scores.reverse()
    return choose(list(zip(above, scores[1:], strict=True))[::-1], scores[0])


def _score(name: str) -> str:
    return f"{name}_score"
