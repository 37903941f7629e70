"""Method `behaviour`: outlier groups by the interquartile rule, k-means on the rest (METHODS.md, 1).

Score: for a cluster, 1 - d(own) / d(runner-up), so 0 is a toss-up; for an outlier group, value / limit of the
larger exceedance (1 where the limit's sign leaves that ratio without meaning).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from sqlglot import exp

from retail_pipeline.segmentation import cluster_sql, clusters, identity
from retail_pipeline.segmentation.clusters import (
    Centre,
    Cluster,
    Clustering,
    ClusterParameters,
    FittedClusters,
)
from retail_pipeline.segmentation.compile import (
    Sql,
    choose,
    counted,
    double,
    joined,
    money,
    nobody,
    sql,
    stage,
    statement,
    text,
)
from retail_pipeline.segmentation.fitted import RFM, Array, Card, Frozen, Names, Snapshot, rounded

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


class Fence(Frozen):
    """The limits of ordinary values: strictly outside lies an outlier."""

    upper: float
    lower: float | None = None


class Fences(Frozen):
    """The limits of the two features that can make an outlier."""

    frequency: Fence
    monetary: Fence


class FittedBehaviour(FittedClusters):
    """A fitted `behaviour` segmentation; without ``fences`` and ``clustering`` there was nobody to fit."""

    schema_version: Literal[2] = 2
    method: Literal["behaviour"] = "behaviour"
    parameters: BehaviourParameters
    seed: int
    fences: Fences | None
    card: Card


def segments(parameters: BehaviourParameters) -> tuple[str, ...]:
    """Every name the method can give, also when it makes fewer clusters than asked."""
    # Three clusters do without RETAIN, but one or two, the fall-back, do not.
    most = parameters.most if parameters.most < 3 else max(4, parameters.most)
    return (DELIGHT, PAMPER, UPSELL, *cluster_names(most))


def cluster_names(count: int) -> tuple[str, ...]:
    """Names by falling value, the least recent cluster (RE-ENGAGE) last.

    Of the others the most valuable is REWARD, the least valuable NURTURE, between them RETAIN, `RETAIN 2` and
    so on by falling value; one alone has nobody to be compared with and is RETAIN.
    """
    if count < 3:
        return (RETAIN, RE_ENGAGE)[:count]
    between = (RETAIN, *(f"{RETAIN} {i}" for i in range(2, count)))[: count - 3]
    return (REWARD, *between, NURTURE, RE_ENGAGE)


def fit(
    customers: Snapshot,
    parameters: BehaviourParameters,
    seed: int,
    champion: Frozen | None = None,
    curve: bool = True,
) -> FittedBehaviour:
    """Fences over all active customers, then clusters of those inside, named after the champion's.

    Without ``curve`` the card lacks what is not needed to assign: silhouette and curve.
    """
    if not len(customers.values):
        card = customers.card({}, ())
        return FittedBehaviour(parameters=parameters, seed=seed, fences=None, clustering=None, card=card)
    orders, spend = customers.feature("frequency"), customers.feature("monetary")
    fences = Fences(frequency=_fence(orders, parameters), monetary=_fence(spend, parameters))
    often, much = _outside(orders, fences.frequency), _outside(spend, fences.monetary)
    everyone = customers.matrix(RFM)
    inside = everyone[~often & ~much]
    found = clusters.find(RFM, inside if len(inside) else everyone, parameters, seed, curve)
    heirs = identity.inherited(
        Clustering(spread=found.spread, clusters=_named(found.centres)),
        champion,
        FittedBehaviour,
        parameters,
        segments(parameters),
    )
    alone = "every customer is an outlier; the clusters are those of all, a larger outlier_iqr helps"
    sizes, inertia = clusters.sizes_and_inertia(heirs.clustering, RFM, inside)
    groups = {DELIGHT: much & often, PAMPER: much & ~often, UPSELL: often & ~much}
    return FittedBehaviour(
        parameters=parameters,
        seed=seed,
        fences=fences,
        clustering=heirs.clustering,
        card=customers.card(
            {name: int(who.sum()) for name, who in groups.items()} | sizes,
            (*found.notes, *(() if len(inside) else (alone,)), *heirs.notes),
            inertia=inertia,
            silhouette=found.silhouette,
            curve=found.curve,
            fitted_on=found.fitted_on,
            matches=heirs.matches,
        ),
    )


def assign(fitted: FittedBehaviour, customers: Snapshot) -> Names:
    """The segment of each active customer, as the query gives it; empty where the model knows nobody."""
    if fitted.clustering is None or fitted.fences is None:
        return np.full(len(customers.values), "", dtype=object)
    often = _outside(customers.feature("frequency"), fitted.fences.frequency)
    much = _outside(customers.feature("monetary"), fitted.fences.monetary)
    own = clusters.nearest(fitted.clustering, customers)
    return np.select([much & often, much, often], [DELIGHT, PAMPER, UPSELL], own)


def to_sql(fitted: FittedBehaviour) -> str:
    """The query that assigns every customer of ``rfm_features``."""
    if fitted.clustering is None or fitted.fences is None:
        return nobody()
    much, often = sql("monetary_excess > 0"), sql("frequency_excess > 0")
    excess = {
        "monetary_excess": _excess("monetary", fitted.fences.monetary),
        "frequency_excess": _excess("frequency", fitted.fences.frequency),
    }
    outlier = exp.or_(much, often)
    return statement(
        {"fenced": stage("active", excess), **cluster_sql.stages(fitted.clustering, "fenced")},
        segment=choose(
            [(exp.and_(much, often), text(DELIGHT)), (much, text(PAMPER)), (often, text(UPSELL))],
            exp.column("own"),
        ),
        score=choose(
            [(outlier, sql("greatest(monetary_excess, frequency_excess)"))],
            cluster_sql.score(fitted.clustering),
        ),
        reason=choose([(outlier, _outlier_reason(fitted.fences))], cluster_sql.reason(fitted.clustering)),
    )


def _fence(values: Array, parameters: BehaviourParameters) -> Fence:
    first, third = np.quantile(values, [0.25, 0.75])
    reach = parameters.outlier_iqr * (third - first)
    return Fence(
        upper=rounded(third + reach), lower=rounded(first - reach) if parameters.lower_fence else None
    )


def _outside(values: Array, fence: Fence) -> npt.NDArray[np.bool_]:
    lower = -np.inf if fence.lower is None else fence.lower
    return (values > fence.upper) | (values < lower)


def _named(centres: list[Centre]) -> tuple[Cluster, ...]:
    by_value = sorted(centres, key=lambda c: (-c["monetary"], -c["frequency"], c["recency_days"]))
    # Of equally recent clusters the least valuable is the one to re-engage.
    last = max(range(len(by_value)), key=lambda i: (by_value[i]["recency_days"], i))
    ranked = [*by_value[:last], *by_value[last + 1 :], by_value[last]]
    return tuple(
        Cluster(name=name, centre=centre)
        for name, centre in zip(cluster_names(len(ranked)), ranked, strict=True)
    )


def _crossed(feature: str, fence: Fence) -> list[tuple[Sql, str, float]]:
    """The ways out of the fence: condition, word, limit."""
    value = sql("cast(:column as double)", column=exp.column(feature))
    above = [(sql(":value > :limit", value=value, limit=double(fence.upper)), "above", fence.upper)]
    if fence.lower is None:
        return above
    return [*above, (sql(":value < :limit", value=value, limit=double(fence.lower)), "below", fence.lower)]


def _excess(feature: str, fence: Fence) -> Sql:
    """Value / limit of a customer outside the fence, else 0."""

    def ratio(word: str, limit: float) -> Sql:
        if limit > 0 if word == "above" else limit < 0:
            return sql("cast(:column as double) / :limit", column=exp.column(feature), limit=double(limit))
        return double(1)

    branches = [(condition, ratio(word, limit)) for condition, word, limit in _crossed(feature, fence)]
    return choose(branches, double(0))


def _outlier_reason(fences: Fences) -> Sql:
    much, often = sql("monetary_excess > 0"), sql("frequency_excess > 0")
    spend = [
        (condition, joined("monetary ", money("monetary"), f" {word} the outlier limit {limit:.2f}"))
        for condition, word, limit in _crossed("monetary", fences.monetary)
    ]
    unless_said = choose([(much, text(""))], text("the outlier limit "))
    orders = [
        (condition, joined(counted("frequency", "order"), f" {word} ", unless_said, f"{limit:.6g}"))
        for condition, word, limit in _crossed("frequency", fences.frequency)
    ]
    both = choose([(exp.and_(much, often), text("; "))], text(""))
    return joined(choose(spend, text("")), both, choose(orders, text("")))
