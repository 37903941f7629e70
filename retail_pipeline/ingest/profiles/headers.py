"""Where a text's columns begin, and what they are called: told from its first rows, or left as they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple


class Columns(NamedTuple):
    """The names of the columns, and how many fields without a name every row ends in."""

    names: tuple[str, ...]
    surplus: int = 0


def columns_of(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """The columns that the header names, for the rows below it.

    Empty names are left out when no row has a field for them (``a,b,,`` above ``1,2``). Where every row goes
    on with empty fields that the header has not (``a,b`` above ``1,2,``) they are counted: it may be that the
    rows end in delimiters, and it may be that the header lacks one.
    """
    full = tuple(names)
    named = tuple(name for name in names if name.strip())
    widths = {len(row) for row in rows}
    if len(full) not in widths and len(named) in widths:
        return Columns(named)
    beyond = min(widths, default=0) - len(full)
    if beyond > 0 and len(widths) == 1 and not any(field for row in rows for field in row[len(full) :]):
        return Columns(full, beyond)
    return Columns(full)


def is_sure(columns: Columns, needed: Collection[str]) -> bool:
    """Whether the names are those of the fields in their places, as far as the needed columns go.

    Where rows have a field more than the header, two of its names may be glued into one. Not so if no name
    to the left of the last needed one is not needed itself.
    """
    if not columns.surplus:
        return True
    places = [n for n, name in enumerate(columns.names) if name in needed]
    return bool(places) and all(name in needed for name in columns.names[: max(places) + 1])


def preamble_of(rows: Sequence[Sequence[str]]) -> int:
    """How many rows stand above the header: few of their fields are filled, all of the header's are.

    0 when the first row may be the header, or none below it looks like one.
    """
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    for n, row in enumerate(rows):
        filled = sum(bool(field.strip()) for field in row)
        if n + 1 < len(rows) and filled == len(row) == width == len(set(row)) and width > 2:
            return n
        if filled > width / 2:
            return 0
    return 0
