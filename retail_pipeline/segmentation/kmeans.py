"""k-means that ends where no start would have ended better, as far as anyone can tell.

Lloyd's algorithm stops at the first of many fixed points, and random starts leave the choice to the seed: on
a real shop one start in a hundred found the best. So each number of clusters begins with the one before, a
cluster split in two or its farthest place set apart (after Likas, Vlassis and Verbeek 2003); places change
their cluster one by one where that lowers the inertia (Hartigan and Wong 1979); at the number asked each
cluster in turn is taken away and another split (after Fränti 2018) until nothing gets better; and random
starts are challengers at the end.

The iterations are numpy's own and not scikit-learn's KMeans, which spends five times as long on looking at
its arguments as on a few thousand points, and whose threads wait for each other when the machine is busy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from retail_pipeline.segmentation.fitted import Array

Labels = npt.NDArray[np.intp]

SCREENING = 20  # Lloyd's iterations that tell a promising start from the others
PROMISING = 3  # starts that are followed to the end
PATIENCE = 100  # Lloyd's iterations before places are looked at one by one
NEGLIGIBLE = 1e-10  # inertia a customer that is no improvement; a feature's spread alone makes 1


@dataclass(frozen=True)
class Points:
    """Distinct places (rows) and how many customers stand at each."""

    places: Array
    weights: Array

    @cached_property
    def columns(self) -> Array:
        """One row a feature: einsum is six times as fast on rows that lie together."""
        return np.ascontiguousarray(self.places.T)

    @cached_property
    def moments(self) -> Array:
        """What is added up to a centre: each place times its weight, and the weight."""
        return np.vstack([self.columns, np.ones(len(self.places))]) * self.weights


@dataclass(frozen=True)
class Solution:
    """The cluster of each place, the clusters' centres, and the weighted sum of squared distances."""

    labels: Labels
    centres: Array
    inertia: float


def one(points: Points) -> Solution:
    return _exchanged(points, np.zeros(len(points.places), dtype=np.intp), 1)


def grown(points: Points, found: Solution) -> Solution:
    """One cluster more: the best of splitting each. There must be more places than clusters."""
    return _best(points, _splits(points, found, along_features=False))


def improved(points: Points, found: Solution, starts: int, seed: int) -> Solution:
    """The best that moving whole clusters, and then random starts (k-means++), make of a solution."""
    from sklearn.cluster import kmeans_plusplus

    found, count = _rearranged(points, found), len(found.centres)
    random = np.random.RandomState(seed)
    challenger = _best(
        points,
        (
            kmeans_plusplus(points.places, count, sample_weight=points.weights, random_state=random)[0]
            for _ in range(starts)
        ),
    )
    return _rearranged(points, challenger) if _is_better(points, challenger, found) else found


def squared_distances(places: Array, centres: Array) -> Array:
    found = np.zeros((len(places), len(centres)))
    for place, centre in zip(places.T, centres.T, strict=True):
        found += (place[:, None] - centre) ** 2
    return found


def _rearranged(points: Points, found: Solution) -> Solution:
    while True:
        fewer = [_without(points, found, gone) for gone in range(len(found.centres))]
        better = _best(
            points, (start for rest in fewer for start in _splits(points, rest, along_features=True))
        )
        if not _is_better(points, better, found):
            return found
        found = better


def _is_better(points: Points, one: Solution, other: Solution) -> bool:
    return other.inertia - one.inertia > NEGLIGIBLE * float(points.weights.sum())


def _without(points: Points, found: Solution, gone: int) -> Solution:
    centres = np.delete(found.centres, gone, axis=0)
    away = squared_distances(points.places, centres)
    return Solution(away.argmin(axis=1), centres, float((points.weights * away.min(axis=1)).sum()))


def _splits(points: Points, found: Solution, along_features: bool) -> Iterator[Array]:
    """Starts with one cluster more: each without its farthest place, and in two along its longest axis.

    On request it is also split along each feature.
    """
    for own, centre in enumerate(found.centres):
        members = found.labels == own
        away, weights = points.places[members] - centre, points.weights[members]
        covariance = (away.T * weights) @ away / max(weights.sum(), 1)
        lengths, axes = np.linalg.eigh(covariance)
        longest = axes[:, -1] * np.sqrt(max(lengths[-1], 0))
        each = np.diag(np.sqrt(np.diag(covariance))) if along_features else ()
        rest = np.delete(found.centres, own, axis=0)
        if longest.any():
            yield np.vstack([rest, centre, centre + away[(away**2).sum(axis=1).argmax()]])
        for reach in (longest, *each):
            if reach.any():
                yield np.vstack([rest, centre - reach, centre + reach])


def _best(points: Points, starts: Iterable[Array]) -> Solution:
    """The best of the starts: all are followed some way, the promising ones to the end."""
    screened = sorted((_lloyd(points, start, SCREENING) for start in starts), key=lambda found: found[0])
    ends = (_lloyd(points, centres, PATIENCE)[1] for _, centres in screened[:PROMISING])
    settled = (
        _exchanged(points, squared_distances(points.places, end).argmin(axis=1), len(end)) for end in ends
    )
    return min(settled, key=lambda found: found.inertia)


def _lloyd(points: Points, centres: Array, iterations: int) -> tuple[float, Array]:
    """The inertia, less what all starts share, and the centres after so many iterations or at rest."""
    for _ in range(iterations):
        away = (centres**2).sum(axis=1)[:, None] - 2 * np.einsum("cf,fp->cp", centres, points.columns)
        nearest = away.min(axis=0)
        *sums, mass = np.einsum("cp,mp->mc", (away == nearest).astype(float), points.moments)
        means = np.stack(sums, axis=1) / np.maximum(mass, 1)[:, None]
        before, centres = centres, np.where(mass[:, None] > 0, means, centres)
        if np.array_equal(before, centres):
            break
    return float((points.weights * nearest).sum()), centres


def _exchanged(points: Points, labels: Labels, count: int) -> Solution:
    """Places change their cluster one by one, to where it lowers the inertia most, until none does."""
    places, weights, labels = points.places, points.weights, labels.copy()
    least = NEGLIGIBLE * weights.sum()
    while True:
        *sums, mass = (np.bincount(labels, moment, count).astype(np.float64) for moment in points.moments)
        centres = np.reshape(sums, (places.shape[1], count)).T / np.maximum(mass, 1)[:, None]
        away = squared_distances(places, centres)
        gains = _gains(away, weights, labels, mass).max(axis=1)
        movers = np.argsort(-gains, kind="stable")[: int((gains > least).sum())]
        if not len(movers):
            inertia = float((weights * away[np.arange(len(places)), labels]).sum())
            return Solution(labels, centres, inertia)
        for i in movers:
            row = slice(i, i + 1)
            gain = _gains(squared_distances(places[row], centres), weights[row], labels[row], mass)[0]
            own, other = labels[i], int(gain.argmax())
            if gain[other] > least:
                weight = weights[i]
                centres[own] -= (places[i] - centres[own]) * weight / (mass[own] - weight)
                centres[other] += (places[i] - centres[other]) * weight / (mass[other] + weight)
                mass[own] -= weight
                mass[other] += weight
                labels[i] = other


def _gains(away: Array, weights: Array, labels: Labels, mass: Array) -> Array:
    """How much the inertia falls when a place (row) moves to a cluster (column); 0 for its own."""
    rows = np.arange(len(labels))
    left = mass[labels] - weights
    leaving = np.divide(mass[labels], left, out=np.zeros(len(left)), where=left > 0)
    gain: Array = leaving[:, None] * away[rows, labels][:, None] - away * mass / (mass + weights[:, None])
    gain *= weights[:, None]
    gain[rows, labels] = 0
    return gain
