"""The shop's transaction lines as delivered, in canonical types; nothing judged yet."""

from __future__ import annotations

from retail_pipeline.tables.columns import FILES_KEPT, RAW
from retail_pipeline.tables.expectations import Expectation, Rules, sold_on_its_day, true
from retail_pipeline.tables.table import Check, Table


def expects(rules: Rules) -> tuple[Expectation, ...]:
    return (
        sold_on_its_day(),
        true("unit_price or amount is known", "coalesce(unit_price, amount) is not null"),
    )


TABLE = Table(
    __name__,
    __doc__,
    layer="landing",
    partition_keys=("date",),
    key=("source_id", "source_row"),
    file="<source_id>.parquet",
    planned=False,
    columns=RAW,
    expects=expects,
    checks=(
        Check("no_row_is_lost", "Rows read = raw + unreadable rows."),
        Check("rows_are_readable", "Few or no rows of the file are unreadable."),
        Check("deliveries_do_not_overlap", "The file shares few or no lines with another file that counts."),
    ),
    kept=FILES_KEPT,
    code_version="2",
)
