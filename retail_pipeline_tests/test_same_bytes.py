"""The same bytes again: from an empty lake, and after kill -9 at random moments."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from retail_pipeline_tests.command import (
    begin,
    bring_up_to_date,
    made_once,
    retail_pipeline,
    run_arguments,
    tree,
)

FIRST, FILES = 30, 20  # trading days from 2011-01-16 on, over the end of a month
KILLS = 10
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("undisturbed")]
REDO_ALL = {"RETAIL_PIPELINE_RESTATE": "everything", "RETAIL_PIPELINE_MODELS__LATE_DATA": "retrain"}
BEFORE_CUSTOMER_DAYS = (
    "landed_files/",
    "raw_transactions/",
    "unreadable_rows/",
    "transactions/",
    "rejected_rows/",
)


@pytest.fixture(scope="session")
def undisturbed(uci_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some weeks over the end of a month, run once: landing, lake, and how long it took."""

    def make(folder: Path) -> None:
        (folder / "landing").mkdir()
        for file in sorted(uci_dir.glob("*.csv"))[FIRST : FIRST + FILES]:
            shutil.copy(file, folder / "landing")
        begun = time.monotonic()
        assert bring_up_to_date(folder, "behaviour", folder / "landing", last_of(folder)).returncode == 0
        (folder / "seconds").write_text(f"{time.monotonic() - begun}")

    return made_once(tmp_path_factory, "undisturbed", make)


def last_of(folder: Path) -> date:
    """The last day that was delivered."""
    return date.fromisoformat(max(path.stem for path in (folder / "landing").iterdir()))


def test_an_empty_lake_is_filled_with_the_same_bytes_again(undisturbed: Path, tmp_path: Path) -> None:
    landing, last = undisturbed / "landing", last_of(undisturbed)
    assert bring_up_to_date(tmp_path, "behaviour", landing, last).returncode == 0
    assert list((tmp_path / "lake" / ".staging").iterdir()) == []
    assert tree(tmp_path / "lake") == tree(undisturbed / "lake")


def by_month(files: Sequence[Path], into: Path) -> Iterator[None]:
    """The latest month first."""
    for month in sorted({file.stem[:7] for file in files}, reverse=True):
        in_one_file([file for file in files if file.stem.startswith(month)], into / f"{month}.csv")
        yield


def in_one(files: Sequence[Path], into: Path) -> Iterator[None]:
    """All of it at once."""
    in_one_file(files, into / "all.csv")
    yield


def in_random_order(files: Sequence[Path], into: Path) -> Iterator[None]:
    """Day by day, a few at a time, in folders of their own."""
    shuffled = random.Random(1912).sample(list(files), len(files))
    for start in range(0, len(shuffled), 10):
        for file in shuffled[start : start + 10]:
            (into / f"delivery {start}").mkdir(exist_ok=True)
            shutil.copy(file, into / f"delivery {start}")
        yield


def in_one_file(files: Sequence[Path], to: Path) -> None:
    header = files[0].read_bytes().split(b"\n", 1)[0]
    to.write_bytes(
        b"\n".join([header, *(f.read_bytes().split(b"\n", 1)[1].rstrip(b"\n") for f in files), b""])
    )


@pytest.mark.parametrize("delivered", [in_one, by_month, in_random_order])
def test_however_the_same_rows_are_delivered_the_lake_is_the_same(
    undisturbed: Path, tmp_path: Path, delivered: Callable[[Sequence[Path], Path], Iterator[None]]
) -> None:
    landing, last = tmp_path / "landing", last_of(undisturbed)
    landing.mkdir()
    for _ in delivered(sorted((undisturbed / "landing").iterdir()), landing):
        run = run_arguments(tmp_path, "behaviour", landing, last)
        said = retail_pipeline(*run, cwd=tmp_path, **REDO_ALL)
    assert said.returncode == 0, said.stdout + said.stderr
    lakes = [undisturbed / "lake", tmp_path / "lake"]
    one, other = (rows_of(lake / "transactions") for lake in lakes)
    assert one.equals(other)
    one_tree, other_tree = (
        {
            path: content
            for path, content in tree(lake).items()
            if path.endswith((".parquet", "_model.json")) and not path.startswith(BEFORE_CUSTOMER_DAYS)
        }
        for lake in lakes
    )
    assert one_tree == other_tree


def rows_of(table: Path) -> pa.Table:
    """The rows of a table, but for the files and lines they came from."""
    found = ds.dataset(table, format="parquet", partitioning="hive", exclude_invalid_files=True).to_table()
    kept = found.drop_columns(["source_id", "source_row"])
    return kept.sort_by([(name, "ascending") for name in sorted(kept.column_names)])


def test_killed_at_random_moments_and_run_again_the_lake_is_that_of_an_undisturbed_run(
    undisturbed: Path, tmp_path: Path
) -> None:
    landing, last = undisturbed / "landing", last_of(undisturbed)
    seconds = float((undisturbed / "seconds").read_text())
    moments, kills = random.Random(2011), 0
    while kills < KILLS:
        out, err = tmp_path / "out", tmp_path / "err"
        run = run_arguments(tmp_path, "behaviour", landing, last)
        process = begin(*run, cwd=tmp_path, out=out, err=err)
        process.join(timeout=moments.uniform(0.05, 1) * seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        else:  # it had little left to do: begin anew
            assert process.exitcode == 0, out.read_text() + err.read_text()
            assert tree(tmp_path / "lake") == tree(undisturbed / "lake")
            shutil.rmtree(tmp_path / "lake")
    said = bring_up_to_date(tmp_path, "behaviour", landing, last)
    assert said.returncode == 0, said.stdout + said.stderr
    assert list((tmp_path / "lake" / ".staging").iterdir()) == []
    assert tree(tmp_path / "lake") == tree(undisturbed / "lake")
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster_home")) as instance:
        found = [run.status.name for run in instance.get_runs()]
    assert set(found) == {"SUCCESS", "FAILURE"}
