"""What each partition is made from, by fingerprint: the inputs that its manifest records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from retail_pipeline.planning.calendar import (
    close_before,
    month_of,
    months_in_force,
)
from retail_pipeline.planning.manifests import Manifest, fingerprint, schema_fingerprint
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import SAME, UP_TO, Reads

BOOTSTRAP = "bootstrap"
SAME_SNAPSHOT = "same_snapshot"


def transactions_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What a day of transactions is made from."""
    delivered = state.raw.get(day, {})
    return {
        "raw_transactions": fingerprint([(s, m.parts[day].content) for s, m in delivered.items()]),
        "cleaning": fingerprint([recipe.cleaning_of(manifest) for manifest in delivered.values()]),
        "checks": recipe.checks,
    }


def read_by_no_profile(state: State, recipe: Recipe) -> dict[str, Manifest]:
    """The files that count and whose profile is gone, by source_id: the shop's own rules alone clean them.

    One that lies in landing lands again under a profile that fits, so that it does not stay one of these.
    """
    return {s: landed for s, landed in state.counting.items() if landed.read_by not in recipe.profiles}


def customer_days_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What a day of customer_days is made from."""
    return {
        "transactions": state["transactions"][day].content,
        "earlier": earlier_invoices(state, recipe, day),
        "features": recipe.customer_days,
    }


def earlier_invoices(state: State, recipe: Recipe, day: date) -> str:
    """Names the transactions of the days before in which an invoice of the day may have begun."""
    return fingerprint(state.sold_before(day, recipe.invoice_days))


def features_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What a snapshot of rfm_features is made from."""
    return {"customer_days": state.history_fingerprint(day), "features": recipe.features}


def candidate_inputs(state: State, recipe: Recipe, month: str) -> dict[str, str]:
    """What a month's candidates are made from."""
    close = close_before(month)
    champion, before = (
        state["segmentation_models"].get(month_of(close)),
        state["rfm_features"].get(close_before(month_of(close))),
    )
    # named only where it is so: a month that is complete is made from what there is
    lacks = {"lacks": str(close)} if lacks_last_day(state, month) else {}
    return lacks | {
        "rfm_features": state["rfm_features"][close].content,
        "rfm_features_before": before.content if champion and before else "",
        "features": fingerprint(recipe.features, recipe.customer_days),
        "segmentations": fingerprint(dict(recipe.segmentations)),
        "gates": recipe.gates,
        "champion": champion.content if champion else "",
    }


def model_inputs(state: State, month: str) -> dict[str, str]:
    """What a month's models are chosen from."""
    champion = state["segmentation_models"].get(month_of(close_before(month)))
    return {
        "candidates": state["model_candidates"][month].content,
        "champion": champion.content if champion else "",
        "decisions": state.model_decisions.get(month, ""),
    }


def candidates_are_current(state: State, recipe: Recipe, month: str) -> bool:
    """True when a month need not be fitted again.

    Under ``late_data: flag`` other data under a fitted month are no reason, unless somebody asked for a
    retrain on just these data, or the last day was still to come when it was fitted.
    """
    made: Manifest | None = state["model_candidates"].get(month)
    if made is None:
        return False
    inputs = candidate_inputs(state, recipe, month)
    has_come = "lacks" in made.inputs and "lacks" not in inputs
    if recipe.late_data == "flag" and not has_come and state.retrained.get(month) != inputs["rfm_features"]:
        inputs |= {name: made.inputs.get(name, "") for name in ("rfm_features", "rfm_features_before")}
    return made.is_current(TABLES["model_candidates"], inputs)


def lacks_last_day(state: State, month: str) -> bool:
    """True while the delivery of the last day that a month's models rest on may still come."""
    close, last = close_before(month), state.last_day
    return last is not None and (last < close or state.is_awaited(close))


def rests_on_other_data(state: State, month: str) -> bool:
    """True when the data that a month's candidates were fitted on have changed since."""
    made, features = state["model_candidates"].get(month), state["rfm_features"].get(close_before(month))
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
    previous = state["segment_assignments"].get(close_before(month_of(day)), {}).get(segmentation)
    return {
        "rfm_features": state["rfm_features"][day].content,
        "model": state["segmentation_models"][source].content
        if source in state["segmentation_models"]
        else source,
        "segmentation": recipe.segmentations[segmentation],
        "previous": previous.content if previous else "",
    }


def list_inputs(state: State, recipe: Recipe, day: date, campaign: str) -> dict[str, str]:
    """What a campaign list is made from."""
    segmentation, settings = recipe.campaigns[campaign]
    return {
        "segment_assignments": state["segment_assignments"][day][segmentation].content,
        "rfm_features": state["rfm_features"][day].content,
        "campaign": settings,
        "suppression": state.suppression,
    }


def restated_inputs(state: State, recipe: Recipe, day: date, campaign: str) -> dict[str, str]:
    """What the restatement of a released list is made from."""
    return {
        **list_inputs(state, recipe, day, campaign),
        "released": state["campaign_lists"][day][campaign].content,
        "campaign_lists": TABLES["campaign_lists"].code_version,
    }


# how the report's own tables are made; the page alone has a manifest that is compared
_SHAPES = {
    name: [table.code_version, schema_fingerprint(table.arrow)]
    for name, table in TABLES.items()
    if table.layer == "reports"
}


def report_inputs(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What the report of a day is made from."""
    first = state.first_day or day
    months = [] if recipe.model_timing == SAME_SNAPSHOT else months_in_force(first, day)
    models = {m: state["segmentation_models"][m].content for m in months if m in state["segmentation_models"]}
    days = [(d, m.content, m.counts) for d, m in sorted(state["transactions"].items()) if first <= d <= day]
    return {
        "rfm_features": state["rfm_features"][day].content,
        "segment_assignments": fingerprint(
            {n: m.content for n, m in state["segment_assignments"][day].items()}
        ),
        "campaign_lists": fingerprint(
            {n: m.content for n, m in state["campaign_lists"].get(day, {}).items()}
        ),
        "transactions": fingerprint(days, sorted(state.counting)),
        "customer_days": state.history_fingerprint(day),
        "models": fingerprint(models, sorted(state.model_decisions.items())),
        "settings": recipe.report,
        "tables": fingerprint(_SHAPES),
    }


# tables that are made from more than what they read as a whole
_SPECIAL: Mapping[str, Callable[[State, Recipe, date], dict[str, str]]] = {
    "transactions": transactions_inputs,
    "customer_days": customer_days_inputs,
    "rfm_features": features_inputs,
    "report": report_inputs,
}


def inputs_of(state: State, recipe: Recipe, table: str, day: date) -> dict[str, str]:
    """What a day of a table is made from: by its declaration, unless it is one of a kind."""
    if table in _SPECIAL:
        return _SPECIAL[table](state, recipe, day)
    parameters = {"parameters": fingerprint(recipe.parameters[table])} if TABLES[table].parameters else {}
    return {reads.table: _contents(state, reads, day) for reads in TABLES[table].reads} | parameters


def partitions_read(state: State, reads: Reads, day: date) -> dict[date, Manifest | Mapping[str, Manifest]]:
    """The partitions that a statement alone reads for a day, by day (and name); of held days none.

    Raises:
        ValueError: a statement alone cannot read the table so.
    """
    table = TABLES[reads.table]
    if not table.of_days or reads.over not in (SAME, UP_TO):
        raise ValueError(
            f"{table.name} ({reads.over}) cannot be read by a statement alone: a table made from it needs "
            "code of its own in defs/assets"
        )
    made = state[table.name]
    days = [d for d in sorted(made) if d <= day] if reads.over == UP_TO else [day] if day in made else []
    return {d: made[d] for d in days if table.partition_keys != ("date",) or state.stands(d)}


def _contents(state: State, reads: Reads, day: date) -> str:
    found = []
    for read, made in partitions_read(state, reads, day).items():
        named = made if isinstance(made, Mapping) else {"": made}
        found.append((read, {name: manifest.content for name, manifest in named.items()}))
    return fingerprint(found)
