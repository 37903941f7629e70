"""What is said when Dagster's own database, SQLite or Postgres, does not answer."""

from __future__ import annotations


def database_errors() -> tuple[type[Exception], ...]:
    """What Dagster raises when its database does not answer."""
    from sqlalchemy.exc import OperationalError

    try:
        from dagster_postgres.utils import DagsterPostgresException
    except ImportError:  # the extra is not installed
        return (OperationalError,)
    return (OperationalError, DagsterPostgresException)


def why_database(error: BaseException) -> str:
    """One of these errors as a sentence: what the database said, without the statement, and the remedy."""
    while error.__cause__:
        error = error.__cause__
    said = str(error).partition("\n")[0]
    return (
        f"Dagster's database does not answer ({said}): start it, or mend what dagster.yaml says of it; "
        "nothing in the lake is half-written, and what is to do is done by the next attempt"
    )
