"""What the generators share: some weeks of sales, and what an export must come back as."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

Cell = object
NAMES = ("ada.king", "bo.lind", "cy.marr", "di.noor", "ed.ohm", "flo.penn", "gil.quast", "hana.ruiz")
PRODUCTS = (
    ("CUP-1", "Cup, white", "6.40"),
    ("CUP-2", 'Cup "Harbour"', "8.90"),
    ("TIN", "Tea tin", "14.50"),
    ("POT", "Teapot, cast iron", "1079.00"),
    ("LEAF-9", "Assam; loose", "4.75"),
)


@dataclass(frozen=True)
class Line:
    """A line as the shop's books have it: what it kept, in business time; ``customer`` None: nobody known."""

    order: str
    at: datetime
    customer: str | None
    sku: str
    quantity: Decimal
    net: Decimal


@dataclass(frozen=True)
class Export:
    """Files by name (the first is the one to try), the lines of the books, and the answers by question.

    An answer is what to say in the profile under that name, ``PROPOSED`` for what the draft proposes, and an
    empty mapping where the draft is right as it stands.
    """

    files: Mapping[str, bytes]
    books: Sequence[Line]
    answers: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)


PROPOSED: Mapping[str, Any] = {"proposed": True}
AS_IT_STANDS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Sold:
    """An order with its lines: product, pieces, price of one."""

    number: int
    at: datetime
    customer: str | None
    lines: Sequence[tuple[str, str, int, Decimal]]
    fate: str


def orders(seed: int, fates: Sequence[str], known: float = 1.0, count: int = 60) -> Iterator[Sold]:
    """Orders of March 2024; the first of ``fates`` is that of most."""
    dice = random.Random(seed)
    for number in range(count):
        since = timedelta(minutes=dice.randrange(30 * 24 * 60), seconds=number)
        at = datetime.fromisoformat("2024-03-01 08:00") + since
        lines = [
            (sku, name, dice.randint(1, 3), Decimal(price))
            for sku, name, price in dice.sample(PRODUCTS, dice.randint(1, 3))
        ]
        fate = fates[0] if dice.random() < 0.7 else dice.choice(fates)
        yield Sold(number, at, dice.choice(NAMES) if dice.random() < known else None, lines, fate)


def table(header: str, rows: Sequence[Sequence[Cell]]) -> bytes:
    """The text of a table, with the delimiter of its header."""
    delimiter = max(",;\t", key=header.count)
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header.split(delimiter), *rows])
    return text.getvalue().encode()


def cents(value: Decimal) -> Decimal:
    """Rounded to cents."""
    return value.quantize(Decimal("0.01"))


def comma(value: object) -> str:
    """A number as Germans write it."""
    return f"{value:,}".replace(",", "_").replace(".", ",").replace("_", ".")
