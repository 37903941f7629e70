"""Who gets which offer through which channel, ranked, with a control group."""

from __future__ import annotations

from collections.abc import Mapping

from retail_pipeline.tables.columns import CUSTOMER, ON_LIST
from retail_pipeline.tables.expectations import known_segment, unique
from retail_pipeline.tables.table import Check, Cost, Reads, Table

LIST_MADE_FROM: Mapping[str, Reads | str] = {
    "segment_assignments": Reads("segment_assignments"),
    "rfm_features": Reads("rfm_features"),
    "campaign": "campaign",
    "suppression": "suppression",
}
TABLE = Table(
    __name__,
    __doc__,
    layer="campaigns",
    partition_keys=("snapshot_date", "campaign"),
    key=("customer_id",),
    reads=(Reads("segment_assignments"), Reads("rfm_features")),
    made_from=LIST_MADE_FROM,
    kept="for good when handed over, else taken away when it may not be made any more",
    stands_empty=True,
    columns=(CUSTOMER, *ON_LIST),
    expects=lambda rules: (
        *known_segment(rules.segments),
        unique("no two customers of a list share a rank", ("snapshot_date", "campaign", "rank")),
    ),
    checks=(
        Check(
            "no_recent_day_is_held", "Each of the last 7 days is made, and none is held by a failed check."
        ),
    ),
    cost=Cost(1e-05, 22.0),
    code_version="2",
)
