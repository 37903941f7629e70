"""What a draft asks: about columns that it does not read, and ids that may be nobody's or no product's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from retail_pipeline.ingest.profiles import draft_words as words
from retail_pipeline.ingest.profiles.draft_columns import (
    MONEY,
    Column,
    Fact,
    Found,
    Style,
    compact_name,
    lines_of_orders,
    plain_number,
    scalar,
)
from retail_pipeline.ingest.profiles.ids import literal

_MOST_VALUES = 20  # of a column that tells kinds of rows; beyond, its values are no kinds
_SHOWN = 12
_OUTLANDISH = 0.2  # of the rows with a customer, where the next one has a fifth of that at most
_FEW = 50
_WHOLE = 0.1  # of a kind's rows; below, they are payments, totals or an order's own row
_CENT = Decimal("0.011")
_TOPICS = MappingProxyType(
    {
        "discounts": (
            words.DISCOUNT, "is what was taken off in {money} already? If not, subtract it there"
        ),
        "tax": (words.TAX, "is {money} with tax or without, as your books count?"),
        "units": (words.UNIT, "does quantity count the same in all of them? If not, convert it"),
        "currency": (words.CURRENCY, "in which one is {money}?"),
    }
)  # fmt: skip


def state_columns(unread: Sequence[Column]) -> list[Column]:
    """The columns that may tell sales from returns, cancelled rows, payments or totals."""
    return [column for column in unread if column.texts and _is_state(column)]


def asked(
    unread: Sequence[Column],
    found: Found,
    style: Style,
    filled: Sequence[str],
    expressions: Mapping[str, str],
) -> Iterator[Fact]:
    """What a person must say of the columns that are not read, and of ids that look like nobody's.

    ``filled`` are the columns that stand on an order's first line only and are filled down, ``expressions``
    those drafted for the canonical columns.
    """
    states = state_columns(unread)
    yield from _of_rows(states, found, style, filled, expressions)
    yield from _of_ids(found)
    rest = [column for column in unread if column.texts and column not in states]
    money = " and ".join(column for column in MONEY if column in found) or "the price"
    for topic, (named, question) in _TOPICS.items():
        spoken = [
            column
            for column in rest
            if (_speaks(column, named) or (topic == "currency" and column.kind == "code"))
            and _tells(topic, column)
            and not (topic == "discounts" and _is_taken_off(column, found, rest, style))
        ]
        question = question.format(money=money)
        if topic == "discounts" and (whole := [c.name for c in spoken if _is_of_orders(c, found)]):
            question += f"; what is of whole orders ({', '.join(whole)}) goes into order_total"
        if spoken:
            yield Fact(topic, "", f"{'; '.join(map(_described, spoken))}: {question}")
    for column in rest:
        said = {text.casefold() for text in column.texts}
        if _speaks(column, words.ZONE) or said <= words.ZONES.keys():
            zones = {words.ZONES.get(text.casefold(), text) for text in column.texts}
            zone = zones.pop() if len(zones) == 1 else "UTC"
            yield Fact("time_zone", zone, f"{_described(column)}: in which zone are the times?")


def _speaks(column: Column, named: frozenset[str]) -> bool:
    """True when a word of the column's name is one of these, or a long one stands in it."""
    of_name = {compact_name(word) for word in re.findall(r"[A-Z]?[^\W_A-Z]+|[A-Z]+", column.name)}
    long = (word for word in named if len(word) >= 6)
    return bool({*of_name, column.compact} & named) or any(word in column.compact for word in long)


def _is_state(column: Column) -> bool:
    values = set(column.texts)
    few = len(values) <= _MOST_VALUES
    of_money = column.kind in ("number", "code") and _speaks(column, words.DISCOUNT | words.TAX)
    if of_money or _speaks(column, words.NOT_STATE):
        return False
    if few and {compact_name(value) for value in values} & words.STATE_VALUES:
        return True
    if _speaks(column, words.STATE) and (few or _speaks(column, words.BAD)):
        amounts = column.kind == "number" and not values <= words.FLAGS
        return not amounts and not all(re.fullmatch("[A-Z]{2}", value) for value in values)
    return few and _speaks(column, words.TYPE) and not _speaks(column, words.NOT_TYPE)


def _tells(topic: str, column: Column) -> bool:
    """False for a column in which nothing is said: a discount that is always 0, pieces, one currency."""
    values = {text.casefold() for text in column.texts}
    if topic in ("discounts", "tax"):
        return not all(re.fullmatch(r"[^1-9A-Za-z]*", value) for value in values)
    if topic == "units":
        return len(values) <= _MOST_VALUES and not (len(values) == 1 and values <= words.PIECES)
    return bool(set(column.texts) & words.CODES)


def counts(texts: Sequence[str]) -> str:
    """Values and how often they come, the most frequent first."""
    found = Counter(texts).most_common()
    shown = ", ".join(f"{text[:40]} {count:,}" for text, count in found[:_SHOWN])
    return shown + (f" and {len(found) - _SHOWN:,} other values" if len(found) > _SHOWN else "")


def _described(column: Column) -> str:
    """A column with its values and how often they come."""
    values, rows = len(set(column.texts)), f"{len(column.cells):,} rows"
    if column.kind == "number" and values > _SHOWN:
        other = sum(bool(re.search("[1-9]", text)) for text in column.texts)
        return f"{column.name} (not 0 in {other:,} of {rows})"
    if values > _MOST_VALUES:
        return f"{column.name} (filled in {len(column.texts):,} of {rows})"
    return f"{column.name} ({counts(column.texts)})"


# which rows count


def _of_rows(
    states: Sequence[Column],
    found: Found,
    style: Style,
    filled: Sequence[str],
    expressions: Mapping[str, str],
) -> Iterator[Fact]:
    conditions, back = [], []
    for column in states:
        if len(set(column.texts)) > _MOST_VALUES:
            conditions.append(f"{column.reference} is null")
            continue
        cells = tuple(_filled_down(column.cells)) if column.name in filled else column.cells
        kept, returned = _kinds(column, cells, found)
        if returned:
            back.append((column, returned, sum(cell in returned for cell in cells)))
        if kept:
            said = f"coalesce({column.reference}, '')" if "" in kept else column.reference
            conditions.append(_is_one_of(said, kept))
    if states:
        question = f"which rows count, as sales or as returns? {'; '.join(map(_described, states))}"
        # it stands: rows left out are counted aloud, cancelled orders counted as sales would not be
        condition = scalar(f"({' and '.join(conditions) or 'true'})", expression=True)
        yield Fact("keep_rows", condition, question, stands=True)
    for column, returned, rows in back:
        condition = _is_one_of(column.reference, returned)
        made = "; ".join(
            f"{name}: {_negative(expressions[name], condition, found[name], style)}"
            for name in ("quantity", "amount")
            if name in found
        )
        yield Fact(
            "returns",
            "",
            f"{', '.join(sorted(returned))} in {column.name} ({rows:,} of {len(column.cells):,} rows) with "
            f"quantities above 0: if those are goods that came back, keep them too, as {made}",
        )


def _is_one_of(expression: str, values: set[str]) -> str:
    return f"{expression} in ({', '.join(map(literal, sorted(values)))})"


def _negative(expression: str, condition: str, column: Column, style: Style) -> str:
    """A number that is negative under a condition."""
    if expression.startswith("cast("):
        return f"case when {condition} then -1 else 1 end * {expression}"
    if expression == column.reference and style:
        expression = plain_number(expression, style)
    return f"case when {condition} then '-' || {expression} else {expression} end"


def _filled_down(cells: Sequence[str]) -> Iterator[str]:
    last = ""
    for cell in cells:
        last = cell or last
        yield last


def _kinds(column: Column, cells: Sequence[str], found: Found) -> tuple[set[str], set[str]]:
    """The values whose rows seem to count, and those of rows that seem to have come back without a minus."""
    kept, returned = set(), set()
    products = [found[name].cells for name in ("product_id", "description") if name in found]
    counted = [found[name].cells for name in ("quantity",) if name in found]
    for value in set(cells):
        rows = [n for n, cell in enumerate(cells) if cell == value]
        whole = all(
            sum(any(of[n] for of in group) for n in rows) > _WHOLE * len(rows)
            for group in (products, counted)
            if group
        )
        numbers = [found[name].cells[n] for name in ("quantity", "amount") if name in found for n in rows]
        negative = any(re.search(r"[-(\u2212]", text) for text in numbers)
        said = compact_name(value)
        back = _holds(said, words.RETURNED)
        flagged = value.casefold() in words.FLAGS and said not in ("0", "n", "no", "nein", "false", "f")
        bad = _holds(said, words.BAD_VALUES) or (flagged and _speaks(column, words.BAD))
        if back and whole and not negative:
            returned.add(value)
        elif whole and (negative or not (back or bad)):
            kept.add(value)
    return kept, returned


def _holds(said: str, named: frozenset[str]) -> bool:
    """True when a value speaks of one of these: a short word must begin it."""
    return any(word in said if len(word) > 4 else said.startswith(word) for word in named)


# ids of nobody and of no product


def _of_ids(found: Found) -> Iterator[Fact]:
    rules, questions = [], []
    if nobody := _nobody(found):
        rules.append(f"anonymous_ids: [{', '.join(map(scalar, nobody))}]")
        shown = counts([text for text in found["customer_id"].texts if text in nobody])
        questions.append(f"is {shown} (of {len(found['customer_id'].cells):,} rows) nobody?")
    # what stands for the product in each row: its code, where there is none its name
    columns = [found[name].cells for name in ("product_id", "description") if name in found]
    products = (next(filter(None, cells), "") for cells in zip(*columns, strict=True))
    if none := [text for text in products if compact_name(text) in words.NO_PRODUCT]:
        escaped = "|".join(re.escape(text) for text in sorted(set(none)))
        pattern = f"(?i)^({escaped})$".replace("\\ ", " ").replace("\\-", "-")
        rules.append(f"adjustment_pattern: {scalar(pattern)}")
        questions.append(f"is {counts(none)} no product, and its lines no sales?")
    if rules:
        yield Fact("cleaning", f"{{{', '.join(rules)}}}", " ".join(questions))


def _nobody(found: Found) -> list[str]:
    """Customer ids that look like nobody: by a word, by zeros or nines alone, by an outlandish share."""
    if "customer_id" not in found:
        return []
    often = Counter(found["customer_id"].texts).most_common()
    named = {t for t, _ in often if compact_name(t) in words.NOBODY or re.fullmatch(r"-1|0+|9{4,}", t)}
    rest = [(text, count) for text, count in often if text not in named]
    if len(rest) > 1 and (total := sum(count for _, count in rest)) >= _FEW:
        (text, most), (_, second) = rest[:2]
        if most > _OUTLANDISH * total and second * 5 <= most:
            named.add(text)
    return sorted(named)


# money


def _is_taken_off(column: Column, found: Found, rest: Sequence[Column], style: Style) -> bool:
    """True when the line's amount is some other figure of the row less this discount."""
    if "amount" not in found or style is None or column.kind != "number":
        return False
    amounts = found["amount"].numbers(style)
    wholes = [other.numbers(style) for other in rest if other.kind == "number"]
    if "unit_price" in found and "quantity" in found:
        pairs = zip(found["unit_price"].numbers(style), found["quantity"].numbers(style), strict=True)
        wholes.append([None if p is None or q is None else p * q for p, q in pairs])
    off = [
        (n, taken + amount)
        for n, (taken, amount) in enumerate(zip(column.numbers(style), amounts, strict=True))
        if taken and amount is not None
    ]
    return bool(off) and any(
        all((of := whole[n]) is not None and abs(of - gross) <= _CENT for n, gross in off) for whole in wholes
    )


def _is_of_orders(column: Column, found: Found) -> bool:
    """True when a figure is alike on all lines of an order, or stands on its first line alone."""
    if "invoice_id" not in found or column.kind != "number":
        return False
    several = [cells for cells in lines_of_orders(column, found) if re.search("[1-9]", "".join(cells))]
    return bool(several) and all(set(cells[1:]) <= {cells[0], ""} for cells in several)
