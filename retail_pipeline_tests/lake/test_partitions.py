"""A partition is written whole or not at all, and the same rows give the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.lake import partitions
from retail_pipeline.lake.partitions import (
    MANIFEST_FILE,
    STAGING,
    Lake,
    LakeError,
    manifests,
    prepare,
    read_partition,
    remove_partition,
    write_partition,
)
from retail_pipeline.planning.manifests import CheckOutcome, Manifest
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import DATA_FILE

TABLE = TABLES["customer_days"]
KEYS = {"date": "2011-03-05"}


def rows(customers: int = 3, gross: str = "5.25") -> pa.Table:
    at = datetime(2011, 3, 5, 12)  # noqa: DTZ001 - local to the shop
    return pa.Table.from_pylist(
        [
            {
                "customer_id": f"{number:05d}",
                "orders": 1,
                "lines": 2,
                "units": Decimal(2),
                "gross_amount": Decimal(gross),
                "returned_amount": Decimal(0),
                "net_amount": Decimal(gross),
                "first_sold_at": at,
                "last_sold_at": at if number % 2 else None,
                "visits": 1,
                "first_visit_at": at,
                "last_visit_at": at,
            }
            for number in range(customers)
        ],
        schema=TABLE.arrow,
    )


def write(lake: Lake, data: pa.Table, inputs: str = "first") -> Manifest:
    return write_partition(lake, TABLE, KEYS, data, {"transactions": inputs})


def files(lake: Lake) -> dict[str, bytes]:
    return {str(p.relative_to(lake.root)): p.read_bytes() for p in lake.root.rglob("*") if p.is_file()}


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter where this module is known as ``tests``."""
    start = (
        "import sys; from pathlib import Path; import retail_pipeline_tests.lake.test_partitions as tests\n"
    )
    return subprocess.run(
        [sys.executable, "-c", start + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_a_partition_reads_back_as_it_was_written_with_a_manifest_that_names_it(lake: Lake):
    manifest = write(lake, rows())
    assert read_partition(lake, TABLE, KEYS).equals(rows())
    assert list(manifests(lake, TABLE)) == [manifest]
    assert (manifest.rows, manifest.inputs, manifest.partition) == (3, {"transactions": "first"}, KEYS)
    assert lake.data(TABLE.name, KEYS) == lake.root / "customer_days" / "date=2011-03-05" / DATA_FILE
    assert pq.read_table(lake.root / TABLE.name).column_names == [*TABLE.names, "date"]
    assert write(lake, rows(0)).rows == 0
    assert read_partition(lake, TABLE, KEYS).schema.equals(TABLE.arrow)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=5), st.booleans())
def test_the_same_rows_give_the_same_bytes_however_they_are_chunked(cuts: list[int], annotated: bool):
    whole = rows(40)
    bounds = sorted({0, *cuts, 40})
    pieces = [whole.slice(a, b - a) for a, b in pairwise(bounds)]
    chunked = pa.concat_tables(pieces).select(reversed(TABLE.names))
    if annotated:
        chunked = chunked.replace_schema_metadata({"made_by": "somebody"})
    expected = partitions.parquet_bytes(whole)[1]
    given_order = chunked.select(TABLE.names).cast(TABLE.arrow).combine_chunks()
    assert partitions.parquet_bytes(given_order)[1] == expected


def test_written_twice_and_by_another_process_the_files_are_the_same(lake: Lake, tmp_path: Path):
    write(lake, rows())
    first = files(lake)
    write(lake, pa.concat_tables([rows().slice(0, 1), rows().slice(1)]))
    assert files(lake) == first
    other = Lake(tmp_path / "other")
    done = python("tests.write(tests.Lake(Path(sys.argv[1])), tests.rows())", other.root)
    assert done.returncode == 0, done.stderr
    assert files(other) == first


def test_rows_that_do_not_fit_the_table_are_refused_by_column_and_nothing_is_written(lake: Lake):
    schema = TABLE.arrow.set(0, pa.field("customer_id", pa.string()))
    without_id = pa.Table.from_pylist([{**rows().to_pylist()[0], "customer_id": None}], schema=schema)
    with pytest.raises(ValueError, match="customer_id"):
        write(lake, without_id)
    with pytest.raises(KeyError, match="net_amount"):
        write(lake, rows().drop_columns(["net_amount"]))
    assert not lake.root.exists()


@pytest.mark.parametrize("moment", ["before the data", "between data and manifest"])
def test_killed_while_writing_the_old_manifest_stands_and_the_next_run_makes_the_same_bytes(
    lake: Lake, moment: str
):
    write(lake, rows(), "first")
    old = files(lake)
    code = f"""
import os, signal
replaced = 0
real = Path.replace
def replace(self, target):
    global replaced
    if replaced == {int(moment != "before the data")}:
        os.kill(os.getpid(), signal.SIGKILL)
    replaced += 1
    return real(self, target)
Path.replace = replace
tests.write(tests.Lake(Path(sys.argv[1])), tests.rows(4), "second")
"""
    assert python(code, lake.root).returncode == -signal.SIGKILL
    (manifest,) = manifests(lake, TABLE)
    assert manifest.inputs == {"transactions": "first"}, "the planner would take the partition for made"
    if moment == "before the data":
        assert {name: content for name, content in files(lake).items() if STAGING not in name} == old
    prepare(lake)
    assert not list((lake.root / STAGING).iterdir())
    write(lake, rows(4), "second")
    undisturbed = Lake(lake.root.parent / "undisturbed")
    write(undisturbed, rows(4), "second")
    assert files(lake) == files(undisturbed)


def test_a_reader_that_opened_the_old_file_reads_it_to_the_end(lake: Lake):
    write(lake, rows(3))
    with lake.data(TABLE.name, KEYS).open("rb") as opened:
        write(lake, rows(4))
        assert len(pq.read_table(opened)) == 3


@pytest.mark.parametrize("act", [prepare, lambda lake: write(lake, rows())], ids=["prepare", "write"])
def test_a_lake_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path, act):
    (tmp_path / "file").write_text("not a folder")
    lake = Lake(tmp_path / "file" / "lake")
    with pytest.raises(LakeError, match=r"lake.*cannot be written \(Not a directory\).*(permissions|--lake)"):
        act(lake)


def test_a_full_disk_leaves_the_old_partition_and_no_litter(lake: Lake):
    """A limit on the size of files stands for the full disk."""
    write(lake, rows())
    old = files(lake)
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    tests.write(tests.Lake(Path(sys.argv[1])), tests.rows(5000), "second")
except tests.LakeError as error:
    print(error)
"""
    done = python(code, lake.root)
    assert "part-0.parquet cannot be written" in done.stdout, done.stderr
    assert "make room" in done.stdout
    assert files(lake) == old


def test_a_removed_partition_is_gone_and_removing_it_again_is_no_error(lake: Lake):
    write(lake, rows())
    remove_partition(lake, TABLE.name, KEYS)
    remove_partition(lake, TABLE.name, KEYS)
    assert list(manifests(lake, TABLE)) == []
    assert not lake.partition(TABLE.name, KEYS).exists()


def test_what_a_run_takes_away_while_others_read_is_gone_for_them(lake: Lake):
    for day in range(1, 4):
        write_partition(lake, TABLE, {"date": f"2011-03-0{day}"}, rows(), {})
    read = manifests(lake, TABLE)
    first = next(read)
    remove_partition(lake, TABLE.name, {"date": "2011-03-02"})
    assert [made.partition["date"] for made in (first, *read)] == ["2011-03-01", "2011-03-03"]


def test_a_folder_that_goes_between_two_looks_holds_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    lists, day = TABLES["campaign_lists"], {"snapshot_date": "2011-03-05"}
    write_partition(lake, lists, {**day, "campaign": "a"}, lists.arrow.empty_table(), {})
    look = os.scandir, os.listdir

    def gone(name: int, path: Any) -> Any:
        if Path(path) == lake.partition(lists.name, day):
            remove_partition(lake, lists.name, day)
        return look[name](path)

    monkeypatch.setattr(os, "scandir", lambda path: gone(0, path))
    monkeypatch.setattr(os, "listdir", lambda path: gone(1, path))
    monkeypatch.setattr(shutil, "rmtree", lambda folder, **how: folder.rename(lake.root / "taken"))
    assert list(manifests(lake, lists)) == []


def test_killed_while_removing_nothing_is_left_that_looks_whole(lake: Lake):
    write(lake, rows())
    code = """
import os, shutil, signal
shutil.rmtree = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
tests.remove_partition(tests.Lake(Path(sys.argv[1])), tests.TABLE.name, tests.KEYS)
"""
    assert python(code, lake.root).returncode == -signal.SIGKILL
    assert list(manifests(lake, TABLE)) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"table": "customer_days"}', b"[]"])
def test_a_damaged_manifest_is_named_with_what_to_do(lake: Lake, content: bytes):
    write(lake, rows())
    path = lake.partition(TABLE.name, KEYS) / MANIFEST_FILE
    path.write_bytes(content)
    with pytest.raises(
        LakeError, match=r"is not a manifest \(.*\): `retail-pipeline check` says how to mend it"
    ) as raised:
        list(manifests(lake, TABLE))
    assert str(path) in str(raised.value)


def test_manifests_come_by_partition_and_survive_the_way_to_disk(lake: Lake):
    failure = CheckOutcome(states="currency is GBP", blocking=True, count=2)
    made = [
        write_partition(
            lake,
            TABLE,
            {"date": str(day)},
            rows(1),
            {"transactions": "x"},
            counts={"raw": 3},
            failures=(failure,),
        )
        for day in (date(2011, 12, 1), date(2011, 2, 1))
    ]
    assert list(manifests(lake, TABLE)) == made[::-1]
    assert list(manifests(lake, TABLES["transactions"])) == []


def test_manifests_are_what_the_files_say_now_however_often_they_were_read(lake: Lake) -> None:
    def listed() -> list[Manifest]:
        return list(manifests(lake, TABLE))

    folder = lake.partition(TABLE.name, KEYS)
    for inputs in ("first", "other"):  # of the same length
        written = write(lake, rows(), inputs)
        assert listed() == listed() == [written]
    away = folder.rename(lake.root / "away")
    assert listed() == []
    away.rename(folder)
    assert listed() == [written]
    path = folder / MANIFEST_FILE
    for damaged in (b"{}", b"[]"):
        path.write_bytes(damaged)
        with pytest.raises(LakeError, match="is not a manifest"):
            listed()


def test_another_code_version_is_written_into_the_manifest(lake: Lake):
    table = replace(TABLE, code_version=f"{TABLE.code_version}a")
    made = write_partition(lake, table, KEYS, rows(), {})
    assert made.is_current(table, {})
    assert not made.is_current(TABLE, {})
