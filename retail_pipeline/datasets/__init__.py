"""Data to try the pipeline on: real sets from their homes, and a generator. The pipeline never imports it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path


class DatasetError(Exception):
    """A data set could not be had; the message says what failed and what to do."""


@dataclass(frozen=True)
class Landed:
    """What now lies in the landing folder: one CSV file a business day, ``rows`` data rows in all."""

    files: int
    rows: int
    first_day: date
    last_day: date
    folder: Path
