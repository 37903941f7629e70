"""Method `spend_profile`: k-means on orders, total spend and average order value (METHODS.md, 2).

Score: 1 - d(own) / d(runner-up), so 0 is a toss-up.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field
from sqlglot import exp

from retail_pipeline.segmentation import cluster_sql, clusters, identity
from retail_pipeline.segmentation.clusters import (
    IDENTITY_BOUND,
    Centre,
    Cluster,
    Clustering,
    ClusterParameters,
    FittedClusters,
)
from retail_pipeline.segmentation.compile import nobody, statement
from retail_pipeline.segmentation.fitted import Card, Frozen, Names, Snapshot

FEATURES = ("frequency", "monetary", "avg_order_value")
VIP, REGULAR = "VIP", "Regular, Mid-Spending"
OCCASIONAL, INFREQUENT = "Occasional, Higher Order Value", "Infrequent, Low Spenders"


class SpendProfileParameters(ClusterParameters):
    """Settings of the method `spend_profile`."""

    method: Literal["spend_profile"] = "spend_profile"
    # a few customers spend so much that centres lie ten spreads apart
    identity_bound: float = Field(default=3.0, ge=0, description=IDENTITY_BOUND)


class FittedSpendProfile(FittedClusters):
    """A fitted `spend_profile` segmentation; without ``clustering`` there was nobody to fit."""

    schema_version: Literal[2] = 2
    method: Literal["spend_profile"] = "spend_profile"
    parameters: SpendProfileParameters
    seed: int
    card: Card


def segments(parameters: SpendProfileParameters) -> tuple[str, ...]:
    """Every name the method can give, also when it makes fewer clusters than asked."""
    return cluster_names(parameters.most)


def cluster_names(count: int) -> tuple[str, ...]:
    """Names by falling spend; of four or more the two that spend least are told apart by their orders.

    The first is VIP, the next Regular, Mid-Spending (then `Regular, Mid-Spending 2` and so on). Of the last
    two the one with the higher average order is Occasional, Higher Order Value, the other, as the third of
    three, Infrequent, Low Spenders. One alone has nobody to be compared with and is Regular, Mid-Spending.
    """
    if count < 4:
        return ((REGULAR,), (VIP, REGULAR), (VIP, REGULAR, INFREQUENT))[count - 1]
    return (VIP, REGULAR, *(f"{REGULAR} {i}" for i in range(2, count - 2)), OCCASIONAL, INFREQUENT)


def fit(
    customers: Snapshot,
    parameters: SpendProfileParameters,
    seed: int,
    champion: Frozen | None = None,
    curve: bool = True,
) -> FittedSpendProfile:
    """Clusters of all active customers, named after the champion's.

    Without ``curve`` the card lacks what is not needed to assign: silhouette and curve.
    """
    if not len(customers.values):
        card = customers.card({}, ())
        return FittedSpendProfile(parameters=parameters, seed=seed, clustering=None, card=card)
    everyone = customers.matrix(FEATURES)
    found = clusters.find(FEATURES, everyone, parameters, seed, curve)
    heirs = identity.inherited(
        Clustering(spread=found.spread, clusters=_named(found.centres)),
        champion,
        FittedSpendProfile,
        parameters,
        segments(parameters),
    )
    sizes, inertia = clusters.sizes_and_inertia(heirs.clustering, FEATURES, everyone)
    return FittedSpendProfile(
        parameters=parameters,
        seed=seed,
        clustering=heirs.clustering,
        card=customers.card(
            sizes,
            (*found.notes, *heirs.notes),
            inertia=inertia,
            silhouette=found.silhouette,
            curve=found.curve,
            fitted_on=found.fitted_on,
            matches=heirs.matches,
        ),
    )


def assign(fitted: FittedSpendProfile, customers: Snapshot) -> Names:
    """The segment of each active customer, as the query gives it; empty where the model knows nobody."""
    if fitted.clustering is None:
        return np.full(len(customers.values), "", dtype=object)
    return clusters.nearest(fitted.clustering, customers)


def to_sql(fitted: FittedSpendProfile) -> str:
    """The query that assigns every customer of ``rfm_features``."""
    if fitted.clustering is None:
        return nobody()
    return statement(
        cluster_sql.stages(fitted.clustering, "active"),
        segment=exp.column("own"),
        score=cluster_sql.score(fitted.clustering),
        reason=cluster_sql.reason(fitted.clustering),
    )


def _named(centres: list[Centre]) -> tuple[Cluster, ...]:
    by_spend = sorted(centres, key=lambda c: (-c["monetary"], -c["frequency"], -c["avg_order_value"]))
    if len(by_spend) > 3:
        by_spend[-2:] = sorted(by_spend[-2:], key=lambda c: -c["avg_order_value"])
    return tuple(
        Cluster(name=name, centre=centre)
        for name, centre in zip(cluster_names(len(by_spend)), by_spend, strict=True)
    )
