"""The page of a day, one HTML file: the customer base, what changed, what to do."""

from __future__ import annotations

from retail_pipeline.tables.table import MONTH_IN_FORCE, Reads, Table

_TABLES = (
    "segment_profiles",
    "segment_migration",
    "cohort_retention",
    "sales_trends",
    "customer_rankings",
    "spend_distribution",
    "product_rankings",
    "key_figures",
)

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=(),
    reads=(
        *(Reads(name) for name in _TABLES),
        Reads("campaign_lists"),
        Reads("segmentation_models", MONTH_IN_FORCE),
    ),
    columns=(),
    file="index.html",
)
