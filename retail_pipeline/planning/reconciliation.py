"""What a shop compares with its till: lines, orders, customers, gross and net sales, and what was refused.

A tally names lines with their money: ``sale``, ``return``, ``charge`` (an adjustment from 0 up: postage),
``discount`` (an adjustment below 0), ``anonymous`` (those of the four without a customer), ``below_price``
(sales at less than quantity x unit_price: money given off; only where a file says both), ``refused`` and
``refused: <rule>`` (a row that two rules refuse is in both, and once in ``refused``). Tallies add up over
days; orders and customers do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from pydantic import Field

from retail_pipeline.planning.manifests import Frozen, Lines

KINDS = ("sale", "return", "charge", "discount")
REFUSED = "refused"
NOTHING = Lines()
MOST_DAYS = 7
Tally = Mapping[str, Lines]


class Figures(Frozen):
    """What was sold on some days.

    A tally, and the orders (each once, whatever days its lines lie on) and customers who bought; None where
    they were not counted.
    """

    tally: dict[str, Lines] = Field(default={})
    orders: int | None = 0
    customers: int | None = 0

    def of(self, name: str) -> Lines:
        return self.tally.get(name, NOTHING)

    @property
    def lines(self) -> int:
        return sum(self.of(kind).lines for kind in KINDS)

    @property
    def net(self) -> Decimal:
        """Sales less returns."""
        return self.of("sale").amount + self.of("return").amount

    @property
    def total(self) -> Decimal:
        """Sales less returns, with charges and discounts: the sum of all amounts."""
        return sum((self.of(kind).amount for kind in KINDS), Decimal(0))


class Till(Frozen):
    """The figures of some days together, and of each."""

    in_all: Figures = Figures()
    by_day: dict[date, Figures] = Field(default={})


class Finding(Frozen):
    """What would hold days: what should be true, and on how many days and in how many rows it is not."""

    states: str
    days: int
    first_day: date
    rows: int


class Shares(Protocol):
    """The settings that say what a day may be like: see ``checks`` in the settings."""

    @property
    def max_rejected_share(self) -> float: ...

    @property
    def max_anonymous_share(self) -> float: ...


def tallies(found: Iterable[Mapping[str, Any]]) -> dict[date, dict[str, Lines]]:
    """The tally of each day, from the rows of ``tables/till_figures.sql``."""
    by_day: dict[date, dict[str, Lines]] = {}
    for row in found:
        tally = by_day.setdefault(row["date"], {})
        for name, lines in _named(row):
            tally[name] = _sum(tally.get(name, NOTHING), lines)
    return by_day


def _named(row: Mapping[str, Any]) -> Iterator[tuple[str, Lines]]:
    lines = Lines(lines=row["lines"], amount=row["amount"] or Decimal(0))
    if row["refused_by"]:
        yield REFUSED, lines
        yield from ((f"{REFUSED}: {rule}", lines) for rule in row["refused_by"].split(","))
        return
    yield row["kind"], lines
    if row["is_anonymous"]:
        yield "anonymous", lines
    if row["below_price"] is not None:
        yield "below_price", Lines(lines=row["lines_below_price"], amount=row["below_price"])


def _sum(one: Lines, other: Lines) -> Lines:
    return Lines(lines=one.lines + other.lines, amount=one.amount + other.amount)


def together(some: Iterable[Tally]) -> dict[str, Lines]:
    found: dict[str, Lines] = {}
    for tally in some:
        for name, lines in tally.items():
            found[name] = _sum(found.get(name, NOTHING), lines)
    return dict(sorted(found.items()))


def till(by_day: Mapping[date, Tally], counts: Iterable[Mapping[str, Any]]) -> Till:
    """Figures of days, from their tallies and the rows of ``tables/till_counts.sql`` of the same days."""
    counted = {row["date"]: {"orders": row["orders"], "customers": row["customers"]} for row in counts}
    return Till(
        in_all=Figures(tally=together(by_day.values()), **counted.get(None, {})),
        by_day={
            day: Figures(tally=dict(sorted(tally.items())), **counted.get(day, {}))
            for day, tally in sorted(by_day.items())
        },
    )


def uncounted(days: Iterable[Tally]) -> Figures:
    return Figures(tally=together(days), orders=None, customers=None)


def odd_shares(raw: int, refused: int, anonymous: int, limits: Shares) -> Iterator[tuple[str, int, bool]]:
    """What a day's shares of rows should be and are not, in how many rows, and whether that holds the day."""
    if refused > limits.max_rejected_share * raw:
        yield f"at most {limits.max_rejected_share:.0%} of the day's rows are refused", refused, True
    if anonymous > limits.max_anonymous_share * (raw - refused):
        yield f"at most {limits.max_anonymous_share:.0%} of the day's lines are anonymous", anonymous, False


def refusals(tally: Tally) -> list[tuple[str, Lines]]:
    """The rules that refused rows, with these, the most frequent first."""
    by_rule = [(name.partition(": ")[2], lines) for name, lines in tally.items() if ": " in name]
    return sorted(by_rule, key=lambda one: (-one[1].lines, one[0]))


def refused_lines(tally: Tally, currency: str) -> list[str]:
    rules = refusals(tally)
    said = [
        f"  refused by {rule}: {found.lines:,}, {money(found.amount)} {currency}" for rule, found in rules
    ]
    if sum(found.lines for _, found in rules) > tally.get(REFUSED, NOTHING).lines:
        said.append("  rows that several rules refuse stand under each of them")
    return said


def till_lines(spans: Sequence[tuple[str, Figures]], currency: str) -> list[str]:
    """Named figures as the lines of a table, columns of money that hold nothing left out."""
    amounts: dict[str, list[Decimal]] = {
        "gross sales": [f.of("sale").amount for _, f in spans],
        "returns": [f.of("return").amount for _, f in spans],
        "net sales": [f.net for _, f in spans],
        "charges": [f.of("charge").amount for _, f in spans],
        "discounts": [f.of("discount").amount for _, f in spans],
        "total": [f.total for _, f in spans],
        "anonymous": [f.of("anonymous").amount for _, f in spans],
    }
    if not any(amounts["charges"]) and not any(amounts["discounts"]):
        del amounts["charges"], amounts["discounts"], amounts["total"]
    places = max(_places(amount) for column in amounts.values() for amount in column)
    table = [[f"till figures, {currency}", "lines", "orders", "customers", *amounts]]
    for n, (name, f) in enumerate(spans):
        texts = (f"{column[n]:,.{places}f}" for column in amounts.values())
        counts = ("-" if count is None else f"{count:,}" for count in (f.orders, f.customers))
        table.append([name, f"{f.lines:,}", *counts, *texts])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table]
    if (below := spans[-1][1].of("below_price")).lines:
        off = f"{money(below.amount)} {currency} off the prices of {counted(below.lines, 'line')}"
        lines.append(f"gross sales are after discounts of {off}")
    return lines


def spans(figures: Till) -> list[tuple[str, Figures]]:
    """The rows of a table of figures: the days if they are few, and all together."""
    days = list(figures.by_day)
    if len(days) == 1:
        return [(str(days[0]), figures.in_all)]
    each = [(str(day), of_day) for day, of_day in figures.by_day.items()] if len(days) <= MOST_DAYS else []
    return [*each, ("in all" if each else f"{days[0]} to {days[-1]}", figures.in_all)]


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def money(amount: Decimal) -> str:
    """An amount with the decimals that it has, two at least."""
    return f"{amount:,.{_places(amount)}f}"


def _places(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(2, -exponent) if isinstance(exponent, int) else 2
