"""How a text is written: encoding, delimiter, order of dates, marks of numbers; found on evidence or refused.

Nothing here takes the likeliest guess: what two ways of writing would read differently is refused, and the
profile has to say it. That is why no general detector of encodings is used: it always names one.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from itertools import islice
from types import MappingProxyType
from typing import Literal

from retail_pipeline.ingest.profiles.encodings import may_be_central
from retail_pipeline.planning.manifests import Frozen

DateOrder = Literal["day_first", "month_first", "year_first"]

SAMPLE_RECORDS = 200
# the share of signs of a wrong reading that typing errors may explain
_NOISE = 0.05


class Evidence(Frozen):
    """One thing that was found out about a file: what, as which value, and why. A line to be read.

    ``remark`` is what is said of the file wherever it lands, without what it holds; empty for most.
    """

    what: str
    value: str
    why: str
    remark: str = ""


class DialectError(ValueError):
    """A sample does not show how it is written; the message says what to declare in the profile."""


# encodings


def encoding_of(head: bytes, whole: bool) -> tuple[str, str]:
    """The name of Python's codec that reads a file, and why.

    ``head`` is the file's beginning; ``whole`` says that nothing follows (else it may end inside a
    character). Where the head is plain ASCII and the file goes on, ask again with the lines that are not.

    Raises:
        DialectError: two encodings read it differently and neither is clearly wrong, or all are.
    """
    for mark, codec in _MARKS.items():
        if head.startswith(mark):
            return codec, "it begins with the byte order mark of this encoding"
    if b"\0" in head and (wide := _utf16(head)):
        return wide, "every other byte is zero, as in text of two bytes a character"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(head, final=whole)
    except UnicodeDecodeError as error:
        text = head.decode("utf-8", "replace")
        broken = text.count("\ufffd")
        if broken > _NOISE * (len(_BEYOND.findall(text)) - broken):
            return _narrow(head, head[error.start])
        why = f"its bytes beyond ASCII are valid UTF-8 but for {broken}, whose rows are unreadable"
        return "utf-8", why
    if text.isascii():
        return "utf-8", "it holds plain ASCII only" if whole else "its beginning holds plain ASCII only"
    letters = _shown(text)
    if all(_RARE.match(letter) for letter in letters) and _plausible(head, "cp1252"):
        raise DialectError(_no_encoding(f"{letters} in UTF-8, {_shown(head.decode('cp1252'))} in cp1252"))
    return "utf-8", f"its bytes beyond ASCII are valid UTF-8 ({letters})"


def _no_encoding(why: str) -> str:
    return f"has no clear encoding: {why}: declare `encoding:` in the profile"


_BEYOND = re.compile(r"[^\x00-\x7f]")
# the longer marks first: that of UTF-32 begins with that of UTF-16
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# alphabets no shop's texts consist of, which signs after capitals in cp1252 (É®) happen to spell in UTF-8
_RARE = re.compile("[\u0180-\u0217\u021c-\u036f\u0500-\u058f\u0700-\u08ff]")


def _utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: many of its two-byte characters are ASCII, in one of the two orders."""
    first, second = head[0::2], head[1::2]
    for codec, zeros, letters in (("utf-16-le", second, first), ("utf-16-be", first, second)):
        plain = sum(z == 0 and c in _ASCII_TEXT for z, c in zip(zeros, letters, strict=False))
        if plain > len(head) / 8:
            return codec
    return None


_ASCII_TEXT = frozenset(b"\t\n\r") | frozenset(range(0x20, 0x7F))


def _narrow(head: bytes, first_wrong: int) -> tuple[str, str]:
    """The encoding of text with one byte a character that is not UTF-8."""
    why_not = f"byte 0x{first_wrong:02x} is not UTF-8"
    fitting = [codec for codec in ("cp1252", "cp850") if _plausible(head, codec)]
    # a Macintosh's letters lie where DOS has others; they are never taken for those of cp1252
    if fitting == ["cp850"] and _plausible(head, "mac_roman"):
        fitting.append("mac_roman")
    if fitting == ["cp1252"] and may_be_central(head):
        fitting.append("cp1250")
    readings = {codec: _shown(head.decode(codec, "replace")) for codec in fitting or ("cp1252", "cp850")}
    if len(fitting) == 1:
        alike = "" if re.search(rb"[\x80-\x9f]", head) else ", latin-1 reads it alike"
        return fitting[0], f"{why_not}; the letters make sense ({readings[fitting[0]]}){alike}"
    said = ", ".join(f"{letters} in {codec}" for codec, letters in readings.items())
    problem = "both may be meant" if fitting else "neither makes sense"
    raise DialectError(_no_encoding(f"{why_not}, and {said}; {problem}"))


_VOWELS = frozenset("aeiouyäöüAEIOUYÄÖÜ")
_LETTERS = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ")
_ALONE = frozenset("àÀèÈéÉóÓôÔåÅæÆøØ")
_APOSTROPHE, _TIMES, _BLANK = "\u2019", "\u00d7", "\u00a0"
_OPENING = frozenset("«¿¡“„\u2018\u201a")
_CLOSING = frozenset("»”" + _APOSTROPHE)
_CURRENCIES, _AFTER, _ORDINALS = frozenset("£€¥¢"), frozenset("®™©°½¼¾…"), frozenset("ªº")
_APART = frozenset("\u2013—•·±µ§" + _TIMES + _BLANK)
_SIGNS = {
    "cp1252": _OPENING | _CLOSING | _CURRENCIES | _AFTER | _ORDINALS | _APART,
    # 0xbd is the cent of cp850, which no shop has, and the half of cp1252, which many have
    "cp850": frozenset("«»¿¡£®©°½¼¾±" + _TIMES) | _ORDINALS,
    "mac_roman": frozenset("«»¿¡“”£€¥¢®™©°…—•") | _ORDINALS,
}


def _plausible(head: bytes, codec: str) -> bool:
    """Whether nearly every character beyond ASCII is one that shops write, in a place where it stands."""
    text = f" {head.decode(codec, 'replace')} "
    found = [m.start() for m in _BEYOND.finditer(text)]
    wrong = sum(not _in_place(text[n - 1], text[n], text[n + 1], _SIGNS[codec]) for n in found)
    return wrong <= _NOISE * len(found)


def _in_place(before: str, char: str, after: str, signs: frozenset[str]) -> bool:
    """Whether a letter or sign beyond ASCII may stand between these two characters."""
    if char in _LETTERS:
        return _letter_in_place(before, char, after)
    if char in "²³":
        return before in "mM" and not after.isalpha()
    if char not in signs:
        return False
    if char in _OPENING:
        return not before.isalnum() and after.isalnum()
    if char in _CLOSING:
        ends = before.isalnum() or before in ".,!?"
        return ends and (char == _APOSTROPHE or not after.isalnum())
    if char in _CURRENCIES:
        return not before.isalpha() and not after.isalpha()
    if char in _ORDINALS:
        return before.isdigit() or before in "nNMdD"
    inside = before.isalpha() and after.isalpha()
    return not inside or char in (_BLANK, _TIMES)


def _letter_in_place(before: str, letter: str, after: str) -> bool:
    if not before.isalpha() and not after.isalpha():
        return letter in _ALONE or (letter == "Ø" and after.isdigit())
    # inside a word capitals do not follow small letters, nor stand small letters among capitals
    if letter.isupper() and (before.islower() or (before.isupper() and after.islower())):
        return False
    if letter.islower() and letter != "ß" and (after.isupper() or (before.isupper() and not after.islower())):
        return False
    if after.isdigit() or not (before.isascii() or after.isascii()):
        return False
    # these have their places in Portuguese and German; elsewhere they are another encoding's ä and á
    if letter in "õÕ":
        return after in "eE"
    if letter == "ß":
        return before in _VOWELS
    return not (letter in "áÁ" and before in "aoAO")


def _shown(text: str) -> str:
    return "".join(islice(dict.fromkeys(_BEYOND.findall(text)), 12))


# delimiters


def delimiter_of(text: str, candidates: str = ",;\t|") -> str:
    """The delimiter that splits a file's records into equally many fields, quotes heeded.

    ``text`` is the file's beginning; its last record may be cut. A first line ``sep=;``, as Excel writes it,
    settles it.

    Raises:
        DialectError: no candidate splits it evenly, or several do.
    """
    if stated := re.match(r"""(["']?)sep=(.)\1\r?\n""", text):
        return stated.group(2)
    shares = {c: _even_fields(text, c) for c in candidates}
    even: dict[str, int] = {}
    # half of them, where it is two tables in one file, say: rows that do not fit are unreadable, one by one
    for least in (0.9, 0.5):
        even = even or {c: count for c, (count, share) in shares.items() if count > 1 and share >= least}
    # `12,50;3,00`: commas that stand in numbers only are decimal marks where another delimiter does
    if len(even) > 1 and "," in even and not re.search(r"(?<!\d),|,(?!\d)", text):
        del even[","]
    if len(even) == 1:
        return next(iter(even))
    said = ", ".join(f"{delimiter!r} gives {count} fields" for delimiter, count in even.items())
    tried = ", ".join(map(repr, candidates))
    why = f" ({said}):" if said else f": none of {tried} splits its lines into equally many fields;"
    raise DialectError(f"has no clear delimiter{why} declare `delimiter:` in the profile")


def _even_fields(text: str, delimiter: str) -> tuple[int, float]:
    """How many fields most records have, and the share of those that have as many."""
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
    try:
        counts = [len(r) for r in islice(reader, SAMPLE_RECORDS) if any(field.strip() for field in r)]
    except csv.Error:
        return 0, 0
    if len(counts) > 2 and not text.endswith(("\n", "\r")):
        counts.pop()
    if not counts:
        return 0, 0
    count = Counter(counts).most_common(1)[0][0]
    return count, counts.count(count) / len(counts)


# dates


def date_order_of(texts: Mapping[str, int] | Iterable[str]) -> DateOrder | None:
    """In which order days, months and years are written; None when several fit, none does, or few tell.

    ``texts`` may come with how often each stands there. Those that begin with no numeric date
    (``5 March 2024``) show nothing and are passed over. ISO dates and ``20240305`` are year first.

    Whether the day or the month comes first is told by days above 12. If the other dates gather in far fewer
    months when read the other way, or less than a tenth of the rows tell and the others gather no better,
    they are not believed.
    """
    counted = _dates(texts)
    dates = list(counted)
    fitting = [order for order in _PLACES if all(_fits(order, parts) for parts in dates)]
    if len(fitting) > 1 and "year_first" in fitting:
        # two digits each: of many days those that hardly change are the year
        first, last = (len({parts[place] for parts in dates}) for place in (0, 2))
        if last <= 2 and first > 12:
            fitting.remove("year_first")
        elif first <= 2 and last > 12:
            fitting = ["year_first"]
    order = fitting[0] if dates and len(fitting) == 1 else None
    return order if order in (None, "year_first") or _believed(order, counted) else None


def dates_by_order(texts: Mapping[str, int] | Iterable[str]) -> dict[DateOrder, int]:
    """How many of these texts are dates in one order alone, by order."""
    found: dict[DateOrder, int] = dict.fromkeys(_PLACES, 0)
    for parts, count in _dates(texts).items():
        fitting = [order for order in _PLACES if _fits(order, parts)]
        if len(fitting) == 1:
            found[fitting[0]] += count
    return found


def _dates(texts: Mapping[str, int] | Iterable[str]) -> Counter[tuple[str, ...]]:
    """The three numbers of each date, as they come, and how often they stand there."""
    dates: Counter[tuple[str, ...]] = Counter()
    for text, count in Counter(texts).items():
        if found := _DATE.match(_COMPACT.sub(r"\1-\2-\3", text.strip())):
            dates[found.group(1, 3, 4)] += count
    return dates


def _believed(order: DateOrder, counted: Counter[tuple[str, ...]]) -> bool:
    """Whether as many rows tell the order as one would expect, and the others do not speak against it."""
    swapped: DateOrder = "month_first" if order == "day_first" else "day_first"
    open_ = {parts: count for parts, count in counted.items() if _fits(swapped, parts)}
    months, others = ({(p[_PLACES[o][0]], p[_PLACES[o][1]]) for p in open_} for o in (order, swapped))
    if len(others) * _GATHERED < len(months):
        return False
    telling = counted.total() - sum(open_.values())
    return telling >= _TELLING * counted.total() or len(months) < len(others)


_TELLING, _GATHERED = 0.1, 3
_COMPACT = re.compile(r"^((?:19|20)\d\d)([01]\d)([0-3]\d)(?!\d)")
_DATE = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?!\d)")
# where year, month and day stand
_PLACES: Mapping[DateOrder, tuple[int, int, int]] = MappingProxyType(
    {"day_first": (2, 1, 0), "month_first": (2, 0, 1), "year_first": (0, 1, 2)}
)


def _fits(order: DateOrder, parts: Sequence[str]) -> bool:
    year, month, day = (parts[place] for place in _PLACES[order])
    is_year = len(year) == 2 or (len(year) == 4 and 1900 <= int(year) <= 2200)
    return is_year and max(len(month), len(day)) <= 2 and 1 <= int(month) <= 12 and 1 <= int(day) <= 31


# numbers


def number_style_of(texts: Iterable[str]) -> tuple[str, str] | None:
    """The decimal mark and the thousands mark (empty: none seen) of a column; None when not clear.

    Currency signs and codes, a sign before or after the number and accountants' parentheses are passed over,
    and so are texts that are no numbers; a blank as thousands mark stands for every kind of blank. Digits
    alone are read alike in every style: they give ``(".", "")``. Not clear are ``1,234`` alone, ``1.234``
    alone, and a column that mixes styles.
    """
    bare = {_bare(text) for text in texts}
    numbers = [text for text in bare if any(_value(text, style) is not None for style in _STYLES)]
    readings = {style: [_value(text, style) for text in numbers] for style in _STYLES}
    fitting = [style for style, values in readings.items() if None not in values]
    if not numbers or any(readings[style] != readings[fitting[0]] for style in fitting):
        return None
    return fitting[0] if fitting else None


def number_of(text: str, style: tuple[str, str]) -> Decimal | None:
    """What a number is worth without its sign, read in a style of ``number_style_of``; None if it is none."""
    return _value(_bare(text), style)


# those without a thousands mark first: of styles that read a column alike it is the one that was seen
_STYLES = tuple(
    (decimal, thousands) for thousands in ("", ",", ".", "'", " ") for decimal in ".," if decimal != thousands
)
_AROUND = re.compile(r"^[^\d.,-]*-?[^\d.,-]*|[^\d]*$")


def _bare(text: str) -> str:
    """A number's digits and marks alone, all kinds of blanks and of apostrophes written as one."""
    plain = re.sub(r"[\s\u00a0\u2009\u202f]", " ", text).replace("\u2019", "'")
    return _AROUND.sub("", plain)


@cache
def _pattern(style: tuple[str, str]) -> re.Pattern[str]:
    decimal, thousands = map(re.escape, style)
    grouped = rf"[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+|" if thousands else ""
    return re.compile(rf"({grouped}\d+|(?={decimal}\d))(?:{decimal}(\d+))?")


def _value(number: str, style: tuple[str, str]) -> Decimal | None:
    """What a number without its sign is worth, read in a style; None if it is not written so."""
    found = _pattern(style).fullmatch(number)
    if found is None:
        return None
    whole = found.group(1).replace(style[1], "") if style[1] else found.group(1)
    return Decimal(f"{whole or 0}.{found.group(2) or 0}")
