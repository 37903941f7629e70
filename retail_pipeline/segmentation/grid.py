"""Many customers as few weighted points, so that finding clusters costs the same for any number of them."""

from __future__ import annotations

import numpy as np

from retail_pipeline.segmentation.fitted import Array

BINS = 96


def cells(values: Array, spread: Array) -> tuple[Array, Array]:
    """The mean of the customers in each cell that has any, and how many they are.

    ``values`` has one row a customer and one column a feature, ``spread`` each feature's standard deviation.
    Edges are even on the scale of asinh: even in value around the mean, where most are, and in proportion to
    it far out, where shops have few customers over a long way.
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
