"""The same bytes again: from an empty lake, and after kill -9 at random moments."""

from __future__ import annotations

import random
import shutil
import time
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from retail_pipeline_tests.command import begin, bring_up_to_date, made_once, run_arguments, tree

FIRST, FILES = 30, 20  # trading days from 2011-01-16 on, over the end of a month
KILLS = 10


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


@pytest.mark.xdist_group("undisturbed")
def test_an_empty_lake_is_filled_with_the_same_bytes_again(undisturbed: Path, tmp_path: Path) -> None:
    landing, last = undisturbed / "landing", last_of(undisturbed)
    assert bring_up_to_date(tmp_path, "behaviour", landing, last).returncode == 0
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
