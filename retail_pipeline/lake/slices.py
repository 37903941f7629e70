"""Cutting one ordered Arrow table into partitions.

A column of the table says which partition a row belongs to; rows come ordered by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa

Key = TypeVar("Key")


def slices(rows: pa.Table, column: str, keys: Iterable[Key]) -> Mapping[Key, pa.Table]:
    """The rows of each key, without the key's column; a key without rows gets an empty table.

    ``rows`` must be ordered by ``column``, and every value in it must be among ``keys``.

    Raises:
        ValueError: rows belong to none of the keys, or are not ordered: they would be lost.
    """
    runs: dict[object, pa.Table] = {}
    values = rows.column(column).combine_chunks()
    rest = rows.drop_columns([column])
    codes = values.dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    indices = codes.indices.to_numpy(zero_copy_only=False)
    bounds = [0, *(np.flatnonzero(np.diff(indices)) + 1).tolist(), len(indices)] if len(indices) else []
    for start, end in pairwise(bounds):
        runs[values[start].as_py()] = rest.slice(start, end - start)
    found = {key: runs.pop(key, rest.slice(0, 0)) for key in keys}
    if lost := len(rows) - sum(map(len, found.values())):
        raise ValueError(f"{lost} rows belong to no partition or stand out of order: {[*runs][:1] or column}")
    return found
