"""One row for each file that has landed: where it came from, what it held, which days it touches."""

import pyarrow as pa

from retail_pipeline.tables.columns import DAY, FILES_KEPT, INTEGER, STRING
from retail_pipeline.tables.expectations import zero
from retail_pipeline.tables.table import Column, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="landing",
    partition_keys=("file",),
    key=("source_id",),
    beside="raw_transactions",
    planned=False,
    columns=(
        Column("source_id", STRING, "First 16 hex digits of its file's sha256"),
        Column("path", STRING, "Path under landing when it landed"),
        Column("size_bytes", INTEGER, "Size of the file", "bytes", minimum=0),
        Column("sha256", STRING, "Of the file's bytes, in hex"),
        Column("profile", STRING, "The profile that read it"),
        Column("encoding", STRING, "Text encoding, or `binary` for Parquet"),
        Column("rows_read", INTEGER, "Data rows in the file", "rows", minimum=0),
        Column("rows_accepted", INTEGER, "Rows in raw_transactions", "rows", minimum=0),
        Column("rows_rejected", INTEGER, "Rows in unreadable_rows", "rows", minimum=0),
        Column(
            "rows_left_out",
            INTEGER,
            "Rows that `keep_rows` leaves out, and totals",
            "rows",
            minimum=0,
        ),
        Column("first_day", DAY, "First day in the file", nullable=True),
        Column("last_day", DAY, "Last day in the file", nullable=True),
        Column("days_touched", pa.list_(DAY), "Every day in the file, ascending"),
    ),
    expects=lambda rules: (
        zero(
            "rows read are rows accepted, rows rejected and rows left out",
            "rows_unaccounted_for",
            "rows_read - rows_accepted - rows_rejected - rows_left_out",
        ),
    ),
    kept=FILES_KEPT,
    code_version="3",
)
