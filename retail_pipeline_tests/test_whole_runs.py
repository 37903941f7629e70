"""Whole runs of the real command over real data: the published figures, nothing lost, the same bytes again.

The figures are those of UCI Online Retail (Chen, Sain and Guo 2012), read from the lake's Parquet.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_pipeline_tests.benchmarks import plain_script
from retail_pipeline_tests.command import made_once, retail_pipeline, start, touched, tree
from retail_pipeline_tests.conftest import SETTINGS

THROUGH = date(2011, 12, 9)
Make = Callable[[str], Path]


@pytest.fixture(scope="session")
def run_under(uci_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Run the command over all files under a settings file, once; where the lake lies."""

    def run(name: str) -> Path:
        def make(folder: Path) -> None:
            said = command(folder, name, uci_dir)
            assert said.returncode == 0, said.stderr

        return made_once(tmp_path_factory, f"whole_run_{name}", make) / "lake"

    return run


def command(
    folder: Path, settings: str, landing: Path, through: date = THROUGH
) -> subprocess.CompletedProcess[str]:
    """Bring the lake in a folder up to date."""
    return retail_pipeline(*arguments(folder, settings, landing, through), cwd=folder)


def arguments(folder: Path, settings: str, landing: Path, through: date) -> list[object]:
    """The call that brings the lake in a folder up to date."""
    file = SETTINGS / f"{settings}.yaml"
    return ["run", "--landing", landing, "--lake", folder / "lake", "--through", through, "--settings", file]


def ask(lake: Path, question: str) -> tuple[Any, ...]:
    """The one row that a query over the lake's Parquet gives; ``{table}`` is all of a table's files."""

    def files(table: str) -> str:
        return f"read_parquet('{lake}/{table}/**/*.parquet', hive_partitioning = true, union_by_name = true)"

    tables = ("raw_transactions", "transactions", "rejected_rows", "rfm_features", "landed_files")
    with duckdb.connect() as connection:
        row = connection.sql(question.format(**{table: files(table) for table in tables})).fetchall()
    return tuple(row[0])


def segments(lake: Path, segmentation: str) -> dict[str, int]:
    """How many customers each segment has on the last day."""
    path = lake / "segment_assignments" / f"snapshot_date={THROUGH}" / f"segmentation={segmentation}"
    counted = pq.read_table(path / "part-0.parquet", partitioning=None)["segment"].value_counts()
    return {entry["values"]: entry["counts"] for entry in counted.to_pylist()}


# the published figures

KNOWN_ROWS = "select count(*) from {transactions} where customer_id is not null"
FEATURES = f"from {{rfm_features}} where snapshot_date = '{THROUGH}'"


@pytest.mark.xdist_group("behaviour")
def test_behaviour_gives_the_published_outliers_and_clusters(run_under: Make) -> None:
    lake = run_under("behaviour")
    assert ask(lake, KNOWN_ROWS) == (396_340,)
    assert ask(lake, f"select count(*) {FEATURES}") == (4_334,)
    model = json.loads(
        (
            lake
            / "segment_assignments"
            / f"snapshot_date={THROUGH}"
            / "segmentation=behaviour"
            / "_model.json"
        ).read_text()
    )
    big, frequent = (f"{name} > {model['fences'][name]['upper']}" for name in ("monetary", "frequency"))
    assert ask(
        lake,
        f"select count(*) filter ({big}), count(*) filter ({frequent}), "
        f"count(*) filter ({big} and {frequent}), count(*) filter (not {big} and not {frequent}) {FEATURES}",
    ) == (425, 278, 232, 3_863)
    assert segments(lake, "behaviour") == {
        "NURTURE": 1547, "RE-ENGAGE": 944, "RETAIN": 890, "REWARD": 482,
        "PAMPER": 193, "UPSELL": 46, "DELIGHT": 232,
    }  # fmt: skip
    assert round(model["card"]["inertia"], 2) == 2777.79


@pytest.mark.xdist_group("sales")
def test_sales_give_the_published_totals_and_grid(run_under: Make) -> None:
    lake = run_under("sales")
    sold = "from {transactions} where customer_id is not null and line_kind = 'sale'"
    figures = "count(*), count(distinct customer_id), count(distinct invoice_id), sum(amount)"
    assert ask(lake, f"select {figures} {sold}") == (397_884, 4_338, 18_532, Decimal("8911407.9040"))
    assert ask(lake, f"select count(*), sum(frequency), sum(monetary) {FEATURES}") == (
        4_338, 18_532, Decimal("8911407.9040"),
    )  # fmt: skip
    assert segments(lake, "rfm_grid") == {
        "Champions": 633, "Loyal Customers": 819, "Potential Loyalists": 484, "At Risk": 593,
        "Can't Lose Them": 63, "Hibernating": 1071, "About To Sleep": 352, "Need Attention": 187,
        "Promising": 94, "New Customers": 42,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.xdist_group("sales_without_duplicates")
def test_sales_without_duplicates_give_the_published_totals(run_under: Make) -> None:
    lake = run_under("sales_without_duplicates")
    sold = "from {transactions} where customer_id is not null and line_kind = 'sale'"
    assert ask(lake, f"select count(*), sum(amount) {sold}") == (392_692, Decimal("8887208.8940"))


@pytest.mark.slow
@pytest.mark.xdist_group("net")
def test_net_of_returns_gives_the_published_totals(run_under: Make) -> None:
    lake = run_under("net")
    known = "from {transactions} where customer_id is not null"
    assert ask(lake, f"select count(*), count(distinct customer_id), sum(amount) {known}") == (
        406_829, 4_372, Decimal("8300065.8140"),
    )  # fmt: skip


# nothing is lost, nothing is made twice


def rows_by_day(lake: Path, table: str) -> dict[str, int]:
    """Each day's rows, as the Parquet files' footers count them."""
    counts: dict[str, int] = {}
    for path in (lake / table).glob("date=*/*.parquet"):
        day = path.parent.name.removeprefix("date=")
        counts[day] = counts.get(day, 0) + pq.ParquetFile(path).metadata.num_rows
    return counts


@pytest.mark.xdist_group("behaviour")
def test_every_row_of_every_file_is_somewhere(run_under: Make) -> None:
    lake = run_under("behaviour")
    question = "select count(*), sum(rows_read), sum(rows_accepted), sum(rows_rejected) from {landed_files}"
    assert ask(lake, question) == (305, 541_909, 541_909, 0)
    raw, clean, refused = (
        rows_by_day(lake, table) for table in ("raw_transactions", "transactions", "rejected_rows")
    )
    assert sum(raw.values()) == 541_909
    assert len(clean) == 374
    assert clean.keys() == refused.keys()
    assert {day: raw.get(day, 0) for day in clean} == {day: clean[day] + refused[day] for day in clean}


@pytest.mark.xdist_group("behaviour")
def test_running_again_writes_nothing(run_under: Make, uci_dir: Path) -> None:
    lake = run_under("behaviour")
    before, content = touched(lake), tree(lake)

    def runs() -> int:
        with dg.DagsterInstance.from_config(str(lake.parent / "dagster_home")) as instance:
            return instance.get_runs_count()

    made = runs()
    assert made == 4
    said = command(lake.parent, "behaviour", uci_dir)
    assert said.returncode == 0
    assert "everything was up to date" in said.stdout
    assert touched(lake) == before
    assert tree(lake) == content
    assert runs() == made


@pytest.mark.xdist_group("behaviour")
def test_the_plain_script_makes_the_same_tables_row_by_row(
    run_under: Make, uci_dir: Path, tmp_path: Path
) -> None:
    lake = run_under("behaviour")
    subprocess.run(
        [sys.executable, plain_script.__file__, uci_dir, tmp_path, "--through", str(THROUGH)],
        check=True,
        stdout=subprocess.DEVNULL,
    )

    def rows(folder: Path) -> pa.Table:
        return pq.read_table(folder, partitioning=None)

    for table in ("transactions", "customer_days"):
        days = sorted(path.name for path in (tmp_path / table).iterdir())
        assert days == sorted(path.name for path in (lake / table).iterdir())
        different = [
            day
            for day in days
            if not rows(tmp_path / table / day / "part-0.parquet").equals(
                rows(lake / table / day / "part-0.parquet")
            )
        ]
        assert different == []
    of_last_day = f"snapshot_date={THROUGH}"
    features = rows(lake / "rfm_features" / of_last_day / "part-0.parquet")
    assert features.equals(rows(tmp_path / "rfm_features.parquet"))
    for name in ("behaviour", "rfm_grid"):
        folder = lake / "segment_assignments" / of_last_day / f"segmentation={name}"
        assigned = rows(folder / "part-0.parquet").select(["customer_id", "segment"])
        plain = rows(tmp_path / "segments.parquet").select(["customer_id", name])
        assert assigned.to_pydict() == plain.rename_columns(["customer_id", "segment"]).to_pydict()


# the same bytes, whatever happens on the way

FILES = 50  # trading days from 2010-12-01 on: two months
KILLS = 10


@pytest.fixture(scope="session")
def undisturbed(uci_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two months, run once: landing, lake, and how long it took."""

    def make(folder: Path) -> None:
        (folder / "landing").mkdir()
        for file in sorted(uci_dir.glob("*.csv"))[:FILES]:
            shutil.copy(file, folder / "landing")
        begun = time.monotonic()
        assert command(folder, "behaviour", folder / "landing", last_of(folder)).returncode == 0
        (folder / "seconds").write_text(f"{time.monotonic() - begun}")

    return made_once(tmp_path_factory, "undisturbed", make)


def last_of(folder: Path) -> date:
    """The last day that was delivered."""
    return date.fromisoformat(max(path.stem for path in (folder / "landing").iterdir()))


@pytest.mark.xdist_group("undisturbed")
def test_an_empty_lake_is_filled_with_the_same_bytes_again(undisturbed: Path, tmp_path: Path) -> None:
    landing, last = undisturbed / "landing", last_of(undisturbed)
    assert command(tmp_path, "behaviour", landing, last).returncode == 0
    assert list((tmp_path / "lake" / ".staging").iterdir()) == []
    assert tree(tmp_path / "lake") == tree(undisturbed / "lake")


@pytest.mark.slow
@pytest.mark.xdist_group("undisturbed")
def test_killed_at_random_moments_and_run_again_the_lake_is_that_of_an_undisturbed_run(
    undisturbed: Path, tmp_path: Path
) -> None:
    landing, last = undisturbed / "landing", last_of(undisturbed)
    seconds = float((undisturbed / "seconds").read_text())
    moments, kills = random.Random(2011), 0
    while kills < KILLS:
        process = start(*arguments(tmp_path, "behaviour", landing, last), cwd=tmp_path)
        try:
            out, err = process.communicate(timeout=moments.uniform(0.15, 1) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
        else:  # it had little left to do: begin anew
            assert process.returncode == 0, out + err
            assert tree(tmp_path / "lake") == tree(undisturbed / "lake")
            shutil.rmtree(tmp_path / "lake")
    said = command(tmp_path, "behaviour", landing, last)
    assert said.returncode == 0, said.stdout + said.stderr
    assert list((tmp_path / "lake" / ".staging").iterdir()) == []
    assert tree(tmp_path / "lake") == tree(undisturbed / "lake")
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster_home")) as instance:
        found = [run.status.name for run in instance.get_runs()]
    assert set(found) == {"SUCCESS", "FAILURE"}
