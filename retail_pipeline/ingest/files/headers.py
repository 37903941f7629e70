"""The header of a text as its first rows show it: with an empty name, a stray quote, or lines above it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from itertools import zip_longest

from retail_pipeline.ingest.files.records import Layout, header_of
from retail_pipeline.ingest.files.unpacked import RefusalError
from retail_pipeline.ingest.profiles.headers import columns_of, preamble_of
from retail_pipeline.ingest.profiles.profile import clean_header
from retail_pipeline.ingest.text_rows import decoded, records


def settled_header(top: list[bytes], layout: Layout) -> tuple[tuple[str, ...], Layout]:
    """The header that these first lines (after those skipped) begin with, and the layout to read it by.

    A header that cannot be taken as it stands is given in the layout, and its line is skipped. ``surplus`` is
    set where rows have empty fields beyond it.

    Raises:
        RefusalError: there is no header, or it cannot be read.
    """
    if layout.header is not None:
        return layout.header, layout
    first = next((n for n, line in enumerate(top) if line.strip()), 0)
    below = _fields(top[first + 1 :], layout)
    _refuse_quoted(below)
    try:
        header = header_of(iter(top), layout.delimiter, layout.encoding)
    except RefusalError:
        names = _loose(top[first], layout) if top else ()
        if not below or Counter(map(len, below)).most_common(1)[0][0] != len(names):
            raise
        return names, _given(layout, names, first)
    columns = columns_of(header, below)
    if columns.names != header and len(_fields(top[first : first + 1], layout)) == 1:
        return columns.names, _given(layout, columns.names, first)
    return header, replace(layout, surplus=columns.surplus)


def columns_below(top: list[bytes], layout: Layout, needed: Collection[str]) -> int:
    """After how many of these first lines the columns needed stand; 0 when they do not."""
    for n, line in enumerate(top[1:], 1):
        if (names := _fields([line], layout)) and set(needed) <= set(clean_header(names[0])):
            return n
    return 0


def lines_above(top: list[bytes], layout: Layout) -> int:
    """How many of these first lines stand above the header."""
    return preamble_of([(_fields([line], layout) or [[]])[0] for line in top])


def _refuse_quoted(rows: list[list[str]]) -> None:
    """Refuse a file of whose columns one has all its values in single quotes."""
    for n, column in enumerate(zip_longest(*rows, fillvalue=""), 1):
        values = [value.strip() for value in column if value.strip()]
        if len(set(values)) > 1 and all(len(v) > 2 and v[0] == v[-1] == "'" for v in values):
            raise RefusalError(
                f"has values in single quotes (column {n}): have it exported with double quotes or with none"
            )


def _given(layout: Layout, names: tuple[str, ...], first: int) -> Layout:
    return replace(layout, header=names, skip_rows=layout.skip_rows + first + 1)


def _fields(lines: list[bytes], layout: Layout) -> list[list[str]]:
    """The rows that can be split."""
    found = records(iter(lines), layout.delimiter, None, layout.encoding)
    return [[field or "" for field in row.fields] for row in found if row.fields is not None]


def _loose(line: bytes, layout: Layout) -> tuple[str, ...]:
    """A header whose quotes do not pair, split at every delimiter; a stray quote stays in the name."""
    text = decoded(line, layout.encoding)
    names = text.split(layout.delimiter) if isinstance(text, str) else []
    return clean_header([n[1:-1] if len(n) > 1 and n[0] == n[-1] == '"' else n for n in names])
