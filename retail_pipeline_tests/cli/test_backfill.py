"""``retail-pipeline backfill``: any days again, in any pieces, with the bytes of a day-by-day run."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from retail_pipeline.cli.status import failed_days
from retail_pipeline.defs import run_plan as driver
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.planning.pieces import Goal
from retail_pipeline.planning.plan import Work
from retail_pipeline_tests import shop
from retail_pipeline_tests.command import begin, made_once, retail_pipeline, touched, tree
from retail_pipeline_tests.defs.support import open_pipeline, statuses

FIRST, LAST = date(2024, 1, 29), date(2024, 2, 4)  # over the first month close
DAYS = shop.span(FIRST, (LAST - FIRST).days + 1)
BAD = date(2024, 2, 2)
DELIVERED = 1_710_000_000


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def delivered(folder: Path) -> Pipeline:
    """The shop with all its deliveries and nothing made."""
    deliver(folder / "landing")
    return open_pipeline(folder)


def deliver(landing: Path) -> None:
    """All its deliveries, of the same moment each time: the lake knows when a file was last changed."""
    shop.deliver(landing, DAYS)
    for file in landing.iterdir():
        os.utime(file, (DELIVERED, DELIVERED))


def lake(folder: Path) -> dict[str, bytes]:
    """Every table's files, by path."""
    return {path: content for path, content in tree(folder / "lake").items() if not path.startswith(".")}


def backfill(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    first: date = FIRST,
    last: date = LAST,
    table: str = "campaign_lists",
    again: bool = False,
) -> tuple[Work, list[str]]:
    """What a backfill planned once the files had landed, and what failed."""
    planned: list[Work] = []
    goal = Goal(last, first, table, again)
    outcome = driver.carry_out(
        pipeline, instance, lambda: goal, lambda goal: planned.append(driver.look(pipeline, goal))
    )
    return planned[0], outcome.failures


@pytest.fixture(scope="session")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose days were all made by one backfill."""

    def make(folder: Path) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            work, failures = backfill(delivered(folder), instance)
            assert not failures
            assert (work.days, work.months, work.snapshots) == (tuple(DAYS), ("2024-02",), tuple(DAYS))
            runs = instance.get_runs()
        # landing, days, models, snapshots: Dagster cannot do it in fewer
        assert [run.status.name for run in runs] == ["SUCCESS"] * 4

    return made_once(tmp_path_factory, "backfilled", make)


@pytest.fixture
def made(at_once: Path, tmp_path: Path) -> Pipeline:
    """A shop of one's own whose days are all made."""
    shutil.copytree(at_once, tmp_path, dirs_exist_ok=True)
    return open_pipeline(tmp_path)


def test_a_range_has_the_bytes_of_its_days_made_one_by_one(
    at_once: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = delivered(tmp_path)
    for first, last in ((0, 0), (1, 3), (4, 4), (5, -1)):
        assert backfill(pipeline, instance, DAYS[first], DAYS[last])[1] == []
    assert lake(tmp_path) == lake(at_once)


def test_what_is_up_to_date_is_left_alone_unless_asked_for_again(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    before, bytes_before = touched(made.lake.root), tree(made.lake.root)
    assert backfill(made, instance) == (Work(), [])
    first, last = DAYS[1], DAYS[3]
    work, failures = backfill(made, instance, first, last, "rfm_features", again=True)
    assert work == Work(days=tuple(shop.span(first, 3)), snapshots=tuple(shop.span(first, 3)))
    assert failures == []
    now = touched(made.lake.root)
    written = {path.split("/")[1] for path in now if now[path] != before.get(path) and "=2024" in path}
    assert written == {f"{key}={day}" for key in ("date", "snapshot_date") for day in work.days}
    assert tree(made.lake.root) == bytes_before


def test_a_bad_day_takes_no_other_with_it_and_is_all_that_a_retry_does(
    at_once: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = delivered(tmp_path)
    backfill(pipeline, instance, FIRST, FIRST, "transactions")  # lands everything
    (raw,) = pipeline.lake.partition("raw_transactions", {"date": str(BAD)}).glob("*.parquet")
    whole = raw.read_bytes()
    raw.write_bytes(whole[:100])
    _, failures = backfill(pipeline, instance, table="segment_assignments")
    assert [line for failure in failures for line in failure.splitlines() if line.startswith("2024")] == [
        line for line in failures[0].splitlines() if line.startswith(f"{BAD}: ")
    ]
    good = {day: "MATERIALIZED" for day in DAYS if day != BAD}
    assert statuses(pipeline, instance, "customer_days", DAYS) == good | {BAD: "FAILED"}
    assert statuses(pipeline, instance, "rfm_features", DAYS) == dict.fromkeys(DAYS, "MATERIALIZED")
    assert failed_days(pipeline, instance, pipeline.state()) == [
        f"{table} of {BAD}: no run has made them since; `retail-pipeline backfill {BAD} {BAD}` does"
        for table in ("transactions", "customer_days")
    ]
    again, _ = backfill(pipeline, instance, table="customer_days")
    assert again.days == (BAD,)

    raw.write_bytes(whole)
    work, failures = backfill(pipeline, instance)
    assert failures == []
    assert work.days == (BAD,)
    assert failed_days(pipeline, instance, pipeline.state()) == []
    assert lake(tmp_path) == lake(at_once)


def opened(folder: Path) -> Path:
    """The shop for the command: deliveries and settings."""
    folder.mkdir(parents=True)
    deliver(folder / "landing")
    shop.settings_file(folder / "retail_pipeline.yaml", landing="landing", lake="lake")
    return folder


def test_killed_and_called_again_it_ends_with_the_bytes_of_an_undisturbed_one_as_do_two_at_once(
    at_once: Path, tmp_path: Path
) -> None:
    folder = opened(tmp_path / "shop")
    words = ["backfill", FIRST, LAST, "--settings", "retail_pipeline.yaml"]
    process = begin(*words, cwd=folder, out=tmp_path / "out", err=tmp_path / "err")
    while process.exitcode is None and not list((folder / "lake").glob(f"customer_days/date={BAD}")):
        process.join(0.02)
    process.join(random.Random(2011).uniform(0, 0.5))
    process.kill()
    process.join()
    streams = [(tmp_path / f"out{n}", tmp_path / f"err{n}") for n in range(2)]
    both = [begin(*words, cwd=folder, out=out, err=err) for out, err in streams]
    for one, (out, err) in zip(both, streams, strict=True):
        one.join()
        assert one.exitcode == 0, out.read_text() + err.read_text()
    said = sorted(out.read_text() for out, _ in streams)
    assert "everything is up to date" in said[0] + said[1]
    assert lake(folder) == lake(at_once)


def test_a_range_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    folder = opened(tmp_path / "shop")
    for words, message in (
        ((LAST, FIRST), f"{LAST} is after {FIRST}"),
        ((date(2023, 12, 31), LAST), "is not within the partitions, 2024-01-01 to 2024-03-31"),
        ((FIRST, LAST, "--tables", "rfm"), "rfm is no table of a day; the tables are transactions, "),
    ):
        done = retail_pipeline("backfill", *words, "--settings", "retail_pipeline.yaml", cwd=folder)
        assert done.returncode == 2
        assert message in done.stderr


def test_a_dry_run_says_what_it_would_cost_and_does_nothing(made: Pipeline, tmp_path: Path) -> None:
    shop.settings_file(tmp_path / "retail_pipeline.yaml", landing="landing", lake="lake")
    before = tree(made.lake.root)
    words = ["--again", "--tables", "transactions,rfm_features", "--settings", "retail_pipeline.yaml"]
    done = retail_pipeline("backfill", FIRST, LAST, *words, "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "makes 7 days, 7 snapshots: about 1 s, 1 MB\n"), done.stderr
    assert tree(made.lake.root) == before
