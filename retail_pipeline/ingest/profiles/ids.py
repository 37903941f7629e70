"""Ids of customers, invoices and products as one text each, however a file decorates them.

The rule, in its order: letters are composed (NFC); invisible characters go (zero-width, direction and order
marks, soft hyphens), blanks of every kind become plain ones, blanks and control characters around the id go;
so do a formula's ``="..."``, quotes around the whole and an apostrophe before it; decimals that are all zero
go from a number (``17850.0``; of three zeros only where they can be no group of thousands), and a number in
scientific notation that lacks no digit is written out. Words for nothing, and punctuation alone, are nobody.
What then still holds a control character or a lost letter, or has lost digits, is unreadable. Letter case and
leading zeros stay.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from sqlglot import exp

# these need no look: digits and letters with a number among them, but no E after digits; e-mails
PLAIN = (
    "^(?:#?[0-9]+[A-DF-Za-df-z]*(?:[/-][0-9]+)*|#?[A-Za-z]+[-_/]?[0-9][0-9A-Za-z_/-]*|"
    "[0-9A-Za-z][0-9A-Za-z._+-]*@[0-9A-Za-z.-]+|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
)
# before what is wrong with an id that cannot be read; no readable id begins with it
MARK = "\x01"

# format characters, and fillers, joiners and variation selectors, which no font shows either
_UNSEEN = (
    r"[\p{Cf}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}"
    r"\x{fe00}-\x{fe0f}\x{ffa0}]"
)
_AROUND = r"^[\p{Zs}\p{Cc}\x{2028}\x{2029}]+|[\p{Zs}\p{Cc}\x{2028}\x{2029}]+$"
# nothing of the sort, and no letter beyond ASCII: there is nothing to take off
_DECORATED = r"""[^\x{21}-\x{7e} ]|^[ ='"]| $|[.,]0+$"""
_WRAPPED = r"""^(?:="([^"]*)"|"([^"]*)"|'([^']*)'|'+(.*))$"""
# 17850.0 and 17850,00; three zeros (1.000) only where they are no group of thousands. A double holds the
# digits of whole numbers up to 9e15
_WHOLE = r"^(?:(-?(?:[0-9]{1,15}|[0-8][0-9]{15}))[.,](?:00?|0{4,})|(-?(?:[0-9]{4,15}|0[0-9]*))[.,]000)$"
# 1.23E+05 and 1,5e7 as programs write numbers, but not 1E5 or 2E-14 as people name shelves
_SCIENTIFIC = r"^-?[0-9]{1,3}(?:[.,][0-9]+[eE][+-]?|[eE][+])[0-9]{1,3}$"
_NOTHING = (
    r"(?i)^(?:[\pP\pZ]*|nan|nat|null|none|nil|undefined|n/?a|n\.a\.|#n/?a|#nv|\\n|"
    r"[<(\[{](?:nan|null|none|nil|n/?a|blank|empty)[>)\]}])$"
)
_PROBLEMS = (
    (r"[\p{Cc}\x{2028}\x{2029}]", "holds a line break or a control character: mend the export"),
    (r"\x{fffd}", "has lost a letter to a wrong encoding: have it exported again"),
    (
        r"(?i)^(?:##+|#(?:ref|value|name|div/0|num|null|spill|calc|bezug|wert|zahl)[!?]?)$",
        "is what a spreadsheet shows instead of a value: export it from the shop, not from a spreadsheet",
    ),
    (
        rf"{_SCIENTIFIC}|^-?[0-9]{{16,}}[.,]0+$",
        "has lost digits, as spreadsheets show long numbers: export it from the shop, or as text",
    ),
    (r"""(?s)^(?:[='].*|"[^"]*")$""", "is a formula, or quoted more than once: export the value itself"),
)


def bare_sql(text: str) -> str:
    """SQL (DuckDB) of a text without what is no part of the id; null where there is nothing to take off."""

    def replaced(value: str, pattern: str, by: str, every: bool = False) -> str:
        options = ", 'g'" if every else ""
        return f"regexp_replace({value}, {literal(pattern)}, {literal(by)}{options})"

    bare = replaced(replaced(f"nfc_normalize({text})", _UNSEEN, "", True), r"\p{Zs}", " ", True)
    inner = replaced(replaced(bare, _AROUND, "", True), _WRAPPED, r"\1\2\3\4")
    whole = replaced(replaced(inner, _AROUND, "", True), _WHOLE, r"\1\2")
    return f"""case when {text} is null or regexp_matches({text}, {literal(PLAIN)}) then null
        when regexp_matches({text}, '^[0-9]{{1,15}}[.]0$') then left({text}, length({text}) - 2)
        when regexp_matches({text}, {literal(_DECORATED)}) then {whole} else {text} end"""


def id_sql(text: str, bare: str) -> str:
    """SQL (DuckDB) of the id in a text whose ``bare_sql`` is the column ``bare``.

    Null for nobody, ``MARK`` and what is wrong if it is unreadable.
    """
    # a number with as many decimals as its exponent says is whole, and lacks no digit
    decimals = f"length(regexp_extract({bare}, '[.,]([0-9]+)', 1))"
    is_full = f"try_cast(regexp_extract({bare}, '[eE]([+]?[0-9]+)$', 1) as integer) = {decimals}"
    problems = " ".join(
        f"when regexp_matches({bare}, {literal(pattern)}) then chr({ord(MARK)}) || {literal(why)}"
        for pattern, why in _PROBLEMS
    )
    doubtful = "|".join(f"(?:{pattern})" for pattern in (_NOTHING, *(pattern for pattern, _ in _PROBLEMS)))
    return f"""case when {bare} is null then {text}
        when not regexp_matches({bare}, {literal(doubtful)}) then {bare}
        when regexp_matches({bare}, {literal(_NOTHING)}) and not regexp_matches({bare}, '^##') then null
        when regexp_matches({bare}, {literal(_SCIENTIFIC)}) and {is_full}
            then cast(try_cast(replace({bare}, ',', '.') as decimal(38, 0)) as varchar)
        {problems} else {bare} end"""


def id_of(text: str) -> str:
    """The same of a setting, which holds nothing unreadable; empty for nobody."""
    bare = unicodedata.normalize("NFC", text)
    bare = "".join(c for c in bare if unicodedata.category(c) != "Cf").strip()
    inner = re.sub(_WRAPPED, r"\1\2\3\4", bare).strip()
    return re.sub(_WHOLE, r"\1\2", inner)


@cache
def literal(text: str) -> str:
    """A text as a literal of SQL (DuckDB)."""
    return str(exp.Literal.string(text).sql("duckdb"))
