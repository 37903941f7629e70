"""Moves between segments since an earlier day: customers, their worth, what moved them."""

from retail_pipeline.tables.columns import DAY, INTEGER, MONEY, STRING
from retail_pipeline.tables.expectations import known_segment, zero
from retail_pipeline.tables.table import MONTH_IN_FORCE, UP_TO, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("segmentation", "compared_with", "from_segment", "to_segment"),
    reads=(
        Reads("rfm_features"),
        Reads("segment_assignments"),
        Reads("customer_days", UP_TO),
        Reads("segmentation_models", MONTH_IN_FORCE),
    ),
    planned=False,
    columns=(
        Column("segmentation", STRING, "Its name"),
        Column(
            "compared_with",
            STRING,
            "previous_day or 30_days_before",
            values=("previous_day", "30_days_before"),
        ),
        Column("compared_day", DAY, "That day"),
        Column("from_segment", STRING, "Segment then; `New`: no customers yet"),
        Column("to_segment", STRING, "Segment now"),
        Column("bought", INTEGER, "Those of them who ordered since", "customers", minimum=0),
        Column("customers", INTEGER, "Those who stayed included", "customers", minimum=1),
        Column("revenue", MONEY, "Sum of their monetary now", "currency"),
        Column(
            "by_behaviour",
            INTEGER,
            "Moved by their features: by orders or by time",
            "customers",
            minimum=0,
        ),
        Column(
            "by_model",
            INTEGER,
            "Stand where a newer model alone put them, on its first day",
            "customers",
            minimum=0,
        ),
        Column("by_orders", INTEGER, "By behaviour, and ordered or returned since", "customers", minimum=0),
        Column("by_time", INTEGER, "By behaviour, and did neither", "customers", minimum=0),
    ),
    expects=lambda rules: (
        *known_segment(rules.segments, "to_segment"),
        zero(
            "who moved did so by behaviour or by the model, and nobody else is counted as moved",
            "moves_unaccounted_for",
            "by_orders + by_time + by_model "
            "- case when from_segment = 'New' or from_segment = to_segment then 0 else customers end",
        ),
    ),
)
