"""What each partition is made from, by fingerprint: the inputs that its manifest records.

A table's declaration names them (``Table.made_from``); here stands how each is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from retail_pipeline.planning.calendar import close_before, every_day, month_of, months_in_force
from retail_pipeline.planning.manifests import Manifest, content_of, fingerprint, schema_fingerprint
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline.tables import TABLES
from retail_pipeline.tables import table as over
from retail_pipeline.tables.table import SAME, UP_TO, Over, Reads

BOOTSTRAP = "bootstrap"
SAME_SNAPSHOT = "same_snapshot"
MOST_NAMED = 5


@dataclass(frozen=True)
class _Partition:
    """A partition of a table: its day or month, and its segmentation or campaign if it has one."""

    state: State
    recipe: Recipe
    table: str
    key: Any
    name: str

    @property
    def close(self) -> date:
        return close_before(self.key if isinstance(self.key, str) else month_of(self.key))

    @property
    def delivered(self) -> Mapping[str, Manifest]:
        return self.state.raw.get(self.key, {})

    def content(self, table: str, key: date | str) -> str:
        """Names what a table holds of a day or month; empty when there is nothing.

        Where days have names it is that of this name (a campaign's segmentation), or all that the day has.
        """
        made, names = self.state[table].get(key), TABLES[table].partition_keys[1:]
        if names and self.name:
            is_other = names != TABLES[self.table].partition_keys[1:]
            made = (made or {}).get(self.recipe.campaigns[self.name][0] if is_other else self.name)
        elif names:
            made = made or {}
        return content_of(made)


_READ: Mapping[Over, Callable[[_Partition, str], str]] = {
    over.SAME: lambda at, table: at.content(table, at.key),
    over.EVERY_FILE: lambda at, table: fingerprint(
        [(source_id, landed.parts[at.key].content) for source_id, landed in at.delivered.items()]
    ),
    over.UP_TO: lambda at, table: at.state.history_fingerprint(at.key, table),
    over.DAYS_BEFORE: lambda at, table: earlier_invoices(at.state, at.recipe, at.key),
    over.MONTH_CLOSE: lambda at, table: at.content(table, at.close),
    over.MONTH_BEFORE: lambda at, table: at.content(table, month_of(at.close)),
    over.MONTH_IN_FORCE: lambda at, table: _model_in_force(at, table),
}


def _model_in_force(at: _Partition, table: str) -> str:
    source = model_source(at.state, at.recipe, at.key)
    return at.content(table, source) or source


# how the report's own tables are made; the page alone has a manifest that is compared
_SHAPES = {
    name: [table.code_version, schema_fingerprint(table.arrow)]
    for name, table in TABLES.items()
    if table.layer == "reports"
}


def _days_reported(at: _Partition) -> str:
    made, first = at.state["transactions"], at.state.first_day or at.key
    days = [(day, m.content, m.counts) for day, m in sorted(made.items()) if first <= day <= at.key]
    files = [sorted(found) for found in (at.state.landed, at.state.counting, at.state.deliveries.held)]
    return fingerprint(days, files, sorted(at.state.refused))


def _models_reported(at: _Partition) -> str:
    made, first = at.state["segmentation_models"], at.state.first_day or at.key
    months = [] if at.recipe.model_timing == SAME_SNAPSHOT else months_in_force(first, at.key)
    models = {month: made[month].content for month in months if month in made}
    return fingerprint(models, sorted(at.state.model_decisions.items()))


def _features_before(at: _Partition) -> str:
    # only a champion is compared on them
    month = month_of(at.close)
    return at.content("rfm_features", close_before(month)) if at.content("segmentation_models", month) else ""


def _awaited(at: _Partition) -> str | None:
    if lacks_last_day(at.state, at.key):
        return str(at.close)
    features = at.state["rfm_features"].get(at.close)
    return "customers" if features and not features.rows else None


# what is no table: settings and what people decided; None is left out
_FACTS: Mapping[str, Callable[[_Partition], str | None]] = {
    "cleaning": lambda at: fingerprint([at.recipe.cleaning_of(m) for m in at.delivered.values()]),
    "checks": lambda at: at.recipe.checks,
    "sums": lambda at: at.recipe.customer_days,
    "features": lambda at: at.recipe.features,
    "features and sums": lambda at: fingerprint(at.recipe.features, at.recipe.customer_days),
    "features before": _features_before,
    # a month that is complete is made from what there is
    "what is awaited": _awaited,
    "segmentations": lambda at: fingerprint(dict(at.recipe.segmentations)),
    "gates": lambda at: at.recipe.gates,
    "decisions": lambda at: at.state.model_decisions.get(at.key, ""),
    "segmentation": lambda at: at.recipe.segmentations[at.name],
    "steadiness": lambda at: at.recipe.steadiness.get(at.name),
    "campaign": lambda at: at.recipe.campaigns[at.name][1],
    "suppression": lambda at: at.state.suppression,
    "how lists are made": lambda at: TABLES["campaign_lists"].code_version,
    "days reported": _days_reported,
    "models reported": _models_reported,
    "report": lambda at: at.recipe.report,
    "how reports are made": lambda at: fingerprint(_SHAPES),
}


def inputs_of(
    state: State, recipe: Recipe, table: str, partition: date | str, name: str = ""
) -> dict[str, str]:
    """What a partition of a table is made from: of a day or month, and of a segmentation or campaign."""
    declared, at = TABLES[table], _Partition(state, recipe, table, partition, name)
    if declared.made_from is None:
        parameters = {"parameters": fingerprint(recipe.parameters[table])} if declared.parameters else {}
        return {r.table: _contents(state, r, at.key) for r in declared.reads} | parameters
    found = {
        named: _READ[made.over](at, made.table) if isinstance(made, Reads) else _FACTS[made](at)
        for named, made in declared.made_from.items()
    }
    return {named: value for named, value in found.items() if value is not None}


def _contents(state: State, reads: Reads, day: date) -> str:
    found = []
    for read, made in partitions_read(state, reads, day).items():
        named = made if isinstance(made, Mapping) else {"": made}
        found.append((read, {name: manifest.content for name, manifest in named.items()}))
    return fingerprint(found)


def partitions_read(state: State, reads: Reads, day: date) -> dict[date, Manifest | Mapping[str, Manifest]]:
    """The partitions that a statement alone reads for a day, by day (and name); of held days none.

    Raises:
        ValueError: a statement alone cannot read the table so.
    """
    made = state[by_statement(reads).table]
    days = [d for d in sorted(made) if d <= day] if reads.over == UP_TO else [day] if day in made else []
    return {d: made[d] for d in days if state.may_be_read(reads.table, d)}


def by_statement(reads: Reads) -> Reads:
    """The same, if a statement alone can read it; ValueError if not."""
    if not TABLES[reads.table].of_days or reads.over not in (SAME, UP_TO):
        raise ValueError(
            f"{reads.table} ({reads.over}) cannot be read by a statement alone: a table made from it needs "
            "code of its own in defs/assets"
        )
    return reads


def read_by_no_profile(state: State, recipe: Recipe) -> dict[str, Manifest]:
    """The files that count and whose profile is gone, by source_id: the shop's own rules alone clean them.

    One that lies in landing lands again under a profile that fits, so that it does not stay one of these.
    """
    return {s: landed for s, landed in state.counting.items() if landed.read_by not in recipe.profiles}


def earlier_invoices(state: State, recipe: Recipe, day: date) -> str:
    """Names the transactions of the days before in which an invoice of the day may have begun."""
    return fingerprint(state.sold_before(day, recipe.invoice_days))


def candidates_are_current(state: State, recipe: Recipe, month: str) -> bool:
    """True when a month need not be fitted again.

    Under ``late_data: flag`` other data under a fitted month are no reason, unless somebody asked for a
    retrain on just these data, or the last day or the first customer was still to come when it was fitted.
    """
    made: Manifest | None = state["model_candidates"].get(month)
    if made is None:
        return False
    inputs = inputs_of(state, recipe, "model_candidates", month)
    has_come = made.inputs.get("lacks") not in (None, inputs.get("lacks"))
    if recipe.late_data == "flag" and not has_come and state.retrained.get(month) != inputs["rfm_features"]:
        data = ("rfm_features", "rfm_features_before", "lacks")
        inputs = {name: what for name, what in inputs.items() if name not in data}
        inputs |= {name: made.inputs[name] for name in data if name in made.inputs}
    return made.is_current(TABLES["model_candidates"], inputs)


def why_not_fitted(state: State, month: str) -> str:
    """Names the days of the month that has ended which are held or not made; empty when all are made.

    No model is fitted on less than its newest month. A day of an earlier month stopped that month's models
    and stops no later ones; one whose delivery may still come stops none.
    """
    close = close_before(month)
    last = min(close, state.last_day or close)
    first = max(state.first_day or last, close_before(month_of(close)) + timedelta(days=1))
    days = [d for d in every_day(first, last) if not (state.usable(d) or state.is_awaited(d))]
    if not days:
        return ""
    named = ", ".join(map(str, days[:MOST_NAMED])) + (
        f" and {len(days) - MOST_NAMED:,} more" if days[MOST_NAMED:] else ""
    )
    return (
        f"the models of {month} rest on days that are held or not made: {named}; they are fitted once these "
        "are (`retail-pipeline status` says what is the matter with them)"
    )


def odd_days(state: State, month: str) -> list[date]:
    """The days of the month that has ended on which customers or invoices may not be who they were.

    Held days, or amber ones; none that somebody released.
    """
    close = close_before(month)
    return [
        day
        for day in every_day(close.replace(day=1), close)
        if not state.is_released(day)
        and (state.is_held(day) or any(finding.kind == "identity" for finding in state.readiness.of(day)))
    ]


def lacks_last_day(state: State, month: str) -> bool:
    """True while the delivery of the last day that a month's models rest on may still come."""
    close, last = close_before(month), state.last_day
    return last is not None and (last < close or state.is_awaited(close))


def rests_on_other_data(state: State, month: str) -> bool:
    """True when the data that a month's candidates were fitted on have changed since."""
    made, features = state["model_candidates"].get(month), state["rfm_features"].get(close_before(month))
    return bool(made and features and made.inputs["rfm_features"] != features.content)


def model_source(state: State, recipe: Recipe, day: date) -> str:
    """``bootstrap``, ``same_snapshot``, or the month whose model is in force on a day."""
    if recipe.model_timing == SAME_SNAPSHOT:
        return SAME_SNAPSHOT
    first = state.first_day
    return BOOTSTRAP if first is None or month_of(day) <= month_of(first) else month_of(day)
