"""Runs a range of partitions so that good ones stay done and bad ones fail by name.

Belongs here: batches, what happens when one partition cannot be made, and the failure that names them. Does
not belong here: making a partition (``assets/``). Why not one step per partition: a year of steps takes
minutes to start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

import dagster as dg
import pyarrow as pa

from retail_pipeline.defs.events import Log, blocking, log_check
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.engine import Engine, EngineError, Input
from retail_pipeline.engine.validation import Failure, failures
from retail_pipeline.planning.customer_checks import Oddities
from retail_pipeline.planning.masking import as_markdown
from retail_pipeline.planning.state import State
from retail_pipeline.segmentation import FittedSegmentation, of_each_day, to_sql
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.expectations import Expectation

Key = TypeVar("Key")
Bad = dict[Key, str]


@dataclass
class Run:
    """One run over a range: what it works with, and the state as it changes while partitions are made.

    ``days``: the first and the last it was asked for; ``kept``: those for which the engine has kept what
    customer_days add up to; ``odd``: what is odd about the customers of these; ``invoices``: those of the
    days that were read last, by day and the content of its transactions; ``failed``: the days whose segments
    it could not make.
    """

    pipeline: Pipeline
    engine: Engine
    log: Log
    selected: Collection[str]
    state: State
    days: tuple[date, date] | None = None
    kept: tuple[date, date] | None = None
    failed: set[date] = field(default_factory=set)
    odd: dict[date, Oddities] = field(default_factory=dict)
    invoices: dict[tuple[date, str], pa.Table] = field(default_factory=dict)
    fitted: dict[tuple[str, str], FittedSegmentation] = field(default_factory=dict)
    queries: dict[tuple[str, Callable[[str], str]], str] = field(default_factory=dict)

    def has(self, table: str, made: Mapping[date, object]) -> None:
        """Take what was made of some days into the state."""
        self.state = self.state.having(**{table: {**self.state[table], **made}})

    def judge(
        self,
        table: str,
        rows: Iterable[tuple[Input, Mapping[str, str]]],
        counts: Mapping[date, int],
        **figures: int,
    ) -> dict[date, str]:
        """Check a table's rows of some days and record what was found; what stands against each, in words.

        ``rows``: where they lie, each with the hive keys that are no columns there; ``counts``: how many each
        day has.
        """
        found, expectations = self.failures(table, rows, counts), len(self.suite(table))
        for day, of_day in counts.items():
            shown = {"rows": of_day, "expectations": expectations, **figures}
            log_check(self.log, table, f"{table}_are_valid", str(day), found[day], shown)
        return {day: blocking(found[day]) for day in counts}

    def failures(
        self, table: str, rows: Iterable[tuple[Input, Mapping[str, str]]], days: Iterable[date]
    ) -> dict[date, list[Failure]]:
        """What breaks the table's suite in its rows of each day."""
        suite, found = self.suite(table), {day: list[Failure]() for day in days}
        for lie, keys in rows:
            wrong = failures(self.engine, TABLES[table], suite, lie, keys)
            for day in found:
                found[day] += wrong.get(str(day), [])
        return found

    def suite(self, table: str) -> Sequence[Expectation]:
        return self.pipeline.suite(table, self.state)

    def query(self, model: FittedSegmentation, of_each: Callable[[str], str] = of_each_day) -> str:
        """The query that assigns the customers of some days' snapshots; writing one takes time."""
        key = (model.model_dump_json(), of_each)
        if key not in self.queries:
            self.queries[key] = of_each(to_sql(model))
        return self.queries[key]


def make_all(batches: Iterable[Sequence[Key]], make: Callable[[Sequence[Key]], Bad[Key]]) -> Bad[Key]:
    """Make every batch of partitions; return the bad ones with what is wrong with each.

    ``make`` makes one batch and returns the partitions that a check holds. When the engine cannot run a batch
    (a damaged file, say), its halves are tried alone, down to the partition that is to blame.
    """
    bad: Bad[Key] = {}
    waiting: list[Sequence[Key]] = []
    coming = iter(batches)
    while batch := waiting.pop() if waiting else next(coming, ()):
        try:
            bad |= make(batch)
        except EngineError as error:
            if len(batch) == 1:
                bad[batch[0]] = f"{error} (if a file is damaged, `retail-pipeline check` says how to mend it)"
            else:
                half = len(batch) // 2
                waiting += [batch[half:], batch[:half]]
    return bad


def not_made(table: str) -> str:
    """Why a partition is bad when the run did not select what it is made from, and no earlier run made it."""
    return f"its {table} are not made: select {table} too"


def fail_by_name(bad: Bad[Key], what: str) -> None:
    """Fail the step, naming each bad partition and why; do nothing when there is none.

    Raises:
        dagster.Failure: there are bad partitions. It allows no retry: the same input would fail again.
    """
    if bad:
        lines = [f"{key}: {why}" for key, why in sorted(bad.items(), key=lambda pair: str(pair[0]))]
        count = f"{len(bad):,} {what}" if len(bad) > 1 else f"1 {what.removesuffix('s')}"
        raise dg.Failure(
            description=f"{count} could not be made; the others are done.\n" + "\n".join(lines),
            metadata={"bad": dg.MetadataValue.md("\n".join(f"- {as_markdown(line)}" for line in lines))},
            allow_retries=False,
        )
