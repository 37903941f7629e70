"""What a day's transactions of a source are like besides how many, and how far that is from what is usual.

A day's shape is made from that day alone (``tables/day_shapes.sql``). What is compared over days (customers
never seen before, invoices delivered once more) is found here, from samples that the shapes hold: so days may
be made in any order, and a day that does not count is as if it had never been.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any, Literal, NamedTuple

from retail_pipeline.planning.manifests import Shape

SAMPLE = 256  # customers, and invoices, of a day that a shape names, at most
FEWEST_DAYS = 20  # so many days say what is usual
_DIGITS = 8  # of the hash of one of them
_STEPS = 4  # to a natural logarithm, of prices and quantities
_RECENT, _AGAIN = 24, 80  # days with deliveries
# days that the usual figure rests on, and how far days are off it; days that are also looked at together
_USUAL, _LATELY, _TOGETHER = 28, 56, 5
_ACCEPTED = timedelta(days=56)
# so many standard deviations, and so many times the second largest error of the last days, may a figure be
# off; where a good day may be a little odd, one that is so many times farther off holds the day
_DEVIATIONS, _BEYOND, _CERTAIN = 3.5, 1.75, 1.3
_SCALE = 1.4826  # median absolute deviations to standard deviations
_FEWEST_ERRORS, _ONE_SIDE = 15, 8

Action = Literal["hold", "warn", "off"]
Shapes = dict[date, dict[str, Shape]]


@dataclass(frozen=True)
class Figure:
    """One figure of a day's shape.

    ``says`` it in words. ``scale`` is that on which it is judged: an angle for a ``share``, log odds for a
    ``rare`` one, a logarithm for a ``level``. On that scale nothing within ``least`` of the usual is odd, and
    only what lies on this ``side`` of it. ``identity``: it tells whether customers and invoices are who they
    were. ``by_chance``: days differ in it mostly because few customers or invoices are counted.
    """

    says: str
    scale: Literal["share", "rare", "level"]
    least: float
    identity: bool = False
    by_chance: bool = False
    action: Action = "hold"
    side: Literal["both", "more", "less"] = "both"

    def back(self, value: float) -> str:
        """The figure as people read it."""
        if self.scale == "level":
            return f"{math.exp(value):.3g}" if value < math.log(1000) else f"{math.exp(value):,.0f}"
        if self.scale == "rare":
            return f"{1 / (1 + math.exp(-value)):.1%}"
        return f"{math.sin(min(max(value, 0), math.pi / 2)) ** 2:.1%}"


FIGURES: Mapping[str, Figure] = {
    "new_customers": Figure(
        "{} of its customers were never seen before", "share", 0.15, True, True, side="more"
    ),
    "recent_customers": Figure(
        "{} of its customers came on the last 24 days, too", "share", 0.15, True, True, side="less"
    ),
    "anonymous_lines": Figure("{} of its lines have no customer", "share", 0.15, True),
    "top_customer": Figure("{} of its lines are of one customer", "share", 0.2, True, side="more"),
    "mixed_invoices": Figure(
        "{} of its invoices are of several customers, or of one and of nobody",
        "rare",
        1,
        True,
        True,
        side="more",
    ),
    "repeated_invoices": Figure(
        "{} of its invoices say the same as another", "rare", 1, True, True, side="more"
    ),
    "delivered_again": Figure(
        "{} of its invoices came before, under other numbers", "rare", 1, True, True, side="more"
    ),
    "customer_invoices": Figure("{} invoices a customer", "level", 0.4, True),
    "invoice_lines": Figure("{} lines an invoice", "level", 0.5, True),
    "copied_lines": Figure("{} of its lines stand twice in an invoice", "rare", 1, True, side="more"),
    "products": Figure("{} products a line", "level", 0.4),
    "refused_lines": Figure("{} of its lines are refused by the cleaning", "share", 0.2, side="more"),
    "returned_lines": Figure("{} of its lines are returns", "rare", 1),
    "returned_value": Figure("{} of its value are returns", "rare", 3.3, action="warn", side="more"),
    "line_value": Figure("a line is worth {}", "level", 0.4),
    "largest_line": Figure("its largest line is worth {}", "level", 3, side="more"),
    "low_price": Figure("a twentieth of its lines cost {} or less", "level", 0.7),
    "middle_price": Figure("half of its lines cost {} or less", "level", 0.4),
    "high_price": Figure("a twentieth of its lines cost {} or more", "level", 0.4),
    "low_quantity": Figure("a twentieth of its lines sell {} or less", "level", 1.1),
    "middle_quantity": Figure("half of its lines sell {} or less", "level", 1.1),
    "high_quantity": Figure("a twentieth of its lines sell {} or more", "level", 1.1),
    "hours": Figure(
        "{} of its lines lie at other hours than usual", "share", 0.25, action="warn", side="more"
    ),
    "countries": Figure("{} of its invoices are of other countries than usual", "share", 0.2, side="more"),
    "abroad": Figure("{} of its invoices are of another country than most", "share", 0.2, by_chance=True),
}
# that of the last days together is looked at, too
_OF_DAYS = ("new_customers", "recent_customers")
_QUANTILES = {"low": 0.05, "middle": 0.5, "high": 0.95}
_PARTS = ("hour", "country", "price", "quantity")


class Value(NamedTuple):
    """A figure of a day on its scale, and the standard deviation that chance alone gives it."""

    value: float
    chance: float


class Odd(NamedTuple):
    """A figure that is far from the usual, in words, and whether it is too far to be one of a good day."""

    name: str
    says: str
    is_certain: bool


def shapes(rows: Iterable[Mapping[str, Any]]) -> Shapes:
    """The shapes by day and source system, from the rows of ``tables/day_shapes.sql``."""
    found: dict[date, dict[str, dict[str, dict[str, int]]]] = {}
    for row in rows:
        of_system = found.setdefault(row["date"], {}).setdefault(row["source_system"], {})
        of_system.setdefault(row["what"], {})[row["name"]] = row["number"]
    return {
        day: {
            system: Shape(
                counts={k: by[""] for k, by in what.items() if k not in (*_PARTS, "customer", "basket")},
                shares={name: what.get(name, {}) for name in _PARTS},
                customers="".join(what.get("customer", ())),
                baskets="".join(what.get("basket", ())),
            )
            for system, what in systems.items()
        }
        for day, systems in found.items()
    }


class _Seen:
    """The customers, or baskets, of the days before, with the number of the last day on which each came."""

    def __init__(self, days: int) -> None:
        self.days, self.last, self.number = days, dict[str, int](), 0
        self.named = deque[str](maxlen=_USUAL)

    def sample(self, names: str) -> list[str]:
        """Those that the days before would have named, had they come then."""
        most = min(self.named, default="~")
        return [name for name in _each(names) if name <= most]

    def lately(self, names: Iterable[str]) -> int:
        return sum(1 for name in names if self.last.get(name, -self.days) > self.number - self.days)

    def add(self, names: str) -> None:
        each = _each(names)
        self.number += 1
        self.named.append(each[-1] if len(each) == SAMPLE else "~")
        self.last.update(dict.fromkeys(each, self.number))


class Usual:
    """What is usual of a source, by the shapes of the days that count."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.customers, self.baskets = _Seen(_RECENT), _Seen(_AGAIN)
        self.values = defaultdict[str, deque[float]](lambda: deque(maxlen=_USUAL))
        self.errors = defaultdict[str, deque[Value]](lambda: deque(maxlen=_LATELY))
        self.accepted: list[tuple[date, Mapping[str, Value]]] = []
        self.parts = {name: deque[Mapping[str, float]](maxlen=_USUAL) for name in ("hour", "country")}

    def figures(self, shape: Shape, lines: int) -> dict[str, Value]:
        """The figures of a day, of which so many lines were delivered."""
        counts = shape.counts
        kept, invoices, customers = counts["lines"], counts["invoices"], counts.get("customers", 0)
        sample, baskets = self.customers.sample(shape.customers), self.baskets.sample(shape.baskets)
        shares: dict[str, tuple[float, float, float]] = {
            "anonymous_lines": (counts["anonymous"], kept, invoices),
            "top_customer": (counts.get("top", 0), kept - counts["anonymous"], customers),
            "mixed_invoices": (counts["mixed"], invoices, invoices),
            "repeated_invoices": (counts["repeated"], invoices, invoices),
            "copied_lines": (counts["copies"], kept, invoices),
            "refused_lines": (max(lines - kept, 0), lines, invoices),
            "returned_lines": (counts["returns"], kept, invoices),
            "returned_value": (counts["returned"], counts["sold"] + counts["returned"], invoices),
        }
        if self.customers.last:
            new = sum(1 for name in sample if name not in self.customers.last)
            shares["new_customers"] = (new, len(sample), len(sample))
            recent = self.customers.lately(sample)
            shares["recent_customers"] = (recent, len(sample), len(sample))
        if self.baskets.last:
            shares["delivered_again"] = (self.baskets.lately(baskets), len(baskets), len(baskets))
        levels: dict[str, tuple[float, float]] = {
            "customer_invoices": (invoices / customers if customers else 0, customers),
            "invoice_lines": (kept / invoices, invoices),
            "products": (counts["products"] / kept, invoices),
            "line_value": (counts["sold"] / counts["sales"] if counts["sales"] else 0, invoices),
            "largest_line": (counts["largest_line"], math.inf),
        }
        for what in ("price", "quantity"):
            steps = sorted((int(step), number) for step, number in shape.shares[what].items())
            levels |= {f"{n}_{what}": (_quantile(steps, q), invoices) for n, q in _QUANTILES.items() if steps}
        for what, name in (("hour", "hours"), ("country", "countries")):
            if len(before := self.parts[what]) >= _TOGETHER:
                today, usual = _parts(shape, what), _mean(before)
                moved = sum(abs(today.get(k, 0) - usual.get(k, 0)) for k in today.keys() | usual.keys()) / 2
                shares[name] = (moved, 1, invoices)
                if what == "country":
                    shares["abroad"] = (1 - today.get(max(usual, key=lambda k: usual[k]), 0), 1, invoices)
        found = {name: _share(*share, FIGURES[name].scale) for name, share in shares.items() if share[1] > 0}
        return found | {
            name: Value(math.log(level), 1 / math.sqrt(max(of, 1)))
            for name, (level, of) in levels.items()
            if level > 0
        }

    def oddities(self, day: date, figures: Mapping[str, Value]) -> Iterator[Odd]:
        """The figures of a day that are far from the usual."""
        for name, today in figures.items():
            before, errors = self.values[name], self.errors[name]
            if len(before) < FEWEST_DAYS or len(errors) < _FEWEST_ERRORS:
                continue
            accepted = (
                of[name].value for then, of in self.accepted if day - then <= _ACCEPTED and name in of
            )
            usual = min((median(before), *accepted), key=lambda value: abs(today.value - value))
            figure, of, off = FIGURES[name], "", today.value - usual
            if off * {"both": off, "more": 1, "less": -1}[figure.side] <= 0:
                continue
            if name not in _OF_DAYS and abs(off) <= max(figure.least, _DEVIATIONS * today.chance):
                continue  # which most are, and the rest takes time
            far = _far(figure, errors, today.chance, off)
            times = abs(off) / far
            if name in _OF_DAYS and usual == median(before):
                values = [error.value for error in errors]
                mean = (sum(values[-_TOGETHER + 1 :]) + off) / _TOGETHER
                means = sorted(map(abs, _means(values[: -_TOGETHER + 1])))
                least = max(_BEYOND * means[-2], figure.least)
                # a good day after some bad ones is none of them
                if abs(off) > least and abs(mean) / least > times:
                    times, off, far = abs(mean) / least, mean, least
                    of = f" on average of the last {_TOGETHER} days"
            if times > 1:
                low, high = (figure.back(usual + side * far) for side in (-1, 1))
                yield Odd(
                    name,
                    f"{figure.says.format(figure.back(usual + off))}{of}, where {low} to {high} are usual by "
                    f"the last {len(before)} days",
                    figure.identity or times > _CERTAIN,
                )

    def see(self, shape: Shape, are_known: bool) -> None:
        """Know who came and what was delivered, of a day that is held, too, unless its customers are odd."""
        self.baskets.add(shape.baskets)
        if are_known:
            self.customers.add(shape.customers)

    def remember(self, day: date, shape: Shape, figures: Mapping[str, Value], is_accepted: bool) -> None:
        for name, today in figures.items():
            before = self.values[name]
            if len(before) >= _TOGETHER:
                self.errors[name].append(Value(today.value - median(before), today.chance))
            before.append(today.value)
        if is_accepted:
            self.accepted.append((day, figures))
        for what, parts in self.parts.items():
            parts.append(_parts(shape, what))


def _far(figure: Figure, errors: Sequence[Value] | deque[Value], chance: float, off: float) -> float:
    """How far from the usual a figure is odd, by how far the last days were off on the same side.

    Days that counted fewer were farther off by chance: where it is chance, that is taken off.
    """
    scaled = [
        error.value * min(1.0, chance / error.chance) if figure.by_chance and error.chance else error.value
        for error in errors
    ]
    same = sorted(abs(error) for error in scaled if error * off >= 0)
    if len(same) < _ONE_SIDE:
        same = sorted(map(abs, scaled))
    return max(figure.least, _DEVIATIONS * math.hypot(_SCALE * median(same), chance), _BEYOND * same[-2])


def _means(errors: Sequence[float]) -> list[float]:
    """The mean errors of each so many days in a row that are looked at together."""
    return [sum(errors[n : n + _TOGETHER]) / _TOGETHER for n in range(len(errors) - _TOGETHER + 1)]


def _share(part: float, of: float, counted: float, scale: str) -> Value:
    share, number = min(max(part / of, 0.0), 1.0), max(1.0, counted)
    if scale == "share":
        return Value(math.asin(math.sqrt(share)), 0.5 / math.sqrt(number))
    some = share * number
    odds = math.log((some + 0.5) / (number - some + 0.5))
    return Value(odds, math.sqrt(1 / (some + 1) + 1 / (number - some + 1)))


def _quantile(steps: Sequence[tuple[int, int]], share: float) -> float:
    """The price or quantity below which a share of the lines lie, within steps."""
    rank, below = share * sum(lines for _, lines in steps), 0
    for step, lines in steps:
        if below + lines >= rank:
            return math.exp((step + (rank - below) / lines) / _STEPS)
        below += lines
    return math.exp((steps[-1][0] + 1) / _STEPS)


def _parts(shape: Shape, what: str) -> dict[str, float]:
    numbers = shape.shares[what]
    return {name: number / sum(numbers.values()) for name, number in numbers.items()}


def _mean(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found = defaultdict[str, float](float)
    every = list(parts)
    for each in every:
        for name, share in each.items():
            found[name] += share / len(every)
    return found


def _each(names: str) -> list[str]:
    return [names[n : n + _DIGITS] for n in range(0, len(names), _DIGITS)]
