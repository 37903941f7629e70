"""What ``retail-pipeline check`` finds: settings, folders, every file of the lake against its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from retail_pipeline.ingest.listing import LandingError, list_files
from retail_pipeline.lake.damage import damage
from retail_pipeline.lake.partitions import Lake, LakeError
from retail_pipeline.lake.suppression import SuppressionError, read_suppressed
from retail_pipeline.settings import Settings


def problems(settings: Settings) -> Iterator[str]:
    """Everything that is wrong, a line each; nothing when all is sound."""
    in_landing = set()
    try:
        listing = list_files(settings.landing, settings.arrival)
        in_landing = {file.source_id for file in listing.files}
        for name, why in listing.ignored.items():
            yield f"landing: {name} is ignored: {why}"
    except LandingError as error:
        yield f"landing: {error}"
    if settings.suppression:
        try:
            read_suppressed(settings.suppression, date.min)
        except SuppressionError as error:
            yield f"suppression: {error}"
    lake = Lake(settings.lake)
    if not lake.root.exists():
        yield f"lake: {lake.root} does not exist yet; `retail-pipeline run` makes it"
        return
    try:
        yield from (f"lake: {line}" for line in damage(lake, in_landing))
    except LakeError as error:
        yield f"lake: {error}"
