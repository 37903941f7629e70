"""What ``rfm_features`` of a year cost a large shop, against a plain script; and one more day in year three.

``python -m retail_pipeline_tests.benchmarks.snapshots [--lines 10000000 --customers 300000]``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import duckdb
import yaml

from retail_pipeline.lake.partitions import Lake, write_manifest, write_partition
from retail_pipeline.planning.manifests import Manifest, Part, schema_fingerprint
from retail_pipeline.tables import TABLES

HERE = Path(__file__).parent
FIRST = date(2010, 12, 1)
YEAR = 365
LINES_AN_ORDER = 8
CUSTOMER_DAYS, LANDED, TRANSACTIONS = (TABLES[t] for t in ("customer_days", "landed_files", "transactions"))

# Some customers order once, a few very often; nobody brings anything back.
MADE_UP = """
create table made_up as
with orders as (
    select
        case when i < $customers then i else cast(floor($customers * pow(random(), 3)) as bigint) end
            as customer,
        cast(floor(random() * $days) as integer) as day,
        1 + cast(floor(-ln(1 - random()) * ($lines_an_order - 1)) as bigint) as lines
    from range($orders) as numbers(i)
)
select
    day, 'C' || lpad(cast(customer as varchar), 9, '0') as customer_id, count(*) as orders,
    cast(sum(lines) as bigint) as lines, cast(sum(lines) as decimal(18, 3)) as units,
    cast(sum(lines) * (1 + random() * 30) as decimal(18, 4)) as gross_amount,
    cast(0 as decimal(18, 4)) as returned_amount,
    cast(date '2010-12-01' + day as timestamp) + interval 10 hour as first_sold_at,
    cast(date '2010-12-01' + day as timestamp) + interval 17 hour as last_sold_at
from orders group by day, customer
"""


def make_lake(root: Path, lines: int, customers: int, days: int) -> int:
    """A lake that has customer_days and nothing else; return how many there are."""
    lake, parts = Lake(root), {}
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("select setseed(0.42)")
        shape = {"customers": customers, "days": days, "lines_an_order": LINES_AN_ORDER}
        connection.execute(MADE_UP, {**shape, "orders": lines // LINES_AN_ORDER})
        for number in range(days):
            day = FIRST + timedelta(days=number)
            rows = connection.sql(
                "select *, gross_amount as net_amount, orders as visits, first_sold_at as first_visit_at, "
                "last_sold_at as last_visit_at from made_up where day = $day order by customer_id",
                params={"day": number},
            ).to_arrow_table()
            keys = {"date": str(day)}
            made = write_partition(lake, CUSTOMER_DAYS, keys, rows, {"transactions": "", "features": ""})
            write_manifest(lake, made.model_copy(update={"table": TRANSACTIONS.name}))
            parts[day] = Part(rows=made.rows, content=made.content)
        count = connection.sql("select count(*) from made_up").fetchall()[0][0]
    manifest = Manifest(
        table=LANDED.name,
        partition={"file": "0" * 16},
        rows=1,
        content="",
        inputs={"source_system": "made_up", "file": "", "profile": ""},
        code_version=LANDED.code_version,
        schema_fingerprint=schema_fingerprint(LANDED.arrow),
        counts={"rows_read": lines, "unreadable": 0},
        parts=parts,
    )
    write_manifest(lake, manifest)
    return int(count)


# In a process of its own, so that its peak memory is its own.
MAKE = """
import json, resource, sys, time
from datetime import date
from pathlib import Path
began = time.perf_counter()
from retail_pipeline.defs.instance import open_instance
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.defs.support import run
pipeline = Pipeline(load_settings(Path(sys.argv[1])))
with open_instance(pipeline.settings) as instance:
    assert run(pipeline, instance, "daily_job", sys.argv[2], sys.argv[3], ["rfm_features"]).success
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": time.perf_counter() - began, "cpu": time.process_time(), "peak_mb": peak}))
"""


def pipeline(folder: Path, first: date, last: date) -> dict[str, float]:
    """Wall and CPU seconds and peak memory of making the features of a range in Dagster."""
    settings = {
        "lake": str(folder / "lake"),
        "landing": str(folder),
        "first_day": str(FIRST),
        "currency": "GBP",
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(folder / "settings.yaml"), str(first), str(last)],
        check=True, capture_output=True, text=True, cwd=HERE.parents[1],
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def script(folder: Path, first: date, last: date) -> str:
    """What the plain script says it took for the same."""
    words = [folder / "lake" / "customer_days", folder / "plain", first, last]
    command = [sys.executable, str(HERE / "plain_snapshots.py"), *map(str, words)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    shutil.rmtree(folder / "plain")
    return said


def main() -> None:
    """Print both for a year, then the cost of one more day after one and after three years."""
    parser = argparse.ArgumentParser(description="Features of a year of snapshots of a large shop.")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=300_000)
    asked = parser.parse_args()
    for years in (1, 3):
        with tempfile.TemporaryDirectory() as name:
            folder, days = Path(name), years * YEAR
            last = FIRST + timedelta(days=days - 1)
            count = make_lake(folder / "lake", years * asked.lines, asked.customers, days)
            print(f"{years} years, {count:,} customer days of {asked.customers:,} customers", flush=True)
            if years == 1:
                print(f"  {days} days, script: {script(folder, FIRST, last)}", flush=True)
                print(f"  {days} days, pipeline: {said(pipeline(folder, FIRST, last))}", flush=True)
            print(f"  one more day: {said(pipeline(folder, last, last))}", flush=True)


def said(cost: dict[str, float]) -> str:
    """The figures in words."""
    return f"{cost['wall']:.1f} s, {cost['cpu']:.1f} s of CPU, {cost['peak_mb']:.0f} MB"


if __name__ == "__main__":
    main()
