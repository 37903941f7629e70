"""Method `value_score`: recency, frequency and monetary clustered one by one, scores summed (METHODS.md, 3).

A feature's score counts the cuts that a customer is above: 0 is the worst group, and the most recent are the
best. The segmentation's score is the sum of the three.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator
from sqlglot import exp

from retail_pipeline.segmentation import one_feature
from retail_pipeline.segmentation.compile import (
    Sql,
    Stages,
    choose,
    double,
    integer,
    joined,
    scored,
    sql,
    stage,
    stepped,
    text,
    whole,
)
from retail_pipeline.segmentation.fitted import (
    RFM,
    Array,
    Fact,
    Fitted,
    Frozen,
    MethodParameters,
    Snapshot,
    rounded,
)

LOW, MID, HIGH = "Low Value", "Mid Value", "High Value"


class ValueScoreParameters(MethodParameters):
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

    @property
    def segments(self) -> tuple[str, ...]:
        return (HIGH, MID, LOW)

    @property
    def without_lines(self) -> tuple[tuple[tuple[Fact, ...], str], ...]:
        return ((("late",), LOW), ((), MID))

    def fit(self, customers: Snapshot, *_: Any) -> FittedValueScore:
        groups, notes, inertia = dict[str, Groups](), list[str](), 0.0
        for name in RFM:
            values = customers.feature(name)
            found, noted = self._groups(name, values)
            groups[name] = found
            notes += noted
            own = np.array(found.centres)[np.searchsorted(found.cuts, values, side="left")]
            variance = values.var() if np.ptp(values) > 0 else 1.0
            inertia += float(((values - own) ** 2).sum() / variance)
        reach = sum(found.best for found in groups.values())
        for segment, least in ((MID, self.mid_from), (HIGH, self.high_from)):
            if reach < least:
                notes.append(
                    f"nobody can be {segment}: the scores sum to {reach} at most, it begins at {least}"
                )
        card = customers.card(self.segments, notes, inertia=rounded(inertia))
        return FittedValueScore(parameters=self, groups=groups, card=card)

    def _groups(self, name: str, values: Array) -> tuple[Groups, list[str]]:
        """The groups of one feature, and the fall-backs taken."""
        places, counts = np.unique(values, return_counts=True)
        different, weights, notes = len(places), counts.astype(np.float64), []
        if different < self.clusters:
            notes.append(
                f"{name} has {different} of {self.clusters} groups, no more different values: its scores "
                f"go from 0 to {different - 1}"
            )
        if different > self.grid_above:
            places, weights = one_feature.cells(places, weights)
            notes.append(
                f"{name} was fitted on a weighted grid of {len(places):,} cells for {different:,} values"
            )
        found = one_feature.centres(places, weights, min(self.clusters, len(places)))
        centres = tuple(map(rounded, found))
        cuts = tuple(rounded((low + high) / 2) for low, high in pairwise(centres))
        return Groups(centres=centres, cuts=cuts), notes


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


class FittedValueScore(Fitted):
    """A fitted `value_score` segmentation."""

    method: Literal["value_score"] = "value_score"
    parameters: ValueScoreParameters
    groups: dict[str, Groups] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> FittedValueScore:
        if self.groups is not None and self.groups.keys() != set(RFM):
            raise ValueError(f"groups are of {', '.join(RFM)}, not of {', '.join(self.groups)}")
        return self

    def columns(self) -> tuple[Stages, Sql]:
        assert self.groups
        scores = {f"{name}_score": _score(name, self.groups[name]) for name in RFM}
        total = exp.column("total_score")
        high, mid = (
            total >= integer(least) for least in (self.parameters.high_from, self.parameters.mid_from)
        )
        summed = {total.name: sql(" + ".join(scores))}
        return (
            {"scored": stage("active", scores), "summed": stage("scored", summed)},
            choose([(high, text(HIGH)), (mid, text(MID))], text(LOW)),
        )

    def words(self) -> tuple[Stages, Sql, Sql]:
        assert self.groups
        reason = joined(*scored({n: self.groups[n].best for n in RFM}), "; sum ", whole("total_score"))
        return {}, sql("cast(total_score as double)"), reason


def _score(name: str, groups: Groups) -> Sql:
    above = [
        sql("cast(:value as double) > :cut", value=exp.column(name), cut=double(cut)) for cut in groups.cuts
    ]
    return stepped(above, falling=name == "recency_days", lowest=0)
