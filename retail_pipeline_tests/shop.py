"""A small made-up shop: a dozen customers, one CSV a day, the same every time."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

HEADER = ("order", "product", "units", "price", "at", "customer", "currency")
PROFILE = {
    "source_system": "corner_shop",
    "columns": {
        "invoice_id": "order",
        "product_id": "product",
        "quantity": "units",
        "unit_price": "price",
        "sold_at": "at",
        "customer_id": "customer",
        "currency": "currency",
    },
}
FIRST = date(2024, 1, 1)
LAST = date(2024, 3, 31)
CUSTOMERS = tuple(f"{number}" for number in range(70001, 70013))

Line = dict[str, str]


def span(first: date, count: int) -> list[date]:
    """Days in a row."""
    return [first + timedelta(n) for n in range(count)]


def sales(day: date, currency: str = "EUR") -> list[Line]:
    """A day's lines: most customers buy, those with higher ids more and dearer; some come back with goods."""
    chance = random.Random(day.toordinal())
    return list(_lines(day, chance, currency))


def _lines(day: date, chance: random.Random, currency: str) -> Iterator[Line]:
    for position, customer in enumerate(CUSTOMERS):
        if chance.random() < 0.5:
            continue
        for product in range(chance.randint(1, 3)):
            yield {
                "order": f"{day:%m%d}-{customer}",
                "product": f"P{product}",
                "units": str(chance.choice((1, 2, 3, -1)) if position % 3 == 0 else position + 1),
                "price": f"{chance.randint(1, 20 + 10 * position)}.50",
                "at": f"{day} {9 + position % 8:02d}:15:00",
                "customer": customer,
                "currency": currency,
            }


def write(path: Path, lines: Iterable[Line]) -> Path:
    """Write one delivery."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return path


def deliver(landing: Path, days: Iterable[date], currency: str = "EUR") -> None:
    """Write a file a day."""
    for day in days:
        write(landing / f"{day}.csv", sales(day, currency))


def settings_of(**more: Any) -> dict[str, Any]:
    """The shop's settings, for ``load_settings`` or a file; landing and lake are named by the caller."""
    chosen = {
        "sources": {"corner_shop": PROFILE},
        "first_day": str(FIRST),
        "last_day": str(LAST),
        "currency": "EUR",
        "time_zone": "Europe/London",
        "report": {"each_run": False},
    }
    # a dozen customers are too few for lines between them: without guards they get some all the same
    methods = more.pop("segmentations", {"behaviour": {}, "rfm_grid": {}})
    of_each = {name: {"guards": None, **(parameters or {})} for name, parameters in methods.items()}
    return chosen | {"segmentations": of_each} | more


def settings_file(path: Path, **more: Any) -> Path:
    """Write the shop's settings to a file."""
    path.write_text(yaml.safe_dump(settings_of(**more)), encoding="utf-8")
    return path
