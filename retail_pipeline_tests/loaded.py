"""What takes seconds to import, for the processes that ``command.py`` forks: nothing of the project."""

import os
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dagster
    import duckdb
    import great_expectations
    import pandas
    import pyarrow.parquet
    import scipy.optimize
    import sklearn.cluster
    import sqlglot
    import typer.rich_utils

__all__ = [
    "dagster", "duckdb", "great_expectations", "pandas", "pyarrow", "scipy", "sklearn", "sqlglot", "typer",
]  # fmt: skip
