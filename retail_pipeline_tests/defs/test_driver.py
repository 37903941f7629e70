"""What the command does with the planner's work, and what holds a run together."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from retail_pipeline.definitions import build_defs, defs
from retail_pipeline.defs.requests import file_ranges, range_tags, why_failed
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.defs.runner import Bad, fail_by_name, make_all
from retail_pipeline.engine import EngineError
from retail_pipeline.lake.partitions import LakeError, read_partition
from retail_pipeline.planning.alerts import of_ids
from retail_pipeline.settings import load_settings
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.command import tree
from retail_pipeline_tests.defs.support import evaluations, land, open_pipeline, run, said, statuses
from retail_pipeline_tests.shop import FIRST, deliver, sales, settings_file, span, write

DAYS = span(FIRST, 5)

# the driver


def test_the_second_time_nothing_runs(pipeline: Pipeline, instance: dg.DagsterInstance):
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


def test_each_made_partition_is_told_once(pipeline: Pipeline, instance: dg.DagsterInstance):
    deliver(pipeline.settings.landing, DAYS)
    told: list[tuple[str, str]] = []
    watched = Pipeline(pipeline.settings, lambda table, partition: told.append((table, partition)))
    bring_up_to_date(watched, instance, lambda: DAYS[-1])
    assert len(told) == len(set(told))
    assert [day for table, day in told if table == "transactions"] == [str(day) for day in DAYS]
    assert ("campaign_lists", str(DAYS[-1])) in told


def test_a_day_that_is_held_keeps_only_what_rests_on_it_from_being_made(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, DAYS)
    deliver(pipeline.settings.landing, [DAYS[1]], currency="USD")
    outcome = bring_up_to_date(pipeline, instance, lambda: DAYS[-1])
    assert [failure.splitlines()[1].partition(" Mend")[0] for failure in outcome.failures] == [
        f"{DAYS[1]}: held: {len(sales(DAYS[1]))} rows against «currency is EUR».",
        f"{DAYS[-1]}: no lists: {DAYS[1]} held or not made; `retail-pipeline status` says why",
    ]
    assert sorted(pipeline.state()["segment_assignments"]) == [DAYS[-1]]
    # said once, not run again every morning
    assert bring_up_to_date(pipeline, instance, lambda: DAYS[-1]).runs == []


def test_one_run_of_the_daily_job_takes_a_range_from_its_rows_to_its_lists_but_for_the_bad_day(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    """The bad day is the last: the days before it have everything."""
    deliver(pipeline.settings.landing, DAYS)
    deliver(pipeline.settings.landing, DAYS[-1:], currency="USD")
    land(pipeline, instance)
    result = run(pipeline, instance, "daily_job", DAYS[0], DAYS[-1])
    assert said(result).startswith(f"1 day could not be made; the others are done.\n{DAYS[-1]}: held: ")
    state = pipeline.state()
    assert sorted(state["customer_days"]) == sorted(
        day for day, lists in state["campaign_lists"].items() if lists
    )
    assert sorted(state["customer_days"]) == DAYS[:-1]
    assert sorted(state["segment_assignments"]) == DAYS
    assert set(statuses(pipeline, instance, "campaign_lists", DAYS[:-1]).values()) == {"MATERIALIZED"}
    assert statuses(pipeline, instance, "campaign_lists", DAYS[-1:]) == {DAYS[-1]: "FAILED"}


OVER_A_MONTHS_END = span(date(2024, 1, 29), 5)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The lake of some days over a month's end."""
    pipeline = open_pipeline(tmp_path_factory.mktemp("undisturbed"))
    deliver(pipeline.settings.landing, OVER_A_MONTHS_END)
    with dg.DagsterInstance.ephemeral() as instance:
        assert not bring_up_to_date(pipeline, instance, lambda: OVER_A_MONTHS_END[-1]).failures
    return tree(pipeline.lake.root)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("swallowed", [False, True])
@pytest.mark.parametrize(
    "table", ["raw_transactions", "transactions", "segmentation_models", "rfm_features", "campaign_lists"]
)
def test_ctrl_c_ends_the_command_at_once_and_the_next_one_makes_the_same_lake(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    undisturbed: dict[str, bytes],
    table: str,
    swallowed: bool,
):
    """Also where the engine makes an error of its own of the signal."""
    deliver(pipeline.settings.landing, OVER_A_MONTHS_END)
    pressed: list[str] = []

    def press(made: str, partition: str) -> None:
        assert not pressed or swallowed, f"{made} of {partition} is made after Ctrl-C"
        if made == table:
            pressed.append(partition)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
            except BaseException as error:
                if swallowed:
                    raise RuntimeError("Query interrupted") from error
                raise

    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date(replace(pipeline, on_made=press), instance, lambda: OVER_A_MONTHS_END[-1])
    assert len(pressed) == 1, "no other run begins"
    assert not bring_up_to_date(pipeline, instance, lambda: OVER_A_MONTHS_END[-1]).failures
    assert tree(pipeline.lake.root) == undisturbed


def test_after_a_layer_that_broke_off_none_begins(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    deliver(pipeline.settings.landing, DAYS)

    def breaks(table: str, partition: str) -> None:
        assert table == "raw_transactions" or partition == str(DAYS[0])
        if table == "transactions":
            raise OSError("the disk is gone")

    outcome = bring_up_to_date(replace(pipeline, on_made=breaks), instance, lambda: DAYS[-1])
    assert len(outcome.failures) == 1
    assert not pipeline.state()["rfm_features"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (LakeError("x cannot be written: make room, then run again"), "x cannot be written: make room, then"),
        (OSError(28, "No space left on device"), "the disk is full: make room; it is then tried again"),
        (ValueError("70001,LANTERN"), "it ended with ValueError; its log says more"),
    ],
)
def test_a_failed_run_says_its_remedy_and_quotes_no_row(
    pipeline: Pipeline, instance: dg.DagsterInstance, error: Exception, says: str
):
    deliver(pipeline.settings.landing, DAYS)

    def breaks(table: str, partition: str) -> None:
        if table == "transactions":
            raise error

    outcome = bring_up_to_date(replace(pipeline, on_made=breaks), instance, lambda: DAYS[-1])
    is_bad_input, why = why_failed(instance, outcome.runs[-1])
    assert not is_bad_input
    assert why.startswith(says)


def test_the_pipeline_can_be_replaced_by_name(tmp_path: Path, instance: dg.DagsterInstance):
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


def test_the_multiprocess_executor_makes_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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


def test_a_batch_that_the_engine_cannot_run_is_halved_down_to_the_partition_to_blame():
    calls, bad = making(broken={5}, held={2, 9})
    assert bad.keys() == {2, 5, 9}
    assert bad[5].startswith("file of 5 is damaged")
    done = [key for batch in calls if 5 not in batch for key in batch]
    assert done == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]  # in order, each once


def test_bad_partitions_are_named_in_order_and_not_retried():
    fail_by_name({}, "days")
    with pytest.raises(dg.Failure) as failed:
        fail_by_name({date(2024, 1, 3): "held", date(2024, 1, 2): "torn"}, "days")
    assert failed.value.description == (
        "2 days could not be made; the others are done.\n2024-01-02: torn\n2024-01-03: held"
    )
    assert failed.value.allow_retries is False


def test_files_are_asked_for_in_ranges_of_the_order_that_dagster_knows():
    known = ["b", "a", "d", "c", "e"]
    assert file_ranges(["a", "b", "c", "e"], known) == [("b", "a"), ("c", "e")]
    assert file_ranges([], known) == []
    assert file_ranges(known, known) == [("b", "e")]


# an invoice over days


def orders(pipeline: Pipeline) -> dict[tuple[date, str], int]:
    """The orders of each customer on each day."""
    return {
        (day, row["customer_id"]): row["orders"]
        for day in pipeline.state()["customer_days"]
        for row in read_partition(pipeline.lake, TABLES["customer_days"], {"date": str(day)}).to_pylist()
    }


def test_a_late_first_line_takes_the_order_to_its_day_and_makes_nothing_anew_that_it_does_not_change(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, DAYS)
    (line, *_) = sales(DAYS[2])
    mine = line["customer"]
    late, goes_on = (
        [line | {"order": "over midnight", "at": f"{day} {at}", "units": "2"}]
        for day, at in ((DAYS[1], "23:58:00"), (DAYS[2], "00:03:00"))
    )
    write(pipeline.settings.landing / "goes_on.csv", goes_on)
    bring_up_to_date(pipeline, instance, lambda: DAYS[-1])
    before, made = orders(pipeline), pipeline.state()
    write(pipeline.settings.landing / "late.csv", late)
    layers: list[tuple[str, int]] = []
    bring_up_to_date(pipeline, instance, lambda: DAYS[-1], lambda *layer: layers.append(layer))
    after, anew = orders(pipeline), pipeline.state()
    assert layers == [("files", 1), ("days", 1), ("customer_days", 3), ("snapshots", 1)]
    assert {key: n for key, n in after.items() if n != before.get(key, 0)} == {
        (DAYS[1], mine): before.get((DAYS[1], mine), 0) + 1,
        (DAYS[2], mine): before[DAYS[2], mine] - 1,
    }
    for day in DAYS[2:]:
        assert anew["transactions"][day] == made["transactions"][day]
        same = anew["customer_days"][day].content == made["customer_days"][day].content
        assert same == (day != DAYS[2])

    elsewhere = open_pipeline(pipeline.lake.root.parent / "elsewhere")
    elsewhere.settings.landing.mkdir(parents=True)
    for file in pipeline.settings.landing.iterdir():
        (elsewhere.settings.landing / file.name).write_bytes(file.read_bytes())
    land(elsewhere, instance)
    for day in reversed(DAYS):  # in whatever order
        run(elsewhere, instance, "daily_job", day, day, ["transactions", "customer_days"])
    bring_up_to_date(elsewhere, instance, lambda: DAYS[-1])
    assert elsewhere.state()["customer_days"] == anew["customer_days"]


# odd ids


@pytest.mark.parametrize("ids", ["warn", "hold", "ignore"])
def test_odd_ids_are_said_and_hold_the_lists_back_when_they_shall(
    ids: str, tmp_path: Path, instance: dg.DagsterInstance
):
    shop = open_pipeline(tmp_path, checks={"ids": ids})
    deliver(shop.settings.landing, DAYS)
    (line, *_) = sales(DAYS[1])
    again = [line | {"order": "again", "customer": f"0{line['customer']}"}]
    write(shop.settings.landing / "again.csv", again)
    outcome = bring_up_to_date(shop, instance, lambda: DAYS[-1])
    found = evaluations(instance, "rfm_features", "customers_are_told_apart")[str(DAYS[-1])]
    assert found.passed == (ids == "ignore")
    red = dg.AssetCheckSeverity.ERROR if ids == "hold" else dg.AssetCheckSeverity.WARN
    assert found.severity is red
    state = shop.state()
    assert bool(state["campaign_lists"][DAYS[-1]]) == (ids != "hold")
    assert len(outcome.failures) == (ids == "hold")
    told = {problem.kind for problem in of_ids(state, shop.recipe)}
    assert told == {"warn": {"ids_odd"}, "hold": {"ids_hold"}, "ignore": set()}[ids]
    if ids != "ignore":
        assert "1 customer ids differ from another only by letter case" in str(found.description)
        assert found.metadata["such as"].value == "07**** and 70***"
        assert line["customer"] not in str(found)
    # said once, and nothing is left to do
    assert bring_up_to_date(shop, instance, lambda: DAYS[-1]).runs == []
