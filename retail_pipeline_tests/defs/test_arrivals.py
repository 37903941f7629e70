"""Files as they arrive in life, through Dagster: corrected, overlapping, cut, mended, decided about."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow.dataset as ds

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.lake.records import record
from retail_pipeline.planning.decisions import FileDecision
from retail_pipeline.planning.plan import files_to_land, plan
from retail_pipeline_tests.defs.support import evaluations, land, make_days, open_pipeline, said
from retail_pipeline_tests.shop import FIRST, PROFILE, Line, deliver, sales, span, write

DAYS = span(FIRST, 3)


def replacing(root: Path, how: str) -> Pipeline:
    (root / "landing").mkdir(exist_ok=True)
    return open_pipeline(root, sources={"corner_shop": PROFILE | {"replaces": how}})


def rows(pipeline: Pipeline, table: str = "raw_transactions") -> list[tuple[str, str]]:
    """What somebody reads who knows nothing of us: each row's invoice and price."""
    found = ds.dataset(pipeline.lake.root / table, format="parquet", exclude_invalid_files=True).to_table()
    return sorted(
        zip(found["invoice_id"].to_pylist(), map(str, found["unit_price"].to_pylist()), strict=True)
    )


def expected(*deliveries: list[Line]) -> list[tuple[str, str]]:
    return sorted((line["order"], f"{line['price']}00") for lines in deliveries for line in lines)


def dearer(lines: list[Line]) -> list[Line]:
    return [line | {"price": "99.00"} for line in lines]


def nothing_to_do(pipeline: Pipeline) -> bool:
    state = pipeline.state(tuple(pipeline.listing().files))
    return not files_to_land(state, pipeline.recipe)


def decide(pipeline: Pipeline, name: str, verdict: str, *days: date) -> None:
    state = pipeline.state()
    (source_id,) = [s for s, m in state.landed.items() if m.arrival.path == name]
    decision = {"source_id": source_id, "verdict": verdict, "days": days, "why": "seen", "by": "me"}
    record(pipeline.lake, FileDecision.model_validate(decision))


def test_a_corrected_file_takes_the_place_of_its_namesake(tmp_path: Path, instance: dg.DagsterInstance):
    pipeline = replacing(tmp_path, "same_name")
    deliver(pipeline.settings.landing, DAYS)
    land(pipeline, instance)
    make_days(pipeline, instance, DAYS)
    write(pipeline.settings.landing / f"{DAYS[1]}.csv", dearer(sales(DAYS[1])))
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(sales(DAYS[0]), dearer(sales(DAYS[1])), sales(DAYS[2]))
    state = pipeline.state()
    assert plan(state, pipeline.recipe, DAYS[2]).days == (DAYS[1],)
    make_days(pipeline, instance, [DAYS[1]])
    assert rows(pipeline, "transactions") == rows(pipeline)
    assert nothing_to_do(pipeline)
    # and back: delivered once more as it first was
    write(pipeline.settings.landing / f"{DAYS[1]}.csv", sales(DAYS[1]))
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(*map(sales, DAYS))
    assert nothing_to_do(pipeline)


def test_a_correction_of_days_takes_these_days_from_a_longer_file(
    tmp_path: Path, instance: dg.DagsterInstance
):
    pipeline = replacing(tmp_path, "same_days")
    write(pipeline.settings.landing / "month.csv", [line for day in DAYS for line in sales(day)])
    land(pipeline, instance)
    write(pipeline.settings.landing / "correction.csv", dearer(sales(DAYS[1])))
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(sales(DAYS[0]), dearer(sales(DAYS[1])), sales(DAYS[2]))
    assert plan(pipeline.state(), pipeline.recipe, DAYS[2]).days == tuple(DAYS)
    assert nothing_to_do(pipeline)
    decide(pipeline, "correction.csv", "reject")
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(*map(sales, DAYS))
    assert nothing_to_do(pipeline)


def test_a_file_that_goes_or_changes_its_name_changes_nothing(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, DAYS)
    land(pipeline, instance)
    landing = pipeline.settings.landing
    (landing / f"{DAYS[0]}.csv").unlink()
    (landing / f"{DAYS[1]}.csv").rename(landing / "renamed.csv")
    (landing / "copy.csv").write_bytes((landing / f"{DAYS[2]}.csv").read_bytes())
    assert nothing_to_do(pipeline)
    assert len(pipeline.state().counting) == 3


def test_what_was_corrected_stays_so_when_the_correction_is_moved(
    tmp_path: Path, instance: dg.DagsterInstance
):
    pipeline = replacing(tmp_path, "same_name")
    landing, name = pipeline.settings.landing, "today.csv"
    write(landing / name, [*sales(DAYS[0])[:1], {**sales(DAYS[0])[1], "units": "?"}])
    land(pipeline, instance)
    for lines in (sales(DAYS[0]), dearer(sales(DAYS[0]))):
        write(landing / name, lines)
        land(pipeline, instance)
    (landing / name).rename(landing / "archived.csv")
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(dearer(sales(DAYS[0])))
    assert not pipeline.state().quarantined
    # the same name again, for another file
    write(landing / name, sales(DAYS[1]))
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(dearer(sales(DAYS[0])), sales(DAYS[1]))
    assert nothing_to_do(pipeline)


def test_an_overlapping_delivery_is_held_back_with_the_counts_until_somebody_decides(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    landing, both = pipeline.settings.landing, [*sales(DAYS[0]), *sales(DAYS[1])]
    write(landing / "a.csv", both)
    land(pipeline, instance)
    write(landing / "b.csv", [*sales(DAYS[1]), *sales(DAYS[2])])
    result = land(pipeline, instance)
    common = len(sales(DAYS[1]))
    assert f"b.csv@{_id(pipeline, 'b.csv')}: holds {common} lines that a.csv has, too" in said(result)
    assert rows(pipeline) == expected(both, sales(DAYS[2])), "the day that nobody else delivered counts"
    checks = evaluations(instance, "raw_transactions", "deliveries_do_not_overlap")
    (check,) = [check for key, check in checks.items() if key.startswith("b.csv")]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert nothing_to_do(pipeline), "it waits for a person and is not tried again and again"
    make_days(pipeline, instance, DAYS)
    assert rows(pipeline, "transactions") == expected(both, sales(DAYS[2]))
    for verdict, days, counts in (
        ("accept", (), (both, sales(DAYS[1]), sales(DAYS[2]))),
        ("replace", (), (sales(DAYS[0]), sales(DAYS[1]), sales(DAYS[2]))),
        ("reject", (DAYS[1],), (both, sales(DAYS[2]))),
        ("accept", (), (both, sales(DAYS[1]), sales(DAYS[2]))),
        ("reject", (), (both,)),
    ):
        decide(pipeline, "b.csv", verdict, *days)
        assert not pipeline.state().quarantined
        if not nothing_to_do(pipeline):
            assert land(pipeline, instance).success
        stale = plan(pipeline.state(), pipeline.recipe, DAYS[2]).days
        make_days(pipeline, instance, stale)
        assert rows(pipeline) == rows(pipeline, "transactions") == expected(*counts)


def test_the_whole_file_under_the_name_of_its_half_takes_its_place_by_default(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    landing, lines = pipeline.settings.landing, [*sales(DAYS[0]), *sales(DAYS[1])]
    write(landing / "other.csv", sales(DAYS[2]))
    write(landing / "today.csv", lines[:7])
    land(pipeline, instance)
    assert len(rows(pipeline)) == 7 + len(sales(DAYS[2]))
    write(landing / "today.csv", lines)
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(lines, sales(DAYS[2]))
    assert not pipeline.state().quarantined
    # and half of it once more is no correction
    write(landing / "today.csv", lines[:9])
    assert not land(pipeline, instance).success
    assert rows(pipeline) == expected(lines, sales(DAYS[2]))


def test_lines_that_one_file_has_twice_in_itself_are_no_overlap(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    landing, lines = pipeline.settings.landing, sales(DAYS[0])
    write(landing / "a.csv", [*lines, *lines])
    write(landing / "b.csv", [line | {"order": f"b{line['order']}"} for line in lines] * 2)
    assert land(pipeline, instance).success
    assert not pipeline.state().quarantined


def test_a_cut_file_is_in_quarantine_and_heals_when_it_comes_whole(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    landing, good = pipeline.settings.landing, sales(DAYS[0])
    write(landing / "a.csv", [*good[:2], *[line | {"units": "?"} for line in good[2:]]])
    (landing / "b.csv").write_bytes(b"\x00\x01 rubbish")
    deliver(landing, DAYS[1:])
    result = land(pipeline, instance)
    assert said(result).startswith("2 files could not be made; the others are done.")
    assert rows(pipeline) == expected(*map(sales, DAYS[1:]))
    state = pipeline.state(tuple(pipeline.listing().files))
    assert len(state.quarantined) == 2
    assert nothing_to_do(pipeline), "what was refused is not tried again"
    materialized = instance.get_materialized_partitions(dg.AssetKey("raw_transactions"))
    assert not [key for key in materialized if key.startswith(("a.csv", "b.csv"))]
    write(landing / "a.csv", good)
    write(landing / "b.csv", [line | {"order": f"b{line['order']}"} for line in good])
    assert land(pipeline, instance).success
    state = pipeline.state(tuple(pipeline.listing().files))
    assert not state.quarantined
    assert len(rows(pipeline)) == 2 * len(good) + sum(len(sales(day)) for day in DAYS[1:])


def test_a_refused_file_is_tried_again_under_another_profile(tmp_path: Path, instance: dg.DagsterInstance):
    (tmp_path / "landing").mkdir()
    pipeline = open_pipeline(tmp_path)
    lines = write(tmp_path / "landing" / "a.csv", sales(DAYS[0])).read_text()
    (tmp_path / "landing" / "a.csv").write_text(lines.replace("order,", "bill,", 1))
    assert not land(pipeline, instance).success
    assert nothing_to_do(pipeline)
    columns = PROFILE["columns"] | {"invoice_id": "bill"}  # type: ignore[operator]
    other = open_pipeline(tmp_path, sources={"corner_shop": PROFILE | {"columns": columns}})
    assert not nothing_to_do(other)
    assert land(other, instance).success
    assert rows(other) == expected(sales(DAYS[0]))
    assert not other.state(tuple(other.listing().files)).refused


def _id(pipeline: Pipeline, name: str) -> str:
    (source_id,) = [s for s, m in pipeline.state().landed.items() if m.arrival.path == name]
    return source_id


def test_a_refused_content_is_tried_under_every_name_that_it_lies_under(
    tmp_path: Path, instance: dg.DagsterInstance
):
    (tmp_path / "landing").mkdir()
    pipeline = open_pipeline(tmp_path, sources={"corner_shop": PROFILE | {"files": "sales_*.csv"}})
    wrong = write(tmp_path / "landing" / "orders.csv", sales(DAYS[0]))
    assert not land(pipeline, instance).success
    assert nothing_to_do(pipeline)
    (tmp_path / "landing" / "also wrong.csv").write_bytes(wrong.read_bytes())
    assert not land(pipeline, instance).success
    assert nothing_to_do(pipeline), "each name is tried once"
    (tmp_path / "landing" / "sales_1.csv").write_bytes(wrong.read_bytes())
    assert land(pipeline, instance).success
    assert rows(pipeline) == expected(sales(DAYS[0]))
    state = pipeline.state(tuple(pipeline.listing().files))
    assert not state.quarantined
    assert [m.arrival.path for m in state.landed.values()] == ["sales_1.csv"]
    assert nothing_to_do(pipeline)


def test_one_run_finds_the_name_that_a_profile_is_for(tmp_path: Path, instance: dg.DagsterInstance):
    (tmp_path / "landing").mkdir()
    settle = {"settle_seconds": 0}
    sources = {"corner_shop": PROFILE | {"files": "sales_*.csv"}}
    pipeline = open_pipeline(tmp_path, sources=sources, arrival=settle)
    for name in ("a.csv", "sales_1.csv", "z.csv"):
        write(tmp_path / "landing" / name, sales(DAYS[0]))
    assert not bring_up_to_date(pipeline, instance, lambda: DAYS[0]).failures
    assert rows(pipeline, "transactions") == expected(sales(DAYS[0]))
    assert not pipeline.state(tuple(pipeline.listing().files)).quarantined
