"""Whole runs of the real command over real data: the published figures, nothing lost, the same bytes again.

The figures are those of UCI Online Retail (Chen, Sain and Guo 2012), read from the lake's Parquet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
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

from retail_pipeline.lake.models import judged, read_model
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.lake.state import read_state
from retail_pipeline.planning.readiness import LEARNED, Delivered, judge
from retail_pipeline.segmentation import to_json
from retail_pipeline_tests.benchmarks import plain_script
from retail_pipeline_tests.command import bring_up_to_date, made_once, touched, tree

THROUGH = date(2011, 12, 9)
BOUNDS = {"behaviour": 0.75, "spend_profile": 3.0}
ALL_FIVE = ("behaviour", "rfm_grid", "spend_profile", "spend_tiers", "value_score")
Make = Callable[[str], Path]


@pytest.fixture(scope="session")
def run_under(uci_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Run the command over all files under a settings file, once; where the lake lies."""

    def run(name: str) -> Path:
        def make(folder: Path) -> None:
            said = bring_up_to_date(folder, name, uci_dir)
            assert said.returncode == 0 or "waits the candidate of" in said.stdout, said.stderr

        return made_once(tmp_path_factory, f"whole_run_{name}", make) / "lake"

    return run


def ask(lake: Path, question: str) -> tuple[Any, ...]:
    """The one row that a query over the lake's Parquet gives; ``{table}`` is all of a table's files."""

    def files(table: str) -> str:
        return f"read_parquet('{lake}/{table}/**/*.parquet', hive_partitioning = true, union_by_name = true)"

    tables = ("raw_transactions", "transactions", "rejected_rows", "rfm_features", "landed_files")
    with duckdb.connect() as connection:
        row = connection.sql(question.format(**{table: files(table) for table in tables})).fetchall()
    return tuple(row[0])


def rows(lake: Path, table: str, *parts: str) -> pa.Table:
    """The rows of the last day's partition of a table."""
    return read(lake.joinpath(table, f"snapshot_date={THROUGH}", *parts, "part-0.parquet"))


def segments(lake: Path, segmentation: str) -> dict[str, int]:
    """How many customers each segment has on the last day."""
    found = rows(lake, "segment_assignments", f"segmentation={segmentation}")["segment"].to_pylist()
    return dict(Counter(found))


def report_table(lake: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table of the last day's report."""
    found: list[dict[str, Any]] = rows(lake, table).to_pylist()
    return found


def read(path: Path) -> pa.Table:
    return pq.read_table(path, partitioning=None)


# the published figures

KNOWN_ROWS = "select count(*) from {transactions} where customer_id is not null"
FEATURES = f"from {{rfm_features}} where snapshot_date = '{THROUGH}'"


def test_behaviour_gives_the_published_outliers_and_clusters(run_under: Make) -> None:
    lake = run_under("behaviour")
    assert ask(lake, KNOWN_ROWS) == (396_340,)
    assert ask(lake, f"select count(*) {FEATURES}") == (4_334,)
    folder = lake / "segment_assignments" / f"snapshot_date={THROUGH}" / "segmentation=behaviour"
    model = json.loads((folder / "_model.json").read_text())
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


@pytest.mark.slow
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
def test_sales_without_duplicates_give_the_published_totals(run_under: Make) -> None:
    lake = run_under("sales_without_duplicates")
    sold = "from {transactions} where customer_id is not null and line_kind = 'sale'"
    assert ask(lake, f"select count(*), sum(amount) {sold}") == (392_692, Decimal("8887208.8940"))


@pytest.mark.slow
def test_net_of_returns_gives_the_published_totals(run_under: Make) -> None:
    lake = run_under("net")
    known = "from {transactions} where customer_id is not null"
    assert ask(lake, f"select count(*), count(distinct customer_id), sum(amount) {known}") == (
        406_829, 4_372, Decimal("8300065.8140"),
    )  # fmt: skip
    assert ask(lake, f"select count(*), sum(monetary), count(first_sold_at) {FEATURES}") == (
        4_372, Decimal("8300065.8140"), 4_339,
    )  # fmt: skip


@pytest.mark.slow
def test_trends_count_every_distinct_invoice(run_under: Make) -> None:
    counts: dict[str, list[int]] = {}
    for row in report_table(run_under("net"), "sales_trends"):
        counts.setdefault(row["dimension"], []).append(row["invoices"])
    assert counts["weekday"] == [4138, 4722, 4815, 5660, 4184, 0, 2381]
    assert counts["month"] == [1476, 1393, 1983, 1744, 2162, 2012, 1927, 1737, 2327, 2637, 3462, 3040]
    assert {name: sum(invoices) for name, invoices in counts.items()} == dict.fromkeys(
        ("weekday", "month", "season", "hour"), 25_900
    )


@pytest.mark.slow
def test_the_first_cohort_comes_back_as_published(run_under: Make) -> None:
    cohorts = report_table(run_under("sales"), "cohort_retention")
    first = [row["customers"] for row in cohorts if row["cohort_month"] == "2010-12"]
    assert first == [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235]


# readiness


def test_only_the_last_day_is_held_which_ends_at_noon_and_one_of_which_a_tenth_came_would_be(
    run_under: Make,
) -> None:
    state = read_state(Lake(run_under("behaviour")))
    assert state.held_days(date.min, date.max) == [THROUGH]
    closed = [day for day, found in state.readiness.found.items() if {f.kind for f in found} == {"closed"}]
    assert [day for day in closed if day in state.delivered] == []
    assert date(2011, 4, 25) in closed  # Easter Monday
    came = [entry for _, (entry,) in sorted(state.delivered.items())]
    for cut in range(80, len(came), 45):
        *before, day = came[: cut + 1]
        tenth = Delivered(day.day, day.system, day.lines // 10, (day.value or 0) // 10)
        assert any(f.holds for f in judge((*before, tenth), LEARNED).of(day.day))


# twelve months of models


@pytest.mark.slow
def test_names_mean_the_same_over_twelve_months_of_models(run_under: Make) -> None:
    """A cluster bears the name of its match unless that is beyond the bound, and then the card says so."""
    lake = Lake(run_under("months"))
    months = [f"2011-{month:02d}" for month in range(1, 13)]
    for name in ("behaviour", "spend_profile"):
        cards = [judged(lake, month)[name][0].model.card for month in months]
        assert [len(card.matches) for card in cards] == [0] + [4] * 11
        bound = BOUNDS[name]
        moved = [[m for m in card.matches if m.name != m.champion] for card in cards[1:]]
        assert all(m.cost is not None and m.cost > bound for of_month in moved for m in of_month)
        assert sum(bool(of_month) for of_month in moved) == 1
        for card, of_month in zip(cards[1:], moved, strict=True):
            for m in of_month:
                assert any(f"{m.name} is named by its figures" in note for note in card.notes)


@pytest.mark.slow
def test_every_month_has_a_verdict_and_its_model_is_what_the_verdict_says(run_under: Make) -> None:
    lake = Lake(run_under("months"))
    before: dict[str, str] = {}
    for month in (f"2011-{month:02d}" for month in range(1, 13)):
        models = {name: to_json(read_model(lake, month, name)) for name in ALL_FIVE}
        for name, (candidate, verdict) in judged(lake, month).items():
            chosen = to_json(candidate.model) if verdict.in_force == "candidate" else before[name]
            assert models[name] == chosen
        before = models


@pytest.mark.slow
def test_the_report_of_all_five_is_one_small_page(run_under: Make) -> None:
    lake = run_under("months")
    page = lake / "report" / f"snapshot_date={THROUGH}" / "index.html"
    assert 50_000 < page.stat().st_size < 3_000_000
    profiles = report_table(lake, "segment_profiles")
    sizes = {name: sum(r["customers"] for r in profiles if r["segmentation"] == name) for name in ALL_FIVE}
    assert sizes == dict.fromkeys(ALL_FIVE, 4_334)
    moves = report_table(lake, "segment_migration")
    assert {(r["segmentation"], r["compared_with"]) for r in moves} == {
        (name, earlier) for name in ALL_FIVE for earlier in ("previous_day", "30_days_before")
    }
    assert all(
        r["by_behaviour"] + r["by_model"]
        == (r["customers"] if r["from_segment"] not in (r["to_segment"], "New") else 0)
        for r in moves
    )


# nothing is lost, nothing is made twice


def rows_by_day(lake: Path, table: str) -> dict[str, int]:
    """Each day's rows, as the Parquet files' footers count them."""
    counts: dict[str, int] = {}
    for path in (lake / table).glob("date=*/*.parquet"):
        day = path.parent.name.removeprefix("date=")
        counts[day] = counts.get(day, 0) + pq.ParquetFile(path).metadata.num_rows
    return counts


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


def test_running_again_writes_nothing(run_under: Make, uci_dir: Path) -> None:
    lake = run_under("behaviour")
    before, content = touched(lake), tree(lake)

    def runs() -> int:
        with dg.DagsterInstance.from_config(str(lake.parent / "dagster_home")) as instance:
            return instance.get_runs_count()

    made = runs()
    assert made == 4
    said = bring_up_to_date(lake.parent, "behaviour", uci_dir)
    assert said.returncode == 0
    assert "everything was up to date" in said.stdout
    assert touched(lake) == before
    assert tree(lake) == content
    assert runs() == made


def test_the_plain_script_makes_the_same_tables_row_by_row(
    run_under: Make, uci_dir: Path, tmp_path: Path
) -> None:
    lake = run_under("behaviour")
    subprocess.run(
        [sys.executable, plain_script.__file__, uci_dir, tmp_path, "--through", str(THROUGH)],
        check=True,
        stdout=subprocess.DEVNULL,
    )

    for table in ("transactions", "customer_days"):
        plain, ours = (sorted((root / table).glob("date=*/part-0.parquet")) for root in (tmp_path, lake))
        assert [path.parent.name for path in plain] == [path.parent.name for path in ours]
        pairs = zip(plain, ours, strict=True)
        assert [str(a) for a, b in pairs if not read(a).equals(read(b))] == []
    assert rows(lake, "rfm_features").equals(read(tmp_path / "rfm_features.parquet"))
    segmented = read(tmp_path / "segments.parquet")
    for name in ("behaviour", "rfm_grid"):
        assigned = rows(lake, "segment_assignments", f"segmentation={name}")
        assert assigned["customer_id"].to_pylist() == segmented["customer_id"].to_pylist()
        assert assigned["segment"].to_pylist() == segmented[name].to_pylist()
