"""Where the columns of a text begin and end, and what they are called: told from its first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

_FEWEST = 3  # columns that blanks part


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


def widths_of(lines: Sequence[str]) -> tuple[int, ...] | None:
    """The widths of the columns that blanks part in all of these lines; None where they part none.

    Blanks belong to the text that they align: before numbers, after words.
    """
    texts = [line.rstrip() for line in lines if line.strip()]
    longest = max(map(len, texts), default=0)
    padded = [text.ljust(longest) for text in texts]
    used = [any(text[n] != " " for text in padded) for n in range(longest)]
    blocks: list[list[int]] = []
    for run in (
        [n for n, _ in run] for filled, run in groupby(enumerate(used), lambda pair: pair[1]) if filled
    ):
        # the second word of a few names is no column
        if blocks and run[0] - blocks[-1][-1] == 2 and not _mostly_filled(run, padded):
            blocks[-1] += run
        else:
            blocks.append(run)
    if len(texts) < 2 or len(blocks) < _FEWEST or any("\t" in text for text in texts):
        return None
    if not all(_mostly_filled(block, padded) for block in blocks):
        return None
    cuts = [0]
    for left, right in pairwise(blocks):
        begins = all(text[right[0]] != " " for text in padded)
        ends = all(text[left[-1]] != " " for text in padded)
        cuts.append(right[0] if begins and not ends else left[-1] + 1)
    return tuple(end - begin for begin, end in zip(cuts, [*cuts[1:], longest], strict=True))


def _mostly_filled(block: Sequence[int], lines: Sequence[str]) -> bool:
    return sum(bool(line[block[0] : block[-1] + 1].strip()) for line in lines) * 2 > len(lines)
