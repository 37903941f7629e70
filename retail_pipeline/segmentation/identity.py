"""A cluster keeps its name from month to month."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from retail_pipeline.segmentation.clusters import Centre, Clustering, ClusterParameters, FittedClusters
from retail_pipeline.segmentation.fitted import Frozen, Match, rounded

GIVEN_AWAY = (
    "all names are by figures: a cluster that matches none would have had to take a name that is kept"
)


@dataclass(frozen=True)
class Heirs:
    """The clusters with the names they keep, where each name comes from, and what is worth a word."""

    clustering: Clustering
    matches: tuple[Match, ...] = ()
    notes: tuple[str, ...] = ()


def inherited(
    found: Clustering,
    champion: Frozen | None,
    kind: type[FittedClusters],
    parameters: ClusterParameters,
    allowed: Collection[str],
) -> Heirs:
    """Name the clusters after those of the champion, if it is of this ``kind`` and has any."""
    if champion is None:
        return Heirs(found)
    if not isinstance(champion, kind):
        return Heirs(found, notes=("names are by figures: the champion is of another method",))
    if champion.clustering is None:
        return Heirs(found, notes=("names are by figures: the champion was fitted on nobody",))
    return follow(found, champion.clustering, parameters.identity_bound, allowed)


def follow(found: Clustering, champion: Clustering, bound: float, allowed: Collection[str]) -> Heirs:
    """Name the clusters of ``found``, which bear the names of their figures, after the champion's.

    Clusters are matched so that the squares of the distances between their centres, in the champion's
    spreads, add up to the least. A cluster farther than ``bound`` from its match, or without one, is named by
    its figures. Where that name is given away to another, what the champion's names meant is gone, and all
    are named by figures. The champion's clusters whose names are not ``allowed`` have no heirs.
    """
    from scipy.optimize import linear_sum_assignment

    if found.features != champion.features:
        ours, theirs = (", ".join(c.features) or "nothing" for c in (found, champion))
        note = f"names are by figures: the clusters differ in {ours}, the champion's in {theirs}"
        return Heirs(found, notes=(note,))
    known = [cluster for cluster in champion.clusters if cluster.name in allowed]
    distances = np.array(
        [[_distance(champion, own.centre, old.centre) for old in known] for own in found.clusters]
    ).reshape(len(found.clusters), len(known))
    pairs = dict(zip(*(map(int, side) for side in linear_sum_assignment(distances**2)), strict=True))
    names = [
        known[pairs[i]].name if i in pairs and distances[i, pairs[i]] <= bound else cluster.name
        for i, cluster in enumerate(found.clusters)
    ]
    given_away = len(set(names)) < len(names)
    matches = tuple(
        Match(
            name=cluster.name if given_away else name,
            champion=known[pairs[i]].name if i in pairs else None,
            cost=rounded(float(distances[i, pairs[i]])) if i in pairs else None,
            by_figures=cluster.name,
        )
        for i, (cluster, name) in enumerate(zip(found.clusters, names, strict=True))
    )
    heirs = {match.champion for match in matches}
    notes = [
        *([GIVEN_AWAY] if given_away else []),
        *(note for note in (_note(match, bound) for match in matches) if note),
        *(f"the champion's {c.name} has no heir" for c in champion.clusters if c.name not in heirs),
    ]
    renamed = tuple(
        cluster.model_copy(update={"name": match.name})
        for cluster, match in zip(found.clusters, matches, strict=True)
    )
    return Heirs(found.model_copy(update={"clusters": renamed}), matches, tuple(notes))


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
