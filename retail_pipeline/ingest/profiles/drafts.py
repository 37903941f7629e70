"""Drafts of source profiles: from a header and some rows to settings that a person can paste and correct.

A draft is never used by itself: a person pastes it into the settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from types import MappingProxyType

from retail_pipeline.ingest.profiles.dialects import date_order_of, number_style_of
from retail_pipeline.ingest.profiles.draft_columns import (
    ID,
    MAY_BE,
    MONEY,
    MONTHS,
    MOSTLY,
    NUMBER,
    NUMBERS,
    NUMERIC_DATE,
    PLAIN_ISO,
    ZONED,
    Column,
    Fact,
    Found,
    Style,
    columns_of,
    kind_of,
    lines_of_orders,
    plain_number,
    scalar,
)
from retail_pipeline.ingest.profiles.draft_questions import asked, counts, state_columns
from retail_pipeline.ingest.profiles.draft_words import CODES, DOLLARS, HUNDREDTHS, RANKS, SIGNS
from retail_pipeline.ingest.profiles.profile import CANONICAL, REQUIRED, clean_header
from retail_pipeline.planning.manifests import Frozen

_NONE = "no column was found for it"
_ELSEWHERE = f"{_NONE}; if it stands in another file, say `lookups`"
_HEADLESS = (
    "header: the first row looks like data: if the file has no header, name its columns under "
    "`header:` and say under `files:` what such files are called"
)


class Draft(Frozen):
    """A profile for an unknown file as YAML with comments, and what a person must decide.

    ``wanting`` are the columns that a profile needs and for which none was found.
    """

    questions: tuple[str, ...]
    text: str
    wanting: tuple[str, ...] = ()


def profile_draft(
    name: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    currency: str | None = None,
    layout: Sequence[Fact] = (),
    second: Sequence[str] = (),
) -> Draft:
    """Draft a profile called ``name`` from a file's header and its first rows (all texts).

    ``encoding``, ``delimiter`` and what else ``layout`` says of how the file lies are written down;
    ``currency`` is that of the settings, ``second`` are columns of a second file (``file.COLUMN``). A draft
    without questions reads the sample as it stands.
    """
    columns = columns_of(clean_header(header), rows, second)
    found, doubts = _assigned(columns)
    wanting = _wanting(found)
    style = number_style_of(text for c in NUMBERS if c in found for text in found[c].texts)
    guesses = {c: _guess(c, found, style, doubts.get(c, "")) for c in CANONICAL if c in found}
    used = {column.name for column in found.values()}
    unread = [column for column in columns if column.name not in used]
    filled = _filled(found, state_columns(unread))
    facts = [
        *_layout(encoding, delimiter),
        *layout,
        *_writing(found, style, filled),
        *_currency(found, currency),
        *asked(unread, found, style, filled, {c: guess.value for c, guess in guesses.items()}),
    ]
    questions = [f"{fact.name}: {fact.question}" for fact in (*guesses.values(), *facts) if fact.question]
    looked_up = ("unit_price", "sold_at", "customer_id")
    questions += [f"{column}: {_ELSEWHERE if column in looked_up else _NONE}" for column in wanting]
    if any(kind_of([column.name]) not in ("text", "code") for column in columns):
        questions.append(_HEADLESS)
    zoned = "sold_at" in found and any(ZONED.search(text) for text in found["sold_at"].texts)

    text = [f"  {scalar(name)}:", f"    source_system: {scalar(name)}", *(f"    {fact}" for fact in facts)]
    if not zoned and all(fact.name != "time_zone" for fact in facts):
        text.append("    # time_zone: Europe/Berlin  # that of the times, if it is not business time")
    text.append("    columns:")
    for column in CANONICAL:
        if guess := guesses.get(column):
            written = scalar(guess.value, expression=True)
            text.append(f"      {Fact(column, written, guess.question, guess.stands, guess.said)}")
        elif column in wanting:
            hint = '; "null" if nobody is ever known' if column == "customer_id" else ""
            text.append(f"      # {column}:  # ? no column was found for it{hint}")
    if unread:
        names = ", ".join(column.name for column in unread)
        text.append("    # not read: " + "".join(char if char.isprintable() else " " for char in names))
    return Draft(questions=tuple(questions), text="\n".join(text) + "\n", wanting=tuple(wanting))


def _wanting(found: Found) -> list[str]:
    wanting = [column for column in REQUIRED if column not in found]
    return wanting if found.keys() & set(MONEY) else [*wanting, "unit_price"]


# which column is which


def _assigned(columns: Sequence[Column]) -> tuple[Found, dict[str, str]]:
    """The column for each canonical one, by its name, part of its name or its values; and the doubts."""
    found: Found = {}
    doubts: dict[str, str] = {}

    def free(canonical: str) -> list[Column]:
        kinds = MAY_BE.get(canonical, ID) | {"empty"}
        return [c for c in columns if c not in found.values() and c.kind in kinds]

    for canonical, ranks in RANKS.items():
        if named := [c for c in free(canonical) if c.compact in ranks]:
            found[canonical] = min(named, key=lambda c: ranks[c.compact])
    if not found.keys() & set(MONEY) and (cents := _hundredths(free("amount"))):
        canonical = "unit_price" if "price" in cents.compact else "amount"
        found[canonical] = cents
        doubts[canonical] = f"taken because the name {cents.name} says that it is in hundredths: is it this?"
    for canonical in _wanting(found):
        if guess := _by_part_of_name(canonical, free(canonical)) or _by_values(canonical, free(canonical)):
            found[canonical], why = guess
            doubts[canonical] = f"taken because {why}: is it this?"
    if "product_id" not in found and "description" in found:
        found["product_id"] = found["description"]
        doubts["product_id"] = "no column of product codes was found; the description stands for them"
    return found, doubts


def _hundredths(columns: Sequence[Column]) -> Column | None:
    """The one column of a line's money in whole cents."""
    found = [c for c in columns if c.texts and _in_hundredths(c)]
    found = [c for c in found if not re.search("(?i)tax|vat|discount|shipping", c.name)]
    found = [c for c in found if len(found) == 1 or re.search("(?i)line|item|price", c.name)]
    return found[0] if len(found) == 1 else None


def _in_hundredths(column: Column) -> bool:
    words = re.split(r"[\W_]+", column.name.casefold())
    return bool(HUNDREDTHS.intersection(words)) and all(re.fullmatch(r"-?\d+", t) for t in column.texts)


def _by_part_of_name(canonical: str, columns: Sequence[Column]) -> tuple[Column, str] | None:
    held = [
        (column, word)
        for column in columns
        for word in RANKS[canonical]
        if len(word) >= 4 and word in column.compact and column.kind != "empty"
    ]
    if not held:
        return None
    column, word = max(held, key=lambda h: len(h[1]))
    return column, f"the name {column.name} holds {word!r}"


def _is_count(column: Column) -> bool:
    digits = all(re.fullmatch(r"-?\d{1,4}", text) for text in column.texts)
    return digits and not re.search(r"(?i)(id|key|no|nr|code)$", column.name)


_LOOKS = MappingProxyType[str, tuple[Callable[[Column], bool], str]](
    {
        "sold_at": (lambda column: column.kind == "date", "a date"),
        "customer_id": (lambda column: column.kind == "email", "an e-mail address"),
        "quantity": (_is_count, "a small whole number"),
        "unit_price": (
            lambda column: any(re.search(r"[.,]\d{2}\b", t) for t in column.texts),
            "a number with decimals",
        ),
    }
)


def _by_values(canonical: str, columns: Sequence[Column]) -> tuple[Column, str] | None:
    fits, words = _LOOKS.get(canonical, (lambda _: False, ""))
    fitting = [column for column in columns if column.kind != "empty" and fits(column)]
    if len(fitting) != 1:
        return None
    return fitting[0], f"{fitting[0].name} alone holds {words} in every row"


def _doubt_about_amount(found: Found, style: Style) -> str:
    """Why an amount may not be the line's own, as far as the sample shows it."""
    if style and found.keys() >= set(NUMBERS):
        values = zip(*(found[column].numbers(style) for column in NUMBERS), strict=True)
        lines = [(q * p, a) for q, p, a in values if q is not None and p is not None and a is not None]
        off = sum(abs(expected - amount) * 100 > max(expected, Decimal(1)) for expected, amount in lines)
        if off > (1 - MOSTLY) * len(lines):
            return (
                f"it is not quantity x unit_price in {off} of {len(lines)} rows: take it in if it is the "
                "line's own total, after discounts"
            )
    elif style and "invoice_id" in found and "unit_price" not in found:
        several = lines_of_orders(found["amount"], found)
        if several and all(len(set(amounts)) == 1 for amounts in several):
            return "it is the same in all lines of an order: is it the order's total, not the line's?"
    return ""


# how they are written


def _layout(encoding: str | None, delimiter: str | None) -> Iterator[Fact]:
    if encoding and not encoding.startswith("utf"):
        yield Fact("encoding", encoding)
    if delimiter:
        yield Fact("delimiter", r'"\t"' if delimiter == "\t" else f'"{delimiter}"')


def _writing(found: Found, style: Style, filled: Sequence[str]) -> Iterator[Fact]:
    texts = [text for canonical, column in found.items() if canonical in NUMBERS for text in column.texts]
    if style is None and texts:
        shown = next((text for text in texts if re.search(r"\d[.,]\d", text)), texts[0])
        question = f"the numbers, such as {shown}, do not show which mark is the decimal one"
        yield Fact("decimal_mark", '","', question)
    if style and style[0] != ".":
        yield Fact("decimal_mark", f'"{style[0]}"')
    if style and style[1]:
        yield Fact("thousands_mark", f'"{style[1]}"')
    at = found.get("sold_at")
    numeric = filter(NUMERIC_DATE.match, at.texts if at and at.kind == "date" else ())
    dates = [text for text in numeric if not PLAIN_ISO.match(text)]
    if dates and "time" not in found:
        order = date_order_of(dates)
        question = f"the dates, such as {dates[0]}, do not show whether the day or the month comes first"
        yield Fact("date_order", order or "day_first", "" if order else question)
    if filled:
        names = ", ".join(map(scalar, filled))
        yield Fact("fill_down", f"{{by: {scalar(found['invoice_id'].name)}, columns: [{names}]}}")


def _currency(found: Found, default: str | None) -> Iterator[Fact]:
    if "currency" in found:
        return
    money = [column for canonical, column in found.items() if canonical in MONEY]
    said = " ".join(text for column in money for text in (column.name, *column.texts[:20]))
    codes = {code for sign, code in SIGNS.items() if sign in said} | {code for code in CODES if code in said}
    if len(codes) == 1:
        yield Fact("currency", codes.pop())
    elif codes or default is None or ("$" in said and default not in DOLLARS):
        yield Fact("currency", "USD", "which one, as ISO 4217 writes it? No column and no sign says it")


def _filled(found: Found, states: Sequence[Column]) -> list[str]:
    """Columns that are filled on the first line of an order only."""
    if "invoice_id" not in found:
        return []
    invoices = found["invoice_id"].cells
    again = [n > 0 and cell in ("", invoices[n - 1]) for n, cell in enumerate(invoices)]
    of_orders = ("sold_at", "customer_id", "country", "currency", "time")
    candidates = [column for canonical, column in found.items() if canonical in of_orders]
    return [
        column.name
        for column in (*candidates, *states)
        if column.texts
        and any(again)
        and not any(cell and repeated for cell, repeated in zip(column.cells, again, strict=True))
        and (column in states or all(cell or r for cell, r in zip(column.cells, again, strict=True)))
    ]


def _guess(canonical: str, found: Found, style: Style, doubt: str) -> Fact:
    """The expression of a canonical column."""
    column = found[canonical]
    expression, undecided, said = column.reference, "", ""
    if canonical in MONEY and _in_hundredths(column):
        expression = f"cast({expression} as bigint) / 100"
    elif canonical == "product_id" and (bare := _without_code(found)):
        expression = f"coalesce({expression}, {found['description'].reference})"
        doubt = f"{column.name} is empty in rows that go by {found['description'].name} then: {bare}"
    elif canonical == "sold_at":
        expression, undecided = _moment(column, found.get("time"))
    elif canonical == "customer_id":
        if column.texts and all(re.fullmatch(r"\d+\.0", text) for text in column.texts):
            expression = f"regexp_replace({expression}, '[.]0$', '')"
        elif any("@" in text for text in column.texts):
            expression = f"lower({expression})"
            said = "e-mail addresses in small letters: Ann@ and ann@ are one"
    elif canonical in NUMBERS and style and any(map(_has_unit, column.texts)):
        # a profile's marks serve plain columns; one with letters is first stripped of them
        expression = plain_number(f"trim(regexp_replace({expression}, '[A-Za-z]+[.]?', '', 'g'))", style)
    if canonical == "amount":
        undecided = _doubt_about_amount(found, style)
    return Fact(canonical, expression, undecided or doubt, stands=not undecided, said=said)


def _without_code(found: Found) -> str:
    """The names, and how many, of what has no code, if some rows have one."""
    if "description" not in found or found["description"] == found["product_id"]:
        return ""
    pairs = zip(found["product_id"].cells, found["description"].cells, strict=True)
    names = [name for code, name in pairs if name and not code]
    return counts(names) if names and found["product_id"].texts else ""


def _has_unit(text: str) -> bool:
    return bool(re.search("[A-Za-z]", text) and NUMBER.fullmatch(text))


def _moment(date: Column, time: Column | None) -> tuple[str, str]:
    """The expression for ``sold_at``, and the question that it leaves open."""
    if date.kind == "seconds":
        if len(date.texts[0]) == 13:
            return f"epoch_ms(cast({date.reference} as bigint))", ""
        return f"to_timestamp(cast({date.reference} as double))", ""
    for pattern, form in MONTHS.items():
        if date.texts and all(re.fullmatch(pattern, text) for text in date.texts):
            return f"strptime({date.reference}, '{form}')", ""
    if time is None or any(":" in text for text in date.texts):
        return date.reference, ""
    order = "year_first" if PLAIN_ISO.match(date.texts[0]) else date_order_of(date.texts)
    mark = next(iter(re.findall(r"\d([./-])\d", date.texts[0])), "")
    year = "%y" if mark and not re.search(r"\d{4}", date.texts[0]) else "%Y"
    orders = {"year_first": (year, "%m", "%d"), "month_first": ("%m", "%d", year)}
    parts = orders.get(order or "", ("%d", "%m", year))
    form = f"{mark.join(parts)} %H:%M" + (":%S" if time.texts and time.texts[0].count(":") == 2 else "")
    question = "day or month first? swap %d and %m if the month comes first, and take the # away"
    return f"strptime({date.reference} || ' ' || {time.reference}, '{form}')", "" if order else question
