"""Synthetic data is like the real set, dirty in exactly the amounts of its manifest, and reproducible."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.datasets import complete_journey, synthetic
from retail_pipeline.datasets.deliveries import DatasetError

LINES = 200_000


def read(folder: Path) -> pd.DataFrame:
    query = "from read_csv(?, all_varchar = true, filename = true, quote = '', escape = '')"
    frame: pd.DataFrame = duckdb.execute(query, [str(folder / "*.csv")]).df()
    return frame


def measure(frame: pd.DataFrame) -> synthetic.Figures:
    """The figures of a set with CustomerID, InvoiceNo, InvoiceDate, Quantity and UnitPrice (text will do).

    Over the lines of known customers whose invoice is no cancellation (prefix C): the share of customers with
    one invoice; the Gini coefficient of the customers' sums of positive lines; the median time between the
    beginnings of a customer's consecutive invoices, in days. Over all lines: the share on cancellations.
    """
    figures = duckdb.query_df(
        frame,
        "frame",
        """
        with lines as (
            select CustomerID as customer, InvoiceNo as invoice, try_cast(InvoiceDate as timestamp) as sold,
                   try_cast(Quantity as double) * try_cast(UnitPrice as double) as amount
            from frame where InvoiceNo not like 'C%' and CustomerID <> ''
        ), orders as (
            select customer, count(*) over (partition by customer) as orders,
                   epoch(begun - lag(begun) over (partition by customer order by begun)) / 86400 as gap
            from (select customer, invoice, min(sold) as begun from lines group by all)
        ), spend as (
            select spent, row_number() over (order by spent) as rank, count(*) over () as n
            from (select sum(amount) as spent from lines where amount > 0 group by customer)
        )
        select (select count(distinct customer) filter (orders = 1) / count(distinct customer) from orders),
               (select sum((2 * rank - n - 1) * spent) / sum(n * spent) from spend),
               (select median(gap) from orders),
               (select avg((InvoiceNo like 'C%')::int) from frame)
        """,
    ).fetchall()[0]
    return synthetic.Figures(*figures)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module", params=["uci", "complete-journey"])
def generated(request, tmp_path_factory):
    landing = tmp_path_factory.mktemp("synthetic") / "landing"
    synthetic.generate(landing, LINES, seed=7, like=request.param)
    return request.param, landing, read(landing)


def test_the_figures_are_within_a_tenth_of_the_real_set(generated):
    like, _, frame = generated
    assert asdict(measure(frame)) == pytest.approx(asdict(synthetic.SHAPES[like].figures), rel=0.1)


def test_the_manifest_counts_every_kind_exactly(generated):
    _, landing, frame = generated
    manifest = json.loads(synthetic.manifest_path(landing).read_text())
    assert manifest["files"] == len(list(landing.iterdir()))
    count = """
        with priced as (select *, try_cast(UnitPrice as decimal(18, 2)) as price from frame)
        select count(*) filter (CustomerID is null) as anonymous,
               count(*) filter (InvoiceNo[1] = 'C') as cancellation,
               count(*) - (select count(*) from (select distinct * from frame)) as exact_duplicate,
               count(*) filter (try_cast(Quantity as integer) is null) as unreadable_quantity,
               count(*) filter (price is null) as unreadable_price,
               count(*) filter (try_cast(InvoiceDate as timestamp) is null) as impossible_date,
               count(*) filter (price = 0) as zero_price,
               count(*) filter (price < 0 and StockCode <> 'B') as negative_price,
               count(*) filter (InvoiceNo[1] = 'A' and StockCode = 'B') as bad_debt,
               count(*) filter (StockCode in ('POST', 'DOT', 'M', 'BANK CHARGES')) as non_product_code,
               count(*) filter (StockCode <> upper(trim(StockCode))) as untidy_product_code
        from priced
    """
    found = duckdb.query_df(frame, "frame", count).df()
    assert {"clean": manifest["kinds"]["clean"], **found.iloc[0].to_dict()} == manifest["kinds"]
    assert sum(manifest["kinds"].values()) == manifest["lines"] == len(frame) == LINES


def test_a_file_holds_the_lines_of_its_day(generated):
    _, _, frame = generated
    readable = frame[~frame["InvoiceDate"].str.contains("-02-30")]
    assert (readable["filename"].str[-14:-4] == readable["InvoiceDate"].str[:10]).all()


def test_a_cancellation_gives_back_what_the_customer_bought_before(generated):
    _, _, frame = generated
    orphans = """
        select count(*) from frame as back
        where InvoiceNo[1] = 'C' and not exists (
            from frame as sale
            where sale.CustomerID = back.CustomerID and sale.StockCode = back.StockCode
              and sale.UnitPrice = back.UnitPrice and '-' || sale.Quantity = back.Quantity
              and sale.InvoiceDate <= back.InvoiceDate and sale.InvoiceNo < back.InvoiceNo[2:])
    """
    assert duckdb.query_df(frame, "frame", orphans).fetchall() == [(0,)]


def test_few_products_make_much_of_the_sales(generated):
    _, _, frame = generated
    lines = frame["StockCode"].value_counts()
    assert lines.head(len(lines) // 5).sum() > 0.4 * len(frame)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthetic.generate(tmp_path / name, 3_000, seed)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert (tmp_path / "a.manifest.json").read_bytes() == (tmp_path / "b.manifest.json").read_bytes()
    assert content(tmp_path / "a") != content(tmp_path / "c")


@settings(max_examples=5, deadline=None)
@given(
    lines=st.integers(1, 3_000),
    seed=st.integers(0, 2**32),
    like=st.sampled_from(["uci", "complete-journey"]),
    period=st.tuples(st.integers(1, 12), st.integers(2, 400)),
)
def test_any_number_of_lines_in_any_period_is_made_exactly(tmp_path_factory, lines, seed, like, period):
    landing = tmp_path_factory.mktemp("any") / "landing"
    first = date(2015, period[0], 1)
    last = date.fromordinal(first.toordinal() + period[1])
    landed = synthetic.generate(landing, lines, seed, like, first, last)
    assert len(read(landing)) == landed.rows == lines
    assert first <= landed.first_day <= landed.last_day <= last
    assert len(list(landing.iterdir())) == landed.files


def test_a_period_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="before the first day"):
        synthetic.generate(tmp_path / "landing", 10, 1, first_day=date(2020, 2, 1), last_day=date(2020, 1, 1))
    saturday = date(2011, 1, 1)
    with pytest.raises(DatasetError, match="closed"):
        synthetic.generate(tmp_path / "landing", 10, 1, first_day=saturday, last_day=saturday)
    assert not (tmp_path / "landing").exists()


def test_as_many_customers_are_made_as_were_asked_for_or_none(tmp_path):
    synthetic.generate(tmp_path / "landing", 6_000, 1, customers=700)
    assert read(tmp_path / "landing")["CustomerID"].nunique() == 700
    assert json.loads((tmp_path / "landing.manifest.json").read_text())["customers"] == 700
    with pytest.raises(DatasetError, match=r"2,000 customers have .* orders"):
        synthetic.generate(tmp_path / "landing", 6_000, 1, customers=2_000)


def test_files_of_an_earlier_generation_are_not_mixed_in(tmp_path):
    synthetic.generate(tmp_path, 1_000, 1)
    with pytest.raises(DatasetError, match="another generation"):
        synthetic.generate(tmp_path, 10, 1)


def test_the_figures_of_uci_are_measured_on_uci(uci_dir):
    frame = duckdb.execute("from read_csv(?, all_varchar = true)", [str(uci_dir / "*.csv")]).df()
    assert asdict(measure(frame)) == pytest.approx(asdict(synthetic.SHAPES["uci"].figures), rel=1e-3)


def test_the_figures_of_the_complete_journey_are_measured_on_it():
    try:
        path = complete_journey.transactions_parquet()
    except DatasetError as error:
        pytest.skip(str(error))
    frame = duckdb.execute(
        """
        select household_id::varchar as CustomerID, basket_id::varchar as InvoiceNo, 1 as Quantity,
               date_trunc('second', transaction_timestamp) as InvoiceDate, sales_value as UnitPrice
        from read_parquet(?)
        """,
        [str(path)],
    ).df()
    measured = measure(frame)
    assert asdict(measured) == pytest.approx(asdict(synthetic.SHAPES["complete-journey"].figures), rel=1e-3)
