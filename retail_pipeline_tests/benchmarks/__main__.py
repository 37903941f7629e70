"""What the main job costs, in seconds and as a multiple of a plain script over the same files; a backfill.

``make benchmark``. Job and script run in turn, so that a machine whose speed drifts slows both; quote the
ratio. The backfill makes 374 snapshots with five segmentations and lists from an empty lake.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SETTINGS = HERE.parent / "settings"
FIRST, LAST = "2010-12-01", "2011-12-09"
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LANDING = os.environ.get(
    "RETAIL_PIPELINE_UCI_DIR", str(HERE.parents[2] / "shared" / "data" / "online_retail" / "by-day")
)
COMMAND = str(Path(sys.executable).with_name("retail-pipeline"))


class Cost(NamedTuple):
    """What a command cost: wall seconds, CPU seconds, peak memory in MB."""

    wall: float
    cpu: float
    peak: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} s of CPU, {self.peak:.0f} MB)"


def timed(command: list[str], folder: Path, settings: str = "behaviour") -> Cost:
    """Run a command under settings of the tests."""
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(folder / "dagster_home"),
        "RETAIL_PIPELINE_SETTINGS": str(SETTINGS / f"{settings}.yaml"),
    }
    began = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    wall = time.perf_counter() - began
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def events(home: Path) -> int:
    """The events that Dagster's SQLite storage holds."""
    count = 0
    for database in (home / "history" / "runs").glob("*.db"):
        with sqlite3.connect(database) as connection:
            if connection.execute("select 1 from sqlite_master where name = 'event_logs'").fetchone():
                count += connection.execute("select count(*) from event_logs").fetchone()[0]
    return count


def main() -> None:
    """Run both in turn, then the backfill; print what they cost."""
    ratios = []
    for number in range(1, ROUNDS + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            words = [str(HERE / "plain_script.py"), LANDING, str(folder / "plain"), "--through", LAST]
            run = [COMMAND, "run", "--landing", LANDING, "--lake", str(folder / "lake"), "--through", LAST]
            script, first, again = (timed(c, folder) for c in ([sys.executable, *words], run, run))
        ratios.append(first.wall / script.wall)
        print(
            f"round {number}: script {script}, pipeline {first}, ratio {ratios[-1]:.1f}, again {again}",
            flush=True,
        )
    print(f"ratio: median {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["backfill", FIRST, LAST, "--landing", LANDING, "--lake", str(folder / "lake")]
        cost = timed([COMMAND, *words], folder, "months")
        print(f"backfill {cost}, {events(folder / 'dagster_home'):,} events")


if __name__ == "__main__":
    main()
