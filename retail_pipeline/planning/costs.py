"""About what work costs, in seconds and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retail_pipeline.planning.plan import DAY_TABLES, RANGE_TABLES, Work
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline.tables import TABLES

# Measured so over UCI Online Retail; the order of size is what counts.
LINES_AN_ORDER = 25


@dataclass(frozen=True)
class Cost:
    """About what work costs: seconds on two cores, and bytes written."""

    seconds: float
    size_bytes: float


def cost_of(
    state: State,
    recipe: Recipe,
    work: Work,
    table: str = RANGE_TABLES[-1],
    bytes_a_row: Mapping[str, float] | None = None,
) -> Cost:
    """About what work costs whose last table is ``table``, by its rows.

    ``bytes_a_row`` are those of the tables that there are; of others a shop's usual figures are taken.
    """
    tables = RANGE_TABLES[: RANGE_TABLES.index(table) + 1]
    delivered = {day: sum(m.parts[day].rows for m in state.raw.get(day, {}).values()) for day in work.days}
    orders = sum(m.rows for m in state["customer_days"].values()) or sum(delivered.values()) / LINES_AN_ORDER
    customers = max((m.rows for m in state["rfm_features"].values()), default=orders)
    rows = {
        "transactions": float(sum(delivered.values())),
        "customer_days": sum(delivered.values()) / LINES_AN_ORDER,
        "rfm_features": float(customers * len(work.snapshots)),
    }
    rows["segment_assignments"] = rows["rfm_features"] * len(recipe.segmentations)
    used = {segmentation for segmentation, _ in recipe.campaigns.values()}
    rows["campaign_lists"] = rows["rfm_features"] * len(used)
    known = {name: TABLES[name].cost.bytes_a_row for name in tables} | dict(bytes_a_row or {})
    moved = {
        name: rows.get(name, rows["customer_days" if name in DAY_TABLES else "rfm_features"])
        for name in tables
    }
    seconds = sum(TABLES[name].cost.seconds_a_row * count for name, count in moved.items())
    seconds += 0.02 * len(work.files) + 0.03 * len(work.days) + 0.05 * len(work.snapshots)
    seconds += 0.4 * len(work.months) * len(recipe.segmentations) + 8 * len(work.reports)
    return Cost(seconds, sum(known[name] * count for name, count in moved.items()))
