"""What the page claims is worked out again from the raw rows, by other code, on four data sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from retail_pipeline.datasets import complete_journey, synthetic
from retail_pipeline.datasets.deliveries import DatasetError
from retail_pipeline.defs.report_data import frame
from retail_pipeline.engine.duckdb import DuckDB, connect
from retail_pipeline.report import small_tables as small
from retail_pipeline.report import words
from retail_pipeline.report.data import ReportData
from retail_pipeline.report.formats import MONTHS, WEEKDAYS, count, money, number, percent
from retail_pipeline.tables import TABLES, statement
from retail_pipeline_tests.report.support import shop

LIKE_UCI = """
select "InvoiceNo" as invoice_id, "StockCode" as product_id, "Description" as description,
    try_cast("InvoiceDate" as timestamp) as sold_at,
    nullif(split_part("CustomerID", '.', 1), '') as customer_id,
    try_cast("Quantity" as decimal(18, 3)) as quantity,
    cast(try_cast("Quantity" as double) * try_cast("UnitPrice" as double) as decimal(18, 4)) as amount,
    case when "StockCode" in ('POST', 'DOT', 'M', 'D', 'BANK CHARGES', 'AMAZONFEE', 'CRUK', 'S', 'B')
        then 'adjustment' when "InvoiceNo" like 'C%' then 'return' else 'sale' end as line_kind
from read_csv('{folder}/*.csv', header = true, auto_detect = false, quote = '"', columns = {{
    'InvoiceNo': 'varchar', 'StockCode': 'varchar', 'Description': 'varchar', 'Quantity': 'varchar',
    'InvoiceDate': 'varchar', 'UnitPrice': 'varchar', 'CustomerID': 'varchar', 'Country': 'varchar'
}})
where try_cast("UnitPrice" as double) > 0
    and (try_cast("Quantity" as double) > 0) = ("InvoiceNo" not like 'C%')
    and try_cast("InvoiceDate" as timestamp) is not null
"""
JOURNEY = """
select basket_id as invoice_id, product_id, cast(null as varchar) as description,
    cast(transaction_timestamp as timestamp) - interval 5 hour as sold_at, household_id as customer_id,
    cast(quantity as decimal(18, 3)) as quantity, cast(sales_value as decimal(18, 4)) as amount,
    'sale' as line_kind
from read_parquet('{folder}') where quantity > 0 and sales_value > 0
"""
# regulars who buy every second month, there from the first day, and ten new ones a month: half come back
REGULARS = """
select 'r' || n || '-' || m as invoice_id, 'CUP' as product_id, 'CUP' as description, 'r' || n as customer_id,
    timestamp '2023-01-01 10:00:00' + interval (m) month + interval (n % 28) day as sold_at,
    cast(1 as decimal(18, 3)) as quantity, cast(10 + n % 7 as decimal(18, 4)) as amount, 'sale' as line_kind
from range(100) as a(n), range(14) as b(m) where (n + m) % 2 = 0
union all
select 'n' || n || '-' || m || '-' || k, 'LAMP', 'LAMP', 'n' || n || '-' || m,
    timestamp '2023-01-01 15:00:00' + interval (m + k) month + interval (2 * n) day, 1, 20, 'sale'
from range(10) as a(n), range(14) as b(m), range(2) as c(k) where k <= n % 2 and m + k < 14
"""

# the tables whose sentences are checked
SAYING = (
    "cohort_retention", "sales_trends", "sales_periods", "customer_rankings", "product_rankings",
    "key_figures",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """The raw rows, and the report of their last day."""

    rows: pd.DataFrame
    data: ReportData

    @property
    def sales(self) -> pd.DataFrame:
        return self.rows[self.rows["line_kind"] == "sale"]

    @property
    def orders(self) -> pd.DataFrame:
        """Each order once, at its first moment."""
        return self.sales.sort_values("sold_at").drop_duplicates("invoice_id")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    with connect("500MB", 2, tmp_path_factory.mktemp("spill")) as opened:
        yield opened


@pytest.fixture(scope="module", params=["uci", "journey", "synthetic", "regulars"])
def shown(request: pytest.FixtureRequest, engine: DuckDB, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    if request.param == "uci":
        query = (
            f'{LIKE_UCI.format(folder=request.getfixturevalue("uci_dir"))} and hash("CustomerID") % 10 = 0'
        )
    elif request.param == "journey":
        try:
            query = JOURNEY.format(folder=complete_journey.transactions_parquet())
            query += " and hash(household_id) % 24 = 0"
        except DatasetError as error:
            pytest.skip(str(error))
    elif request.param == "synthetic":
        folder: Path = tmp_path_factory.mktemp("synthetic") / "landing"
        synthetic.generate(folder, 20_000, 5)
        query = LIKE_UCI.format(folder=folder)
    else:
        query = REGULARS
    return made(engine, duckdb.sql(query).arrow())


def made(engine: DuckDB, rows: pa.Table) -> Shown:
    """The report's tables over these rows, by the statements that make them in the lake."""
    rows = rows.read_all() if hasattr(rows, "read_all") else rows
    raw = rows.to_pandas().assign(amount=lambda r: r["amount"].astype(float))
    raw["day"] = raw["sold_at"].dt.date
    schema, n = TABLES["transactions"].arrow, len(rows)
    fixed = {"source_id": "a", "source_system": "till", "currency": "GBP"}
    columns = [
        rows[name].cast(field.type) if name in rows.column_names
        else pa.array([fixed.get(name)] * n, field.type) if name != "source_row"
        else pa.array(range(n), field.type)
        for name, field in ((field.name, field) for field in schema)
    ]  # fmt: skip
    lines = pa.table(columns, names=schema.names)
    first, day = raw["day"].min(), raw["day"].max()
    counting = [first + timedelta(days=d) for d in range((day - first).days + 1)]
    inputs = {
        name: engine.run(
            name,
            {"transactions": lines, "earlier": lines.slice(0, 0)},
            include_adjustments=False,
            invoice_days=31,
        )
        for name in ("customer_days", "sales_hours", "product_days")
    }
    inputs["feature_changes"] = engine.run(
        "feature_changes", {"customer_days": inputs["customer_days"]},
        window_days=730, returns_are_visits=False, everybody=False, first=day, through=day,
    )  # fmt: skip
    inputs |= {
        "snapshots": pa.table({"snapshot_date": pa.array([day], pa.date32())}),
        "months": small.months(first, day, counting),
        "periods": small.periods(first, day, counting),
        "calendar": small.calendar(counting),
        "positions": small.positions(),
    }
    inputs["rfm_features"] = engine.run(
        "rfm_features", {name: inputs[name] for name in ("feature_changes", "snapshots")},
        net_of_returns=True, returns_are_visits=False,
    )  # fmt: skip
    years = {"year_from": day - timedelta(days=364), "year_before_from": day - timedelta(days=729)}
    tables = {}
    for name in SAYING:
        read = set(re.findall(r"\w+", statement(name)))
        found = engine.run(name, {i: rows for i, rows in inputs.items() if i in read}, **years)
        tables[name] = frame(small.key_figures(found) if name == "key_figures" else found)
    return Shown(raw, shop(tables, day=day, first_day=first, currency="GBP"))


def whole_months(shown: Shown) -> list[pd.Period]:
    """The months of which every day lies between the first and the last."""
    first, last = shown.rows["day"].min(), shown.rows["day"].max()
    months = pd.period_range(first, last, freq="M")
    return [month for month in months if first <= month.start_time.date() and month.end_time.date() <= last]


@pytest.mark.parametrize(("dimension", "names"), [("weekday", WEEKDAYS), ("month", MONTHS)])
def test_the_busiest_are_those_with_the_most_orders_a_day(
    shown: Shown, dimension: str, names: tuple[str, ...]
):
    days = pd.Series(pd.date_range(shown.rows["day"].min(), shown.rows["day"].max()))
    moments = shown.orders["sold_at"].dt
    if dimension == "weekday":
        orders, lengths = moments.weekday.value_counts(), days.dt.weekday.value_counts()
    else:
        whole = whole_months(shown)
        orders = moments.month[moments.to_period("M").isin(whole)].value_counts()
        lengths = days.dt.month[days.dt.to_period("M").isin(whole)].value_counts()
        orders.index, lengths.index = orders.index - 1, lengths.index - 1
    orders = orders.reindex(lengths.index, fill_value=0)
    rates = orders / lengths
    title = words.trend_title(shown.data, dimension)
    if said := re.fullmatch(
        r"(.+) (?:is|are) the busiest: (.+) orders a day, (.+) of orders in (.+) of the days", title
    ):
        named = [names.index(name) for name in re.split(", | and ", said[1])]
        assert rates[named].min() > rates.drop(named).max()
        assert said[2] == number(orders[named].sum() / lengths[named].sum())
        assert said[3] == percent(orders[named].sum() / orders.sum())
        assert said[4] == percent(lengths[named].sum() / lengths.sum())
        assert orders[named].sum() / orders.sum() > 1.05 * lengths[named].sum() / lengths.sum()
    else:
        assert (
            title == f"No {dimension} stands out: {number(rates.min())} to {number(rates.max())} orders a day"
        )


def test_four_weeks_came_to_what_is_said_of_them(shown: Shown):
    kept, last = shown.rows[shown.rows["line_kind"] != "adjustment"], shown.rows["day"].max()
    periods = [(last - timedelta(days=n + 27), last - timedelta(days=n)) for n in (0, 28)]
    now, before = (kept.loc[kept["day"].between(*period), "amount"].sum() for period in periods)
    text = words.revenue_words(shown.data)
    assert text.startswith(f"{money(now, 'GBP')} in the last four weeks: ")
    change, more = percent(abs(now / before - 1)), "more" if now > before else "less"
    about = abs(now - before) < words.ABOUT * max(now, before)
    assert ("about as much as" if about else f"{change} {more} than") + " in the four weeks before" in text
    customers = [shown.sales.loc[shown.sales["day"].between(*p), "customer_id"].nunique() for p in periods]
    changes = {name: (value, against) for name, value, against in words.key_changes(shown.data)}
    assert changes["Customers who bought"][0] == count(customers[0])
    assert changes["Customers who bought"][1][0].removeprefix("+") == percent(customers[0] / customers[1] - 1)


def test_who_came_back_did(shown: Shown):
    bought = shown.sales.dropna(subset="customer_id").assign(month=lambda r: r["sold_at"].dt.to_period("M"))
    bought = bought.drop_duplicates(["customer_id", "month"])
    months = bought.groupby("customer_id")["month"].agg(lambda of: sorted(set(of)))
    said, whole = " ".join(words.retention_words(shown.data)), set(whole_months(shown))
    left = re.search(r"The first (?:month is|(\d+) months are) left out", said)
    if claim := re.match(
        r"Of a month's new customers, (.+?) \(of (\S+)\) buy again in the first month", said
    ):
        start = shown.rows["sold_at"].min().to_period("M") + (int(left[1] or 1) if left else 0)
        new = [of for of in months if of[0] >= start and of[0] + 1 in whole]
        assert claim[2] == count(len(new))
        assert claim[1] == percent(sum(of[0] + 1 in of for of in new) / len(new))
    else:
        assert said.startswith("No month counts as one of new customers")
    pairs = [(m, of) for of in months for m in of if {m, m + 1} <= whole]
    last = sorted({m for m, _ in pairs})[-12:]
    share = percent(sum(m + 1 in of for m, of in pairs if m in last) / sum(m in last for m, _ in pairs))
    assert f"Of those who buy in a month, {share} buy in the next one, too." in words.coming_back(shown.data)


def test_regulars_of_the_first_months_are_not_new(shown: Shown):
    if not (shown.rows["product_id"] == "LAMP").any():
        pytest.skip("of real shops nobody knows who was new")
    said = words.retention_words(shown.data)
    # half of those who are new come back the month after
    assert said[0].startswith("Of a month's new customers, 50\xa0% (of 100) buy again in the first month")
    assert said[1].startswith("The first 2 months are left out")


def test_the_rankings_are_net_of_what_came_back(shown: Shown):
    kept = shown.rows[shown.rows["line_kind"] != "adjustment"]
    sold = kept[kept["line_kind"] == "sale"]
    sign = kept["line_kind"].map({"sale": 1, "return": -1})
    units = (kept["quantity"].astype(float).abs() * sign).groupby(kept["product_id"]).sum()
    once = kept.drop_duplicates(["invoice_id", "product_id", "line_kind"])
    invoices = once["line_kind"].map({"sale": 1, "return": -1}).groupby(once["product_id"]).sum()
    values = {"revenue": kept.groupby("product_id")["amount"].sum(), "units": units, "invoices": invoices}
    table = shown.data.table("product_rankings")
    for ranking, net in values.items():
        net = net[net.index.isin(sold["product_id"])].sort_values(ascending=False)
        rows = table[table["ranking"] == ranking].sort_values("rank")
        shown_net = [words.product_net(row, ranking) for row in rows.to_dict("records")]
        assert shown_net == pytest.approx(list(net.head(100)), abs=0.01)
    customers = (
        kept[kept["customer_id"].isin(sold["customer_id"].dropna())].groupby("customer_id")["amount"].sum()
    )
    top = customers.sort_values(ascending=False).head(10).sum() / customers.sum()
    assert (
        words.ranking_title(shown.data, "total", 10)
        == f"The 10 customers who spent most brought {percent(top)} of revenue"
    )


def test_shares_of_customers_and_revenue_are_those_of_the_rows(shown: Shown):
    kept = shown.rows[shown.rows["line_kind"] != "adjustment"]
    orders = shown.orders.groupby("customer_id").size()
    spent = kept[kept["customer_id"].isin(orders.index)].groupby("customer_id")["amount"].sum()
    said = words.coming_back(shown.data)
    assert f"{percent((orders == 1).mean())} of customers have ordered once." in said
    repeat = spent[orders[orders > 1].index].sum() / spent.sum()
    assert f"{percent(repeat)} of revenue comes from customers with more than one order." in said
    tenth = spent[spent.rank(ascending=False, method="min") - 1 < 0.1 * (len(spent) - 1)].sum() / spent.sum()
    points = {point.head: point.text for point in words.top_tenth(shown.data)}
    if "Spend most" in points:
        assert points["Spend most"] == f"The tenth who spend most bring {percent(tenth)} of revenue."
