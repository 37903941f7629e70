"""What a backfill of UCI Online Retail costs: 374 snapshots, five segmentations, lists, from an empty lake.

``python -m retail_pipeline_tests.benchmarks.backfill``.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from retail_pipeline_tests.benchmarks.__main__ import HERE, LANDING, timed

FIRST, LAST = "2010-12-01", "2011-12-09"
SETTINGS = HERE.parent / "settings" / "months.yaml"


def events(home: Path) -> int:
    """The events that Dagster's SQLite storage holds."""
    count = 0
    for database in (home / "history" / "runs").glob("*.db"):
        with sqlite3.connect(database) as connection:
            if connection.execute("select 1 from sqlite_master where name = 'event_logs'").fetchone():
                count += connection.execute("select count(*) from event_logs").fetchone()[0]
    return count


def main() -> None:
    """Run it once with the stopwatches and print seconds by kind, events, peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["backfill", FIRST, LAST, "--landing", LANDING, "--lake", str(folder / "lake")]
        command = [sys.executable, str(HERE / "split.py"), *words, "--settings", str(SETTINGS)]
        seconds, output, _ = timed(command, folder)
        found = json.loads(output.splitlines()[-1])
        print(
            f"{seconds:.0f} s, {found['cpu']:.0f} s of CPU, {found['peak_mb']:.0f} MB, "
            f"{events(folder / 'dagster_home'):,} events"
        )
        for kind, spent in found["seconds"].items():
            print(f"  {spent:6.1f}  {kind}")


if __name__ == "__main__":
    main()
