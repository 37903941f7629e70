"""Files parsed in a process of their own: whatever one does, it is that file's, and its neighbours land."""

from __future__ import annotations

import errno
import gzip
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_pipeline.ingest import reading as reading_module
from retail_pipeline.ingest.isolation import Allowance, land_apart
from retail_pipeline.ingest.landing import Landed, Refused
from retail_pipeline.ingest.listing import SUFFIXES, list_files
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline_tests.command import READ_APART, retail_pipeline
from retail_pipeline_tests.ingest.landing_shop import READING, Shop, counts, refusal
from retail_pipeline_tests.ingest.test_formats import workbook
from retail_pipeline_tests.near import read_apart, read_near

AMPLE = Allowance(memory=2 << 30, seconds=600)
HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
GOOD = "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850,United Kingdom"
BEGINNINGS = (
    b"",
    f"{HEAD}\n{GOOD}\n".encode(),
    *(b"{", b"[", b'{"a":', b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"PK\x03\x04", b"\x1f\x8b\x08", b"PAR1", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x28\xb5\x2f\xfd"),
)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(READ_APART, "yes")
    read_apart()
    yield
    read_near()


def apart(shop: Shop, allowance: Allowance = AMPLE, **changed: Any) -> dict[str, Landed | Refused]:
    files = list_files(shop.landing).files
    outcomes = list(
        land_apart(
            files,
            shop.landing,
            shop.lake,
            READING.model_copy(update={"memory_limit": "300MB"} | changed),
            landed={},
            allowance=allowance,
        )
    )
    found = {outcome.file.path: outcome for outcome in outcomes}
    assert len(found) == len(outcomes) == len(files), "one outcome a file"
    return found


def raws(outcomes: dict[str, Landed | Refused], names: Iterable[str]) -> list[int]:
    return [counts(outcomes[name])["raw"] for name in names]


def two_cells_far_apart() -> bytes:
    """A workbook whose sheet, written out as a table, has 17 thousand million cells."""
    whole, out = zipfile.ZipFile(io.BytesIO(workbook([["a"]]))), io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in whole.namelist():
            content = whole.read(name)
            if "worksheets/" in name:
                far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
                content = content.replace(b"</sheetData>", far.encode())
                assert far.encode() in content
            archive.writestr(name, content)
    return out.getvalue()


def test_a_child_leaves_the_lake_that_landing_in_process_leaves(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, there = Shop(tmp_path / "a"), Shop(tmp_path / "b")
    for shop in (here, there):
        shop.deliver("a.csv", HEAD, GOOD)
        shop.deliver("b.csv.gz", HEAD, GOOD, GOOD.replace("2.55", "dear"))
        shop.deliver("c.csv", "no,header,we,know")
        for path in shop.landing.iterdir():
            os.utime(path, ns=(1, 1))
    landed, outcomes = here.land(), apart(there)
    assert {p: o.reason for p, o in landed.items() if isinstance(o, Refused)} == {
        p: o.reason for p, o in outcomes.items() if isinstance(o, Refused)
    }
    assert here.bytes() == there.bytes()


def test_a_file_that_crashes_its_reader_is_refused_and_its_neighbours_land(shop: Shop):
    names = [f"{n}.csv" for n in range(5)]
    for n, name in enumerate(names):
        shop.deliver(name, HEAD, *[GOOD] * (n + 1))
    (shop.landing / "2b.xlsx").write_bytes(two_cells_far_apart())
    outcomes = apart(shop)
    assert raws(outcomes, names) == [1, 2, 3, 4, 5]
    found = outcomes["2b.xlsx"]
    assert isinstance(found, Refused)
    assert found.lasting
    assert "deliver it in smaller parts" in found.reason or "crashes its reader" in found.reason


def test_a_file_that_needs_too_much_memory_is_refused_by_name(shop: Shop):
    shop.deliver("good.csv", HEAD, GOOD)
    # one line of 60 MB, which a reader holds several times over
    shop.deliver("long.csv", HEAD, GOOD, b'"' + bytes([120]) * (60 << 20) + b'"')
    outcomes = apart(shop, Allowance(memory=280_000_000, seconds=600), memory_limit="100MB")
    assert raws(outcomes, ["good.csv"]) == [1]
    reason = refusal(outcomes["long.csv"])
    assert reason.startswith("needs more than 0.3 GB of memory to be read: deliver it in smaller parts, or")
    assert "arrival.max_memory" in reason


def test_a_parquet_file_that_grows_while_it_is_written_is_refused_by_name(shop: Shop):
    shop.deliver("good.csv", HEAD, GOOD)
    shop.deliver("later.jsonl", json.dumps(dict(zip(HEAD.split(","), GOOD.split(","), strict=True))))
    with pq.ParquetWriter(shop.landing / "grows.parquet", schema(), compression="zstd") as writer:
        for n in range(20):
            writer.write_table(rows([f"{n}-{m}" + "x" * (1 << 20) for m in range(4)]))
    assert (shop.landing / "grows.parquet").stat().st_size < 1 << 20
    outcomes = apart(shop, memory_limit="30MB")
    assert raws(outcomes, ["good.csv", "later.jsonl"]) == [1, 1]
    assert "needs more memory" in refusal(outcomes["grows.parquet"])
    left = [path for path in shop.lake.root.rglob("*.parquet") if "raw_transactions" in path.parts]
    assert len(left) == 2, "nothing of the refused file stays in the table"


def schema() -> pa.Schema:
    return rows([]).schema


def rows(descriptions: list[str]) -> pa.Table:
    """Rows of a Parquet file with these descriptions."""
    fields = dict(zip(HEAD.split(","), GOOD.split(","), strict=True))
    return pa.table(
        {
            name: pa.array(
                descriptions if name == "Description" else [value] * len(descriptions), pa.string()
            )
            for name, value in fields.items()
        }
    )


def test_a_file_that_takes_too_long_is_refused_by_name(shop: Shop):
    shop.deliver("slow.csv", HEAD, *[GOOD] * 60_000)
    reason = refusal(apart(shop, Allowance(memory=2 << 30, seconds=0.001))["slow.csv"])
    assert "seconds of computing to be read" in reason
    assert "arrival.max_seconds" in reason


def test_a_zip_whose_directory_lies_is_refused(shop: Shop):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sales.csv", "\n".join([HEAD, *[GOOD] * 100_000]))
    content = bytearray(out.getvalue())
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    (shop.landing / "liar.zip").write_bytes(content)
    assert "is no whole zip file" in refusal(shop.land()["liar.zip"])


def test_an_error_nobody_expected_is_its_files_and_in_the_log_without_its_words(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import retail_pipeline.ingest.landing as landing\n"
        "write = landing._commit\n"
        "def commit(job, shape, number, file, *rest):\n"
        "    if file.path == 'b.csv':\n"
        "        raise ZeroDivisionError(job.path(file).read_text())\n"
        "    return write(job, shape, number, file, *rest)\n"
        "landing._commit = commit\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(broken))
    for n, name in enumerate(("a.csv", "b.csv", "c.csv"), 1):
        shop.deliver(name, HEAD, *[GOOD] * n)
    with caplog.at_level(logging.ERROR):
        outcomes = apart(shop)
    assert raws(outcomes, ["a.csv", "c.csv"]) == [1, 3]
    assert "(ZeroDivisionError)" in refusal(outcomes["b.csv"])
    assert "in commit" in caplog.text
    assert "builtins.ZeroDivisionError" in caplog.text
    assert "LANTERN" not in caplog.text + refusal(outcomes["b.csv"])
    assert len(list(shop.lake.root.glob("raw_transactions/*/*.parquet"))) == 2


def test_a_process_that_failed_and_does_not_end_is_ended(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    says = ({"begins": ["a.csv"]}, {"failed": "builtins.ValueError"})
    hangs = f"import time\nprint({chr(10).join(map(json.dumps, says))!r}, flush=True)\ntime.sleep(1e6)"
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: start([command[0], "-c", hangs], **how))
    shop.deliver("a.csv", HEAD, GOOD)
    reason = refusal(apart(shop, Allowance(memory=2 << 30, seconds=0.05))["a.csv"])
    assert "was not read within 1 seconds" in reason


@pytest.mark.parametrize("name", ["a.csv", "a.zip"])
def test_a_full_disk_is_no_files_fault(shop: Shop, name: str, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        if name == "a.csv":
            raise duckdb.IOException("IO Error: could not write: No space left on device")
        raise OSError(errno.ENOSPC, "No space left on device")

    if name == "a.zip":
        with zipfile.ZipFile(shop.landing / name, "w") as archive:
            archive.writestr("a.xlsx", workbook([HEAD.split(","), GOOD.split(",")]))
        monkeypatch.setattr(shutil, "copyfileobj", full)
    else:
        shop.deliver(name, HEAD, GOOD)
        monkeypatch.setattr(reading_module, "_take", full)
    with pytest.raises(LakeError, match="the disk is full"):
        shop.land()


def test_an_unwritable_lake_stops_the_landing(shop: Shop):
    shop.deliver("a.csv", HEAD, GOOD)
    shop.lake.root.write_text("no folder")
    with pytest.raises(LakeError, match="cannot be written"):
        apart(shop)


def test_no_child_outlives_a_parent_that_is_killed(shop: Shop, tmp_path: Path):
    for n in range(12):
        shop.deliver(f"{n}.csv", HEAD, GOOD, *[GOOD.replace("2.55", f"dear {n}")] * 1000)
    script = tmp_path / "parent.py"
    script.write_text(
        "import psutil, sys, time\n"
        "from pathlib import Path\n"
        "from retail_pipeline.ingest.isolation import Allowance, land_apart\n"
        "from retail_pipeline.ingest.listing import list_files\n"
        "from retail_pipeline.lake.lock import shared_hold, writing\n"
        "from retail_pipeline.lake.partitions import Lake\n"
        "from retail_pipeline_tests.ingest.test_isolation import AMPLE, READING\n"
        "landing, lake = Path(sys.argv[1]), Lake(Path(sys.argv[2]))\n"
        "with writing(lake):\n"
        "    files = list_files(landing).files\n"
        "    more = {'landed': {}, 'allowance': AMPLE, 'hold': shared_hold(lake)}\n"
        "    for _ in land_apart(files, landing, lake, READING, **more):\n"
        "        print(psutil.Process().children()[0].pid, flush=True)\n"
        "        time.sleep(60)\n"
    )
    command = [sys.executable, str(script), str(shop.landing), str(shop.lake.root)]
    home = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=home) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        child.wait(timeout=60)
    assert all(isinstance(outcome, Landed) for outcome in apart(shop).values())


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_under_any_suffix_are_landed_or_refused(data: st.DataObject, shop: Shop):
    begins = st.sampled_from(BEGINNINGS)
    for suffix in SUFFIXES:
        for n in range(3):
            content = data.draw(begins) + data.draw(st.binary(max_size=300))
            packed = data.draw(st.booleans()) and suffix.endswith(".gz")
            (shop.landing / f"{n}{suffix}").write_bytes(gzip.compress(content) if packed else content)
    for outcome in apart(shop).values():
        assert isinstance(outcome, Landed) or "nobody expected" not in outcome.reason


def test_what_a_file_holds_is_in_no_refusal(shop: Shop):
    anna = "anna.smith@example.com"
    shop.deliver("headless.csv", GOOD.replace("17850", anna), GOOD)
    shop.deliver("keys.jsonl", json.dumps({anna: {"536365": 1, "2.55": 2}}))
    (shop.landing / "book.xlsx").write_bytes(workbook([[anna, "LANTERN", 6], ["a", "b", 7]]))
    pq.write_table(pa.table({anna: ["1"], "LANTERN 6": ["2"]}), shop.landing / "p.parquet")
    with zipfile.ZipFile(shop.landing / "slip.zip", "w") as archive:
        archive.writestr("../../\x1b[2Jx.exe", "1")
    reasons = [refusal(outcome) for outcome in apart(shop).values()]
    assert len(reasons) == 5
    said = " ".join(reasons)
    for value in (anna, "LANTERN", "536365", "2.55", "\x1b"):
        assert value not in said


def test_a_file_that_is_tried_does_no_harm_either(tmp_path: Path):
    (tmp_path / "far.xlsx").write_bytes(two_cells_far_apart())
    (tmp_path / "a.csv").write_text(f"{HEAD}\n{GOOD}\n")
    (tmp_path / "retail_pipeline.yaml").write_text("currency: GBP\n")
    ended = retail_pipeline("sources", "try", "far.xlsx", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout.startswith("far.xlsx ")
    assert "crashes its reader" in ended.stdout or "of memory to be read" in ended.stdout
    tried = retail_pipeline("sources", "try", "a.csv", cwd=tmp_path)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.count("rows 1: 1 can be read") == 1
