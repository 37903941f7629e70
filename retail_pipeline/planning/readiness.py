"""What each source should have delivered of a day, and what is amiss with what it did deliver.

A verdict rests on what landed, never on the order in which it came. What is usual on a day comes from the
same weekdays before it; of later days it matters only whether anything was delivered for one. Until then the
day's deliveries may still come: it waits. Whether one is overdue this morning is asked in ``freshness.py``.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import lru_cache
from statistics import median
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, field_validator, model_validator

from retail_pipeline.planning.manifests import Frozen, Shape
from retail_pipeline.planning.shapes import FIGURES, Action, Usual, Value

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# so many of a weekday's last deliveries may be missing (bank holidays), and it still always has one
_MISSED = 1
# a few orders double and halve by chance: such a source is judged by whether it delivers, no more
_FEWEST_LINES = 200
# so many earlier figures of a weekday give a median that tells how far the next one is off
_FEWEST = 3
# minutes: who closes an hour early leaves a gap that no quiet evening does; so many of a weekday's earliest
# ends (half-holidays) say nothing of what is usual; from this share of the lines on an early end is no news
_EARLY, _EARLY_ENDS, _NOTABLE_SHARE = 60, 1, 0.8
# a far day needs more lines to be a delivery than the next one; so many days before say what is usual
_FAR, _DAYS_BEFORE = timedelta(days=31), 28
# median absolute deviations to standard deviations, and how many of these are usual
_SCALE, _DEVIATIONS = 1.4826, 4
# a released day's figures are usual for so long; the same season is so long ago, give or take a week
_ACCEPTED, _YEAR, _WEEK = timedelta(days=56), timedelta(days=364), timedelta(days=7)


def _time(value: Any) -> Any:
    if isinstance(value, int):
        # YAML reads an unquoted 18:30 as a number in base 60
        value = f"{value // 60:02}:{value % 60:02}"
    if not isinstance(value, str):
        return value
    # with seconds, as it stands in JSON
    found = re.fullmatch(r"((?:[01]?\d|2[0-3]):[0-5]\d)(?::00)?", value)
    if not found:
        raise ValueError("is no time of day: write one such as 07:00")
    return found[1].rjust(5, "0")


Bounds = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]


class Delivers(Frozen):
    """What a source should deliver, as far as it is set; what is null is learned."""

    weekdays: tuple[Weekday, ...] | None = Field(
        None,
        description="Days whose sales it delivers, such as `[mon, tue]`; null: learned; `[]`: none is"
        " expected (deliveries by the month or days late)",
    )
    by: Annotated[time, BeforeValidator(_time)] | None = Field(
        None,
        description="When it must be there on the next morning; null: 07:30. `yesterday_is_there` "
        "looks half an hour later",
    )
    lines: Bounds | None = Field(None, description="`[fewest, most]` kept lines of a day; null: learned")
    value: Bounds | None = Field(
        None,
        description="`[lowest, highest]` value of a day's kept lines; null: learned",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Delivers:
        for name in ("lines", "value"):
            bounds = getattr(self, name)
            if bounds and bounds[0] > bounds[1]:
                raise ValueError(f"{name} {list(bounds)}: write the lower bound first")
        return self


class Readiness(Frozen):
    """How a day's deliveries are judged against the same weekdays before."""

    learn: bool = Field(True, description="Learn what is not set; `false`: only what is set is expected")
    minimum_history: int = Field(
        8,
        ge=3,
        le=52,
        description="So many same weekdays before say what is usual; of fewer nothing is learned. At "
        "most one may lack a delivery for one to be expected",
    )
    lowest_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Lines or value below this share of the median are always odd",
    )
    steady_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Above this share they never are; in between it depends on how much days vary",
    )
    early_share: float = Field(
        0.65,
        ge=0,
        le=1,
        description="A day that ends an hour early is odd below this share of the median of lines; 0: never",
    )
    highest_share: float = Field(5, ge=1, description="Up to so many times the median is never odd")
    hold: bool = Field(True, description="Missing and odd deliveries hold the day; `false`: amber")
    history: Literal["warn", "hold"] = Field(
        "warn",
        description="What is amiss with days that came with, or after, files of days over two months later: "
        "amber (`warn`), or as any other (`hold`)",
    )
    figures: dict[str, Action] = Field(
        {},
        description="By figure: `hold`, `warn` (amber) or `off`. They are "
        + ", ".join(f"`{name}`" + (" (warn)" if f.action == "warn" else "") for name, f in FIGURES.items()),
    )

    @field_validator("figures")
    @classmethod
    def _are_figures(cls, given: dict[str, Action]) -> dict[str, Action]:
        if unknown := sorted(given.keys() - FIGURES.keys()):
            raise ValueError(f"there is no figure {unknown[0]}: they are {', '.join(FIGURES)}")
        return given

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @model_validator(mode="after")
    def _fits(self) -> Readiness:
        if self.lowest_share > self.steady_share:
            raise ValueError(
                f"lowest_share {self.lowest_share:g} is above steady_share {self.steady_share:g}"
            )
        return self


class Expected(Frozen):
    """The rules, and what is set for source systems by name."""

    rules: Readiness = Readiness()
    delivers: tuple[tuple[str, Delivers], ...] = ()

    def of(self, system: str) -> Delivers:
        """What is set for a source system."""
        return dict(self.delivers).get(system, Delivers())


LEARNED = Expected()


class Delivered(NamedTuple):
    """What a source system delivered for a day.

    Lines as landed; the value of the sales and returns among those that the cleaning keeps, in whole currency
    units, once the day is made; the minute of the day of the last line, if known; how many are kept and what
    they are like, once the day is made. ``is_history``: it came when much later days had come.
    """

    day: date
    system: str
    lines: int
    value: int | None
    last: int | None = None
    kept: int | None = None
    shape: Shape | None = None
    is_blocked: bool = False
    is_released: bool = False
    is_history: bool = False

    @property
    def counted(self) -> int:
        """The lines that are kept; those that landed as long as that is not known."""
        return self.lines if self.kept is None else self.kept


@dataclass(frozen=True)
class Finding:
    """Something amiss with a day's deliveries.

    ``says`` is the sentence for people; ``identity``: customers or invoices may not be who they were.
    ``holds``: the day is held. ``waits``: it may mend itself, because nothing was delivered for a later day
    yet. ``system``: the source it is about, if it is about one.
    """

    kind: Literal["late", "missing", "closed", "odd", "identity", "held", "unmade"]
    says: str
    holds: bool
    waits: bool = False
    system: str = ""

    @property
    def fails(self) -> bool:
        return self.holds and not self.waits


@dataclass(frozen=True)
class Verdicts:
    """The findings of every day that has any, and what is expected by weekday after the last day delivered.

    ``strays`` are days after it with so few lines that they do not say that a later delivery came.
    """

    found: Mapping[date, tuple[Finding, ...]] = field(default_factory=dict)
    last: date | None = None
    later: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    hold: bool = True
    strays: frozenset[date] = frozenset()

    def of(self, day: date) -> tuple[Finding, ...]:
        """The findings of a day; of one after the last delivery that something is awaited, if it is."""
        if self.last is None or day <= self.last or day in self.strays:
            return self.found.get(day, ())
        if not (systems := self.later[day.weekday()]):
            return ()
        says = (
            f"the {NAMES[day.weekday()]}'s delivery of {_and(systems)} has not come, nor any of a later day"
        )
        return (Finding("late", says, self.hold, waits=True),)


def _weekdays(rules: Readiness) -> list[deque[Any]]:
    return [deque(maxlen=rules.minimum_history) for _ in WEEKDAYS]


class _Figure:
    """Lines or value of the last same weekdays, and how far each of the last days was off their median.

    What somebody released is usual, too; so is what the same season a year before makes of the median.
    """

    def __init__(self, rules: Readiness) -> None:
        self.rules, self.by_weekday = rules, _weekdays(rules)
        self.errors = deque[float](maxlen=rules.minimum_history * len(WEEKDAYS))
        self.accepted: list[tuple[date, int]] = []
        self.times = dict[date, float]()

    def usual(self, day: date) -> tuple[int, int] | None:
        """The lowest and highest usual figure; None when there is too little history."""
        history, enough = self.by_weekday[day.weekday()], self.rules.minimum_history
        if not self.rules.learn or len(history) < enough or len(self.errors) < enough:
            return None
        middle = median(history)
        season = [t for n in (-1, 0, 1) if (t := self.times.get(day - _YEAR + n * _WEEK)) is not None]
        middles = [middle, *(middle * t for t in season)]
        middles += [figure for then, figure in self.accepted if day - then <= _ACCEPTED]
        ranges = [r for m in middles if (r := usual_range(m, self.errors, self.rules))]
        return (min(low for low, _ in ranges), max(high for _, high in ranges)) if middle >= 1 else None

    def remember(self, day: date, figure: int, is_accepted: bool) -> None:
        history = self.by_weekday[day.weekday()]
        if len(history) >= _FEWEST and (middle := median(history)) >= 1:
            self.times[day] = max(1, figure) / middle
            self.errors.append(abs(math.log(self.times[day])))
        if is_accepted:
            self.accepted.append((day, figure))
        history.append(figure)


class _Source:
    """What is known of one source system up to the day before."""

    def __init__(self, expects: Delivers, rules: Readiness) -> None:
        self.expects, self.rules = expects, rules
        self.came, self.lasts, self.landed = _weekdays(rules), _weekdays(rules), _weekdays(rules)
        self.lines, self.value = _Figure(rules), _Figure(rules)
        self.shapes, self.figures = Usual(), dict[str, Value]()

    def is_expected(self, weekday: int) -> bool:
        if self.expects.weekdays is not None:
            return WEEKDAYS[weekday] in self.expects.weekdays
        came = self.came[weekday]
        full = self.rules.learn and len(came) == self.rules.minimum_history
        return full and came.count(False) <= _MISSED

    def ends_early(self, today: Delivered) -> tuple[str, bool] | None:
        """That the day's last line is far earlier than usual and its lines are few; whether that is odd."""
        weekday, rules = today.day.weekday(), self.rules
        lines, lasts = self.landed[weekday], self.lasts[weekday]
        if not rules.learn or today.last is None or len(lasts) < rules.minimum_history or not lines:
            return None
        usual, middle = sorted(lasts)[_EARLY_ENDS], median(lines)
        if middle < _FEWEST_LINES or today.last >= usual - _EARLY or today.lines >= _NOTABLE_SHARE * middle:
            return None
        says = (
            f"{today.system} delivered {today.lines:,} lines up to {_of_day(today.last)}, where the last "
            f"{rules.minimum_history} {NAMES[weekday]}s have {middle:,.0f} and go on to {_of_day(usual)} or "
            "later: is the file whole?"
        )
        return says, today.lines < rules.early_share * middle

    def oddities(self, today: Delivered) -> Iterator[tuple[str, bool]]:
        """What is odd, in words, and whether it is too little."""
        weekday, set_by = today.day.weekday(), self.expects
        history = self.lines.by_weekday[weekday]
        is_large = bool(history) and median(history) >= _FEWEST_LINES
        for what, figure, bounds, known in (
            ("{:,} lines", today.counted, set_by.lines, self.lines),
            ("lines worth {:,}", today.value, set_by.value, self.value),
        ):
            usual = bounds or (known.usual(today.day) if is_large else None)
            if figure is not None and usual and not usual[0] <= figure <= usual[1]:
                named = f"usual by the last {self.rules.minimum_history} {NAMES[weekday]}s"
                yield (
                    f"{today.system} delivered {what.format(figure)}, where {usual[0]:,} to {usual[1]:,} "
                    f"are {'set' if bounds else named}",
                    figure < usual[0],
                )

    def oddities_of_shape(self, today: Delivered) -> Iterator[tuple[str, bool, bool]]:
        """What is odd about its customers, invoices and lines: in words, if it holds, if it is identity."""
        self.figures = {}
        if today.shape is None or not self.rules.learn:
            return
        self.figures = self.shapes.figures(today.shape, today.lines)
        for odd in self.shapes.oddities(today.day, self.figures):
            figure = FIGURES[odd.name]
            action = self.rules.figures.get(odd.name, figure.action)
            if action != "off":
                says = f"{today.system}: {odd.says} ({odd.name})"
                yield says, odd.is_certain and action == "hold", figure.identity

    def remember(self, day: date, today: Delivered | None, is_accepted: bool) -> None:
        weekday = day.weekday()
        self.came[weekday].append(today is not None)
        if today:
            self.landed[weekday].append(today.lines)
            self.lines.remember(day, today.counted, is_accepted)
            if today.value is not None:
                self.value.remember(day, today.value, is_accepted)
            if today.last is not None:
                self.lasts[weekday].append(today.last)
            if today.shape:
                self.shapes.remember(day, today.shape, self.figures, is_accepted)


def usual_range(
    middle: float, errors: Sequence[float] | deque[float], rules: Readiness
) -> tuple[int, int] | None:
    """The lowest and highest usual figure around a weekday's median; None when that is no measure.

    ``errors`` say by how much (as logarithms) the last days were off the medians of their weekdays. Too low
    is what lies four standard deviations below (estimated by the median error, which odd days do not move),
    but nothing above ``steady_share`` of the median and all below ``lowest_share``; too high as many times
    the median, at least ``highest_share`` times.
    """
    if middle < 1:
        return None
    share = math.exp(-_DEVIATIONS * _SCALE * median(errors))
    share = min(max(share, rules.lowest_share), rules.steady_share)
    return math.ceil(share * middle), math.floor(max(rules.highest_share, 1 / share) * middle)


class Misplaced(NamedTuple):
    """A file that is named after a day and holds nothing of it, nor of the days around it."""

    path: str
    is_empty: bool
    is_history: bool


@lru_cache(maxsize=4)
def judge(
    delivered: tuple[Delivered, ...],
    expected: Expected,
    misplaced: tuple[tuple[date, Misplaced], ...] = (),
) -> Verdicts:
    """Judge every day from the first to the last delivery, in one pass.

    Of a source nothing is expected before its own first delivery. Days before a stray are not gone through.
    What is held says nothing of what is usual, until somebody releases it.
    """
    by_day: dict[date, dict[str, Delivered]] = {}
    for entry in delivered:
        by_day.setdefault(entry.day, {})[entry.system] = entry
    if not by_day:
        return Verdicts()
    rules, first, last = expected.rules, min(by_day), _last_sure_day(by_day, expected.rules)
    named = dict(misplaced)
    sources: dict[str, _Source] = {}
    found: dict[date, tuple[Finding, ...]] = {}
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        today = by_day.get(day, {})
        sources |= {s: _Source(expected.of(s), rules) for s in today.keys() - sources.keys()}
        findings = _findings(day, today, sources, day == last, rules)
        if not today and day in named and findings:
            findings = (_instead(named[day], rules),)
        if findings:
            found[day] = findings
        # what is held teaches nothing unless somebody released it
        is_accepted = any(came.is_released for came in today.values())
        is_blocked = any(came.is_blocked for came in today.values())
        held = {finding.system for finding in findings if finding.holds}
        strange = {f.system for f in findings if f.holds and f.kind == "identity"} if not is_accepted else {}
        for system, source in sources.items():
            if (came := today.get(system)) and came.shape:
                source.shapes.see(came.shape, system not in strange)
            if is_accepted or not (is_blocked or system in held):
                source.remember(day, came, is_accepted and bool(held))
    later = {weekday: _expected(sources, weekday) for weekday in range(7)}
    strays = frozenset(day for day in by_day if day > last)
    for day in strays:
        new = {s: _Source(expected.of(s), rules) for s in by_day[day].keys() - sources.keys()}
        if findings := _findings(day, by_day[day], sources | new, True, rules):
            found[day] = findings
    return Verdicts(found, last, later, rules.hold, strays)


def _last_sure_day(by_day: Mapping[date, Mapping[str, Delivered]], rules: Readiness) -> date:
    """The last day of which a delivery came, and not merely a line or two that are dated wrongly.

    A stray day has fewer lines than each of the last days before it, and less than ``lowest_share`` of what
    is usual of them; of ``steady_share`` when it lies more than a month ahead.
    """
    lines = {day: sum(entry.lines for entry in came.values()) for day, came in by_day.items()}
    days = sorted(lines)
    while len(days) > 1:
        is_far = days[-1] - days[-2] > _FAR
        before = [lines[day] for day in days[-1 - _DAYS_BEFORE : -1]]
        share = rules.steady_share if is_far else rules.lowest_share
        enough = len(before) >= (_FEWEST if is_far else rules.minimum_history)
        if not enough or lines[days[-1]] >= min(min(before), share * median(before)):
            break
        days.pop()
    return days[-1]


def _expected(sources: Mapping[str, _Source], weekday: int) -> tuple[str, ...]:
    return tuple(sorted(system for system, source in sources.items() if source.is_expected(weekday)))


def _findings(
    day: date, today: Mapping[str, Delivered], sources: Mapping[str, _Source], is_last: bool, rules: Readiness
) -> tuple[Finding, ...]:
    weekday = NAMES[day.weekday()]
    missing = [system for system in _expected(sources, day.weekday()) if system not in today]
    if not today:
        says = (
            f"nobody delivered anything, though {_and(missing)} should on a {weekday}; "
            "later days came, so it counts as a day on which the shop was closed"
        )
        return (Finding("closed", says, holds=False),) if missing else ()
    is_history = all(came.is_history for came in today.values())
    hold = rules.hold and not (is_history and rules.history == "warn")
    says = "{} delivered nothing, as it does on {}s, though others did"
    found = [Finding("missing", says.format(s, weekday), hold, is_last, s) for s in missing]
    each = [(system, sources[system], today[system]) for system in sorted(today)]
    for system, source, came in each:
        for says, too_little in source.oddities(came):
            found.append(Finding("odd", says, hold, is_last and too_little, system))
    for system, source, came in each:
        if early := source.ends_early(came):
            found.append(Finding("odd", early[0], hold and early[1], is_last and early[1], system))
    for system, source, came in each:
        for says, holds, is_identity in source.oddities_of_shape(came):
            kind: Literal["identity", "odd"] = "identity" if is_identity else "odd"
            found.append(Finding(kind, says, hold and holds, system=system))
    return tuple(found)


def _instead(file: Misplaced, rules: Readiness) -> Finding:
    """What is said of a day of which nothing came, when a file that is named after it did."""
    if file.is_empty:
        return Finding(
            "closed", f"{file.path} is named after the day and is empty: was the shop closed?", False
        )
    says = f"{file.path} is named after the day and holds nothing of it: are its dates right?"
    return Finding("missing", says, rules.hold and not (file.is_history and rules.history == "warn"))


def _of_day(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
