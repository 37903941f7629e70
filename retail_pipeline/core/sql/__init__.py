"""One ``.sql`` file per table.

The transformation, in DuckDB's dialect, parameterised by bound parameters only.
"""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> str:
    """The text of ``core/sql/<name>.sql``."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def text_of(sql: str) -> str:
    """The text of a statement: ``sql`` itself, or that of the file it names."""
    return statement(sql) if sql.isidentifier() else sql
