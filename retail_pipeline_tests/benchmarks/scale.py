"""What a large shop costs: from CSV files to lists and report, against DuckDB and Polars alone; a day more; a
late row; nothing to do.

``python -m retail_pipeline_tests.benchmarks.scale [--lines 10000000 --customers 80000] [--folder FOLDER]``.
With ``--folder`` all of it stays there. Memory is that of all processes together, asked four times a second.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import psutil

from retail_pipeline_tests.benchmarks.__main__ import COMMAND, HERE, SETTINGS, Cost

A_LOOK = 0.25
LATE = 30  # days back


def measured(words: list[str], home: Path) -> Cost:
    """Run a command to its end: its wall seconds, CPU seconds and peak memory, its children's with them."""
    home.mkdir(parents=True, exist_ok=True)
    began, before, peak = time.perf_counter(), _children(), 0
    with open(home / "last.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, env={**_environment(), "DAGSTER_HOME": str(home)}
        )
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            with suppress(subprocess.TimeoutExpired):
                process.wait(A_LOOK)
    said = (home / "last.log").read_text(encoding="utf-8")
    if process.returncode:  # a made-up day may well be odd enough to be held
        if "held: " not in said:
            raise SystemExit(f"{' '.join(words)} failed:\n{said}")
        print("  a day was held:", said.rstrip().rpartition("\n")[2])
    return Cost(time.perf_counter() - began, _children() - before, peak / 2**20)


def _environment() -> dict[str, str]:
    return {name: value for name, value in psutil.Process().environ().items() if name != "DAGSTER_HOME"}


def _children() -> float:
    spent = psutil.Process().cpu_times()
    return spent.children_user + spent.children_system


def _memory(pid: int) -> int:
    found = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found += one.memory_info().rss
    return found


def stages(home: Path, since: float) -> str:
    """The wall seconds of the jobs that began since a moment, by job."""
    seconds: Counter[str] = Counter()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for record in instance.get_run_records():
            if record.start_time and record.end_time and record.start_time >= since:
                seconds[record.dagster_run.job_name] += round(record.end_time - record.start_time)
    return ", ".join(f"{job} {of_job} s" for job, of_job in seconds.items())


def one_more_day(landing: Path) -> date:
    """Deliver the last day's file again as the next day's, with invoices of its own; return that day."""
    last = max(landing.glob("*.csv"))
    before = last.stem.rpartition("_")[2]
    day = date.fromisoformat(before) + timedelta(days=1)
    with open(last, newline="", encoding="utf-8") as there:
        lines = list(csv.DictReader(there))
    for line in lines:
        line["InvoiceNo"] = f"{line['InvoiceNo']}7"
        line["InvoiceDate"] = line["InvoiceDate"].replace(before, str(day))
    _deliver(landing / last.name.replace(before, str(day)), lines)
    return day


def late_row(landing: Path, day: date) -> None:
    """Deliver one more row of the last trading day up to a day in a file of its own."""
    until = f"synthetic_{day}.csv"
    before = max(path for path in landing.glob("synthetic_*.csv") if path.name <= until)
    with open(before, newline="", encoding="utf-8") as there:
        row = next(line for line in csv.DictReader(there) if line["CustomerID"])
    _deliver(landing / "late.csv", [{**row, "InvoiceNo": "999001", "Quantity": "3", "UnitPrice": "1.24"}])


def _deliver(path: Path, lines: list[dict[str, str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    """Make the files, run all in turn and print what each cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=80_000)
    parser.add_argument("--first-day", default="2010-12-01")
    parser.add_argument("--last-day", default="2011-12-09")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = asked.folder or Path(name)
        landing, lake, home = folder / "landing", folder / "lake", folder / "dagster_home"
        if not landing.exists():
            size = ["--lines", str(asked.lines), "--customers", str(asked.customers)]
            span = ["--first-day", asked.first_day, "--last-day", asked.last_day]
            made = [COMMAND, "datasets", "synthetic", "--landing", str(landing), *size, *span]
            print(f"files {measured(made, home)}", flush=True)
        peers = {}
        for peer in ("duckdb", "polars"):
            script = [sys.executable, str(HERE / f"typed_{peer}.py"), str(landing), str(folder / peer)]
            peers[peer] = measured(script, home)
            print(f"{peer} {peers[peer]}", flush=True)
        settings = folder / "settings.yaml"
        years = (SETTINGS / "months.yaml").read_text(encoding="utf-8")
        first, last = f"first_day: {asked.first_day}", f"last_day: {int(asked.last_day[:4]) + 1}-12-31"
        years = years.replace("first_day: 2010-12-01", first).replace("last_day: 2011-12-31", last)
        settings.write_text(years, encoding="utf-8")
        run = [COMMAND, "run", "--settings", str(settings), "--landing", str(landing), "--lake", str(lake)]
        began, through = time.time(), ["--through", asked.last_day]
        whole = measured([*run, *through], home)
        print(f"landing to lists and report {whole}: {stages(home, began)}")
        for peer, cost in peers.items():
            print(f"  against {peer}: {whole.cpu / cost.cpu:.1f} x CPU, {whole.wall / cost.wall:.1f} x wall")
        print(f"nothing to do {measured([*run, *through], home)}", flush=True)
        day, began = one_more_day(landing), time.time()
        cost = measured([*run, "--through", str(day)], home)
        lists = [p.stat().st_mtime for p in lake.glob(f"campaign_lists/*={day}/*/_manifest.json")]
        print(
            f"one more day {cost}, lists by second {max(lists) - began:.1f}: {stages(home, began)}",
            flush=True,
        )
        late_row(landing, day - timedelta(days=LATE))
        began = time.time()
        cost = measured([*run, "--through", str(day)], home)
        print(f"one late row, {LATE} days back {cost}: {stages(home, began)}")


if __name__ == "__main__":
    main()
