"""How still a lake's segments stand: ``python -m retail_pipeline_tests.benchmarks.moves LAKE [DAYS]``.

Needs the segments of every day (``retail-pipeline backfill FIRST LAST --tables segment_assignments``).
Prints, as published (``segment``) and by the day's features alone (``raw_segment``), the share of customers
who went from A to B and back to A within the last 90 (or so many) days; the share that moves on a day,
from two months after the first on; and how long a customer's features have said so when the customer moves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

_SPELLS = """
    create or replace temp table spells as
    with lately as (
        select customer_id, snapshot_date, {column} as segment,
            lag({column}) over (partition by customer_id order by snapshot_date) as before
        from assigned where segmentation = $name
            and snapshot_date > (select max(snapshot_date) from assigned) - cast($days as integer)
    )
    select *, lead(snapshot_date) over spell as left_on, lead(segment) over spell as next
    from lately where before is null or before <> segment
    window spell as (partition by customer_id order by snapshot_date)"""
_BACK = """
    select count(distinct case when before = next then customer_id end) / count(distinct customer_id)
    from spells"""
_MOVED = """
    with days as (
        select snapshot_date, {column} as segment,
            lag({column}) over (partition by customer_id order by snapshot_date) as before
        from assigned where segmentation = $name
    ),
    shares as (
        select snapshot_date, avg(case when before <> segment then 1 else 0 end) as share
        from days group by snapshot_date
        having snapshot_date > (select min(snapshot_date) from assigned) + 60
    )
    select avg(share), max(share), avg(share) filter (where day(snapshot_date) = 1) from shares"""
_DELAY = """
    with runs as (
        select *, lag(raw_segment) over c is distinct from raw_segment as turned,
            lag(segment) over c as before
        from assigned where segmentation = $name window c as (partition by customer_id order by snapshot_date)
    ),
    since as (
        select *, max(case when turned then snapshot_date end)
            over (partition by customer_id order by snapshot_date) as said_since
        from runs
    )
    select avg(snapshot_date - said_since), median(snapshot_date - said_since),
        avg(case when snapshot_date = said_since then 1 else 0 end)
    from since where before <> segment"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lake", type=Path)
    parser.add_argument("days", type=int, nargs="?", default=90)
    given = parser.parse_args()
    with duckdb.connect() as connection:
        files = f"{given.lake}/segment_assignments/*/*/*.parquet"
        connection.execute(
            "create temp table assigned as select snapshot_date, segmentation, customer_id, segment, "
            "raw_segment from read_parquet($files, hive_partitioning = true)",
            {"files": files},
        )
        names = connection.sql("select distinct segmentation from assigned order by 1").fetchall()
        for (name,) in names:
            for column in ("raw_segment", "segment"):
                connection.execute(_SPELLS.format(column=column), {"name": name, "days": given.days})
                ((back,),) = connection.sql(_BACK).fetchall()
                moved = connection.sql(_MOVED.format(column=column), params={"name": name}).fetchall()
                mean, most, firsts = moved[0]
                print(
                    f"{name} {column}: {back:.1%} went back within {given.days} days; {mean:.2%} move a day "
                    f"({firsts:.2%} on the first of a month), {most:.2%} at most"
                )
            ((mean, median, at_once),) = connection.sql(_DELAY, params={"name": name}).fetchall()
            print(
                f"{name}: who moves does so {mean:.1f} days late (median {median:.0f}), {at_once:.0%} at once"
            )


if __name__ == "__main__":
    main()
