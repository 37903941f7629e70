"""How many of those who first bought in a month bought again in each later month."""

import pyarrow as pa

from retail_pipeline.tables.columns import FRACTION, INTEGER, STRING
from retail_pipeline.tables.expectations import at_least, between, true
from retail_pipeline.tables.table import UP_TO, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("cohort_month", "month"),
    reads=(Reads("customer_days", UP_TO),),
    planned=False,
    columns=(
        Column("cohort_month", STRING, "Month of the first sale, YYYY-MM"),
        Column("month", STRING, "Month observed"),
        Column("months_since", INTEGER, "Months between the two", "months", minimum=0),
        Column("cohort_customers", INTEGER, "Customers of the cohort", "customers", minimum=1),
        Column("customers", INTEGER, "Those of them who bought in the month", "customers", minimum=0),
        Column("rate", FRACTION, "customers / cohort_customers", "1"),
        Column(
            "whole", pa.bool_(), "Every day of the month observed counts: none is to come, held or missing"
        ),
        Column(
            "old_share",
            FRACTION,
            "Share of it that had most likely bought before the data begin; null where they cannot tell",
            "1",
            True,
        ),
        Column("left_censored", pa.bool_(), "Half or more had, or the data cannot tell: no new customers"),
    ),
    code_version="2",
    expects=lambda rules: (
        at_least("a cohort has at least the customers who bought", "cohort_customers", "customers"),
        between("old_share is at most 1", "old_share", max_value=1),
        true("all of a cohort bought in its first month", "months_since > 0 or customers = cohort_customers"),
    ),
)
