"""Cutting one Arrow table into partitions, and the order of its rows.

A column of the table says which partition a row belongs to; rows come ordered by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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


def together(parts: Mapping[Key, pa.Table], column: str) -> pa.Table:
    """The rows of all keys in one table, with the key's column: what ``slices`` cuts."""
    return pa.concat_tables(
        [rows.append_column(column, pa.repeat(pa.scalar(key), len(rows))) for key, rows in parts.items()]
    )


def ordered(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows in the order of the key's columns; most come so, and looking costs far less than sorting."""
    return rows if rises(rows, key) else rows.sort_by([(name, "ascending") for name in key])


def rises(rows: pa.Table, key: Sequence[str]) -> bool:
    """True when each row comes after the one before by the key's columns, so that no two agree in them."""
    rising = pa.scalar(False)
    for name in reversed(key):
        before, after = rows[name].slice(0, max(len(rows) - 1, 0)), rows[name].slice(1)
        rising = pc.or_(pc.less(before, after), pc.and_(pc.equal(before, after), rising))
    return pc.all(rising, skip_nulls=False, min_count=0).as_py() is True
