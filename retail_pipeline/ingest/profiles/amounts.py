"""Quantities and prices as people write them -> plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from retail_pipeline.ingest.profiles.ids import MARK, literal

NO_NUMBER = "is not a number"

_DOLLARS = (
    "USD AUD CAD NZD HKD SGD TWD MXN ARS CLP COP UYU BRL BMD BBD BSD BZD BND KYD XCD FJD GYD JMD LRD NAD SBD "
    "SRD TTD DOP CUP"
)
# whose sign it may be, in small letters and without a dot; a currency's code is a sign of its own
_SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "$": _DOLLARS, "us$": "USD", "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD",
        "hk$": "HKD", "s$": "SGD", "nt$": "TWD", "mx$": "MXN", "r$": "BRL", "€": "EUR",
        "£": "GBP GIP FKP SHP EGP LBP SYP SDG", "¥": "JPY CNY", "￥": "JPY CNY", "円": "JPY", "元": "CNY",
        "₹": "INR", "rs": "INR PKR LKR NPR MUR", "₨": "INR PKR LKR NPR MUR", "₺": "TRY", "tl": "TRY",
        "₽": "RUB", "руб": "RUB", "₩": "KRW", "₪": "ILS", "₫": "VND", "đ": "VND", "฿": "THB",  # noqa: RUF001
        "₱": "PHP", "₦": "NGN", "₴": "UAH", "грн": "UAH", "₸": "KZT", "₡": "CRC", "₲": "PYG", "₵": "GHS",
        "₼": "AZN", "₾": "GEL", "kr": "SEK NOK DKK ISK", "zł": "PLN", "kč": "CZK", "ft": "HUF",
        "lei": "RON", "лв": "BGN", "fr": "CHF", "sfr": "CHF", "rm": "MYR", "rp": "IDR", "r": "ZAR",
        "dh": "AED MAD", "ksh": "KES",
    }
)  # fmt: skip

_MARKS = MappingProxyType({" ": r"[ \x{a0}\x{2009}\x{202f}]", "'": r"['\x{2019}]"})
_BLANK = r"[\s\pZ]*"
# letters and signs are what is none of the rest: a class of all letters takes RE2 half a second to compile
_SIGN = r"((?:[^0-9\s\pZ.,'()+\x{2010}-\x{2015}\x{2212}-]{1,4}[.]?)?)"
_MINUS = r"-\x{2212}"
_DASHES = r"[-\x{2010}-\x{2015}\x{2212}]{1,2}"
_MARKED = r"[0-9][.,\s\pZ\x{2019}]+[0-9]"
_NAMES = "['s1', 'before', 's2', 'number', 'cents', 's3', 'after', 's4']"


def number_sql(text: str, decimal: str, thousands: str | None, currency: str | None) -> str:
    """SQL (DuckDB) of a text's number as a plain text, or ``MARK`` and what is wrong with it; null for none.

    ``currency`` is SQL of that of the row; where it is None, no sign of a currency may stand there.
    """
    # the short way serves nearly all numbers of nearly all files
    is_plain = f"regexp_matches({text}, '^[+-]?[0-9]+(?:[{decimal}][0-9]+)?$')"
    plain = text if decimal == "." else f"replace({text}, ',', '.')"
    whole = "[0-9]+"
    if thousands:
        mark = _MARKS.get(thousands, f"[{thousands}]")
        # the last group has three digits, so that 1.50 is not taken for 150
        whole = f"(?:[0-9]{{1,3}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}|[0-9]+)"
    number = f"((?:{whole}(?:[{decimal}][0-9]+)?|[{decimal}][0-9]+)(?:[eE][+-]?[0-9]{{1,2}})?)"
    # 12,- and 12.-- are whole amounts: the dash stands for the cents
    cents = f"((?:[.,]{_BLANK}{_DASHES}|[{decimal}])?)"
    parts = (_SIGN, f"([{_MINUS}+(]?)", _SIGN, number + cents, _SIGN, f"([{_MINUS}+)]?)", _SIGN)
    pattern = literal(_BLANK.join(("^", *parts, "$")))
    sign = "rtrim(lower(concat(n.s1, n.s2, n.s3, n.s4)), '.')"
    known = ", ".join(f"{literal(sign)}: {literal(f' {codes} ')}" for sign, codes in _SIGNS.items())
    wrong = marked(NO_NUMBER)
    foreign, fits = wrong, "false"
    if currency is not None:
        codes = f"map {{{known}}}[{sign}]"
        fits = f"contains({codes}, ' ' || {currency} || ' ') or {sign} = lower({currency})"
        foreign = f"""case when {codes} is not null or regexp_matches({sign}, '^[a-z]{{3}}$|\\p{{Sc}}')
            then {marked("is not an amount in ")} || {currency} else {wrong} end"""
    digits = f"replace(regexp_replace(n.number, '[^0-9{decimal}eE+-]', '', 'g'), '{decimal}', '.')"
    # a spreadsheet that shows 123456 as 1.2E+05 has lost digits; a number with all of them has not
    exponent = "coalesce(try_cast(regexp_extract(n.number, '[eE][+]?([0-9]+)$', 1) as integer), 0)"
    lost = f"{exponent} > length(regexp_extract(n.number, '[{decimal}]([0-9]*)', 1))"
    return f"""case when {text} is null then null
        when {is_plain} then {plain}
        when regexp_matches({text}, {pattern}) then list_transform(
            [regexp_extract({text}, {pattern}, {_NAMES})],
            lambda n: case
                when {sign} <> '' and not coalesce({fits}, false) then {foreign}
                when {lost} then {marked("has lost digits to scientific notation")}
                when concat(n.before, n.after) = '' or (n.before = '+' and n.after = '') then {digits}
                when concat(n.before, n.after) in ('-', chr({0x2212}), '()') then '-' || {digits}
                else {wrong} end)[1]
        when regexp_matches({text}, '^{_BLANK}$') then null
        when regexp_matches({text}, {literal(_MARKED)})
            then {marked("is not a number as the profile writes them (decimal_mark, thousands_mark)")}
        else {wrong} end"""


def marked(why: str) -> str:
    """SQL of a text that says why there is no value."""
    return f"chr({ord(MARK)}) || {literal(why)}"


def written_out(number: str) -> str:
    """A number as a program writes it, without an exponent where all its digits are there.

    Beyond 15 digits a double has lost some: such a number keeps its exponent, and an id is refused for it.
    """
    value = Decimal(number)
    if not value.is_finite() or not -30 < value.adjusted() < 15:
        return number
    text = format(value, "f")
    return text.removesuffix(".0")
