"""The suppression file: customers who objected to being written to."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

SCHEMA = pa.schema([("customer_id", pa.string())])


class SuppressionError(Exception):
    """The suppression file is configured but cannot be trusted, so nobody may be written to."""


class SuppressionFile(Protocol):
    """The settings of a suppression file: CSV or Parquet, and how old it may be on the day of a list."""

    @property
    def path(self) -> Path: ...

    @property
    def max_age_days(self) -> int: ...


def read_suppressed(file: SuppressionFile | None, day: date) -> pa.Table:
    """The ids of customers who objected: one column, customer_id, each once; empty when no file is set.

    Raises:
        SuppressionError: the file is absent, unreadable, has no column customer_id, or was last changed more
        than ``max_age_days`` before ``day``.
    """
    if file is None:
        return SCHEMA.empty_table()
    try:
        changed = datetime.fromtimestamp(file.path.stat().st_mtime, UTC).date()
        if file.path.suffix == ".parquet":
            table = pq.read_table(file.path)
        else:
            table = pa.csv.read_csv(
                file.path, convert_options=pa.csv.ConvertOptions(column_types={"customer_id": pa.string()})
            )
    except OSError as error:
        raise SuppressionError(
            f"the suppression file {file.path} cannot be read ({error.strerror or error}); restore it"
        ) from error
    except pa.ArrowInvalid:
        # Arrow quotes the row it stumbles over, and with it a customer
        kind = "Parquet" if file.path.suffix == ".parquet" else "CSV"
        raise SuppressionError(
            f"the suppression file {file.path} cannot be read (it is no whole {kind} file); restore it"
        ) from None
    if (day - changed).days > file.max_age_days:
        raise SuppressionError(
            f"the suppression file {file.path} is of {changed}, more than {file.max_age_days} days before "
            f"{day}; deliver a newer one, or raise suppression.max_age_days"
        )
    if "customer_id" not in table.column_names:
        raise SuppressionError(
            f"the suppression file {file.path} has no column customer_id but {', '.join(table.column_names)}"
        )
    written = table["customer_id"].cast(pa.string()).combine_chunks()
    # a spreadsheet pads ids and writes 17850 as 17850.0: no objection may be lost to that
    bare = pc.replace_substring_regex(pc.utf8_trim_whitespace(written), r"^([0-9]+)[.]0$", r"\1")
    return pa.table({"customer_id": pc.unique(pa.concat_arrays([bare, written]))}, schema=SCHEMA)
