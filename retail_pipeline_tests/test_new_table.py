"""A table more is one declaration and one statement, and a team's own assets are one module beside ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import retail_pipeline
from retail_pipeline_tests.shop import FIRST, deliver, sales, span, write

ROOT = Path(__file__).resolve().parents[1]
DAYS = span(FIRST, 3)
TABLES = {
    "sales_by_country": (
        '''"""What was sold on a day, by country."""

from retail_pipeline.tables.columns import INTEGER, MONEY, STRING
from retail_pipeline.tables.expectations import between
from retail_pipeline.tables.table import Column, Cost, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="transactions",
    partition_keys=("date",),
    key=("currency",),
    reads=(Reads("transactions"),),
    columns=(
        Column("currency", STRING, "ISO 4217 code"),
        Column("lines", INTEGER, "Lines of any kind", "lines", minimum=1),
        Column("revenue", MONEY, "Sum of amounts", "currency"),
    ),
    expects=lambda rules: (between("a day has less than a million lines", "lines", max_value=1_000_000),),
    cost=Cost(1e-6, 20),
)
''',
        "select currency, count(*) as lines, sum(amount) as revenue from transactions group by currency",
    ),
    "loyal_customers": (
        '''"""Who bought on two days or more of the window."""

from retail_pipeline.tables.columns import CUSTOMER, INTEGER
from retail_pipeline.tables.table import Column, Reads, Table, UP_TO

TABLE = Table(
    __name__,
    __doc__,
    layer="features",
    partition_keys=("snapshot_date",),
    key=("customer_id",),
    reads=(Reads("rfm_features"), Reads("customer_days", UP_TO)),
    parameters=("features.window_days",),
    columns=(
        CUSTOMER,
        Column("active_days", INTEGER, "Days with a sale in the window", "days", minimum=2),
        Column("days_of_history", INTEGER, "Days with a line up to the day", "days", minimum=1),
        Column("window_days", INTEGER, "The window", "days", nullable=True),
    ),
)
''',
        """
select customer_id, active_days, days.of_history as days_of_history,
    cast($window_days as bigint) as window_days
from rfm_features cross join (
    select count(distinct date) as of_history from customer_days where date <= $day
) as days
where active_days >= 2
order by customer_id
""",
    ),
}
NEWSLETTER = """
import dagster as dg

@dg.asset(deps=["campaign_lists"], group_name="newsletter")
def newsletter() -> None:
    \"\"\"What the newsletter team sends.\"\"\"
"""
SCRIPT = """
import json, sys
from datetime import date
from pathlib import Path
import dagster as dg
import pyarrow.parquet as pq
import retail_pipeline.definitions
from retail_pipeline.planning.plan import plan, plan_range
from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline_tests import shop, test_docs
from retail_pipeline_tests.defs.support import open_pipeline

root, names, last = Path(sys.argv[1]), sys.argv[2].split(","), date.fromisoformat(sys.argv[3])
pipeline = open_pipeline(root, segmentations={"rfm_grid": {}}, features={"window_days": int(sys.argv[4])})
work = plan(pipeline.state(tuple(pipeline.listing().files)), pipeline.recipe, last)
defs = build_defs(pipeline.settings)
graph = defs.resolve_asset_graph()
teams = retail_pipeline.definitions.defs().resolve_asset_graph().get(dg.AssetKey("newsletter"))
with dg.DagsterInstance.ephemeral() as instance:
    outcome = bring_up_to_date(pipeline, instance, lambda: last)
    state = pipeline.state()
    found = {}
    for name in names:
        data = sorted((pipeline.lake.root / name).glob("*/part-0.parquet"))
        found[name] = {
            "rows": {p.parent.name: pq.read_table(p, partitioning=None).to_pylist() for p in data},
            "contents": {str(day): made.content for day, made in state[name].items()},
            "parents": sorted(key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys),
            "checks": [
                e.passed
                for day in state[name]
                for record in instance.event_log_storage.get_asset_check_execution_history(
                    dg.AssetCheckKey(dg.AssetKey(name), f"{name}_are_valid"), limit=100
                )
                if (e := record.event.dagster_event.asset_check_evaluation_data).partition == str(day)
            ],
            "documented": f"### {name}" in test_docs.tables(),
            "materialized": sorted(instance.get_materialized_partitions(dg.AssetKey(name))),
        }
    left = plan(state, pipeline.recipe, last)
    print("FOUND", json.dumps({
        "package": retail_pipeline.__file__,
        "failures": outcome.failures,
        "left": bool(left),
        "tables": found,
        "newsletter": [key.to_user_string() for key in teams.parent_keys],
    }, default=str))
"""


def run(package: Path, shop: Path, window: int = 730) -> dict[str, Any]:
    """Bring the shop up to date with the package as it lies there; what came of the new tables."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(shop), ",".join(TABLES), str(DAYS[-1]), str(window)],
        env={**os.environ, "PYTHONPATH": f"{package}:{ROOT}"},
        cwd=shop,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    found: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
    assert found["package"].startswith(str(package))
    assert not found["failures"]
    assert not found["left"]
    return found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package, with two tables more."""
    shutil.copytree(
        Path(retail_pipeline.__file__).parent,
        tmp_path / "code" / "retail_pipeline",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name, (declaration, statement) in TABLES.items():
        assert len(declaration.splitlines()) <= 40
        folder = tmp_path / "code" / "retail_pipeline" / "tables"
        (folder / f"{name}.py").write_text(declaration)
        (folder / f"{name}.sql").write_text(statement)
    (tmp_path / "code" / "retail_pipeline" / "defs" / "newsletter.py").write_text(NEWSLETTER)
    return tmp_path / "code"


def test_it_is_planned_made_checked_shown_documented_and_redone_when_its_input_changes(
    package: Path, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    deliver(shop / "landing", DAYS)
    found = run(package, shop)
    assert found["newsletter"] == ["campaign_lists"]
    first = found["tables"]
    by_country, loyal = first["sales_by_country"], first["loyal_customers"]

    lines = [len(sales(day)) for day in DAYS]
    assert [rows[0]["lines"] for rows in by_country["rows"].values()] == lines
    assert by_country["materialized"] == list(by_country["contents"]) == [str(day) for day in DAYS]
    assert loyal["materialized"] == [str(DAYS[-1])]
    ((row, *_),) = loyal["rows"].values()
    assert (row["days_of_history"], row["window_days"]) == (3, 730)

    assert by_country["parents"] == ["transactions"]
    assert loyal["parents"] == ["customer_days", "rfm_features"]
    for table in first.values():
        assert table["checks"]
        assert all(table["checks"])
        assert table["documented"]

    # a correction of one day, and another window: that day's sums are redone, and the snapshot
    write(shop / "landing" / f"{DAYS[1]}.csv", [line | {"price": "999.50"} for line in sales(DAYS[1])][:-1])
    second = run(package, shop, window=365)["tables"]
    before, after = (tables["sales_by_country"]["contents"] for tables in (first, second))
    assert [day for day in before if before[day] != after[day]] == [str(DAYS[1])]
    again = second["loyal_customers"]
    assert {row["window_days"] for rows in again["rows"].values() for row in rows} == {365}
    assert again["contents"] != loyal["contents"]
