"""What a draft asks: about columns that it does not read, and ids that may be nobody's or no product's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from sqlglot import exp

from retail_pipeline.ingest.profiles.dialects import number_of
from retail_pipeline.ingest.profiles.draft_columns import (
    MONEY,
    Column,
    Fact,
    Found,
    compact_name,
    plain_number,
    scalar,
)
from retail_pipeline.ingest.profiles.draft_words import (
    BAD,
    BAD_VALUES,
    CODES,
    CURRENCY,
    DISCOUNT,
    FLAGS,
    NO_PRODUCT,
    NOBODY,
    NOT_STATE,
    NOT_TYPE,
    PIECES,
    RETURNED,
    STATE,
    STATE_VALUES,
    TAX,
    TYPE,
    UNIT,
    ZONE,
    ZONES,
)
from retail_pipeline.ingest.profiles.profile import DIALECT

MOST_VALUES = 20  # of a column that tells kinds of rows; beyond, its values are no kinds
SHOWN = 12
_OUTLANDISH = 0.2  # of the rows with a customer, where the next one has a fifth of that at most
_FEW = 50
_WHOLE = 0.1  # of a kind's rows; below, they are payments, totals or an order's own row
_CENT = Decimal("0.011")
Style = tuple[str, str] | None


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
    topics: tuple[tuple[str, frozenset[str], str], ...] = (
        ("discounts", DISCOUNT, "is what was taken off in {money} already? If not, subtract it there"),
        ("tax", TAX, "is {money} with tax or without, as your books count?"),
        ("units", UNIT, "does quantity count the same in all of them? If not, convert it"),
        ("currency", CURRENCY, "in which one is {money}?"),
    )
    money = " and ".join(column for column in MONEY if column in found) or "the price"
    for topic, words, question in topics:
        spoken = [
            column
            for column in rest
            if (_speaks(column, words) or (topic == "currency" and column.kind == "code"))
            and _tells(topic, column)
        ]
        spoken = [
            column
            for column in spoken
            if topic != "discounts" or not _is_taken_off(column, found, rest, style)
        ]
        if spoken:
            asked_of = question.format(money=money)
            if topic == "discounts" and (whole := [c.name for c in spoken if _is_of_orders(c, found)]):
                asked_of += f"; what is of whole orders ({', '.join(whole)}) goes into order_total"
            yield Fact(topic, "", f"{'; '.join(map(_described, spoken))}: {asked_of}")
    for column in rest:
        if _speaks(column, ZONE) or {text.casefold() for text in column.texts} <= ZONES.keys():
            zones = {ZONES.get(text.casefold(), text) for text in column.texts}
            zone = zones.pop() if len(zones) == 1 else "UTC"
            yield Fact("time_zone", zone, f"{_described(column)}: in which zone are the times?")


def _speaks(column: Column, words: frozenset[str]) -> bool:
    """True when a word of the column's name is one of these, or a long one stands in it."""
    named = {compact_name(word) for word in re.findall(r"[A-Z]?[^\W_A-Z]+|[A-Z]+", column.name)}
    return bool(
        named & words
        or column.compact in words
        or any(len(word) >= 6 and word in column.compact for word in words)
    )


def _is_state(column: Column) -> bool:
    values = set(column.texts)
    few = len(values) <= MOST_VALUES
    if _speaks(column, NOT_STATE) or (column.kind in ("number", "code") and _speaks(column, DISCOUNT | TAX)):
        return False
    if few and {compact_name(value) for value in values} & STATE_VALUES:
        return True
    if _speaks(column, STATE) and (few or _speaks(column, BAD)):
        amounts = column.kind == "number" and not values <= FLAGS
        return not amounts and not all(re.fullmatch("[A-Z]{2}", value) for value in values)
    return few and _speaks(column, TYPE) and not _speaks(column, NOT_TYPE)


def _tells(topic: str, column: Column) -> bool:
    """False for a column in which nothing is said: a discount that is always 0, pieces, one currency."""
    values = {text.casefold() for text in column.texts}
    if topic in ("discounts", "tax"):
        return not all(re.fullmatch(r"[^1-9A-Za-z]*", value) for value in values)
    if topic == "units":
        return len(values) <= MOST_VALUES and not (len(values) == 1 and values <= PIECES)
    return bool(set(column.texts) & CODES)


def counts(texts: Sequence[str]) -> str:
    """Values and how often they come, the most frequent first."""
    found = Counter(texts).most_common()
    shown = ", ".join(f"{text[:40]} {count:,}" for text, count in found[:SHOWN])
    return shown + (f" and {len(found) - SHOWN:,} other values" if len(found) > SHOWN else "")


def _described(column: Column) -> str:
    """A column with its values and how often they come."""
    values = set(column.texts)
    if column.kind == "number" and len(values) > SHOWN:
        other = sum(bool(re.search("[1-9]", text)) for text in column.texts)
        return f"{column.name} (not 0 in {other:,} of {len(column.cells):,} rows)"
    if len(values) > MOST_VALUES:
        return f"{column.name} (filled in {len(column.texts):,} of {len(column.cells):,} rows)"
    return f"{column.name} ({counts(column.texts)})"


# which rows count


def _of_rows(
    states: Sequence[Column],
    found: Found,
    style: Style,
    filled: Sequence[str],
    expressions: Mapping[str, str],
) -> Iterator[Fact]:
    conditions, described = [], []
    back: list[tuple[Column, list[str], int]] = []
    for column in states:
        described.append(_described(column))
        if len(set(column.texts)) > MOST_VALUES:
            conditions.append(f"{column.reference} is null")
            continue
        cells = column.cells
        if column.name in filled:
            cells = tuple(_filled_down(cells))
        kept, returned = _kinds(column, cells, found)
        if returned:
            back.append((column, returned, sum(cell in returned for cell in cells)))
        values = ", ".join(map(_literal, sorted(kept)))
        if "" in kept:
            conditions.append(f"coalesce({column.reference}, '') in ({values})")
        elif kept:
            conditions.append(f"{column.reference} in ({values})")
    if described:
        question = f"which rows count, as sales or as returns? {'; '.join(described)}"
        # it stands: rows left out are counted aloud, cancelled orders counted as sales would not be
        condition = scalar(f"({' and '.join(conditions) or 'true'})", expression=True)
        yield Fact("keep_rows", condition, question, stands=True)
    for column, returned, rows in back:
        values = ", ".join(map(_literal, sorted(returned)))
        condition = f"{column.reference} in ({values})"
        made = [
            f"{name}: {_negative(expressions[name], condition, found[name], style)}"
            for name in ("quantity", "amount")
            if name in found
        ]
        yield Fact(
            "returns",
            "",
            f"{', '.join(sorted(returned))} in {column.name} ({rows:,} of {len(column.cells):,} rows) with "
            f"quantities above 0: if those are goods that came back, keep them too, as {'; '.join(made)}",
        )


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


def _kinds(column: Column, cells: Sequence[str], found: Found) -> tuple[set[str], list[str]]:
    """The values whose rows seem to count, and those of rows that seem to have come back without a minus."""
    kept, returned = set(), []
    for value in set(cells):
        rows = [n for n, cell in enumerate(cells) if cell == value]
        products = [found[name].cells for name in ("product_id", "description") if name in found]
        counted = [found["quantity"].cells] if "quantity" in found else []
        whole = all(
            sum(any(cells[n] for cells in group) for n in rows) > _WHOLE * len(rows)
            for group in (products, counted)
            if group
        )
        numbers = [found[name].cells[n] for name in ("quantity", "amount") if name in found for n in rows]
        negative = any(re.search(r"[-(\u2212]", text) for text in numbers)
        said = compact_name(value)
        back = _holds(said, RETURNED)
        bad = _holds(said, BAD_VALUES) or (
            value.casefold() in FLAGS
            and said not in ("0", "n", "no", "nein", "false", "f")
            and _speaks(column, BAD)
        )
        if back and whole and not negative:
            returned.append(value)
        elif whole and (negative or not (back or bad)):
            kept.add(value)
    return kept, returned


def _holds(said: str, words: frozenset[str]) -> bool:
    """True when a value speaks of one of these: a short word must begin it."""
    return any(word in said if len(word) > 4 else said.startswith(word) for word in words)


def _literal(value: str) -> str:
    return str(exp.Literal.string(value).sql(DIALECT))


# ids of nobody and of no product


def _of_ids(found: Found) -> Iterator[Fact]:
    rules, questions = [], []
    if nobody := _nobody(found):
        rules.append(f"anonymous_ids: [{', '.join(scalar(value) for value in nobody)}]")
        shown = counts([text for text in found["customer_id"].texts if text in nobody])
        questions.append(f"is {shown} (of {len(found['customer_id'].cells):,} rows) nobody?")
    products = _products(found)
    if none := [text for text in products if compact_name(text) in NO_PRODUCT]:
        pattern = "|".join(
            re.escape(text).replace("\\ ", " ").replace("\\-", "-") for text in sorted(set(none))
        )
        rules.append(f"adjustment_pattern: {scalar(f'(?i)^({pattern})$')}")
        questions.append(f"is {counts(none)} no product, and its lines no sales?")
    if rules:
        yield Fact("cleaning", f"{{{', '.join(rules)}}}", " ".join(questions))


def _products(found: Found) -> list[str]:
    """What stands for the product in each row: its code, where there is none its name."""
    columns = [found[name].cells for name in ("product_id", "description") if name in found]
    return [next(filter(None, cells), "") for cells in zip(*columns, strict=True)]


def _nobody(found: Found) -> list[str]:
    """Customer ids that look like nobody: by a word, by zeros or nines alone, by an outlandish share."""
    if "customer_id" not in found:
        return []
    counts = Counter(found["customer_id"].texts).most_common()
    named = {text for text, _ in counts if compact_name(text) in NOBODY or re.fullmatch(r"-1|0+|9{4,}", text)}
    rest = [(text, count) for text, count in counts if text not in named]
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

    def numbers(of: Column) -> list[Decimal | None]:
        return [number_of(cell, style) for cell in of.cells]

    amount = numbers(found["amount"])
    off = {n: number for n, number in enumerate(numbers(column)) if number and amount[n] is not None}
    wholes: list[Callable[[int], Decimal | None]] = [
        numbers(other).__getitem__ for other in rest if other.kind == "number"
    ]
    if "unit_price" in found and "quantity" in found:
        price, quantity = numbers(found["unit_price"]), numbers(found["quantity"])
        wholes.append(lambda n: _product(price[n], quantity[n]))

    def explains(whole: Callable[[int], Decimal | None]) -> bool:
        return all(
            (of := whole(n)) is not None and abs(of - number - (amount[n] or 0)) <= _CENT
            for n, number in off.items()
        )

    return bool(off) and any(map(explains, wholes))


def _is_of_orders(column: Column, found: Found) -> bool:
    """True when a figure is alike on all lines of an order, or stands on its first line alone."""
    if "invoice_id" not in found or column.kind != "number":
        return False
    orders: dict[str, list[str]] = {}
    for invoice, cell in zip(found["invoice_id"].cells, column.cells, strict=True):
        orders.setdefault(invoice, []).append(cell)
    several = [cells for cells in orders.values() if len(cells) > 1 and re.search("[1-9]", "".join(cells))]
    return bool(several) and all(set(cells[1:]) <= {cells[0], ""} for cells in several)


def _product(price: Decimal | None, quantity: Decimal | None) -> Decimal | None:
    return None if price is None or quantity is None else price * quantity
