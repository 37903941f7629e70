"""The page of a day, one HTML file: the customer base, what changed, what to do."""

from retail_pipeline.tables.table import MONTH_IN_FORCE, UP_TO, Reads, Table

_TABLES = (
    "segment_profiles",
    "segment_migration",
    "cohort_retention",
    "sales_trends",
    "sales_periods",
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
    made_from={
        "rfm_features": Reads("rfm_features"),
        "segment_assignments": Reads("segment_assignments"),
        "campaign_lists": Reads("campaign_lists"),
        "transactions": "days reported",
        "customer_days": Reads("customer_days", UP_TO),
        "models": "models reported",
        "sums": "sums",
        "settings": "report",
        "tables": "how reports are made",
    },
    columns=(),
    file="index.html",
    code_version="3",
)
