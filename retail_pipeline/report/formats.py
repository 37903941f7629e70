"""Numbers, days and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2013"
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "INR": "₹"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
# from this size on, an amount is shortened by this much
_UNITS = ((999_500_000, 1e9, "bn"), (999_500, 1e6, "m"), (999.5, 1e3, "k"))


def known(value: Any) -> bool:
    return not pd.isna(value)


def records(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    return rows.to_dict("records")


def count(value: float) -> str:
    return f"{round(value):,}".replace("-", MINUS)


def short_count(value: float) -> str:
    """A whole number that fits a cell: 1,234 and 12k."""
    if abs(value) < 9_999.5:
        return count(value)
    return f"{value / 1e3:,.0f}k" if abs(value) < 999_500 else f"{value / 1e6:,.1f}m"


def number(value: float) -> str:
    """A mean: 1.4 orders, 21.5 orders, 256 days."""
    return count(value) if abs(value) >= 99.95 else f"{value:.1f}".removesuffix(".0")


def percent(share: float) -> str:
    """A share with as many digits as it deserves; never 0 % of something, nor 100 % of less than all."""
    value = 100 * share
    if 0 < value < 0.1:
        text = "under 0.1"
    elif 99.5 <= value < 100:
        text = f"{min(value, 99.9):.1f}"
    else:
        text = number(value) if abs(value) < 9.95 else count(value)
    return f"{text}{NBSP}%".replace("-", MINUS)


def symbol(currency: str) -> str:
    """What stands before an amount: the currency's sign, or its code; nothing for no currency."""
    return SYMBOLS.get(currency, f"{currency}{NBSP}" if currency else "")


def money(value: float, currency: str) -> str:
    """An amount: with cents below a hundred, in whole units above."""
    digits = 0 if abs(value) >= 99.995 else 2
    return f"{MINUS if value < 0 else ''}{symbol(currency)}{abs(value):,.{digits}f}".removesuffix(".00")


def label_money(value: float, currency: str, short_from: float = 0.0) -> str:
    """An amount where there is no room for a currency's code: a sign or nothing; short from a size on."""
    signed = currency if currency in SYMBOLS else ""
    return short_money(value, signed) if abs(value) >= short_from else money(value, signed)


def short_money(value: float, currency: str) -> str:
    """An amount in few letters: £14.0k, £8.9m."""
    for limit, size, unit in _UNITS:
        if abs(value) >= limit:
            text = f"{abs(value) / size:,.1f}" if abs(value) / size < 99.95 else f"{abs(value) / size:,.0f}"
            return f"{MINUS if value < 0 else ''}{symbol(currency)}{text}{unit}"
    return money(round(value) if abs(value) >= 10 else value, currency)


def plural(amount: float, one: str) -> str:
    """A number with its noun: 1 customer, 4,338 customers."""
    return f"{count(amount)} {one}{'' if round(amount) == 1 else 's'}"


def customers(amount: float) -> str:
    return plural(amount, "customer")


def ago(days: float) -> str:
    return "today" if round(days) == 0 else f"{plural(days, 'day')} ago"


def day(value: date) -> str:
    """9 December 2011."""
    return f"{value.day}{NBSP}{MONTHS[value.month - 1]} {value.year}"


def days(values: Sequence[date], most: int = 5) -> str:
    """Days in a line, those that follow each other as one span, the last few spans alone."""
    spans: list[tuple[date, date]] = []
    for value in sorted(values):
        if spans and (value - spans[-1][1]).days == 1:
            spans[-1] = spans[-1][0], value
        else:
            spans.append((value, value))
    said = [
        day(first)
        if first == last
        else f"{day(first)} to {day(last)} ({plural((last - first).days + 1, 'day')})"
        for first, last in spans
    ]
    earlier = sum((last - first).days + 1 for first, last in spans[:-most])
    return listed([*([f"{plural(earlier, 'earlier day')}"] if earlier else []), *said[-most:]])


def month(text: str) -> str:
    """December 2011, from 2011-12 or a day of it."""
    year, position, *_ = text.split("-")
    return f"{MONTHS[int(position) - 1]} {year}"


def listed(parts: Sequence[str]) -> str:
    """A, B and C."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "!", "?")) else ".")


def span(low: float, high: float | None) -> str:
    """A range of orders for an axis: 1, 4 to 5, 21 and more."""
    if high is None or not known(high):
        return f"{int(low)}+"
    return f"{int(low)}" if int(low) == int(high) else f"{int(low)}{DASH}{int(high)}"


def spend_span(low: float, high: float | None, currency: str) -> str:
    """A range of spend for an axis: £100 to 200, £10k and more."""

    def edge(value: float, currency: str) -> str:
        return label_money(value, currency, 9_999.5).replace(".0k", "k").replace(".0m", "m")

    if high is None or not known(high):
        return f"{edge(low, currency)}+"
    return f"{edge(low, currency)}{DASH}{edge(high, '')}"
