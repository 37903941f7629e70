"""Clusters of customers: found by k-means, kept as centres in the features' own units.

A customer belongs to the nearest centre. Distances are measured in units of each feature's spread (population
standard deviation), which is k-means on standardised features without keeping their means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from retail_pipeline.segmentation import grid, kmeans
from retail_pipeline.segmentation.fitted import (
    FEATURES,
    Array,
    CurvePoint,
    Frozen,
    Names,
    Snapshot,
    rounded,
)

FEWEST, MOST = 2, 10
IDENTITY_BOUND = "A cluster keeps the champion's name while its centre is no farther away, in spreads"
SAMPLE = 2000  # customers a silhouette is measured on; its cost grows with their square

Centre = dict[str, float]


def _number_of_clusters(value: object) -> object:
    number = int(value) if isinstance(value, str) and value.isdigit() else value
    if number == "auto" or (type(number) is int and FEWEST <= number <= MOST):
        return number
    raise ValueError(f"give a number from {FEWEST} to {MOST}, or auto; not {value!r}")


class ClusterParameters(Frozen):
    """Settings of every method built on k-means."""

    clusters: Annotated[int | Literal["auto"], BeforeValidator(_number_of_clusters)] = Field(
        default=4,
        description="How many clusters, 2 to 10; `auto`: by the highest silhouette",
    )
    cluster_range: tuple[int, int] = Field(
        default=(2, 8), description="Fewest and most that `auto` and the card's curve look at"
    )
    starts: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Random starts of k-means",
    )
    identity_bound: float = Field(default=0.75, ge=0, description=IDENTITY_BOUND)
    grid_above: int = Field(
        default=200_000, ge=1, description="Above so many customers, a weighted grid is clustered"
    )

    @field_validator("cluster_range")
    @classmethod
    def _is_a_range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not FEWEST <= value[0] <= value[1] <= MOST:
            raise ValueError(f"give the fewest and the most clusters, within {FEWEST} to {MOST}")
        return value

    @property
    def most(self) -> int:
        """The largest number of clusters these settings can lead to."""
        return self.cluster_range[1] if self.clusters == "auto" else self.clusters


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


class FittedClusters(Frozen):
    """What fitted models of the methods built on k-means have in common."""

    parameters: ClusterParameters
    clustering: Clustering | None


@dataclass(frozen=True)
class Found:
    """Spread of each feature that varies, centres in no particular order, and figures for the card."""

    spread: dict[str, float]
    centres: list[Centre]
    silhouette: float | None
    curve: tuple[CurvePoint, ...]
    fitted_on: str
    notes: list[str]


def find(
    features: Sequence[str], values: Array, parameters: ClusterParameters, seed: int, curve: bool = True
) -> Found:
    """Find clusters of customers: one row each (at least one) in ``values``, one column a feature.

    The order of the rows plays no part but for the silhouette's sample. Without ``curve`` and with a number
    asked, the search ends early and neither silhouette nor curve is measured.
    """
    varies = np.ptp(values, axis=0) > 0
    names = [name for name, some in zip(features, varies, strict=True) if some]
    middle, spread = values.mean(axis=0)[varies], values.std(axis=0)[varies]
    on_grid = len(values) > parameters.grid_above
    if on_grid:
        own, counts = grid.cells(values, np.where(varies, values.std(axis=0), 1.0))
        fitted_on = f"a weighted grid of {len(own):,} cells for {len(values):,} customers"
    else:
        own, repeats = np.unique(values, axis=0, return_counts=True)
        counts = repeats.astype(float)
        fitted_on = f"all {len(values):,} customers" if len(values) > 1 else "the only customer"
    points = kmeans.Points((own[:, varies] - middle) / spread, counts)
    evenly = np.linspace(0, len(values) - 1, min(len(values), SAMPLE)).round().astype(int)
    sample = (values[evenly][:, varies] - middle) / spread
    count, solutions, silhouettes = _searched(points, sample, parameters, seed, curve)
    low, high = parameters.cluster_range
    # what the cells' means leave out is the same for any number of clusters
    total = float(len(values) * len(names))
    within = total - float(counts @ (points.places**2).sum(axis=1)) if total and on_grid else 0.0
    notes = [
        f"{name} is the same for all customers and plays no part in the distances"
        for name, some in zip(features, varies, strict=True)
        if not some
    ]
    asked, words = (low, f"at least {low}") if parameters.clusters == "auto" else (parameters.clusters,) * 2
    if count < asked:
        notes.append(f"{words} clusters asked, {count} made: the customers show no more distinct features")
    labels = solutions[count].labels
    return Found(
        spread=dict(zip(names, map(rounded, spread), strict=True)),
        centres=[
            dict(zip(features, map(rounded, np.average(own[who], axis=0, weights=counts[who])), strict=True))
            for who in (labels == label for label in np.unique(labels))
        ],
        silhouette=silhouettes.get(count),
        curve=tuple(
            CurvePoint(k=k, inertia=round(solutions[k].inertia + within, 6), silhouette=silhouettes[k])
            for k in sorted(silhouettes)
            if low <= k <= high
        ),
        fitted_on=fitted_on,
        notes=notes,
    )


def _searched(
    points: kmeans.Points, sample: Array, parameters: ClusterParameters, seed: int, curve: bool
) -> tuple[int, dict[int, kmeans.Solution], dict[int, float | None]]:
    """The number of clusters made, and for each number looked at its solution and its silhouette."""
    from scipy.spatial.distance import cdist

    auto, places = parameters.clusters == "auto", len(points.places)
    low, high = (min(k, places) for k in parameters.cluster_range)
    asked = high if parameters.clusters == "auto" else min(parameters.clusters, places)
    solutions = {1: kmeans.one(points)}
    for k in range(2, max(asked, high if curve else 0) + 1):
        solutions[k] = kmeans.grown(points, solutions[k - 1])
        if k == asked and curve and not auto:
            solutions[k] = kmeans.improved(points, solutions[k], parameters.starts, seed)
    if places < 2 or not (auto or curve):
        return asked, solutions, {}
    distances = cdist(sample, sample)

    def measured(k: int) -> float | None:
        nearest = kmeans.squared_distances(sample, solutions[k].centres).argmin(axis=1)
        return kmeans.silhouette(distances, nearest)

    silhouettes = {k: measured(k) for k in {asked, *range(low, high + 1)}}
    done = set() if auto else {asked}
    while auto:
        asked = max(silhouettes, key=lambda k: (silhouettes[k] or -1, -k))
        if asked in done:
            break
        done.add(asked)
        solutions[asked] = kmeans.improved(points, solutions[asked], parameters.starts, seed)
        silhouettes[asked] = measured(asked)
    return asked, solutions, silhouettes


def nearest(fitted: Clustering, customers: Snapshot) -> Names:
    """The name of each customer's own cluster, as the query finds it."""
    names = np.array(fitted.names, dtype=object)
    found: Names = names[_squared_distances(fitted, customers.matrix(fitted.features)).argmin(axis=1)]
    return found


def sizes_and_inertia(
    fitted: Clustering, features: Sequence[str], values: Array
) -> tuple[dict[str, int], float]:
    """Customers nearest to each centre, and the sum of squared distances, measured as the query does."""
    distances = _squared_distances(fitted, values[:, [features.index(name) for name in fitted.features]])
    sizes = np.bincount(distances.argmin(axis=1), minlength=len(fitted.clusters))
    return dict(zip(fitted.names, map(int, sizes), strict=True)), rounded(distances.min(axis=1).sum())


def _squared_distances(fitted: Clustering, values: Array) -> Array:
    """From each customer (row) to each centre (column); added up in the query's order."""
    spread = np.array([fitted.spread[name] for name in fitted.features])
    found = np.zeros((len(values), len(fitted.clusters)))
    for i, cluster in enumerate(fitted.clusters):
        away = (values - np.array([cluster.centre[name] for name in fitted.features])) / spread
        for term in (away * away).T:
            found[:, i] += term
    return found
