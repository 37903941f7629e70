"""Clusters of customers: found by k-means, kept as centres in the features' own units, named to last.

A customer belongs to the nearest centre. Distances are measured in units of each feature's spread (population
standard deviation), which is k-means on standardised features without keeping their means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, field_validator, model_validator

from retail_pipeline.segmentation import guards, kmeans
from retail_pipeline.segmentation.compile import Sql
from retail_pipeline.segmentation.fitted import (
    FEATURES,
    Array,
    CurvePoint,
    Fitted,
    Frozen,
    Match,
    MethodParameters,
    Snapshot,
    rounded,
)

FEWEST, MOST = 2, 10
IDENTITY_BOUND = "A cluster keeps the champion's name while its centre is no farther away, in spreads"
GIVEN_AWAY = (
    "all names are by figures: a cluster that matches none would have had to take a name that is kept"
)
NOBODY_INSIDE = "every customer is an outlier; the clusters are those of all, a larger outlier_iqr helps"
SAMPLE = 2000  # customers a silhouette is measured on; its cost grows with their square
BINS = 64  # of each feature, in the weighted grid

Centre = Mapping[str, float]


def _number_of_clusters(value: object) -> object:
    number = int(value) if isinstance(value, str) and value.isdigit() else value
    if number == "auto" or (type(number) is int and FEWEST <= number <= MOST):
        return number
    raise ValueError(f"give a number from {FEWEST} to {MOST}, or auto; not {value!r}")


class ClusterParameters(MethodParameters):
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
        default=10_000, ge=1, description="Above so many customers, a weighted grid is clustered"
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

    @property
    def segments(self) -> tuple[str, ...]:
        """Every name the method can give."""
        raise NotImplementedError


class Cluster(Frozen):
    """One cluster: its name and its centre in the features' own units."""

    name: Annotated[str, Field(min_length=1)]
    centre: dict[str, float]


class Clustering(Frozen):
    """The clusters, in the order that settles ties, and the spread of every feature that varied."""

    spread: dict[str, Annotated[float, Field(gt=0)]]
    clusters: Annotated[tuple[Cluster, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_whole(self) -> Clustering:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"two clusters have the same name: {list(self.names)}")
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
        return tuple(cluster.name for cluster in self.clusters)


class FittedClusters(Fitted):
    """What fitted models of the methods built on k-means have in common."""

    parameters: ClusterParameters
    seed: int
    clustering: Clustering | None = None

    @property
    def clusters(self) -> Clustering:
        """The clusters of a model that knows customers."""
        assert self.clustering
        return self.clustering

    @property
    def claims(self) -> dict[str, Sql]:
        """What must hold for the names that claim something; nothing if no name is left for the others."""
        claims = {name: guards.claimed(self, name) for name in self.clusters.names}
        found = {name: claim for name, claim in claims.items() if claim is not None}
        return found if len(found) < len(claims) else {}

    @property
    def belied(self) -> dict[str, Sql]:
        """Why such a name is not given to whom it is not true of, in words."""
        return {name: guards.belied(self, name) for name in self.claims}


def fit(
    customers: Snapshot,
    whose: npt.NDArray[np.bool_],
    features: Sequence[str],
    parameters: ClusterParameters,
    seed: int,
    curve: bool,
    named: Callable[[Sequence[Centre]], Mapping[str, Centre]],
    champion: Fitted | None,
) -> tuple[Clustering, dict[str, Any]]:
    """Clusters of those customers ``whose`` is true of, of all if it is of nobody; and figures for the card.

    The order of the customers plays no part but for the silhouette's sample. Without ``curve`` and with a
    number asked, the search ends early and neither silhouette nor curve is measured. ``named`` names centres
    by their figures; those that match a cluster of the champion take its name.
    """
    values = customers.matrix(features)
    inside = values[whose] if whose.any() else values
    spread, centres, figures = _found(features, inside, parameters, seed, curve)
    if not whose.any():
        figures["notes"].append(NOBODY_INSIDE)
    clustering = Clustering(
        spread=spread,
        clusters=tuple(Cluster(name=name, centre=dict(at)) for name, at in named(centres).items()),
    )
    figures["inertia"] = rounded(_inertia(clustering, features, values[whose]))
    if champion is None:
        return clustering, figures
    if not isinstance(champion, FittedClusters) or type(champion.parameters) is not type(parameters):
        figures["notes"].append("names are by figures: the champion is of another method")
    elif champion.clustering is None:
        figures["notes"].append("names are by figures: the champion knew too few customers")
    else:
        clustering, figures["matches"], notes = follow(
            clustering, champion.clustering, parameters.identity_bound, parameters.segments
        )
        figures["notes"] += notes
    return clustering, figures


def _found(
    features: Sequence[str], values: Array, parameters: ClusterParameters, seed: int, curve: bool
) -> tuple[dict[str, float], list[Centre], dict[str, Any]]:
    """The spread of each feature that varies, the centres in no order, and figures for the card."""
    customers, everywhere = len(values), values.std(axis=0)
    varies = np.ptp(values, axis=0) > 0
    middle, spread = values.mean(axis=0)[varies], everywhere[varies]
    if on_grid := customers > parameters.grid_above:
        own, counts = grid(values, np.where(varies, everywhere, 1.0))
        fitted_on = f"a weighted grid of {len(own):,} cells for {customers:,} customers"
    else:
        own, repeats = np.unique(values, axis=0, return_counts=True)
        counts = repeats.astype(float)
        fitted_on = f"all {customers:,} customers" if customers > 1 else "the only customer"
    points = kmeans.Points((own[:, varies] - middle) / spread, counts)
    evenly = np.linspace(0, customers - 1, min(customers, SAMPLE)).round().astype(int)
    sample = (values[evenly][:, varies] - middle) / spread
    count, solutions, silhouettes = _searched(points, sample, parameters, seed, curve)
    low, high = parameters.cluster_range
    # what the cells' means leave out is the same for any number of clusters
    total = float(customers * varies.sum())
    within = total - float(counts @ (points.places**2).sum(axis=1)) if total and on_grid else 0.0
    notes = [
        f"{name} is the same for all customers and plays no part in the distances"
        for name, some in zip(features, varies, strict=True)
        if not some
    ]
    asked, words = (low, f"at least {low}") if parameters.clusters == "auto" else (parameters.clusters,) * 2
    if count < asked:
        notes.append(f"{words} clusters asked, {count} made: the customers show no more distinct features")
    members = [solutions[count].labels == label for label in np.unique(solutions[count].labels)]
    means = [np.average(own[who], axis=0, weights=counts[who]) for who in members]
    return (
        {name: rounded(everywhere[i]) for i, name in enumerate(features) if varies[i]},
        [dict(zip(features, map(rounded, mean), strict=True)) for mean in means],
        {
            "notes": notes,
            "silhouette": silhouettes.get(count),
            "curve": tuple(
                CurvePoint(k=k, inertia=round(solutions[k].inertia + within, 6), silhouette=silhouettes[k])
                for k in sorted(silhouettes)
                if low <= k <= high
            ),
            "fitted_on": fitted_on,
        },
    )


def _searched(
    points: kmeans.Points, sample: Array, parameters: ClusterParameters, seed: int, curve: bool
) -> tuple[int, dict[int, kmeans.Solution], dict[int, float | None]]:
    """The number of clusters made, and for each number looked at its solution and its silhouette."""
    from scipy.spatial.distance import cdist
    from sklearn.metrics import silhouette_score

    auto, places = parameters.clusters == "auto", len(points.places)
    low, high = (min(k, places) for k in parameters.cluster_range)
    asked = min(parameters.most, places)
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
        different = len(np.unique(nearest))
        if not 1 < different < len(nearest):
            return 0.0 if different > 1 else None
        return round(float(silhouette_score(distances, nearest, metric="precomputed")), 6)

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


def grid(values: Array, spread: Array) -> tuple[Array, Array]:
    """The mean of the customers in each cell that has any, and how many they are.

    Finding clusters of these costs the same for any number of customers. ``values`` has one row a customer
    and one column a feature, ``spread`` each feature's standard deviation. Edges are even on the scale of
    asinh: even in value around the mean, where most are, and in proportion to it far out, where shops have
    few customers over a long way.
    """
    cell = np.zeros(len(values), dtype=np.int64)
    for column, unit in zip(values.T, spread, strict=True):
        scaled = np.arcsinh((column - column.mean()) / unit)
        low, high = scaled.min(), scaled.max()
        step = (high - low) / BINS or 1.0
        cell = cell * BINS + np.minimum((scaled - low) / step, BINS - 1).astype(np.int64)
    _, own, counts = np.unique(cell, return_inverse=True, return_counts=True)
    sums = [np.bincount(own, column) for column in values.T]
    return np.stack(sums, axis=1) / counts[:, None], counts.astype(float)


def follow(
    found: Clustering, champion: Clustering, bound: float, allowed: Collection[str]
) -> tuple[Clustering, tuple[Match, ...], list[str]]:
    """Name clusters, which bear the names of their figures, after the champion's; say where names come from.

    Clusters are matched so that the squares of the distances between their centres, in the champion's
    spreads, add up to the least. A cluster farther than ``bound`` from its match, or without one, is named by
    its figures. Where that name is given away to another, what the champion's names meant is gone, and all
    are named by figures. The champion's clusters whose names are not ``allowed`` have no heirs.
    """
    from scipy.optimize import linear_sum_assignment

    if found.features != champion.features:
        ours, theirs = (", ".join(c.features) or "nothing" for c in (found, champion))
        note = f"names are by figures: the clusters differ in {ours}, the champion's in {theirs}"
        return found, (), [note]
    known = [cluster for cluster in champion.clusters if cluster.name in allowed]
    distances = np.array(
        [[_distance(champion, own.centre, old.centre) for old in known] for own in found.clusters]
    ).reshape(len(found.clusters), len(known))
    pairs = dict(zip(*(map(int, side) for side in linear_sum_assignment(distances**2)), strict=True))
    matches = []
    for i, cluster in enumerate(found.clusters):
        heir_of = known[pairs[i]].name if i in pairs else None
        cost = rounded(float(distances[i, pairs[i]])) if i in pairs else None
        name = str(heir_of) if i in pairs and distances[i, pairs[i]] <= bound else cluster.name
        matches.append(Match(name=name, champion=heir_of, cost=cost, by_figures=cluster.name))
    notes = []
    if len({match.name for match in matches}) < len(matches):
        notes.append(GIVEN_AWAY)
        matches = [match.model_copy(update={"name": match.by_figures}) for match in matches]
    heirs = {match.champion for match in matches}
    notes += filter(None, (_note(match, bound) for match in matches))
    notes += [f"the champion's {c.name} has no heir" for c in champion.clusters if c.name not in heirs]
    renamed = tuple(
        cluster.model_copy(update={"name": match.name})
        for cluster, match in zip(found.clusters, matches, strict=True)
    )
    return found.model_copy(update={"clusters": renamed}), tuple(matches), notes


def _inertia(found: Clustering, features: Sequence[str], values: Array) -> float:
    """The sum of the customers' squared distances to the nearest centre, in units of spread."""
    spread = np.array([found.spread[name] for name in found.features])
    centres = np.array([[cluster.centre[name] for name in found.features] for cluster in found.clusters])
    places = values[:, [features.index(name) for name in found.features]]
    return float(kmeans.squared_distances(places / spread, centres / spread).min(axis=1).sum())


def _distance(champion: Clustering, one: Centre, other: Centre) -> float:
    return float(
        np.sqrt(sum(((one[name] - other[name]) / champion.spread[name]) ** 2 for name in champion.features))
    )


def _note(match: Match, bound: float) -> str | None:
    if match.champion is None or match.cost is None:
        return f"{match.name} is new: the champion has no cluster left for it"
    away = f"the champion's {match.champion} is {match.cost:.2f} spreads away"
    if match.cost > bound:
        return f"{match.name} is named by its figures: {away}, the bound is {bound:g}"
    if match.name != match.champion:
        return f"{match.name} is named by its figures: {away}"
    if match.name != match.by_figures:
        return f"{match.name} keeps its name: {away}; its figures say {match.by_figures}"
    return None
