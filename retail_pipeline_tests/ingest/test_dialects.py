"""How a text is written is found on evidence or refused; it is never taken for something else."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.ingest.profiles.dialects import (
    DialectError,
    date_order_of,
    delimiter_of,
    encoding_of,
    number_style_of,
)

WORDS = (
    "Käse", "Größe 42", "Möbel", "Weiß", "ÖL", "GRÖßE", "Gemüse", "crème brûlée", "pâté", "CAFÉ", "voilà",
    "L\u2019Oréal", "à la", "garçon", "Œuvre", "señor", "piñata", "más", "azúcar", "¿Qué?", "pão", "maçã",
    "AÇÚCAR", "però", "città", "1ère", "smørrebrød", "på", "håndsæbe", "financiën", "£5.00", "5,00 €", "€ 5",
    "LEGO™", "Lego®", "20°C", "1½ kg", "nº 5", "« bon »", "“quoted”", "10\u201320", "m²", "RED",
)  # fmt: skip
CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1", "cp850")


def file_of(words: list[str]) -> str:
    return "".join(["id;text;price\r\n", *(f"{n};{word};9,90\r\n" for n, word in enumerate(words))])


# encodings


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), st.sampled_from(CODECS))
def test_a_text_is_found_in_its_encoding_or_refused(words: list[str], codec: str):
    text = file_of(words)
    with suppress(UnicodeEncodeError, DialectError):
        head = text.encode(codec)
        found, why = encoding_of(head, whole=True)
        assert head.decode(found) == text, why


@pytest.mark.parametrize("codec", ["cp1252", "cp850", "utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_shop_s_ordinary_file_is_not_refused(codec: str):
    text = file_of(["Käse", "Größe", "Gemüse", "crème brûlée", "señor", "CAFÉ"])
    assert text.encode(codec).decode(encoding_of(text.encode(codec), True)[0]) == text


@pytest.mark.parametrize(
    ("codec", "words"),
    [("cp850", words) for words in ("Straße", "Größe")]
    + [
        ("cp1252", words)
        for words in (
            "más", "Käse", "CAFÉ", "crème brûlée", "señor", "città", "smørrebrød rødgrød", "på håndsæbe",
            "Müller Citroën", "forêt hôtel être",
        )
    ],
)  # fmt: skip
def test_few_letters_are_enough_where_they_stand(codec: str, words: str):
    assert encoding_of(file_of(words.split()).encode(codec), whole=True)[0] == codec


@pytest.mark.parametrize(
    ("words", "codec"),
    [
        ("привет мир", "cp1251"), ("привет мир", "koi8-r"), ("Łódź żółw ręka", "cp1250"),
        ("Łódź żółw ręka", "iso-8859-2"), ("příliš žluťoučký kůň", "cp1250"),
        ("árvíztűrő tükörfúrógép", "cp1250"), ("καλημέρα", "cp1253"), ("a\u011fa\u00e7 k\u0131z", "cp1254"),
        ("日本語テキスト", "shift_jis"), ("简体中文", "gb18030"), ("Café Köln", "mac_roman"),
        ("piñata", "mac_roman"), ("12,50 €", "iso-8859-15"),
    ],
)  # fmt: skip
def test_encodings_that_it_does_not_know_are_refused(words: str, codec: str):
    with pytest.raises(DialectError, match="declare `encoding:`"):
        encoding_of(file_of([words]).encode(codec), whole=True)


@pytest.mark.parametrize(
    ("words", "codec", "both"),
    [
        ("ÖL", "cp1252", "Ö in cp1252, Í in cp850"),
        ("voilà", "cp850", "… in cp1252, à in cp850"),
        ("NESCAFÉ®", "cp1252", "ɮ in UTF-8, É® in cp1252"),
        ("Sørensen", "cp1252", "ø in cp1252, ř in cp1250; both may be meant"),
        *(
            (words, "cp1250", "in cp1250|neither makes sense")
            for words in ("Dvořák", "Jiří", "Němec", "Zieliński", "Bučko Březina", "Křečková Dvořák Říha")
        ),
    ],
)
def test_what_two_encodings_may_mean_is_refused_with_both_readings(words: str, codec: str, both: str):
    with pytest.raises(DialectError, match=both):
        encoding_of(file_of(words.split()).encode(codec), whole=True)


@given(st.integers(min_value=0))
def test_a_head_may_end_inside_a_character(cut: int):
    head = file_of(["Käse 日本語", "€ 5", "😀"]).encode()
    assert encoding_of(head[: cut % (len(head) + 1)], whole=False)[0] == "utf-8"


def test_a_broken_byte_in_much_utf_8_costs_its_row_and_not_the_file():
    head = file_of(["Käse"] * 30).encode() + b"30;K\xe4se;9,90\r\n"
    codec, why = encoding_of(head, whole=True)
    assert codec == "utf-8"
    assert "but for 1" in why


def test_the_evidence_shows_the_letters():
    assert encoding_of(file_of(["Käse", "Öl"]).encode("cp1252"), True) == (
        "cp1252",
        "byte 0xe4 is not UTF-8; the letters make sense (äÖ), latin-1 reads it alike",
    )


# delimiters

FIELDS = ["a", "1.5", "x y", '"p,q;r|s\tt"', '"two\nlines"', ""]


@given(
    st.sampled_from(",;\t|"),
    st.lists(st.lists(st.sampled_from(FIELDS), min_size=4, max_size=4), min_size=1, max_size=6),
    st.integers(0, 40),
)
def test_a_delimiter_is_found_or_refused(delimiter: str, rows: list[list[str]], cut: int):
    text = "".join(f"{delimiter.join(row)}\n" for row in [["id", "sku", "qty", "at"], *rows])
    with suppress(DialectError):
        assert delimiter_of(text[: len(text) - cut]) == delimiter


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a;b;c\n1;2,5;3,5\n", ";"),
        ("1;2,5;3,5\n1;2,5;3,5\n", ";"),
        ('a,b\n"x;,y",2\n', ","),
        ("a\tb\n1, 2\t3\n", "\t"),
        ("sep=;\na;b,c;d,e\n", ";"),
        ("a,b,c\n1,2,3\n" * 20 + "1,2,3,4\n", ","),
        ("a,b,c\n1,2,3\n1,2", ","),
    ],
)
def test_delimiters_are_told_from_decimal_marks_and_texts(text: str, delimiter: str):
    assert delimiter_of(text) == delimiter


@pytest.mark.parametrize("text", ["", "one column\nx\n", "a|b;c|d\n1|2;3|4\n", "a,b\n1\n2,3,4\n"])
def test_what_no_delimiter_splits_evenly_is_refused(text: str):
    with pytest.raises(DialectError, match="declare `delimiter:`"):
        delimiter_of(text)


# dates

LONG = {"day_first": "{0.day}{1}{0.month}{1}{0:%Y}", "month_first": "{0:%m}{1}{0:%d}{1}{0:%Y}"}
LONG["year_first"] = "{0:%Y}{1}{0:%m}{1}{0:%d}"
SHORT = {"day_first": "{0:%d}{1}{0:%m}{1}{0:%y}", "month_first": "{0.month}{1}{0.day}{1}{0:%y}"}
SHORT["year_first"] = "{0:%y}{1}{0:%m}{1}{0:%d}"


@given(
    st.sampled_from(list(LONG)),
    st.sampled_from("./-"),
    st.sampled_from([LONG, SHORT]),
    st.dates(date(2000, 1, 1), date(2029, 1, 1)),
    st.lists(st.integers(0, 730), min_size=1, max_size=60),
)
def test_the_order_of_dates_within_two_years_is_found_or_left_open(
    order: str, mark: str, written: dict[str, str], start: date, offsets: list[int]
):
    texts = [written[order].format(start + timedelta(days=n), mark) for n in offsets]
    assert date_order_of(texts) in (order, None)


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["13/04/2024 10:00", "01/04/2024"], "day_first"),
        (["1/31/24", "2/1/24"], "month_first"),
        (["2024-01-02T10:00:00Z"], "year_first"),
        (["20240305"], "year_first"),
        (["03/04/2024", "12/12/2024"], None),
        (["13.01.2024", "01.13.2024"], None),
        (["5 March 2024", "noon"], None),
        ([], None),
    ],
)
def test_only_a_day_above_twelve_tells_days_from_months(texts: list[str], order: str | None):
    assert date_order_of(texts) == order


# numbers

STYLES = [
    (".", ","), (",", "."), (".", "'"), (",", " "), (",", "\u202f"), (".", "\u2019"), (",", ""), (".", ""),
]  # fmt: skip
AMOUNTS = (
    st.decimals(0, 10_000_000, places=2)
    | st.decimals(0, 100_000, places=3)
    | st.integers(0, 9_999_999).map(Decimal)
)
DRESS = ("{}", "{} ", "{}-", "-{}", "({})", "€ {}", "{} €", "£{}", "CHF {}", "{} kr.", "$-{}")


def printed(value: Decimal, decimal: str, thousands: str) -> str:
    return f"{value:,f}".translate({ord(","): thousands, ord("."): decimal})


@given(st.sampled_from(STYLES), st.lists(AMOUNTS, min_size=1, max_size=8), st.sampled_from(DRESS))
def test_the_style_of_numbers_is_found_or_left_open(
    style: tuple[str, str], values: list[Decimal], dress: str
):
    plain = [printed(value, *style) for value in values]
    found = number_style_of(dress.format(text) for text in plain)
    if found is not None:
        decimal, thousands = found
        blanks = {0x202F: " ", 0x2019: "'"}
        read = [text.translate(blanks).replace(thousands, "").replace(decimal, ".") for text in plain]
        assert [Decimal(text) for text in read] == values


@pytest.mark.parametrize(
    ("texts", "style"),
    [
        (["1,234.50"], (".", ",")), (["1.234,50-", "(12,3)"], (",", ".")),
        (["1 234,50", "1\u202f234,50"], (",", " ")), (["CHF 1'200.00"], (".", "'")), (["€ 0,500"], (",", "")),
        (["12", "007"], (".", "")), (["-.5", "n/a"], (".", "")),
        *((texts, None) for texts in (["1,234"], ["1.234"], ["1.5", "2,5"], ["many"], [])),
    ],
)  # fmt: skip
def test_a_mark_before_three_digits_alone_proves_nothing(texts: list[str], style: tuple[str, str] | None):
    assert number_style_of(texts) == style
