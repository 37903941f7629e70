"""The segment of every customer under one segmentation, as of the end of a day, and why."""

import pyarrow as pa

from retail_pipeline.tables.columns import CUSTOMER, DAY, STRING
from retail_pipeline.tables.expectations import known_segment, true
from retail_pipeline.tables.table import MONTH_CLOSE, MONTH_IN_FORCE, Column, Cost, Reads, Table

# of the customers of some days at the moments that are looked back at: what its statement reads besides
OF_MOMENTS = pa.schema(
    [(key, pa.date32() if key == "snapshot_date" else pa.string()) for key in
     ("moment", "snapshot_date", "customer_id", "segment")]
)  # fmt: skip

TABLE = Table(
    __name__,
    __doc__,
    layer="segments",
    partition_keys=("snapshot_date", "segmentation"),
    key=("customer_id",),
    reads=(Reads("rfm_features"), Reads("segmentation_models", MONTH_IN_FORCE)),
    made_from={
        "rfm_features": Reads("rfm_features"),
        "model": Reads("segmentation_models", MONTH_IN_FORCE),
        "segmentation": "segmentation",
        "steadiness": "steadiness",
        "features at the close": Reads("rfm_features", MONTH_CLOSE),
        "previous": Reads("segment_assignments", MONTH_CLOSE),
    },
    kept="for good, taken away when the segmentation is switched off and the day made again",
    columns=(
        CUSTOMER,
        Column("segment", STRING, "Segment name; `Lapsed` when nothing was bought in the window"),
        Column("score", pa.float64(), "The method's own score (docs/segmentations.md)", nullable=True),
        Column("reason", STRING, "Why this segment, in figures"),
        Column("previous_segment", STRING, "At the last month close before the day", nullable=True),
        Column("segment_since", DAY, "First month close of the unbroken spell in it", nullable=True),
        Column("model_month", STRING, "Month in force; `bootstrap` or `same_snapshot`"),
        Column("raw_segment", STRING, "By the day's features alone, without margin and `stay_days`"),
    ),
    expects=lambda rules: (
        *known_segment(rules.segments),
        *known_segment(rules.segments, "raw_segment"),
        true(
            "segment_since is not after the snapshot",
            "cast(segment_since as date) <= cast(snapshot_date as date)",
        ),
    ),
    cost=Cost(9e-06, 24.0),
    code_version="4",
)
