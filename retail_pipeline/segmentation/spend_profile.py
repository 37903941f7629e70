"""Method `spend_profile`: k-means on orders, total spend and average order value (METHODS.md, 2).

Score: 1 - d(own) / d(runner-up), so 0 is a toss-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from sqlglot import exp

from retail_pipeline.segmentation import cluster_sql, clusters, guards
from retail_pipeline.segmentation.clusters import IDENTITY_BOUND, Centre, ClusterParameters, FittedClusters
from retail_pipeline.segmentation.compile import Sql, Stages
from retail_pipeline.segmentation.fitted import Fact, Fitted, Snapshot

FEATURES = ("frequency", "monetary", "avg_order_value")
VIP, REGULAR = "VIP", "Regular, Mid-Spending"
OCCASIONAL, INFREQUENT = "Occasional, Higher Order Value", "Infrequent, Low Spenders"


class SpendProfileParameters(ClusterParameters):
    """Settings of the method `spend_profile`."""

    method: Literal["spend_profile"] = "spend_profile"
    # a few customers spend so much that centres lie ten spreads apart
    identity_bound: float = Field(default=3.0, ge=0, description=IDENTITY_BOUND)

    @property
    def segments(self) -> tuple[str, ...]:
        """Every name the method can give, also when it makes fewer clusters than asked."""
        return cluster_names(self.most)

    @property
    def without_lines(self) -> tuple[tuple[tuple[Fact, ...], str], ...]:
        named: tuple[tuple[tuple[Fact, ...], str], ...] = ((("seldom",), INFREQUENT), ((), REGULAR))
        return tuple(one for one in named if one[1] in self.segments)

    def fit(self, customers: Snapshot, seed: int, champion: Fitted | None, curve: bool) -> FittedSpendProfile:
        """Clusters of all active customers, named after the champion's."""
        everybody = np.full(len(customers.values), True)
        clustering, figures = clusters.fit(
            customers, everybody, FEATURES, self, seed, curve, _named, champion
        )
        card = customers.card(clustering.names, **figures)
        return FittedSpendProfile(parameters=self, seed=seed, clustering=clustering, card=card)


class FittedSpendProfile(FittedClusters):
    """A fitted `spend_profile` segmentation."""

    method: Literal["spend_profile"] = "spend_profile"
    parameters: SpendProfileParameters

    def columns(self) -> tuple[Stages, Sql]:
        known, source = guards.known(self)
        return known | cluster_sql.stages(self.clusters, source, self.claims), exp.column("own")

    def words(self) -> tuple[Stages, Sql, Sql]:
        return cluster_sql.explained(self.clusters, self.claims, self.belied)


def cluster_names(count: int) -> tuple[str, ...]:
    """Names by falling spend; of four or more the two that spend least are told apart by their orders.

    The first is VIP, the next Regular, Mid-Spending (then `Regular, Mid-Spending 2` and so on). Of the last
    two the one with the higher average order is Occasional, Higher Order Value, the other, as the third of
    three, Infrequent, Low Spenders. One alone has nobody to be compared with and is Regular, Mid-Spending.
    """
    if count < 4:
        return ((REGULAR,), (VIP, REGULAR), (VIP, REGULAR, INFREQUENT))[count - 1]
    return (VIP, REGULAR, *(f"{REGULAR} {i}" for i in range(2, count - 2)), OCCASIONAL, INFREQUENT)


def _named(centres: Sequence[Centre]) -> Mapping[str, Centre]:
    by_spend = sorted(centres, key=lambda c: (-c["monetary"], -c["frequency"], -c["avg_order_value"]))
    if len(by_spend) > 3:
        by_spend[-2:] = sorted(by_spend[-2:], key=lambda c: -c["avg_order_value"])
    return dict(zip(cluster_names(len(by_spend)), by_spend, strict=True))
