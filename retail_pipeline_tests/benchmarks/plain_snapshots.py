"""The baseline of ``snapshots.py``: the RFM features of every day of a range, from customer_days.

    python plain_snapshots.py CUSTOMER_DAYS OUT FIRST LAST

What a customer's days add up to changes on days with an order only. So the running sums are made once, each
with the days that it holds for, and a snapshot is a filter over them: twice as fast as a group-by a day.
"""

import argparse
import resource
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

RUNNING_SUMS = """
create table sums as
select
    customer_id,
    date as holds_from,
    coalesce(lead(date) over own, date '9999-12-31') as holds_until,
    cast(sum(orders) over till_now as bigint) as frequency,
    cast(sum(net_amount) over till_now as decimal(18, 4)) as monetary,
    cast(sum(gross_amount) over till_now as double) as gross,
    cast(sum(case when orders > 0 then 1 else 0 end) over till_now as bigint) as active_days,
    min(first_sold_at) over till_now as first_sold_at,
    max(last_sold_at) over till_now as last_sold_at
from read_parquet($files, hive_partitioning = true)
window own as (partition by customer_id order by date),
    till_now as (partition by customer_id order by date rows unbounded preceding)
order by customer_id, date
"""

SNAPSHOT = """
copy (
    select
        customer_id, date_diff('day', cast(last_sold_at as date), $day) as recency_days, frequency, monetary,
        cast(gross / frequency as decimal(18, 4)) as avg_order_value,
        date_diff('day', cast(first_sold_at as date), $day) as tenure_days, active_days, first_sold_at,
        last_sold_at
    from sums where holds_from <= $day and holds_until > $day and frequency > 0
) to $path (format parquet, compression zstd, compression_level 1)
"""


def main() -> None:
    """Write a folder a day and print seconds and peak memory."""
    parser = argparse.ArgumentParser(description="The baseline: DuckDB, without orchestration.")
    parser.add_argument("customer_days", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("first", type=date.fromisoformat)
    parser.add_argument("last", type=date.fromisoformat)
    asked = parser.parse_args()
    began = time.perf_counter()
    connection = duckdb.connect(config={"threads": 2})
    connection.execute(RUNNING_SUMS, {"files": f"{asked.customer_days}/*/*.parquet"})
    day = asked.first
    while day <= asked.last:
        folder = asked.out / f"snapshot_date={day}"
        folder.mkdir(parents=True)
        connection.execute(SNAPSHOT, {"day": day, "path": str(folder / "part-0.parquet")})
        day += timedelta(days=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.perf_counter() - began:.1f} s, {time.process_time():.1f} s of CPU, {peak:.0f} MB")


if __name__ == "__main__":
    main()
