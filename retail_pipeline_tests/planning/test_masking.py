"""What of a delivery may be shown: names of columns, and no values."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.ingest.profiles.profile import UnknownColumnsError, match
from retail_pipeline.ingest.profiles.shipped import SHIPPED
from retail_pipeline.planning.masking import (
    as_markdown,
    looks_like_name,
    plain,
    shown_columns,
    without_values,
)

HEADER = [
    "InvoiceNo",
    "Customer ID",
    "Menge (Stück)",
    "Umsatz in €",
    "наименование",
    "मात्रा",
    "Rabatt %",
    "qty",
]


def test_names_that_shops_give_their_columns_are_shown():
    assert shown_columns(HEADER) == f"the columns {', '.join(HEADER)}"


VALUES = """anna.smith@example.com|536365|85123A|2010-12-01 08:26:00|+44 1632 960961|2.55|?|1/2/2011||
<script>|DE89 3704 0044 0532 0130 00|line\nline|\x1b[2J"""


@pytest.mark.parametrize("value", [*VALUES.split("|"), "a" * 61])
def test_values_do_not_look_like_names(value: str):
    assert not looks_like_name(value)


@pytest.mark.parametrize(
    "row",
    [
        ["536365", "85123A", "LANTERN", "6", "2010-12-01 08:26:00", "2.55", "anna@example.com", "Anna Smith"],
        ["Anna Smith", "Leeds", "7", "LANTERN"],
        ["Anna Smith", "anna@example.com"],
        ['{"customer": "Anna Smith"}'],
        ["", ""],
    ],
)
def test_a_row_of_data_in_place_of_the_header_is_not_shown(row: list[str]):
    with pytest.raises(UnknownColumnsError) as refused:
        match(row, SHIPPED)
    said = str(refused.value)
    assert "does not look like a name" in said or "do not look like names" in said
    assert "has it lost its header" in said
    assert not any(cell in said for cell in row if cell)


def test_a_column_that_is_no_name_is_counted_among_those_that_are():
    assert shown_columns(["day", "shop", "C123456.total"]) == "the columns day, shop and 1 more"


@given(
    st.lists(st.from_regex(r"[0-9.,:/ -]*[0-9][0-9.,:/ -]*", fullmatch=True), min_size=1),
    st.sampled_from(HEADER),
)
def test_numbers_and_dates_are_never_shown(cells: list[str], name: str):
    said = shown_columns([name, *cells])
    assert name not in said


def test_what_a_message_quotes_is_hidden():
    said = "quantity: 'O'Brien, 12 High Street', 'x' is not a number"
    assert without_values(said) == "quantity: '***' is not a number"


@given(st.text())
def test_nothing_steers_a_terminal(text: str):
    assert not set(plain(text)) & {"\x1b", "\x07", "\r", "\x08", "\u202e", "\u200b"}


@given(st.text(alphabet=string.printable))
def test_markdown_is_one_line_without_links_images_and_tags(text: str):
    shown = as_markdown(text)
    assert "\n" not in shown
    for sign in "<[|`*&~$":
        assert shown.count(sign) == shown.count("\\" + sign) + shown.count("&#58;") * (sign == "&")
