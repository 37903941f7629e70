"""The columns of a Parquet file as texts: what a value of each type reads as."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from retail_pipeline.ingest.files.unpacked import RefusalError
from retail_pipeline.ingest.profiles.profile import DIALECT, clean_header

NO_TEXT = "a column holds bytes that are no UTF-8 text: have it written as text"

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
        yield from _parts(inner, f"{name}.{inner.name}", f"{place}[{_literal(inner.name)}]")


def parquet_header(schema: pa.Schema) -> tuple[str, ...]:
    """The names of a Parquet file's columns; those of lists are marked."""
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_map)
    return clean_header(
        [
            f"{leaf.name}{LIST if any(is_one(leaf.type) for is_one in lists) else ''}"
            for leaf in leaves(schema)
        ]
    )


def parquet_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file; RefusalError if it is none, or a part of one."""
    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        # what pyarrow says of a damaged file has no number
        if isinstance(error, OSError) and error.errno is not None:
            why = f"cannot be read ({error.strerror}): mend its permissions"
            raise RefusalError(why, lasting=False) from error
        raise RefusalError("is no Parquet file, or a part of one: have it delivered again") from error


def parquet_lines(schema: pa.Schema, needed: Collection[int], header: Sequence[str] = ()) -> str:
    """SQL (DuckDB) of the rows of the Parquet files ``$files``: file_no, problem, payload, ``c<n>`` a column.

    A row has a problem when one of the columns needed holds bytes that are no text. Without the header's
    names the payload is null, and columns that nobody asks for are not read.
    """
    parts = leaves(schema)
    cells = [part.text for part in parts]
    texts = ", ".join(f"{cell} as c{n}" for n, cell in enumerate(cells))
    pairs = ", ".join(f"{_literal(name)}, {cell}" for name, cell in zip(header, cells, strict=False))
    payload = f"json_object({pairs})::varchar" if header else "null::varchar"
    wrong = [
        f"{part.place} is not null and try(decode(cast({part.place} as blob))) is null"
        for n, part in enumerate(parts)
        if part.is_bytes and n in needed
    ]
    # by their places: the engine takes BILL and bill for one name
    places = ", ".join(f"p{n}" for n in range(len(schema)))
    return f"""select file_index as file_no,
        case when {" or ".join(wrong) or "false"} then {_literal(NO_TEXT)} end as problem,
        {payload} as payload, {texts}
        from read_parquet($files, hive_partitioning = false) as file({places})"""  # noqa: S608


def _literal(text: str) -> str:
    return str(exp.Literal.string(text).sql(DIALECT))
