"""Method `behaviour`: outlier groups by the interquartile rule, k-means on the rest (METHODS.md, 1).

Score: for a cluster, 1 - d(own) / d(runner-up), so 0 is a toss-up; for an outlier group, value / limit of the
larger exceedance (1 where the limit's sign leaves that ratio without meaning).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from sqlglot import exp

from retail_pipeline.segmentation import cluster_sql, clusters, guards
from retail_pipeline.segmentation.clusters import Centre, ClusterParameters, FittedClusters
from retail_pipeline.segmentation.compile import (
    Sql,
    Stages,
    choose,
    counted,
    double,
    evaluated,
    joined,
    money,
    sql,
    stage,
    text,
)
from retail_pipeline.segmentation.fitted import RFM, Array, Fact, Fitted, Frozen, Snapshot, rounded

DELIGHT, PAMPER, UPSELL = "DELIGHT", "PAMPER", "UPSELL"
REWARD, RETAIN, NURTURE, RE_ENGAGE = "REWARD", "RETAIN", "NURTURE", "RE-ENGAGE"


class BehaviourParameters(ClusterParameters):
    """Settings of the method `behaviour`; its clusters are of the customers who are no outliers."""

    method: Literal["behaviour"] = "behaviour"
    outlier_iqr: float = Field(
        default=1.5, ge=0, description="Outliers lie so many interquartile ranges above the third quartile"
    )
    lower_fence: bool = Field(
        default=False,
        description="Also those as far below the first quartile, such as customers with large refunds",
    )

    @property
    def segments(self) -> tuple[str, ...]:
        """Every name the method can give, also when it makes fewer clusters than asked."""
        # Three clusters do without RETAIN, but one or two, the fall-back, do not.
        most = self.most if self.most < 3 else max(4, self.most)
        return (DELIGHT, PAMPER, UPSELL, *cluster_names(most))

    @property
    def without_lines(self) -> tuple[tuple[tuple[Fact, ...], str], ...]:
        named: tuple[tuple[tuple[Fact, ...], str], ...] = (
            (("late",), RE_ENGAGE),
            (("few_orders",), NURTURE),
            ((), RETAIN),
        )
        return tuple(one for one in named if one[1] in self.segments)

    def fit(self, customers: Snapshot, seed: int, champion: Fitted | None, curve: bool) -> FittedBehaviour:
        """Fences over all active customers, then clusters of those inside, named after the champion's."""
        orders, spend = (self._fence(customers.feature(name)) for name in ("frequency", "monetary"))
        fences = Fences(frequency=orders, monetary=spend)
        outlier = evaluated({"fenced": _fenced(fences, "active")}, customers)(exp.or_(*_much_and_often()))
        clustering, figures = clusters.fit(customers, ~outlier, RFM, self, seed, curve, _named, champion)
        card = customers.card((DELIGHT, PAMPER, UPSELL, *clustering.names), **figures)
        return FittedBehaviour(parameters=self, seed=seed, fences=fences, clustering=clustering, card=card)

    def _fence(self, values: Array) -> Fence:
        first, third = np.quantile(values, [0.25, 0.75])
        reach = self.outlier_iqr * (third - first)
        return Fence(upper=rounded(third + reach), lower=rounded(first - reach) if self.lower_fence else None)


class Fence(Frozen):
    """The limits of ordinary values: strictly outside lies an outlier."""

    upper: float
    lower: float | None = None


class Fences(Frozen):
    """The limits of the two features that can make an outlier."""

    frequency: Fence
    monetary: Fence


class FittedBehaviour(FittedClusters):
    """A fitted `behaviour` segmentation."""

    method: Literal["behaviour"] = "behaviour"
    parameters: BehaviourParameters
    fences: Fences | None = None

    def columns(self) -> tuple[Stages, Sql]:
        assert self.fences
        much, often = _much_and_often()
        segment = choose(
            [(exp.and_(much, often), text(DELIGHT)), (much, text(PAMPER)), (often, text(UPSELL))],
            exp.column("own"),
        )
        known, source = guards.known(self)
        fenced = {"fenced": _fenced(self.fences, source)}
        return known | fenced | cluster_sql.stages(self.clusters, "fenced", self.claims), segment

    def words(self) -> tuple[Stages, Sql, Sql]:
        assert self.fences
        further, score, reason = cluster_sql.explained(self.clusters, self.claims, self.belied)
        outlier = exp.or_(*_much_and_often())
        excess = sql("greatest(monetary_excess, frequency_excess)")
        return (
            further,
            choose([(outlier, excess)], score),
            choose([(outlier.copy(), _outlier_reason(self.fences))], reason),
        )


def cluster_names(count: int) -> tuple[str, ...]:
    """Names by falling value, the least recent cluster (RE-ENGAGE) last.

    Of the others the most valuable is REWARD, the least valuable NURTURE, between them RETAIN, `RETAIN 2` and
    so on by falling value; one alone has nobody to be compared with and is RETAIN.
    """
    if count < 3:
        return (RETAIN, RE_ENGAGE)[:count]
    between = (RETAIN, *(f"{RETAIN} {i}" for i in range(2, count)))[: count - 3]
    return (REWARD, *between, NURTURE, RE_ENGAGE)


def _named(centres: Sequence[Centre]) -> Mapping[str, Centre]:
    by_value = sorted(centres, key=lambda c: (-c["monetary"], -c["frequency"], c["recency_days"]))
    # Of equally recent clusters the least valuable is the one to re-engage.
    last = max(range(len(by_value)), key=lambda i: (by_value[i]["recency_days"], i))
    by_value.append(by_value.pop(last))
    return dict(zip(cluster_names(len(by_value)), by_value, strict=True))


def _much_and_often() -> tuple[Sql, Sql]:
    return sql("monetary_excess > 0"), sql("frequency_excess > 0")


def _fenced(fences: Fences, source: str) -> exp.Select:
    """The stage that gives value / limit of customers outside a fence, else 0."""

    def excess(feature: str, fence: Fence) -> Sql:
        branches = []
        for crossed, word, limit in _crossed(feature, fence):
            measures = limit > 0 if word == "above" else limit < 0
            ratio = sql("cast(:column as double) / :limit", column=exp.column(feature), limit=double(limit))
            branches.append((crossed, ratio if measures else double(1)))
        return choose(branches, double(0))

    return stage(
        source,
        {
            "monetary_excess": excess("monetary", fences.monetary),
            "frequency_excess": excess("frequency", fences.frequency),
        },
    )


def _crossed(feature: str, fence: Fence) -> list[tuple[Sql, str, float]]:
    """The ways out of the fence: condition, word, limit."""
    value = sql("cast(:column as double)", column=exp.column(feature))
    above = [(sql(":value > :limit", value=value, limit=double(fence.upper)), "above", fence.upper)]
    if fence.lower is None:
        return above
    return [*above, (sql(":value < :limit", value=value, limit=double(fence.lower)), "below", fence.lower)]


def _outlier_reason(fences: Fences) -> Sql:
    much, often = _much_and_often()
    spend = [
        (condition, joined("spent ", money("monetary"), f", {word} the outlier limit {limit:.2f}"))
        for condition, word, limit in _crossed("monetary", fences.monetary)
    ]
    unless_said = choose([(much, text(""))], text("the outlier limit "))
    orders = [
        (condition, joined(counted("frequency", "order"), f", {word} ", unless_said, f"{limit:.6g}"))
        for condition, word, limit in _crossed("frequency", fences.frequency)
    ]
    both = choose([(exp.and_(much, often), text("; "))], text(""))
    return joined(choose(spend, text("")), both, choose(orders, text("")))
