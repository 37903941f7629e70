"""The columns of a Parquet file as texts: what a value of each type reads as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from retail_pipeline.ingest.profiles.profile import DIALECT, clean_header

# after the name of a column that holds lists
LIST = "[]"
# a float holds the digits of whole numbers up to this one
_FLOAT_DIGITS = 1 << 24


@dataclass(frozen=True)
class Leaf:
    """A column, or a part of a nested one: its name (``customer.id``), its SQL, its type."""

    name: str
    place: str
    type: pa.DataType

    @property
    def text(self) -> str:
        """SQL (DuckDB) of a value as text, null when there is none: NaN is pandas' null."""
        text = f"cast({self.place} as varchar)"
        if self.is_bytes:
            text = f"try(decode(cast({self.place} as blob)))"
        elif pa.types.is_float32(self.type):
            # what has lost digits shows it: ids and numbers are refused for it
            lost = f"format('{{:.6e}}', cast({self.place} as double))"
            text = f"case when abs({self.place}) > {_FLOAT_DIGITS} then {lost} else {text} end"
        elif pa.types.is_decimal(self.type) and self.type.scale > 0:
            text = f"rtrim(rtrim({text}, '0'), '.')"
        if pa.types.is_floating(self.type):
            text = f"nullif(nullif({text}, 'nan'), '-nan')"
        return f"nullif({text}, '')"

    @property
    def is_bytes(self) -> bool:
        """True for bytes without a mark that they are text, as old writers leave them."""
        return bool(pa.types.is_binary(self.type) or pa.types.is_large_binary(self.type))


def leaves(schema: pa.Schema) -> list[Leaf]:
    """All columns of a file, read as ``file(p0, p1, …)``, and the parts of nested ones in their place."""
    return [leaf for n, field in enumerate(schema) for leaf in _parts(field, field.name, f"p{n}")]


def _parts(field: pa.Field, name: str, place: str) -> Iterator[Leaf]:
    if not pa.types.is_struct(field.type):
        yield Leaf(name, place, field.type)
        return
    for inner in field.type:
        key = exp.Literal.string(inner.name).sql(DIALECT)
        yield from _parts(inner, f"{name}.{inner.name}", f"{place}[{key}]")


def parquet_header(schema: pa.Schema) -> tuple[str, ...]:
    """The names of a Parquet file's columns; those of lists are marked."""
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_map)
    return clean_header(
        [
            f"{leaf.name}{LIST if any(is_one(leaf.type) for is_one in lists) else ''}"
            for leaf in leaves(schema)
        ]
    )


def flat(batch: pa.RecordBatch) -> pa.Table:
    """A batch with the parts of nested columns in their place."""
    table = pa.Table.from_batches([batch])
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return table
