"""Rows that do not count leave the tables, and come back as they were."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from retail_pipeline.lake.partitions import Lake, replace_file, write_manifest
from retail_pipeline.lake.set_aside import apart, read_landed, settle
from retail_pipeline.planning.deliveries import Deliveries, Held
from retail_pipeline.planning.manifests import Manifest, Part
from retail_pipeline_tests.command import tree

DAYS = (date(2024, 1, 1), date(2024, 1, 2))
ONE, TWO = "1" * 16, "2" * 16


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake in which two files landed, with rows on two days each and unreadable ones."""
    found = Lake(tmp_path)
    for source_id in (ONE, TWO):
        for day in DAYS:
            raw = found.partition("raw_transactions", {"date": str(day)}) / f"{source_id}.parquet"
            replace_file(found, raw, f"{source_id} {day}".encode())
        replace_file(found, found.data("unreadable_rows", {"file": source_id}), source_id.encode())
        write_manifest(found, manifest(source_id))
    return found


def manifest(source_id: str) -> Manifest:
    return Manifest(
        table="landed_files",
        partition={"file": source_id},
        rows=1,
        content="",
        inputs={},
        code_version="1",
        schema_fingerprint="",
        parts={day: Part(rows=1, content="") for day in DAYS},
    )


def counting(*files: tuple[str, date], replaced: str = "") -> Deliveries:
    days: dict[date, dict[str, Manifest]] = {}
    for source_id, day in files:
        days.setdefault(day, {})[source_id] = manifest(source_id)
    return Deliveries(days, {replaced: TWO} if replaced else {})


ALL = tuple((source_id, day) for source_id in (ONE, TWO) for day in DAYS)


def put_right(lake: Lake, found: Deliveries) -> list[str]:
    return settle(lake, read_landed(lake)[0], found)


def in_tables(lake: Lake) -> set[str]:
    return {path for path in tree(lake.root) if not path.startswith("set_aside/")}


def test_where_everything_counts_nothing_moves(lake: Lake):
    before = tree(lake.root)
    assert put_right(lake, counting(*ALL)) == []
    assert tree(lake.root) == before


def test_a_replaced_file_leaves_the_tables_whole_and_comes_back_as_it_was(lake: Lake):
    before = tree(lake.root)
    replaced = counting((TWO, DAYS[0]), (TWO, DAYS[1]), replaced=ONE)
    assert put_right(lake, replaced) == [ONE]
    assert not [path for path in in_tables(lake) if ONE in path]
    assert {f"set_aside/{path}" for path in before if ONE in path} <= tree(lake.root).keys()
    landed, aside = read_landed(lake)
    assert set(landed) == {ONE, TWO}
    assert aside == {ONE}
    assert put_right(lake, replaced) == [], "a second time there is nothing to do"
    assert put_right(lake, counting(*ALL)) == [ONE]
    assert tree(lake.root) == before


def test_of_a_file_replaced_on_one_day_only_that_days_rows_leave(lake: Lake):
    before = tree(lake.root)
    partly = counting(*(pair for pair in ALL if pair != (ONE, DAYS[0])))
    assert put_right(lake, partly) == []
    assert before.keys() - in_tables(lake) == {f"raw_transactions/date={DAYS[0]}/{ONE}.parquet"}
    assert put_right(lake, counting(*ALL)) == []
    assert tree(lake.root) == before


def test_a_crash_half_way_is_mended_by_the_next_call(lake: Lake):
    whole = tree(lake.root)
    replaced = counting((TWO, DAYS[0]), (TWO, DAYS[1]), replaced=ONE)
    # as if killed after the first rename, in either direction
    first = f"raw_transactions/date={DAYS[0]}/{ONE}.parquet"
    target = apart(lake).root / first
    target.parent.mkdir(parents=True)
    (lake.root / first).replace(target)
    put_right(lake, replaced)
    assert not [path for path in in_tables(lake) if ONE in path]
    (apart(lake).root / first).replace(lake.root / first)
    put_right(lake, counting(*ALL))
    assert tree(lake.root) == whole


def test_a_file_that_landed_again_is_the_one_that_stays(lake: Lake):
    held = Deliveries(counting((TWO, DAYS[0]), (TWO, DAYS[1])).by_day, {}, {ONE: Held("overlaps")})
    put_right(lake, held)
    raw = lake.partition("raw_transactions", {"date": str(DAYS[0])}) / f"{ONE}.parquet"
    replace_file(lake, raw, b"read anew")
    write_manifest(lake, manifest(ONE))
    put_right(lake, held)
    assert tree(apart(lake).root)[f"raw_transactions/date={DAYS[0]}/{ONE}.parquet"] == b"read anew"
    assert not raw.exists()
