"""Ids: one customer is one text, however a program, a spreadsheet or a keyboard wrote it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.ingest.profiles.ids import MARK, bare_sql, id_of, id_sql

CONNECTION = duckdb.connect()
STATEMENT = f"""select {id_sql("t", "bare")}
    from (select t, {bare_sql("t")} as bare from (select unnest($texts::varchar[]) as t))"""


def ids(texts: Sequence[str]) -> list[str | None]:
    return [id_ for (id_,) in CONNECTION.cursor().execute(STATEMENT, {"texts": list(texts)}).fetchall()]


@pytest.mark.parametrize(
    ("id_", "texts"),
    [
        ("4711", ["4711.0", "4711.00", "4711,0", "4711.000", " 4711 ", "4711.00000"]),
        ("00815", ['="00815"', "'00815", "''00815", '"00815"', "'00815'", "00815.0"]),
        ("K-12", ["K-12\t", "\u00a0K-12", "K-12\u200b", "\ufeffK-12", "K\u00ad-12", "\u202aK-12\u202c"]),
        ("K-12", ["K-12\0\0", "K-12\x7f"]),
        ("Zo\u00eb", ["Zoe\u0308", "Zo\u00eb\u3000"]),
        ("4006381333931", ["4006381333931.0", "4.006381333931e12", "4,006381333931E+12"]),
        ("1234567890123456", ["1234567890123456.0"]),
        ("A 7", ["A\u00a07", "A\u20077"]),
    ],
)  # fmt: skip
def test_decoration_makes_no_other_customer(id_: str, texts: list[str]):
    assert ids(texts) == [id_] * len(texts)


@pytest.mark.parametrize(
    "id_",
    ["1E5", "12E4", "2E-14", "007", "c-01", "1.000", "12.345", "85123A", "#1001", '5"', "O'Neil", "1.0.1"],
)  # fmt: skip
def test_what_may_be_an_id_of_its_own_stays(id_: str):
    assert ids([id_]) == [id_]


def test_words_for_nothing_are_nobody_whatever_their_case():
    words = ["nan", "NaN", "NULL", "None", "none", "\\N", "#N/A", "#NV", "n/a", "NA", "<NA>", "(null)", "nil"]
    words += ["undefined", "NaT", " NULL ", "-", "--", "\u2013", ".", "*", "", " ", "\u200b"]
    assert ids(words) == [None] * len(words)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["1.23E+05", "4.00638E+12", "1,23457E+11", "1E+05", "7.1e3", "1e+16"], "has lost digits"),
        (["9007199254740994.0", "12345678901234567.0"], "has lost digits"),
        (["K\n7", "K\t7", "K\0" + "7", "K\u2028" + "7"], "holds a line break or a control character"),
        (["J\ufffdrg"], "has lost a letter"),
        (["######", "#REF!", "#VALUE!"], "is what a spreadsheet shows"),
        (["=A1", "=VLOOKUP(A1,B:C,2)", "'=\"7\"'"], "is a formula"),
    ],
)
def test_what_was_destroyed_is_unreadable_and_says_by_what(texts: list[str], why: str):
    assert [found and found.startswith(MARK + why) for found in ids(texts)] == [True] * len(texts)


ODD = st.text(
    st.sampled_from(list("0123456789.,eE+-'\"= aN/\\#\t\n\0\u200b\ufeff\u00a0\u0308\u00eb\u3000*<>")),
    max_size=9,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(ODD, st.text(max_size=12).filter(lambda t: t.isprintable())), min_size=1, max_size=30)
)
def test_an_id_that_was_read_reads_as_itself(texts: list[str]):
    read = [id_ for id_ in ids(texts) if id_ is not None and not id_.startswith(MARK)]
    assert ids(read) == read
    assert all(unicodedata.is_normalized("NFC", id_) and id_.strip() == id_ for id_ in read)


@settings(max_examples=40, deadline=None)
@given(st.lists(ODD, min_size=1, max_size=30))
def test_a_setting_names_an_id_as_files_do(texts: list[str]):
    plain = [text for text in texts if text.isprintable() and "e" not in text.lower()]
    for text, id_ in zip(plain, ids(plain), strict=True):
        assert id_ is None or id_.startswith(MARK) or id_ == id_of(text)
