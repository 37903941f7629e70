"""Spark gives the rows that DuckDB gives: every statement, over small data that holds the hard cases."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_pipeline import tables as statements
from retail_pipeline.campaigns.lists import Campaign, candidates_sql, control_below
from retail_pipeline.engine import Engine, EngineError, Input, Target
from retail_pipeline.engine.duckdb import connect as connect_duckdb
from retail_pipeline.engine.spark import Spark
from retail_pipeline.engine.spark import connect as connect_spark
from retail_pipeline.ingest.profiles.shipped import SHIPPED
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.lake.slices import ordered
from retail_pipeline.report import small_tables as tables
from retail_pipeline.segmentation import (
    BehaviourParameters,
    FittedSegmentation,
    Guards,
    Parameters,
    RfmGridParameters,
    Scale,
    fit,
    of_each_day,
    of_each_moment,
    to_sql,
)
from retail_pipeline.segmentation.guards import slipping_sql
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.segment_assignments import OF_MOMENTS
from retail_pipeline_tests.benchmarks.segments import frame, methods

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("pyspark") is None or shutil.which("java") is None,
        reason="needs pyspark (pip install 'retail-pipeline[spark]') and Java 17",
    ),
]

RAW, DAYS, FEATURES, ASSIGNMENTS = (
    TABLES[name] for name in ("raw_transactions", "customer_days", "rfm_features", "segment_assignments")
)
FIRST, LAST = date(2011, 1, 30), date(2011, 2, 12)
CHANGING = {"first": LAST - timedelta(days=5), "through": LAST}
BUYERS = {"returns_are_visits": False, "everybody": False}
EVERYBODY = {"returns_are_visits": True, "everybody": True}
SYSTEM = "uci_online_retail"
SUMS = ("product_days", "sales_hours", "customer_countries")


@dataclass(frozen=True)
class Call:
    """How the pipeline runs a statement: what it reads, its parameters.

    ``kept_by``: its result is kept, and these are its key; ``read_by``: the statements that read it.
    """

    inputs: Mapping[str, Input]
    parameters: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    kept_by: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()


# a server of its own


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A local Spark Connect server on a free port, stopped at the end."""
    import pyspark

    folder = tmp_path_factory.mktemp("spark")
    home = Path(pyspark.__file__).parent
    options = {
        "spark.connect.grpc.binding.port": "0",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(folder),
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
    }
    server = "org.apache.spark.sql.connect.service.SparkConnectServer"
    command = [str(home / "bin" / "spark-submit"), "--class", server, "--master", "local[2]"]
    command += ["--driver-memory", "1g", *(part for o in options.items() for part in ("--conf", "=".join(o)))]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"SPARK_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said: deque[str] = deque(maxlen=50)
        port = None
        for line in process.stdout:
            said.append(line)
            if port := re.search(r"Spark Connect server started at: .*:(\d+)", line):
                break
        assert port, "the Spark Connect server did not start:\n" + "".join(said)
        # Somebody has to read on, else the server stops when the pipe is full.
        Thread(target=said.extend, args=(process.stdout,), daemon=True).start()
        yield f"sc://127.0.0.1:{port[1]}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def spark(remote: str) -> Iterator[Engine]:
    with connect_spark(remote) as engine:
        yield engine


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with connect_duckdb("300MB", 2, tmp_path_factory.mktemp("spill")) as engine:
        yield engine


# the data


def raw_rows() -> list[dict[str, Any]]:
    """A few hundred lines with what goes wrong in a shop's files and between engines."""
    random = Random(7)
    rows: list[dict[str, Any]] = []

    def line(**given: Any) -> None:
        row = {
            "source_id": f"{random.randrange(2):016x}",
            "source_row": len(rows) + 1,
            "source_system": SYSTEM,
            "invoice_id": str(536365 + random.randrange(90)),
            "product_id": random.choice(
                ["85123A", " 22633 ", "post", "M", "Bank Charges", "grüße", "GIFT_0001"]
            ),
            "description": random.choice(["WHITE HOLDER", " Käse 🧀 ", 'it\'s | \\d, "x"', "", "   ", None]),
            "quantity": Decimal(random.choice([1, 2, 3, 6, 7, 12, 48, -1, 0])),
            "unit_price": Decimal(random.randrange(1, 90_000)) / 10_000,
            "amount": None,
            "sold_at": datetime.combine(FIRST, datetime.min.time())
            + timedelta(
                days=random.randrange((LAST - FIRST).days + 1), microseconds=random.randrange(86_400_000_000)
            ),
            "customer_id": random.choice([str(12346 + random.randrange(60)), "Ähre", "b", "B", "007", None]),
            "country": random.choice(["France", " EIRE", None]),
            "currency": "GBP",
        }
        rows.append(row | given)

    for _ in range(400):
        line()
    for _ in range(300):
        # line totals: the price comes from a division, often halfway between two ten-thousandths
        quantity = Decimal(
            random.choice(["1", "3", "6", "8", "12", "24", "48", "0.5", "1.6", "0.016", "0", "-6"])
        )
        amount = Decimal(random.randrange(-2_000, 90_000)) / 10_000
        line(
            unit_price=None,
            quantity=quantity,
            amount=amount,
            source_system="till" if len(rows) % 9 else SYSTEM,
        )
    for number in range(60):
        line(invoice_id=f"{random.choice('Cc')}{number % 20}", quantity=Decimal(random.choice([-1, -2, 3])))
    for invoice in ("A563185", None, " ", "", "\u00a0536365\u00a0", "\u3000C1\t", "x\n", "536365|till"):
        line(invoice_id=invoice)
    for price in ("0", "-11062.06", "0.001", "0.0005", "0.0001"):
        line(unit_price=Decimal(price))
    huge = Decimal("99999999999999.9999")
    line(unit_price=huge, quantity=Decimal("999999999999999.999"))
    line(unit_price=None, amount=huge, quantity=Decimal("0.001"), customer_id=None)
    line(unit_price=None, amount=-huge, quantity=Decimal("0.010"), customer_id=None)
    for moment in ("00:00:00", "23:59:59.999999"):
        line(sold_at=datetime.fromisoformat(f"2011-02-01 {moment}"), quantity=Decimal(1))
    return [*rows, *({**row, "source_row": row["source_row"] + 10_000} for row in rows[::25])]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """raw_transactions as landing writes them: hive folders of days."""
    root = tmp_path_factory.mktemp("a lake")
    rows = raw_rows()
    for day in sorted({row["sold_at"].date() for row in rows}):
        folder = root / "raw_transactions" / f"date={day}"
        folder.mkdir(parents=True)
        for source in ("0" * 16, "0" * 15 + "1"):
            those = [r for r in rows if r["sold_at"].date() == day and r["source_id"] == source]
            pq.write_table(pa.Table.from_pylist(those, schema=RAW.arrow), folder / f"{source}.parquet")
    return root


@pytest.fixture(scope="module")
def made(duckdb: Engine, lake: Path) -> dict[str, Any]:
    """What DuckDB makes of the lake, each table as the next statement reads it."""
    files = sorted((lake / "raw_transactions").glob("*/*.parquet"))
    made: dict[str, Any] = {"raw_transactions": files}
    duckdb.keep("judged_rows", "judged_rows", made, **judging())
    made["transactions"] = duckdb.run("transactions")
    before = pa.compute.subtract(made["transactions"]["sold_at"], pa.scalar(timedelta(days=30)))
    place = made["transactions"].column_names.index("sold_at")
    made["earlier"] = made["transactions"].set_column(place, "sold_at", before.cast(pa.timestamp("us")))
    summed = duckdb.run("customer_days", made, include_adjustments=True, invoice_days=31)
    made["customer_days"] = []
    for day in sorted(set(summed["date"].to_pylist())):
        folder = lake / "customer_days" / f"date={day}"
        folder.mkdir(parents=True)
        one = summed.filter(pa.compute.equal(summed["date"], pa.scalar(day))).drop_columns(["date"])
        pq.write_table(one.cast(DAYS.arrow), folder / "data.parquet")
        made["customer_days"].append(folder / "data.parquet")
    made["snapshots"] = pa.table({"snapshot_date": pa.array([LAST, LAST - timedelta(days=5)], pa.date32())})
    duckdb.keep("feature_changes", "feature_changes", made, **CHANGING, **BUYERS, window_days=9)
    features = duckdb.run("rfm_features", made, net_of_returns=True, returns_are_visits=False)
    last = features.filter(pa.compute.equal(features["snapshot_date"], pa.scalar(LAST)))
    made["rfm_features"] = last.drop_columns(["snapshot_date"]).cast(FEATURES.arrow)
    model = fit(frame(made["rfm_features"]), BehaviourParameters(guards=None))
    made["assigned"] = of_day(LAST, duckdb.run(to_sql(model), made))
    made["none_before"] = ASSIGNMENTS.arrow.empty_table()
    close = {"month_close": LAST, "model_month": "2011-01"}
    raw = ("assigned", "previous", "given", "near")
    made |= {"previous": made["none_before"]} | dict.fromkeys(("given", "near"), OF_MOMENTS.empty_table())
    before = duckdb.run("segment_assignments", {name: made[name] for name in raw}, **close).drop_columns(
        ["snapshot_date"]
    )
    segments = pa.array([s if i % 3 else "REWARD" for i, s in enumerate(before["segment"].to_pylist())])
    before = before.set_column(before.column_names.index("segment"), "segment", segments)
    made["previous"] = before.cast(ASSIGNMENTS.arrow).slice(5)
    with_day = {"rfm_features": of_day(LAST, made["rfm_features"])}
    made["close"] = of_day(LAST - timedelta(3), made["rfm_features"])
    looking_back = with_day | {"close": made["close"]}
    made["before"] = duckdb.run("segments_before", looking_back, close=LAST - timedelta(3))
    moments = of_each_moment(to_sql(model))
    made["given"] = duckdb.run(moments, {"rfm_features": made["before"]}).cast(OF_MOMENTS)
    made["near_features"] = duckdb.run("near_features", made | with_day, margin=0.3, stay_days=3)
    made["near"] = duckdb.run(moments, {"rfm_features": made["near_features"]}).cast(OF_MOMENTS)
    assignments = duckdb.run("segment_assignments", made, **close).drop_columns(["snapshot_date"])
    made["segment_assignments"] = assignments.cast(ASSIGNMENTS.arrow)
    made["slipping"] = duckdb.run(slipping_sql(9), {"rfm_features": made["rfm_features"]})
    made["candidates"] = duckdb.run(candidates_sql(CAMPAIGNS["ties"], None), two_days(made))
    made["suppressed"] = pa.table({"customer_id": made["candidates"]["customer_id"].slice(0, 3)})
    return made | reported(duckdb, made)


def of_day(day: date, rows: pa.Table) -> pa.Table:
    return rows.append_column("snapshot_date", pa.array([day] * len(rows), pa.date32()))


def two_days(made: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Snapshots and assignments as those of two days, the second with some customers fewer."""
    return {
        name: pa.concat_tables([of_day(LAST, made[name]), of_day(LAST + timedelta(1), made[name].slice(3))])
        for name in ("rfm_features", "segment_assignments")
    }


def reported(duckdb: Engine, made: Mapping[str, Any]) -> dict[str, Any]:
    """What the report's statements read besides: its small tables, and rows whose sums stay in bounds."""
    reach = duckdb.run("spend_range", {"rfm_features": made["rfm_features"]}).to_pylist()[0]
    two = [
        rows.append_column("segmentation", pa.array([name] * len(rows)))
        for name, rows in {"one": made["segment_assignments"], "two": made["previous"]}.items()
    ]
    small = pa.compute.less(pa.compute.abs(made["transactions"]["amount"]), pa.scalar(Decimal(10**9)))
    sold = {"transactions": made["transactions"].filter(small), "earlier": made["earlier"]}
    summing = {"include_adjustments": True, "invoice_days": 0}
    return {
        "sold": sold,
        **{name: duckdb.run(name, sold, **summing) for name in SUMS},
        "assigned_under_two": pa.concat_tables(two),
        "months": tables.months(
            date(2010, 12, 1), date(2011, 3, 1), [date(2011, 1, 1) + timedelta(n) for n in range(59)]
        ),
        "positions": tables.positions(),
        "calendar": tables.calendar([date(2010, 12, 1) + timedelta(n) for n in range(95)]),
        "periods": tables.periods(FIRST, LAST, [FIRST + timedelta(n) for n in range(14)]),
        "orders_edges": tables.orders_edges(),
        "spend_edges": tables.spend_edges(**reach),
    }


def judging(**given: Any) -> dict[str, Any]:
    rules = SHIPPED[SYSTEM].cleaning
    assert rules
    return {
        "tidy_text": True,
        "anonymous_ids": None,
        "invoice_pattern": None,
        "product_pattern": None,
        "cancellation_pattern": rules.cancellation_pattern,
        "bad_debt_pattern": rules.bad_debt_pattern,
        "adjustment_pattern": rules.adjustment_pattern,
        "minimum_price": None,
        "refuse_anonymous": False,
        "refuse_zero_price": True,
        "refuse_negative_price": True,
        "refuse_zero_quantity": True,
        "drop_duplicates": False,
    } | given


STRICT = {
    "tidy_text": False,
    "invoice_pattern": r"^(C|c)?\d{6}$",
    "product_pattern": "^[A-Z0-9_]+$",
    "cancellation_pattern": None,
    "minimum_price": Decimal("0.001"),
    "anonymous_ids": "\n12347\n12348\n",
    "refuse_anonymous": True,
    "drop_duplicates": True,
}
CAMPAIGNS = {
    "ties": Campaign(
        segments=("REWARD", "RETAIN", "NURTURE", "RE-ENGAGE"),
        offer="it's :free",
        rank_by="frequency",
        offer_if="frequency = 1 and tenure_days = recency_days",
        other_offer="its 'other'",
    ),
    "money": Campaign(segments=("REWARD", "DELIGHT", "Can't"), offer="x", rank_by="slipping"),
    "all": Campaign(
        segments=("REWARD", "NURTURE", "Lapsed"),
        offer="x",
        rank_by="case when score is null then null else sqrt(greatest(monetary, 0)) / (recency_days + 1) end",
    ),
}


def calls(made: Mapping[str, Any]) -> dict[str, Call]:
    def reading(*names: str) -> dict[str, Input]:
        return {name: made[name] for name in names}

    closing = [{"month_close": close, "model_month": "2011-02"} for close in (LAST, LAST + timedelta(1))]
    recent = {"recent_days": made["customer_days"]}
    listing = {"campaign": "ties", "salt": "", "channel": "email"}
    with_day = of_day(LAST, made["rfm_features"])
    return {
        "judged_rows": Call(
            reading("raw_transactions"),
            [judging(), judging(**STRICT), judging(minimum_price=Decimal(1))],
            kept_by=("source_id", "source_row"),
            read_by=("transactions", "rejected_rows", "till_figures"),
        ),
        "transactions": Call({}),
        "rejected_rows": Call({}),
        "till_figures": Call({}),
        "day_shapes": Call(reading("transactions"), [{"most": 3}]),
        "till_counts": Call(reading("transactions")),
        "earlier_invoices": Call(reading("transactions")),
        "customer_days": Call(
            reading("transactions", "earlier"),
            [
                {"include_adjustments": True, "invoice_days": 31},
                {"include_adjustments": False, "invoice_days": 0},
            ],
        ),
        "feature_changes": Call(
            reading("customer_days"),
            [{**CHANGING, **BUYERS, "window_days": None}, {**CHANGING, **EVERYBODY, "window_days": 9}],
            kept_by=("place",),
            read_by=("rfm_features", "alike_ids", "first_seen"),
        ),
        "alike_ids": Call({}),
        "first_seen": Call(recent),
        "customer_shares": Call({**recent, **reading("snapshots")}, [{"share": 0.05, "days": 28}]),
        "rfm_features": Call(
            reading("snapshots"),
            [
                {"net_of_returns": True, "returns_are_visits": False},
                {"net_of_returns": False, "returns_are_visits": True},
            ],
        ),
        "segments_before": Call(
            {"rfm_features": with_day, "close": made["close"]},
            [{"close": LAST - timedelta(3)}],
            kept_by=("moment", "customer_id"),
        ),
        "near_features": Call(
            {"rfm_features": with_day} | reading("before", "given", "assigned", "previous"),
            [{"margin": 0.3, "stay_days": 3}],
            kept_by=("moment", "customer_id", "recency_days", "frequency", "monetary"),
        ),
        "segment_assignments": Call(reading("assigned", "previous", "given", "near"), closing),
        "campaign_lists": Call(
            reading("candidates", "suppressed"),
            [{**listing, "control_below": control_below(share)} for share in (0.0, 0.3, 0.99999999999)],
        ),
        "restated_lists": Call({"restated": on_list("13572"), "released": on_list("23164")}),
        **report_calls(made),
    }


def on_list(customers: str) -> pa.Table:
    """A list of customers with one digit each, in this order; the even ones are controls."""
    common = {"segment": "RETAIN", "offer": "it's :free", "channel": "email", "reason": ""}
    arms = ("control", "treatment")
    rows = [
        {**common, "customer_id": customer, "rank": rank, "arm": arms[int(customer) % 2]}
        for rank, customer in enumerate(customers, start=1)
    ]
    return pa.Table.from_pylist(rows, TABLES["campaign_lists"].arrow)


def report_calls(made: Mapping[str, Any]) -> dict[str, Call]:
    """The statements of the report."""
    features = {"rfm_features": made["rfm_features"]}
    days = {"customer_days": made["customer_days"]}
    moved = {
        "segment_assignments": made["segment_assignments"],
        "earlier": made["previous"].slice(3),
        "moved_by_model": made["assigned"].slice(8).select(["customer_id", "segment"]),
        "customer_days": made["customer_days"],
    }
    since = {"segmentation": "one", "compared_with": "previous_day", "compared_day": FIRST}
    years = [
        {"year_from": LAST - timedelta(days=5), "year_before_from": before}
        for before in (FIRST, FIRST - timedelta(days=3))
    ]
    summing = [
        {"include_adjustments": adjusted, "invoice_days": days} for adjusted, days in ((True, 31), (False, 0))
    ]
    sums = {name: {name: made[name]} for name in SUMS}
    edges = {name: made[name] for name in ("orders_edges", "spend_edges")}
    under_two = {"segment_assignments": made["assigned_under_two"]}
    return {
        **{name: Call(made["sold"], summing) for name in SUMS},
        "segment_profiles": Call(
            features | sums["customer_countries"] | under_two | {"slipping": made["slipping"]}
        ),
        "segment_migration": Call(features | moved, [since]),
        "cohort_retention": Call(days | {"months": made["months"]}),
        "sales_trends": Call(sums["sales_hours"] | {name: made[name] for name in ("positions", "calendar")}),
        "sales_periods": Call(sums["sales_hours"] | days | {"periods": made["periods"]}),
        "customer_rankings": Call(features),
        "spend_range": Call(features),
        "fit_features": Call(features),
        "spend_distribution": Call(features | edges),
        "product_rankings": Call(sums["product_days"]),
        "key_figures": Call(features | sums["sales_hours"] | days | {"months": made["months"]}, years),
    }


def segmentations(made: Mapping[str, Any]) -> dict[str, FittedSegmentation]:
    """A model of every method, with the variants that write other SQL."""
    top, ranked, cut = Scale(quantiles=(0.5, 0.9)), Scale(bins=4, ties="rank"), Scale(cuts=(1, 2.5, 10))
    variants: dict[str, Parameters] = {
        **{f"{name}, of few": parameters for name, parameters in methods().items()},
        **{
            name: parameters.model_copy(update={"guards": Guards(fewest=1)})
            for name, parameters in methods().items()
        },
        "behaviour, both fences": BehaviourParameters(
            guards=None, lower_fence=True, clusters=5, outlier_iqr=0.2
        ),
        "rfm_grid, quantiles": RfmGridParameters(
            guards=None,
            recency=top,
            frequency=top,
            monetary=top,
            pattern_on="rfm",
            rules=(("[2-3]..", "Good"), ("...", "Ça va")),
        ),
        "rfm_grid, ranked": RfmGridParameters(
            guards=None,
            recency=ranked,
            frequency=ranked,
            monetary=ranked,
            other="monetary",
            rules=(("4[^1]", "A"), ("..", "B")),
        ),
        "rfm_grid, cuts": RfmGridParameters(
            guards=None,
            recency=cut,
            frequency=cut,
            monetary=cut,
            other="frequency",
            rules=(("[12].", "O'A"), ("..", "B")),
        ),
    }
    customers = frame(made["rfm_features"])
    models = {name: fit(customers, parameters) for name, parameters in variants.items()}
    return models | {"nobody": fit(customers.head(0), RfmGridParameters())}


def assert_same(spark: pa.Table, duckdb: pa.Table) -> None:
    """Types, values and order, to the last bit."""
    assert dict(zip(spark.column_names, spark.schema.types, strict=True)) == dict(
        zip(duckdb.column_names, duckdb.schema.types, strict=True)
    )
    for ours, theirs in zip(spark.to_pylist(), duckdb.to_pylist(), strict=True):
        assert ours == theirs


# the facts


def test_every_statement_gives_the_same_rows_in_the_same_order(
    spark: Engine, duckdb: Engine, made: Mapping[str, Any]
) -> None:
    folder = Path(str(statements.__file__)).parent
    # files are landed in DuckDB whatever the engine
    landing = {"order_totals"}
    named = {file.stem for file in folder.glob("*.sql")}
    assert set(calls(made)) == named - landing, "a statement is not compared"
    every = calls(made)
    compared = {reader: 0 for call in every.values() for reader in call.read_by}
    for name, call in every.items():
        if name in compared:
            continue
        for parameters in call.parameters:
            if not call.kept_by:
                assert_same(
                    spark.run(name, call.inputs, **parameters), duckdb.run(name, call.inputs, **parameters)
                )
                continue
            for engine in (spark, duckdb):
                engine.keep(name, name, call.inputs, **parameters)
            all_rows = f"select * from {name} order by {', '.join(call.kept_by)}"
            assert_same(spark.run(all_rows), duckdb.run(all_rows))
            for reader in call.read_by:
                for given in every[reader].parameters:
                    ours, theirs = (
                        engine.run(reader, every[reader].inputs, **given) for engine in (spark, duckdb)
                    )
                    compared[reader] += len(theirs)
                    if reader in ("transactions", "rejected_rows"):
                        # put in order when they are written
                        ours, theirs = (ordered(rows, call.kept_by) for rows in (ours, theirs))
                    assert_same(ours, theirs)
    assert all(compared.values()), f"nothing is compared: {compared}"


def test_every_segmentation_and_campaign_gives_the_same_rows(
    spark: Spark, duckdb: Engine, made: Mapping[str, Any]
) -> None:
    inputs = {name: made[name] for name in ("rfm_features", "segment_assignments")}
    for engine in (spark, duckdb):
        engine.run("select 1 as known", inputs)
    models = segmentations(made)
    queries = {name: to_sql(fitted) for name, fitted in models.items()}
    for name, query in queries.items():
        ours, theirs = (engine.run(query).sort_by("customer_id") for engine in (spark, duckdb))
        assert len(theirs), f"nothing is compared: {name}"
        assert_same(ours, theirs)
    for name in (*methods(), "rfm_grid, ranked"):
        printed = spark.session.sql(to_sql(models[name], "spark")).toArrow().sort_by("customer_id")
        assert printed.to_pylist() == duckdb.run(queries[name]).sort_by("customer_id").to_pylist(), name
    by_day = [("snapshot_date", "ascending"), ("customer_id", "ascending")]
    each = {name: of_each_day(queries[name]) for name in ("behaviour", "rfm_grid, ranked")}
    for name, query in (each | {name: candidates_sql(c, 9) for name, c in CAMPAIGNS.items()}).items():
        ours, theirs = (engine.run(query, two_days(made)).sort_by(by_day) for engine in (spark, duckdb))
        assert len(set(theirs["snapshot_date"].to_pylist())) == 2, f"nothing is compared: {name}"
        assert_same(ours, theirs)


def test_both_engines_write_the_same_bytes(
    spark: Engine, duckdb: Engine, made: Mapping[str, Any], tmp_path: Path
) -> None:
    days = [
        date.fromisoformat(str(day))
        for day in sorted(set(two_days(made)["rfm_features"]["snapshot_date"].to_pylist()))
    ]
    written = []
    for name, engine in (("spark", spark), ("duckdb", duckdb)):
        engine.keep("new_features", "select * from rows", {"rows": two_days(made)["rfm_features"]})
        targets = [Target({"snapshot_date": str(day)}, {}, {}, day) for day in days]
        written.append(
            [m.content for m in engine.make(Lake(tmp_path / name), FEATURES, "new_features", targets)]
        )
    assert written[0] == written[1]
    assert len(set(written[0])) == 2


def test_an_answer_that_is_not_small_is_refused_by_both(spark: Engine, duckdb: Engine) -> None:
    rows = pa.table({"x": range(11)})
    for engine in (spark, duckdb):
        assert len(engine.ask("select * from rows", {"rows": rows}, most=11)) == 11
        with pytest.raises(EngineError, match="more than 10 rows"):
            engine.ask("select * from rows", {"rows": rows}, most=10)


def test_doubles_become_decimals_as_in_duckdb(spark: Engine, duckdb: Engine) -> None:
    random = Random(3)
    halves = [(random.randrange(10**9) + 0.5) / 1e4 * random.choice([1, -1]) for _ in range(5_000)]
    rows = pa.table({"x": pa.array([*halves, None, 0.0, 1e13, 1e20])})
    query = "select x, try_cast(cast(x as double) as decimal(18, 4)) as y from doubles"
    assert_same(spark.run(query, {"doubles": rows}), duckdb.run(query, {"doubles": rows}))


def test_empty_tables_keep_their_types(spark: Engine, duckdb: Engine, made: Mapping[str, Any]) -> None:
    nothing = OF_MOMENTS.empty_table()
    inputs = {
        "assigned": made["assigned"],
        "previous": made["none_before"],
        "given": nothing,
        "near": nothing,
    }
    parameters = {"month_close": LAST + timedelta(1), "model_month": "bootstrap"}
    for given in (inputs, {**inputs, "assigned": made["assigned"].slice(0, 0)}):
        assert_same(
            spark.run("segment_assignments", given, **parameters),
            duckdb.run("segment_assignments", given, **parameters),
        )


@pytest.mark.parametrize("damage", ["cut", "absent"])
def test_a_damaged_file_is_named(spark: Engine, duckdb: Engine, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "date=2011-01-01" / "broken.parquet"
    file.parent.mkdir()
    if damage == "cut":
        pq.write_table(pa.table({"x": [1]}), file)
        file.write_bytes(file.read_bytes()[:-20])
    for engine in (spark, duckdb):
        with pytest.raises(EngineError, match=r"broken\.parquet"):
            engine.run("select * from files", {"files": [file]})


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retail_pipeline.engine.spark.SECONDS_TO_CONNECT", 0.5)
    remote = "sc://127.0.0.1:9/;token=secret;use_ssl=false"
    with pytest.raises(EngineError, match=r"answers at 127\.0\.0\.1:9;"), connect_spark(remote):
        pass
