"""What the command does with the planner's work, and what holds a run together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from retail_pipeline.definitions import build_defs, defs
from retail_pipeline.defs.driver import bring_up_to_date
from retail_pipeline.defs.pipeline import Pipeline
from retail_pipeline.defs.requests import file_ranges, range_tags
from retail_pipeline.defs.runner import Bad, fail_by_name, make_all
from retail_pipeline.engine import EngineError
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.defs.support import land, open_pipeline, run, said, statuses
from retail_pipeline_tests.shop import FIRST, deliver, sales, settings_file, span

DAYS = span(FIRST, 5)

# the driver


def test_the_second_time_nothing_runs(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    days = span(date(2024, 1, 28), 8)
    deliver(pipeline.settings.landing, days)
    last = days[-1]
    layers: list[tuple[str, int]] = []
    outcome = bring_up_to_date(
        pipeline, instance, lambda: last, lambda layer, partitions: layers.append((layer, partitions))
    )
    assert outcome.failures == []
    assert layers == [("files", 8), ("days", 8), ("months", 1), ("snapshots", 1)]
    assert [instance.get_run_by_id(run).job_name for run in outcome.runs] == [  # type: ignore[union-attr]
        "landing_job", "daily_job", "monthly_model_job", "daily_job",
    ]  # fmt: skip
    assert bring_up_to_date(pipeline, instance, lambda: last).runs == []


def test_each_made_partition_is_told_once(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    deliver(pipeline.settings.landing, DAYS)
    told: list[tuple[str, str]] = []
    watched = Pipeline(pipeline.settings, lambda table, partition: told.append((table, partition)))
    bring_up_to_date(watched, instance, lambda: DAYS[-1])
    assert len(told) == len(set(told))
    assert [day for table, day in told if table == "transactions"] == [str(day) for day in DAYS]
    assert ("campaign_lists", str(DAYS[-1])) in told


def test_a_day_that_is_held_keeps_only_what_rests_on_it_from_being_made(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    deliver(pipeline.settings.landing, DAYS)
    deliver(pipeline.settings.landing, [DAYS[1]], currency="USD")
    outcome = bring_up_to_date(pipeline, instance, lambda: DAYS[-1])
    assert [failure.splitlines()[1].partition(" Mend")[0] for failure in outcome.failures] == [
        f"{DAYS[1]}: held: {len(sales(DAYS[1]))} rows against «currency is EUR».",
        f"{DAYS[-1]}: no lists: {DAYS[1]} held or not made; `retail-pipeline status` says why",
    ]
    assert sorted(pipeline.state().assignments) == [DAYS[-1]]
    # said once, not run again every morning
    assert bring_up_to_date(pipeline, instance, lambda: DAYS[-1]).runs == []


def test_one_run_of_the_daily_job_takes_a_range_from_its_rows_to_its_lists_but_for_the_bad_day(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    """The bad day is the last: the days before it have everything."""
    deliver(pipeline.settings.landing, DAYS)
    deliver(pipeline.settings.landing, DAYS[-1:], currency="USD")
    land(pipeline, instance)
    result = run(pipeline, instance, "daily_job", DAYS[0], DAYS[-1])
    assert said(result).startswith(f"1 day could not be made; the others are done.\n{DAYS[-1]}: held: ")
    state = pipeline.state()
    assert sorted(state.customer_days) == sorted(day for day, lists in state.lists.items() if lists)
    assert sorted(state.customer_days) == DAYS[:-1]
    assert sorted(state.assignments) == DAYS
    assert set(statuses(pipeline, instance, "campaign_lists", DAYS[:-1]).values()) == {"MATERIALIZED"}
    assert statuses(pipeline, instance, "campaign_lists", DAYS[-1:]) == {DAYS[-1]: "FAILED"}


def test_the_pipeline_can_be_replaced_by_name(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    here, there = open_pipeline(tmp_path / "here"), open_pipeline(tmp_path / "there")
    deliver(there.settings.landing, DAYS)
    key = "none@0123456789abcdef"
    instance.add_dynamic_partitions("source_files", [key])
    result = (
        build_defs(here.settings, {"pipeline": there})
        .resolve_job_def("landing_job")
        .execute_in_process(instance=instance, tags=range_tags(key, key), raise_on_error=False)
    )
    assert not result.success
    assert there.lake.root.exists()
    assert not here.lake.root.exists()


def day_job() -> dg.JobDefinition:
    """The job under the settings that the environment names, as a worker process loads it."""
    loaded = defs()
    assert isinstance(loaded, dg.Definitions)
    return loaded.resolve_job_def("daily_job")


def test_the_multiprocess_executor_makes_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_file(tmp_path / "settings.yaml", executor="multiprocess")
    monkeypatch.setenv("RETAIL_PIPELINE_SETTINGS", str(settings))
    monkeypatch.setenv("RETAIL_PIPELINE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("RETAIL_PIPELINE_LAKE", str(tmp_path / "lake"))
    pipeline = Pipeline(load_settings())
    deliver(pipeline.settings.landing, DAYS[:1])
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        land(pipeline, instance)
        with dg.execute_job(
            dg.reconstructable(day_job),
            instance,
            tags=range_tags(str(FIRST), str(FIRST)),
            asset_selection=[dg.AssetKey(table) for table in ("transactions", "customer_days")],
        ) as result:
            assert result.success
            started = [
                event for event in result.all_events if event.event_type_value == "STEP_WORKER_STARTED"
            ]
            assert [event.step_key for event in started] == ["daily"]
        assert statuses(pipeline, instance, "customer_days", DAYS) == {FIRST: "MATERIALIZED"}


# batches


def making(broken: set[int], held: set[int]) -> tuple[list[list[int]], Bad[int]]:
    calls: list[list[int]] = []

    def make(batch: Sequence[int]) -> Bad[int]:
        calls.append(list(batch))
        if found := broken & set(batch):
            raise EngineError(f"file of {min(found)} is damaged")
        return {key: "held" for key in batch if key in held}

    return calls, make_all([list(range(8)), list(range(8, 12))], make)


def test_a_batch_that_the_engine_cannot_run_is_halved_down_to_the_partition_to_blame() -> None:
    calls, bad = making(broken={5}, held={2, 9})
    assert bad.keys() == {2, 5, 9}
    assert bad[5].startswith("file of 5 is damaged")
    done = [key for batch in calls if 5 not in batch for key in batch]
    assert done == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]  # in order, each once


def test_bad_partitions_are_named_in_order_and_not_retried() -> None:
    fail_by_name({}, "days")
    with pytest.raises(dg.Failure) as failed:
        fail_by_name({date(2024, 1, 3): "held", date(2024, 1, 2): "torn"}, "days")
    assert failed.value.description == (
        "2 days could not be made; the others are done.\n2024-01-02: torn\n2024-01-03: held"
    )
    assert failed.value.allow_retries is False


def test_files_are_asked_for_in_ranges_of_the_order_that_dagster_knows() -> None:
    known = ["b", "a", "d", "c", "e"]
    assert file_ranges(["a", "b", "c", "e"], known) == [("b", "a"), ("c", "e")]
    assert file_ranges([], known) == []
    assert file_ranges(known, known) == [("b", "e")]
