"""What people decided: records in the lake that are inputs like any other."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from retail_pipeline.planning.manifests import Frozen


class DayRelease(Frozen):
    """Somebody released a held day. It holds for these rows only: other rows of that day are checked anew."""

    day: date
    content: str = Field(description="content of the day's transactions partition when it was released")
    why: str = Field(min_length=1)
    by: str = Field(min_length=1)


class ListRelease(Frozen):
    """Somebody handed a campaign's list of a day over. It holds for this content only, which is then kept."""

    day: date
    campaign: str
    content: str = Field(description="content of the list's partition when it was released")
    why: str = Field(min_length=1)
    by: str = Field(min_length=1)


class FileDecision(Frozen):
    """Somebody decided about a delivered file.

    ``accept``: its rows count whatever stands against them, beside those of other files; ``replace``: where
    it repeats other files, it takes their days; ``reject``: it does not count on ``days``, if there are any,
    else never.
    """

    source_id: str = Field(pattern="^[0-9a-f]{16}$")
    verdict: Literal["accept", "replace", "reject"]
    days: tuple[date, ...] = ()
    why: str = Field(min_length=1)
    by: str = Field(min_length=1)

    @property
    def leaves_all_out(self) -> bool:
        return self.verdict == "reject" and not self.days


class ModelRetrain(Frozen):
    """Somebody wants a month fitted on these data, though it has models; later data flag it anew."""

    month: str
    rfm_features: str = Field(description="content of the month close's features when it was asked for")
    why: str = Field(min_length=1)
    by: str = Field(min_length=1)
