"""The one resource: the settings, and what assets reach through them (lake, engine, state)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from retail_pipeline.engine import Engine, open_engine
from retail_pipeline.ingest.listing import Listing, list_files
from retail_pipeline.ingest.profiles.second_files import deliveries
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.lake.set_aside import raw_path
from retail_pipeline.lake.state import read_state
from retail_pipeline.planning.arrivals import FileSeen
from retail_pipeline.planning.deliveries import Limits
from retail_pipeline.planning.manifests import fingerprint
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline.segmentation import LAPSED, segments
from retail_pipeline.settings import Settings, expected, recipe
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.expectations import Expectation, Rules

# tags of runs that write to a lake, or mean to: its path, and the shop; the UI hides tags that begin so
LAKE, SHOP = ".dagster/retail_pipeline_lake", ".dagster/retail_pipeline_shop"

OF_THE_MACHINE = {"landing", "lake", "suppression", "engine", "executor", "sensors", "alerts", "arrival"}


@dataclass(frozen=True)
class Pipeline:
    """What every asset needs.

    ``on_made`` is told each partition as it is made (the command's progress bar).
    """

    settings: Settings
    on_made: Callable[[str, str], None] = lambda table, partition: None

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake)

    @property
    def tags(self) -> dict[str, str]:
        """What tells this lake's runs from those of other lakes, shops and teams on the same instance."""
        return {LAKE: str(self.lake.root.resolve())}

    @cached_property
    def shaped_by(self) -> str:
        """Names the settings that shape the tables, on whatever machine."""
        return fingerprint(self.settings.model_dump(mode="json", exclude=OF_THE_MACHINE))

    def key(self, table: str) -> dg.AssetKey:
        return dg.AssetKey([*filter(None, [self.settings.shop]), table])

    @property
    def source_files(self) -> str:
        """The name of the dynamic partitions of landed files."""
        return "_".join(filter(None, [self.settings.shop, "source_files"]))

    @cached_property
    def recipe(self) -> Recipe:
        return recipe(self.settings)

    def state(self, seen: tuple[FileSeen, ...] = ()) -> State:
        suppression = self.settings.suppression
        limits = Limits(self.settings.checks.max_unreadable_share, self.settings.arrival.max_overlap_share)
        objected = suppression.path if suppression else None
        return read_state(self.lake, seen, objected, limits, expected(self.settings))

    def listing(self, seconds: float = float("inf")) -> Listing:
        """The landing folder as it is; files still being written, or beyond ``seconds`` of work, wait.

        Raises:
            LandingError: the folder does not exist or cannot be read.
        """
        found = list_files(self.settings.landing, self.settings.arrival, self.lake, seconds)
        return replace(found, files=self._deliveries(found))

    def in_landing(self) -> list[FileSeen]:
        """The deliveries in the landing folder, finished or not."""
        return self._deliveries(list_files(self.settings.landing, lake=self.lake))

    def _deliveries(self, found: Listing) -> list[FileSeen]:
        profiles, home = self.settings.profiles.values(), self.settings.landing.resolve()
        paths = [Path(lookup.path).resolve() for profile in profiles for lookup in profile.lookups.values()]
        fixed = {path.relative_to(home).as_posix() for path in paths if path.is_relative_to(home)}
        return deliveries(found.files, profiles, fixed)

    def engine(self) -> AbstractContextManager[Engine]:
        return open_engine(self.settings.engine, self.lake)

    def raw_files(self, state: State, days: Iterable[date]) -> Mapping[str, list[Path]]:
        """The files of raw_transactions that hold the days' rows, by the profile that read them.

        Of landed files that count, and no others.
        """
        found: dict[str, list[Path]] = {}
        for day in days:
            for source_id, landed in state.raw.get(day, {}).items():
                path = self.lake.partition("raw_transactions", {"date": str(day)}) / f"{source_id}.parquet"
                found.setdefault(landed.read_by, []).append(path)
        return dict(sorted(found.items()))

    def currency(self, state: State) -> str:
        """The lake's currency: the setting, else that of the first row of the first day delivered."""
        if self.settings.currency or state.first_day is None:
            return self.settings.currency or ""
        first = min(state.raw[state.first_day])
        rows = raw_path(self.lake, state.first_day, first)
        currency: str = pq.ParquetFile(rows).read(["currency"])["currency"][0].as_py()
        return currency

    def suite(self, table: str, state: State, segmentation: str | None = None) -> tuple[Expectation, ...]:
        chosen: Mapping[str, object] = self.settings.segmentations
        named = [segmentation] if segmentation else list(chosen)
        rules = Rules(
            currency=self.currency(state),
            segments={LAPSED, *(s for name in named for s in segments(self.settings.segmentations[name]))},
            adjustments_in_net=self.settings.features.adjustments == "include",
            returns_are_visits=self.settings.features.visits == "sales_and_returns",
        )
        return TABLES[table].suite(rules)
