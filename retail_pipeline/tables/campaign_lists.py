"""Who gets which offer through which channel, ranked, with a control group."""

from __future__ import annotations

from retail_pipeline.tables.columns import CUSTOMER, ON_LIST
from retail_pipeline.tables.expectations import Expectation, Rules, known_segment, unique
from retail_pipeline.tables.table import Check, Cost, Reads, Table


def _expects(rules: Rules) -> tuple[Expectation, ...]:
    return (
        *known_segment(rules.segments),
        unique("no two customers of a list share a rank", ("snapshot_date", "campaign", "rank")),
    )


TABLE = Table(
    __name__,
    __doc__,
    layer="campaigns",
    partition_keys=("snapshot_date", "campaign"),
    key=("customer_id",),
    reads=(
        Reads("segment_assignments"),
        Reads("rfm_features"),
    ),
    stands_empty=True,
    columns=(CUSTOMER, *ON_LIST),
    expects=_expects,
    checks=(
        Check(
            "no_recent_day_is_held", "Each of the last 7 days is made, and none is held by a failed check."
        ),
    ),
    cost=Cost(1e-05, 22.0),
)
