"""Clusters of customers: found by k-means, kept as centres in the features' own units, assigned in SQL.

Belongs here: what any method built on k-means needs. Does not belong here: which features and customers go
in, and what the clusters are called (the method's module).

A customer belongs to the nearest centre. Distances are measured in units of each feature's spread (population
standard deviation), which is k-means on standardised features without keeping their means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from sqlglot import exp

from retail_pipeline.core.segmentation.compile import (
    Sql,
    choose,
    described,
    double,
    joined,
    least,
    pick,
    sql,
    stage,
    text,
)
from retail_pipeline.core.segmentation.fitted import FEATURES, Array, Frozen, rounded

Centre = dict[str, float]


class Cluster(Frozen):
    """One cluster: its name and its centre in the features' own units."""

    name: Annotated[str, Field(min_length=1)]
    centre: Centre


class Clustering(Frozen):
    """The clusters, in the order that settles ties, and the spread of every feature that varied."""

    spread: dict[str, Annotated[float, Field(gt=0)]]
    clusters: Annotated[tuple[Cluster, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_whole(self) -> Clustering:
        names = [cluster.name for cluster in self.clusters]
        if len(set(names)) < len(names):
            raise ValueError(f"two clusters have the same name: {names}")
        for cluster in self.clusters:
            if absent := self.spread.keys() - cluster.centre.keys():
                raise ValueError(f"the centre of {cluster.name} lacks {sorted(absent)}")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """The features that tell the clusters apart; their order must not depend on that of a JSON object."""
        return tuple(name for name in FEATURES if name in self.spread)

    @property
    def names(self) -> tuple[str, ...]:
        """The clusters' names."""
        return tuple(cluster.name for cluster in self.clusters)


def centres(
    features: Sequence[str], values: Array, clusters: int, starts: int, seed: int
) -> tuple[dict[str, float], list[Centre], list[str]]:
    """Spread of each feature that varies, k-means centres in no particular order, and the fall-backs taken.

    ``values`` has one row a customer (at least one) in a fixed order and one column a feature.
    """
    from sklearn.cluster import KMeans

    varies = np.ptp(values, axis=0) > 0
    spread = np.where(varies, values.std(axis=0), 1.0)
    distinct = len(np.unique(values, axis=0))
    notes = [
        f"{name} is the same for all customers and plays no part in the distances"
        for name, some in zip(features, varies, strict=True)
        if not some
    ]
    if distinct < clusters:
        notes.append(
            f"{clusters} clusters asked, {distinct} made: the customers show no more distinct features"
        )
    # tol=0 runs every start to its fixed point; stopping early would leave the centres to the seed.
    labels = (
        KMeans(min(clusters, distinct), n_init=starts, random_state=seed, tol=0)
        .fit((values - values.mean(axis=0)) / spread)
        .labels_
    )
    found = [
        dict(zip(features, map(rounded, values[labels == label].mean(axis=0)), strict=True))
        for label in np.unique(labels)
    ]
    return {n: rounded(s) for n, s, some in zip(features, spread, varies, strict=True) if some}, found, notes


def sizes_and_inertia(
    fitted: Clustering, features: Sequence[str], values: Array
) -> tuple[dict[str, int], float]:
    """Customers nearest to each centre, and the sum of squared distances, measured as the query does."""
    used = [features.index(name) for name in fitted.features]
    spread = np.array([fitted.spread[features[i]] for i in used])
    points = np.array([[cluster.centre[features[i]] for i in used] for cluster in fitted.clusters])
    distances = (((values[:, None, used] - points) / spread) ** 2).sum(axis=2)
    sizes = np.bincount(distances.argmin(axis=1), minlength=len(points))
    return dict(zip(fitted.names, map(int, sizes), strict=True)), rounded(distances.min(axis=1).sum())


def stages(fitted: Clustering, source: str) -> dict[str, Sql]:
    """Stages giving ``own`` and ``runner_up`` (names), and what score and reason are made from.

    The pull of a feature is how much farther the runner-up's centre lies than the own, in that feature alone.
    """
    distance = {name: exp.column(f"distance_{i}") for i, name in enumerate(fitted.names, 1)}
    distances = {
        distance[cluster.name].name: _sum(
            [_squared(fitted, f, double(cluster.centre[f])) for f in fitted.features]
        )
        for cluster in fitted.clusters
    }
    own_distance, runner_up_distance = exp.column("own_distance"), exp.column("runner_up_distance")
    own = [(column.eq(own_distance), text(name)) for name, column in distance.items()]
    found = {
        "distances": stage(source, distances),
        "nearest": stage("distances", {"own_distance": least(list(distance.values()))}),
        "owned": stage("nearest", {"own": choose(own)}),
    }
    if len(distance) == 1:
        return found
    second = {
        name: least([column for other, column in distance.items() if other != name]) for name in distance
    }
    runner_up = [
        (exp.and_(column.eq(runner_up_distance), exp.column("own").neq(text(name))), text(name))
        for name, column in distance.items()
    ]
    centres_compared = {
        f"{whose}_{feature}": pick(whose, {c.name: double(c.centre[feature]) for c in fitted.clusters})
        for whose in ("own", "runner_up")
        for feature in fitted.features
    }
    explained = {f"{feature}_pull": _pull(fitted, feature) for feature in fitted.features} | {
        f"{feature}_words": _words(fitted, feature) for feature in fitted.features
    }
    return {
        **found,
        "second_nearest": stage("owned", {"runner_up_distance": pick("own", second)}),
        "runners_up": stage("second_nearest", {"runner_up": choose(runner_up)}),
        "compared": stage("runners_up", centres_compared),
        "explained": stage("compared", explained),
    }


def score(fitted: Clustering) -> Sql:
    """1 - d(own) / d(runner-up): 0 is a toss-up, 1 sits on the centre (or there is no other cluster)."""
    if len(fitted.clusters) == 1:
        return double(1)
    return sql(
        """case when runner_up_distance > 0 then 1 - sqrt(own_distance / runner_up_distance)
           else cast(0 as double) end"""
    )


def reason(fitted: Clustering) -> Sql:
    """Why the own centre and not the runner-up's: the two features with the strongest pull, in figures."""
    if len(fitted.clusters) == 1:
        figures = [described(feature) for feature in FEATURES if feature in fitted.clusters[0].centre]
        return joined(f"{fitted.names[0]} is the only group: ", *_listed(figures))
    pairs = list(combinations(fitted.features, min(2, len(fitted.features))))
    branches = [(_outpull(pair, set(fitted.features) - set(pair)), _both_words(pair)) for pair in pairs[:-1]]
    figures = [choose(branches, _both_words(pairs[-1]))]
    return joined("closest to ", exp.column("own"), " rather than ", exp.column("runner_up"), ": ", *figures)


def _squared(fitted: Clustering, feature: str, centre: Sql) -> Sql:
    away = sql(
        "(cast(:value as double) - :centre) / :spread",
        value=exp.column(feature),
        centre=centre,
        spread=double(fitted.spread[feature]),
    )
    return sql("(:away) * (:away)", away=away)


def _sum(terms: Sequence[Sql]) -> Sql:
    total = terms[0] if terms else double(0)
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return total


def _pull(fitted: Clustering, feature: str) -> Sql:
    far, near = (
        _squared(fitted, feature, exp.column(f"{whose}_{feature}")) for whose in ("runner_up", "own")
    )
    return exp.Sub(this=far, expression=near)


def _outpull(kept: Iterable[str], dropped: Iterable[str]) -> Sql:
    return exp.and_(
        *(
            exp.column(f"{strong}_pull") >= exp.column(f"{weak}_pull")
            for strong, weak in product(kept, dropped)
        )
    )


def _words(fitted: Clustering, feature: str) -> Sql:
    centre = {c.name: text(f"{c.name} about {_about(c.centre[feature])}") for c in fitted.clusters}
    return joined(described(feature), " (", pick("own", centre), ", ", pick("runner_up", centre), ")")


def _both_words(features: Iterable[str]) -> Sql:
    return joined(*_listed([exp.column(f"{feature}_words") for feature in features]))


def _listed(phrases: Sequence[Sql]) -> list[Sql | str]:
    first, *rest = phrases
    return [first, *(part for phrase in rest for part in (", ", phrase))]


def _about(value: float) -> str:
    decimals = 0 if abs(value) >= 10 else 1
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
