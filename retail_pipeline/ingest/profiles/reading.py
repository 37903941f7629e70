"""Under which settings files are read: what a process that reads them must be told."""

from __future__ import annotations

from datetime import date

from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.planning.manifests import Frozen


class Reading(Frozen):
    """The settings that files are read under; ``memory_limit`` (300MB) and ``threads`` are DuckDB's."""

    profiles: dict[str, SourceProfile]
    business_zone: str
    currency: str | None
    first_day: date
    last_day: date | None
    memory_limit: str
    threads: int
