"""Landing in Dagster: a file is a partition, a bad one fails by name, the others land."""

from __future__ import annotations

import dagster as dg

from retail_pipeline.cli.status import unreadable
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.lake.partitions import remove_partition
from retail_pipeline_tests.defs.support import evaluations, land, run, said
from retail_pipeline_tests.shop import FIRST, deliver, sales, span, write

RAW = dg.AssetKey("raw_transactions")


def test_each_file_is_a_partition_by_name_with_its_rows(pipeline: Pipeline, instance: dg.DagsterInstance):
    days = span(FIRST, 3)
    deliver(pipeline.settings.landing, days)
    assert land(pipeline, instance).success
    keys = instance.get_materialized_partitions(RAW)
    assert {key.split("@")[0] for key in keys} == {f"{day}.csv" for day in days}
    record = instance.get_latest_materialization_event(RAW)
    assert record
    assert record.asset_materialization
    metadata = record.asset_materialization.metadata
    assert metadata["dagster/partition_row_count"].value == len(sales(days[-1]))
    checks = evaluations(instance, "raw_transactions", "no_row_is_lost")
    assert checks.keys() == keys
    assert all(check.passed for check in checks.values())


def test_a_file_with_unknown_columns_fails_by_name_and_the_others_land(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, span(FIRST, 2))
    (pipeline.settings.landing / "stock.csv").write_text("shelf,count\nA,1\n")
    result = land(pipeline, instance)
    assert not result.success
    assert said(result).startswith("1 file could not be made; the others are done.\nstock.csv@")
    assert "no profile fits the columns shelf, count" in said(result)
    landed = instance.get_materialized_partitions(RAW)
    assert sorted(key.split("@")[0] for key in landed) == [f"{day}.csv" for day in span(FIRST, 2)]


def test_a_file_that_has_left_landing_before_its_run_fails_by_name(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    gone = "gone.csv@0123456789abcdef"
    instance.add_dynamic_partitions("source_files", [gone])
    assert f"{gone}: is no longer in landing" in said(run(pipeline, instance, "landing_job", gone, gone))


def test_unreadable_rows_are_amber_when_few_and_red_when_many(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    good = [line for day in span(FIRST, 4) for line in sales(day)]
    bad = good[0] | {"units": "dozen"}
    write(pipeline.settings.landing / "few.csv", [*good, bad])
    other = sales(span(FIRST, 5)[4])
    write(pipeline.settings.landing / "many.csv", [*other, *[bad] * len(other)])
    reason = said(land(pipeline, instance))
    assert (
        f"many.csv@{_id_of(pipeline, 'many.csv')}: {len(other)} of its {2 * len(other)} rows cannot" in reason
    )
    assert {key.split("@")[0] for key in instance.get_materialized_partitions(RAW)} == {"few.csv"}
    checks = evaluations(instance, "raw_transactions", "rows_are_readable")
    found = {key.split("@")[0]: check for key, check in checks.items()}
    assert not found["few.csv"].passed
    assert found["few.csv"].severity is dg.AssetCheckSeverity.WARN
    assert found["many.csv"].severity is dg.AssetCheckSeverity.ERROR
    shown = str(found["few.csv"].metadata["failures"].value)
    assert "1 rows do not" in shown
    # what the row holds stays in the lake
    assert f"{len(good) + 1} | quantity: '\\*\\*\\*' is not a number" in shown
    assert "dozen" not in shown


def test_rows_that_a_run_just_moves_are_named_all_the_same(pipeline: Pipeline, instance: dg.DagsterInstance):
    lines = sales(FIRST)
    write(pipeline.settings.landing / "few.csv", [*lines * 4, lines[0] | {"units": "dozen"}])
    assert land(pipeline, instance).success
    state = pipeline.state()
    keys = {"file": _id_of(pipeline, "few.csv")}
    for table in ("unreadable_rows", "landed_files"):
        remove_partition(pipeline.lake, table, keys)
    (line,) = unreadable(pipeline, state)
    assert f"few.csv: 1 of {4 * len(lines) + 1} rows, first " in line
    assert "cannot be read" in line


def _id_of(pipeline: Pipeline, path: str) -> str:
    (source_id,) = [s for s, m in pipeline.state().landed.items() if m.arrival.path == path]
    return source_id
