"""What must run: a comparison of what the lake holds with what it should hold.

Belongs here: what each partition is made from (its inputs, by fingerprint) and which partitions are therefore
missing or stale. ``run``, ``status``, the sensors and the assets all ask here; there is no other place that
decides. Does not belong here: reading the lake (``lake/state.py``) or doing the work (``defs/``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from itertools import groupby
from typing import Literal

from retail_pipeline.core.arrivals import FileSeen, must_land_again, new_files
from retail_pipeline.core.manifests import Manifest, fingerprint
from retail_pipeline.core.schema import REPORT, TABLES

BOOTSTRAP = "bootstrap"
SAME_SNAPSHOT = "same_snapshot"
DAYS_THAT_BLOCK_LISTS = 7

# Rough seconds on two cores, read off the progress bars of runs over 374 days of 541,909 lines; only to tell
# a minute from an hour.
_SECONDS = {"files": 0.02, "days": 0.04, "months": 0.8, "snapshots": 1.5, "reports": 8}


@dataclass(frozen=True)
class Recipe:
    """The settings that shape the tables, as fingerprints by what they shape."""

    profiles: frozenset[str]
    first_day: date
    last_day: date | None
    cleaning: Mapping[str, str]
    checks: str
    customer_days: str
    features: str
    segmentations: Mapping[str, str]
    campaigns: Mapping[str, tuple[str, str]]
    model_timing: Literal["previous_month", "same_snapshot"]
    gates: str
    late_data: Literal["flag", "retrain"]
    report: str
    report_each_run: bool


@dataclass(frozen=True)
class State:
    """What is there: the files in landing, and the manifests of the lake's partitions by key."""

    seen: tuple[FileSeen, ...] = ()
    landed: Mapping[str, Manifest] = field(default_factory=dict)
    transactions: Mapping[date, Manifest] = field(default_factory=dict)
    customer_days: Mapping[date, Manifest] = field(default_factory=dict)
    features: Mapping[date, Manifest] = field(default_factory=dict)
    candidates: Mapping[str, Manifest] = field(default_factory=dict)
    models: Mapping[str, Manifest] = field(default_factory=dict)
    assignments: Mapping[date, Mapping[str, Manifest]] = field(default_factory=dict)
    lists: Mapping[date, Mapping[str, Manifest]] = field(default_factory=dict)
    reports: Mapping[date, Manifest] = field(default_factory=dict)
    released: Mapping[date, str] = field(default_factory=dict)
    model_decisions: Mapping[str, str] = field(default_factory=dict)
    retrained: Mapping[str, str] = field(default_factory=dict)
    suppression: str = "none"

    @cached_property
    def raw(self) -> Mapping[date, Mapping[str, Manifest]]:
        """The landed files that gave rows to each day, by day and source_id."""
        days: dict[date, dict[str, Manifest]] = {}
        for source_id, manifest in sorted(self.landed.items()):
            for day in manifest.parts:
                days.setdefault(day, {})[source_id] = manifest
        return days

    @cached_property
    def first_day(self) -> date | None:
        """The first day of which anything was delivered."""
        return min(self.raw, default=None)

    @property
    def last_day(self) -> date | None:
        """The last day of which anything was delivered."""
        return max(self.raw, default=None)

    def is_held(self, day: date) -> bool:
        """True when a blocking check failed on the day and nobody released these rows."""
        manifest = self.transactions.get(day)
        return bool(
            manifest
            and manifest.blocked
            and self.released.get(day) != manifest.content
            and self._is_delivered(day)
        )

    def usable(self, day: date) -> bool:
        """True when the day's customer_days may be read: made, and the day is not held."""
        return day in self.customer_days and self._is_delivered(day) and not self.is_held(day)

    def _is_delivered(self, day: date) -> bool:
        # what was made of days before the first delivery is left from other settings
        return self.first_day is not None and day >= self.first_day

    def history(self, day: date) -> list[date]:
        """The days up to ``day`` whose customer_days may be read."""
        return [d for d in sorted(self.customer_days) if d <= day and self.usable(d)]

    def held_days(self, first: date, last: date) -> list[date]:
        """The held days in a range."""
        return [d for d in sorted(self.transactions) if first <= d <= last and self.is_held(d)]

    def held_lately(self, day: date) -> list[date]:
        """The days that keep lists from being made for ``day``: those of its last 7 held or not made."""
        week = (day - timedelta(days=n) for n in reversed(range(DAYS_THAT_BLOCK_LISTS)))
        return [d for d in week if self._is_delivered(d) and not self.usable(d)]

    @cached_property
    def _histories(self) -> Mapping[date, str]:
        chain, chains = "", {}
        for day in sorted(self.customer_days):
            if self.usable(day):
                chain = fingerprint(chain, day, self.customer_days[day].content)
            chains[day] = chain
        return chains

    def history_fingerprint(self, day: date) -> str:
        """Names everything that a snapshot of ``day`` reads."""
        known = [d for d in self._histories if d <= day]
        return self._histories[max(known)] if known else ""


@dataclass(frozen=True)
class Work:
    """What must run, in this order.

    Land files, make days, train months, make snapshots (with their lists), make the report.
    """

    files: tuple[FileSeen, ...] = ()
    days: tuple[date, ...] = ()
    months: tuple[str, ...] = ()
    snapshots: tuple[date, ...] = ()
    reports: tuple[date, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.days or self.months or self.snapshots or self.reports)

    @property
    def seconds(self) -> float:
        """About how long it takes on two cores."""
        return sum(cost * len(getattr(self, part)) for part, cost in _SECONDS.items())


def month_of(day: date) -> str:
    """``2011-12-09`` -> ``2011-12``."""
    return f"{day:%Y-%m}"


def close_before(month: str) -> date:
    """The last day of the month before: the day that the month's models are trained through."""
    return date.fromisoformat(f"{month}-01") - timedelta(days=1)


def is_month_close(day: date) -> bool:
    """True for the last day of a month."""
    return (day + timedelta(days=1)).day == 1


def months_in_force(first_day: date, through: date) -> list[str]:
    """The months up to ``through`` that have a month before them in the data, and so a model of their own."""
    months, day = [], through
    while month_of(day) > month_of(first_day):
        months.append(month_of(day))
        day = close_before(month_of(day))
    return months[::-1]


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days as contiguous ranges, first and last included."""
    runs = groupby(enumerate(sorted(days)), key=lambda pair: pair[1] - timedelta(days=pair[0]))
    return [((members := [day for _, day in run])[0], members[-1]) for _, run in runs]


def transactions_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What a day of transactions is made from."""
    delivered = state.raw.get(day, {})
    systems = sorted({manifest.inputs["source_system"] for manifest in delivered.values()})
    return {
        "raw_transactions": fingerprint([(s, m.parts[day].content) for s, m in delivered.items()]),
        "cleaning": fingerprint([(system, recipe.cleaning.get(system, "")) for system in systems]),
        "checks": recipe.checks,
    }


def customer_days_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What a day of customer_days is made from."""
    return {"transactions": state.transactions[day].content, "features": recipe.customer_days}


def features_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What a snapshot of rfm_features is made from."""
    return {"customer_days": state.history_fingerprint(day), "features": recipe.features}


def candidate_inputs(state: State, recipe: Recipe, month: str) -> dict[str, str]:
    """What a month's candidates are made from."""
    close = close_before(month)
    champion, before = state.models.get(month_of(close)), state.features.get(close_before(month_of(close)))
    return {
        "rfm_features": state.features[close].content,
        "rfm_features_before": before.content if champion and before else "",
        "features": fingerprint(recipe.features, recipe.customer_days),
        "segmentations": fingerprint(dict(recipe.segmentations)),
        "gates": recipe.gates,
        "champion": champion.content if champion else "",
    }


def model_inputs(state: State, month: str) -> dict[str, str]:
    """What a month's models are chosen from."""
    champion = state.models.get(month_of(close_before(month)))
    return {
        "candidates": state.candidates[month].content,
        "champion": champion.content if champion else "",
        "decisions": state.model_decisions.get(month, ""),
    }


def candidates_are_current(state: State, recipe: Recipe, month: str) -> bool:
    """True when a month need not be fitted again.

    Under ``late_data: flag`` other data under a fitted month are no reason, unless somebody asked for a
    retrain on just these data.
    """
    made = state.candidates.get(month)
    if made is None:
        return False
    inputs = candidate_inputs(state, recipe, month)
    if recipe.late_data == "flag" and state.retrained.get(month) != inputs["rfm_features"]:
        inputs |= {name: made.inputs.get(name, "") for name in ("rfm_features", "rfm_features_before")}
    return made.is_current(TABLES["model_candidates"], inputs)


def rests_on_other_data(state: State, month: str) -> bool:
    """True when the data that a month's candidates were fitted on have changed since."""
    made, features = state.candidates.get(month), state.features.get(close_before(month))
    return bool(made and features and made.inputs["rfm_features"] != features.content)


def model_source(state: State, recipe: Recipe, day: date) -> str:
    """Where a day's model comes from.

    ``bootstrap``, ``same_snapshot``, or the month whose model is in force.
    """
    if recipe.model_timing == SAME_SNAPSHOT:
        return SAME_SNAPSHOT
    first = state.first_day
    return BOOTSTRAP if first is None or month_of(day) <= month_of(first) else month_of(day)


def assignments_inputs(state: State, recipe: Recipe, day: date, segmentation: str) -> dict[str, str]:
    """What a snapshot of segment_assignments is made from."""
    source = model_source(state, recipe, day)
    previous = state.assignments.get(close_before(month_of(day)), {}).get(segmentation)
    return {
        "rfm_features": state.features[day].content,
        "model": state.models[source].content if source in state.models else source,
        "segmentation": recipe.segmentations[segmentation],
        "previous": previous.content if previous else "",
    }


def list_inputs(state: State, recipe: Recipe, day: date, campaign: str) -> dict[str, str]:
    """What a campaign list is made from."""
    segmentation, settings = recipe.campaigns[campaign]
    return {
        "segment_assignments": state.assignments[day][segmentation].content,
        "rfm_features": state.features[day].content,
        "campaign": settings,
        "suppression": state.suppression,
    }


def report_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What the report of a day is made from."""
    first = state.first_day or day
    months = [] if recipe.model_timing == SAME_SNAPSHOT else months_in_force(first, day)
    models = {m: state.models[m].content for m in months if m in state.models}
    days = [(d, m.content, m.counts) for d, m in state.transactions.items() if first <= d <= day]
    return {
        "rfm_features": state.features[day].content,
        "segment_assignments": fingerprint({n: m.content for n, m in state.assignments[day].items()}),
        "campaign_lists": fingerprint({n: m.content for n, m in state.lists.get(day, {}).items()}),
        "transactions": fingerprint(days, sorted(state.landed)),
        "customer_days": state.history_fingerprint(day),
        "models": fingerprint(models, sorted(state.model_decisions.items())),
        "settings": recipe.report,
    }


def plan(state: State, recipe: Recipe, through: date) -> Work:
    """Everything that must run so that the lake is right through a day.

    That is: every new file landed, every day's transactions and customer_days from the first delivery on, the
    models of every month with the month closes they rest on, and the snapshot, segments, lists and report of
    ``through``. A partition must run when it is missing, when an input's fingerprint differs from the one in
    its manifest, when the code that makes it has another version, or when something it is made from must run.
    """
    well_landed = [
        source_id
        for source_id, landed in state.landed.items()
        if not must_land_again(landed, recipe.profiles, recipe.first_day, recipe.last_day)
    ]
    files = tuple(new_files(state.seen, well_landed))
    if state.first_day is None or through < state.first_day:
        return Work(files)
    every_day = [state.first_day + timedelta(days=n) for n in range((through - state.first_day).days + 1)]
    days = tuple(day for day in every_day if not _day_is_current(state, recipe, day))
    months: list[str] = []
    for month in months_in_force(state.first_day, through):
        close = close_before(month)
        redone = bool(months) or (days and days[0] <= close)
        if redone or not (
            _segments_are_current(state, recipe, close) and _models_are_current(state, recipe, month)
        ):
            months.append(month)
    redone = bool(days or months)
    snapshot = redone or not (
        _segments_are_current(state, recipe, through) and _lists_are_current(state, recipe, through)
    )
    report = recipe.report_each_run and (snapshot or not _report_is_current(state, recipe, through))
    last = (through,)
    return Work(files, days, tuple(months), last if snapshot else (), last if report else ())


def _day_is_current(state: State, recipe: Recipe, day: date) -> bool:
    made = state.transactions.get(day)
    if not made or not made.is_current(TABLES["transactions"], transactions_inputs(state, recipe, day)):
        return False
    if state.is_held(day):
        return day not in state.customer_days
    summed = state.customer_days.get(day)
    return bool(
        summed and summed.is_current(TABLES["customer_days"], customer_days_inputs(state, recipe, day))
    )


def _segments_are_current(state: State, recipe: Recipe, day: date) -> bool:
    features = state.features.get(day)
    if not features or not features.is_current(TABLES["rfm_features"], features_inputs(state, recipe, day)):
        return False
    made = state.assignments.get(day, {})
    return set(made) == set(recipe.segmentations) and all(
        manifest.is_current(TABLES["segment_assignments"], assignments_inputs(state, recipe, day, name))
        for name, manifest in made.items()
    )


def _models_are_current(state: State, recipe: Recipe, month: str) -> bool:
    if recipe.model_timing == SAME_SNAPSHOT:
        return True
    made = state.models.get(month)
    return bool(
        made
        and candidates_are_current(state, recipe, month)
        and made.is_current(TABLES["segmentation_models"], model_inputs(state, month))
    )


def _lists_are_current(state: State, recipe: Recipe, day: date) -> bool:
    made = state.lists.get(day, {})
    if state.held_lately(day):
        return not made
    return set(made) == set(recipe.campaigns) and all(
        manifest.is_current(TABLES["campaign_lists"], list_inputs(state, recipe, day, name))
        for name, manifest in made.items()
    )


def _report_is_current(state: State, recipe: Recipe, day: date) -> bool:
    made = state.reports.get(day)
    return bool(made and made.is_current(REPORT, report_inputs(state, recipe, day)))
