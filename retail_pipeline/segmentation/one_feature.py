"""k-means of one feature, exact: the best of all ways to cut the ascending values into groups.

Of many features at once nobody can find the best (``kmeans.py``).

Groups of one feature are runs of its ascending values, so dynamic programming tries them all; the best place
of the last cut never moves down as values are added, which leaves n log n of the n² trials (Grønlund, Larsen
and others, Fast Exact k-Means, k-Medians and Bregman Divergence Clustering in 1D, 2017).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from retail_pipeline.segmentation.fitted import Array

Positions = npt.NDArray[np.int64]

CELLS = 50_000


def centres(values: Array, weights: Array, clusters: int) -> Array:
    """The ascending means of the groups with the least sum of squared distances; ``values`` rise.

    Every group holds a value, so there may be no more clusters than values.
    """
    middle, count = float(np.average(values, weights=weights)), len(values)
    weight = np.concatenate([[0.0], np.cumsum(weights)])
    weighted = np.concatenate([[0.0], np.cumsum((values - middle) * weights)])

    def gain(start: Positions, end: Positions) -> Array:
        """How far the groups from ``start`` up to, without, ``end`` lower the sum: squared sum / weight."""
        gained: Array = (weighted[end] - weighted[start]) ** 2 / (weight[end] - weight[start])
        return gained

    best = np.concatenate([[-np.inf], gain(np.zeros(count, dtype=np.int64), np.arange(1, count + 1))])
    splits: list[Positions] = []
    for groups in range(2, clusters + 1):
        best, split = _one_more(gain, best, groups)
        splits.append(split)
    ends = [count]
    for split in reversed(splits):
        ends.append(int(split[ends[-1]]))
    cuts = np.array([0, *reversed(ends)])
    means: Array = np.diff(weighted[cuts]) / np.diff(weight[cuts])
    return middle + means


def _one_more(
    gain: Callable[[Positions, Positions], Array], before: Array, groups: int
) -> tuple[Array, Positions]:
    """The best gain of the first n values in ``groups`` groups, and where the last begins.

    ``before`` is that of one group fewer. Every other end is solved between the answers of its neighbours,
    from one end in the middle to all.
    """
    values = len(before) - 1
    ends = values - groups + 1
    best = np.full(values + 1, -np.inf)
    split = np.full(ends + 2, groups - 1)
    split[-1] = values - 1
    step = 1 << (ends.bit_length() - 1)
    while step:
        solved = np.arange(step, ends + 1, 2 * step)
        end = solved + groups - 1
        lowest = split[solved - step]
        highest = np.minimum(split[np.minimum(solved + step, ends + 1)], end - 1)
        trials = highest - lowest + 1
        first = np.cumsum(trials) - trials
        start = np.arange(trials.sum()) - np.repeat(first - lowest, trials)
        gained = before[start] + gain(start, np.repeat(end, trials))
        best[end] = np.maximum.reduceat(gained, first)
        chosen = np.flatnonzero(gained == np.repeat(best[end], trials))
        split[solved] = start[chosen[np.searchsorted(chosen, first)]]
        step //= 2
    return best, np.concatenate([np.zeros(groups - 1, dtype=np.int64), split[:-1]])


def cells(values: Array, weights: Array) -> tuple[Array, Array]:
    """At most some 2 x ``CELLS`` weighted values for any number of them, which rise.

    A cell is narrow both in the values' range and in their ranks, so that neither the crowd nor a heavy tail
    is coarse.
    """
    place = np.arange(len(values)) / len(values)
    reach = (values - values[0]) / np.ptp(values)
    cell = np.floor(place * CELLS) + np.floor(reach * CELLS)
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    weight = np.add.reduceat(weights, starts)
    return np.add.reduceat(values * weights, starts) / weight, weight
