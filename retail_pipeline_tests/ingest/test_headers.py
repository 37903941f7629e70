"""Where the columns of a text of fixed widths begin and end shows in the blanks of all its lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.ingest.profiles.headers import widths_of


def fields(line: str, widths: tuple[int, ...]) -> list[str]:
    ends = [sum(widths[: n + 1]) for n in range(len(widths))]
    return [line[end - width : end].strip() for width, end in zip(widths, ends, strict=True)]


def test_blanks_go_before_numbers_and_after_words():
    lines = ["Cup         2   3.50", "Tea towel  10  12.00", "Jug         1   9.90"]
    assert widths_of(lines) == (9, 4, 7)


@pytest.mark.parametrize(
    "lines",
    [
        ["1 2"], ["a b", "c d"], ["one line only  3  4.50"], ["only one line", "1"], ["a;b;c", "d;e;f"],
        ["1\t2  3  4", "5\t6  7  8"], [],
    ],
)  # fmt: skip
def test_what_blanks_do_not_part_has_no_widths(lines: list[str]):
    assert widths_of(lines) is None


CELL = st.text("abc019.", min_size=1, max_size=6)


@given(st.lists(st.tuples(CELL, CELL, CELL, CELL), min_size=2, max_size=6), st.tuples(*[st.booleans()] * 4))
def test_a_table_padded_with_two_blanks_comes_back(rows: list[tuple[str, ...]], right: tuple[bool, ...]):
    padded = ([f"{c:>6}" if r else f"{c:<6}" for c, r in zip(row, right, strict=True)] for row in rows)
    lines = ["  ".join(cells) for cells in padded]
    widths = widths_of(lines)
    assert widths
    assert [fields(line, widths) for line in lines] == [list(row) for row in rows]
