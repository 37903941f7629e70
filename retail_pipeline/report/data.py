"""What the report is made from: small frames, the models in force, the lists, and the state of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from retail_pipeline.segmentation import LAPSED, FittedSegmentation, segments
from retail_pipeline.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

NEW = "New"
MONTH_AGO = "30_days_before"
# months of first purchase that the page shows, and months since, the first included
COHORTS = 13
# recency score, score of the rules' second digit, segment: how many, and their spend (docs/report.md)
RF_GRID = ("segmentation", "recency_score", "other_score", "segment", "customers", "revenue")


@dataclass(frozen=True)
class ListSummary:
    """One campaign list of the day: whom it addresses, how, where it lies, and what it can measure.

    ``base_rate`` is the share of those in its segments 30 days ago who ordered since; None if nobody was.
    """

    campaign: str
    segments: tuple[str, ...]
    customers: int
    control: int
    offer: str
    channel: str
    path: str
    measurable_lift: str
    base_rate: float | None = None


@dataclass(frozen=True)
class Quality:
    """What arrived up to the day, what was refused and why, and what is held back.

    ``places`` are the files and rows by where they lie; they add up to ``files`` and ``rows_read``. Beside
    these are the files, by path, that could not be read at all: nobody knows how many rows they have.
    """

    files: int = 0
    rows_read: int = 0
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unread: Sequence[str] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    held_days: Sequence[date] = ()
    anonymous_share: float | None = None
    last_delivered: date | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything the page of one day says.

    ``tables`` are the tables of the layer `reports` by name, their decimals as floats, and, where a
    segmentation is an `rfm_grid`, ``rf_grid`` (columns RF_GRID). ``models``, ``model_notes`` and
    ``strategies`` (what to do, by segment) are by segmentation.
    """

    day: date
    first_day: date
    shop: str
    currency: str
    window_days: int | None
    tables: Mapping[str, pd.DataFrame]
    models: Mapping[str, FittedSegmentation]
    model_notes: Mapping[str, str]
    strategies: Mapping[str, Mapping[str, str]]
    lists: Sequence[ListSummary]
    quality: Quality

    def table(self, name: str) -> pd.DataFrame:
        """One table; without rows, but with its columns, where there is nothing to report."""
        import pandas as pd

        columns = RF_GRID if name == "rf_grid" else TABLES[name].names
        return self.tables.get(name, pd.DataFrame(columns=list(columns)))

    @cached_property
    def segmentations(self) -> tuple[str, ...]:
        """The segmentations that have customers, the one that drives the lists first."""
        named = {segment for one in self.lists for segment in one.segments} - {LAPSED}
        found = {name: len(named & set(rows["segment"])) for name, rows in self._profiles.items()}
        order = [name for name in (*self.models, *sorted(found.keys() - self.models.keys())) if name in found]
        return tuple(sorted(order, key=lambda name: -found[name]))

    @cached_property
    def _profiles(self) -> dict[str, pd.DataFrame]:
        profiles = self.table("segment_profiles")
        ranked = profiles.assign(lapsed=profiles["segment"] == LAPSED).sort_values(
            ["lapsed", "monetary_mean", "segment"], ascending=[True, False, True]
        )
        return {
            str(name): rows.drop(columns="lapsed").reset_index(drop=True)
            for name, rows in ranked.groupby("segmentation", sort=True)
        }

    def profile(self, segmentation: str) -> pd.DataFrame:
        """The segments of one segmentation, the highest mean spend first and ``Lapsed`` last."""
        return self._profiles.get(segmentation, self.table("segment_profiles").head(0))

    def active(self, segmentation: str) -> pd.DataFrame:
        """The same without those who bought nothing in the window."""
        profile = self.profile(segmentation)
        return profile[profile["segment"] != LAPSED].reset_index(drop=True)

    def moves(self, segmentation: str, compared_with: str = MONTH_AGO) -> pd.DataFrame:
        moves = self.table("segment_migration")
        return moves[
            (moves["segmentation"] == segmentation) & (moves["compared_with"] == compared_with)
        ].reset_index(drop=True)

    def cohorts(self) -> pd.DataFrame:
        """The last months of first purchase, and the months after each that fit beside them."""
        cohorts = self.table("cohort_retention")
        last = sorted(cohorts["cohort_month"].unique())[-COHORTS:]
        return cohorts[cohorts["cohort_month"].isin(last) & (cohorts["months_since"] < COHORTS)]

    def figure(self, name: str) -> float | None:
        """One of the key figures; None when there is nothing to measure."""
        figures = self.table("key_figures")
        values = figures.loc[figures["figure"] == name, "value"].dropna()
        return float(values.iloc[0]) if len(values) else None

    def method(self, segmentation: str) -> str:
        return self.models[segmentation].method if segmentation in self.models else segmentation

    def names(self, segmentation: str) -> tuple[str, ...]:
        """Every segment the segmentation can give, in the method's order, then any others that occur."""
        model = self.models.get(segmentation)
        known = segments(model.parameters) if model else ()
        return tuple(dict.fromkeys((*known, *sorted(self.profile(segmentation)["segment"]))))
