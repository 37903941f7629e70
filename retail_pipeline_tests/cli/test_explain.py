"""What is said of one customer is what the lake holds: the features and all that is behind them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from retail_pipeline.cli.explain import Explanation, as_json, explain
from retail_pipeline.cli.explanation import MOST_ROWS, print_explanation
from retail_pipeline.datasets import synthetic
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.lake.partitions import MANIFEST_FILE, remove_partition
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.state import State
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.cli.test_main import call, shop
from retail_pipeline_tests.command import made_once
from retail_pipeline_tests.defs.support import open_pipeline
from retail_pipeline_tests.shop import CUSTOMERS, Line, deliver, sales, span, write

CLOSE = date(2024, 1, 31)
DAYS = span(date(2024, 1, 22), 15)
FIRST, HELD, LAST = DAYS[0], DAYS[1], DAYS[-1]
WINDOW = 12
OBJECTED = CUSTOMERS[2]
LAPSED, RETURNED, REFUSED, PADDED, UNREAD = (str(number) for number in range(71001, 71006))
ODD = "O'Neil [bold] (x)"
LINE = sales(FIRST)[0]


def line(customer: str, order: str, **more: str) -> Line:
    return LINE | {"customer": customer, "order": order, "units": "2", "price": "5"} | more


EXTRA = [
    line(LAPSED, "a-1"),
    line(RETURNED, "b-1", units="-1"),
    line(REFUSED, "c-1", price="0"),
    line(REFUSED, "c-2", price="0"),
    line(f" {PADDED} ", "d-1", price="0"),
    line(ODD, "e-1"),
    line(ODD, "e-2", units="a dozen"),
    line(UNREAD, "f-1", units="a dozen"),
    line(f"{UNREAD} too", "f-2", units="a dozen"),
    line("", "g-1"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with every kind of customer, a held day, and one who objected."""

    def make(folder: Path) -> None:
        root = shop(folder / "shop", **settings(folder / "shop"))
        deliver(root / "landing", [day for day in DAYS if day != HELD])
        write(root / "landing" / "extra.csv", EXTRA)
        (root / "objected.csv").write_text(f"customer_id\n{OBJECTED}.0\n")
        with dg.DagsterInstance.ephemeral() as instance:
            pipeline = open_pipeline(root, **settings(root))
            assert not bring_up_to_date(pipeline, instance, lambda: LAST).failures
            # a month is not fitted while one of its days is held: this one is delivered when it has been
            deliver(root / "landing", [HELD])
            deliver(root / "landing", [HELD], currency="USD")
            said = bring_up_to_date(open_pipeline(root, **settings(root)), instance, lambda: LAST).failures
            assert [str(HELD) in text for text in said] == [True]

    return made_once(tmp_path_factory, "explained", make) / "shop"


def settings(root: Path) -> dict[str, Any]:
    return {
        "features": {"window_days": WINDOW},
        "suppression": {"path": str(root / "objected.csv"), "max_age_days": 7},
        "checks": {"max_unreadable_share": 1},
    }


@pytest.fixture(scope="module")
def ask(root: Path) -> Callable[..., Explanation]:
    """The explanation of one customer as of a day."""
    chosen = open_pipeline(root, **settings(root)).settings
    return lambda customer, day=LAST: explain(chosen, customer, day)


def test_a_day_that_a_run_takes_away_meanwhile_is_looked_for_no_more(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "lake", tmp_path / "lake")
    pipeline = open_pipeline(tmp_path, **settings(root))
    read = Pipeline.state

    def then_taken_away(mine: Pipeline) -> State:
        state = read(mine)
        remove_partition(pipeline.lake, "customer_days", {"date": str(FIRST)})
        return state

    monkeypatch.setattr(Pipeline, "state", then_taken_away)
    found = explain(pipeline.settings, CUSTOMERS[4], LAST)
    assert FIRST not in {row["date"] for row in found.days}


def delivered(root: Path, customer: str) -> Counter[str]:
    """The lines of a customer in each file of the landing folder."""
    counts = Counter[str]()
    for path in (root / "landing").iterdir():
        with path.open(newline="") as stream:
            counts[path.name] = sum(row["customer"].strip() == customer for row in csv.DictReader(stream))
    return +counts


def assigned(root: Path, customer: str, day: date) -> dict[str, dict[str, Any]]:
    """The customer's assignments as they stand in the lake."""
    table = pq.read_table(root / "lake" / "segment_assignments" / f"snapshot_date={day}").to_pylist()
    return {row["segmentation"]: row for row in table if row["customer_id"] == customer}


@pytest.mark.parametrize("customer", CUSTOMERS[::4])
def test_the_days_give_the_features_and_the_files_give_the_days(
    root: Path, ask: Callable[..., Explanation], customer: str
) -> None:
    found = ask(customer)
    assert found.notes == ()
    assert found.features
    in_window = [row for row in found.days if row["in_window"]]
    assert {row["date"] for row in in_window} == {
        row["date"] for row in found.days if row["date"] > LAST - timedelta(days=WINDOW)
    }
    assert found.features["frequency"]["value"] == sum(row["orders"] for row in in_window)
    assert found.features["monetary"]["value"] == sum(row["net_amount"] for row in in_window)
    assert found.features["monetary"]["unit"] == "currency"
    assert found.currency == "EUR"
    assert {row["path"]: row["lines"] for row in found.files} == delivered(root, customer)
    assert [row["why"] for row in found.left_out_days] == (
        ["held"] if f"{HELD}.csv" in delivered(root, customer) else []
    )
    lines = sum(row["lines"] for row in (*found.days, *found.left_out_days))
    assert lines == sum(delivered(root, customer).values())


def test_each_segment_comes_with_its_reason_history_and_model(
    root: Path, ask: Callable[..., Explanation]
) -> None:
    customer = CUSTOMERS[-1]
    for day, source, trained in ((LAST, "2024-02", CLOSE), (CLOSE, "bootstrap", CLOSE)):
        found, stored = ask(customer, day), assigned(root, customer, day)
        assert [row["segmentation"] for row in found.segments] == sorted(stored)
        for row in found.segments:
            expected = stored[row["segmentation"]]
            for name in ("segment", "score", "reason", "previous_segment", "segment_since"):
                assert row[name] == expected[name]
            assert row["model"]["month"] == source
            assert row["model"]["trained_through"] == trained
            assert Path(row["model"]["path"]).is_file()


def test_a_model_that_was_kept_is_dated_by_the_month_that_fitted_it(root: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(root, tmp_path / "shop")
    models = moved / "lake" / "segmentation_models"
    shutil.copytree(models / "month=2024-02", models / "month=2024-01")
    manifest = Manifest.model_validate_json((models / "month=2024-01" / MANIFEST_FILE).read_text())
    earlier = manifest.model_copy(update={"partition": {"month": "2024-01"}})
    (models / "month=2024-01" / MANIFEST_FILE).write_text(earlier.model_dump_json())
    (models / "month=2024-01" / "rfm_grid.json").write_text("another")
    found = explain(open_pipeline(moved, **settings(root)).settings, CUSTOMERS[0], LAST)
    used = {row["segmentation"]: row["model"] for row in found.segments}
    assert {name: (model["in_force_since"], model["trained_through"]) for name, model in used.items()} == {
        "behaviour": ("2024-01", date(2023, 12, 31)),
        "rfm_grid": ("2024-02", CLOSE),
    }


def test_the_lists_say_arm_offer_channel_and_rank(root: Path, ask: Callable[..., Explanation]) -> None:
    folder = root / "lake" / "campaign_lists" / f"snapshot_date={LAST}"
    rows = pq.read_table(folder).to_pylist()
    for customer in (LAPSED, CUSTOMERS[0]):
        found = ask(customer)
        (expected,) = [row for row in rows if row["customer_id"] == customer]
        (told,) = found.lists
        for name in ("campaign", "segment", "arm", "rank", "offer", "channel", "reason"):
            assert told[name] == expected[name]
        assert told["customers"] == sum(row["campaign"] == expected["campaign"] for row in rows)
        assert found.on_no_list is None


def test_who_is_on_no_list_learns_why(root: Path, ask: Callable[..., Explanation]) -> None:
    objected = ask(OBJECTED)
    assert objected.lists == []
    assert objected.on_no_list == (
        f"the customer objected: the suppression file {root / 'objected.csv'} has the id"
    )
    assert ask(CUSTOMERS[0], CLOSE).on_no_list == (
        f"no lists are made for {CLOSE}; `retail-pipeline run --through {CLOSE}` makes them"
    )
    assert ask(RETURNED).on_no_list == "the customer is in no segment"


def test_who_is_on_a_list_by_settings_of_before_learns_it(root: Path) -> None:
    (other,) = {row["segment"] for row in assigned(root, LAPSED, LAST).values()}
    fewer = open_pipeline(root, **settings(root), campaigns={"win_back": None}).settings
    found = explain(fewer, LAPSED, LAST)
    assert other == "Lapsed"
    assert "settings have changed since this snapshot was made" in found.notes[0]
    without = {**settings(root), "suppression": None}
    released = explain(open_pipeline(root, **without).settings, OBJECTED, LAST)
    assert "the lists were made from other settings or objections; now " in str(released.on_no_list)
    lost = {**settings(root), "suppression": {"path": str(root / "gone.csv")}}
    (_, note) = explain(open_pipeline(root, **lost).settings, CUSTOMERS[0], LAST).notes
    assert "on lists that would not be made today: the suppression file" in note


def test_a_lapsed_customer_is_explained(ask: Callable[..., Explanation]) -> None:
    found = ask(LAPSED)
    assert found.features
    values = {name: found.features[name]["value"] for name in ("frequency", "avg_order_value")}
    assert values == {"frequency": 0, "avg_order_value": None}
    assert {row["segment"] for row in found.segments} == {"Lapsed"}
    assert [row["in_window"] for row in found.days] == [False]
    assert found.lists[0]["campaign"] == "win_back"


def test_a_customer_without_an_accepted_sale_is_explained(ask: Callable[..., Explanation]) -> None:
    returned, refused, padded = ask(RETURNED), ask(REFUSED), ask(PADDED)
    note = f"not in the snapshot, and so in no segment: no sale of this customer up to {LAST} was accepted"
    for found in (returned, refused, padded):
        assert (found.features, found.segments, found.notes) == (None, [], (note,))
    assert [(row["orders"], row["returned_amount"]) for row in returned.days] == [(0, Decimal(5))]
    kept = ("path", "source_row", "invoice_id", "reasons")
    assert [[row[name] for name in kept] for row in refused.rejected_rows] == [
        ["extra.csv", 3, "c-1", ["zero_price"]],
        ["extra.csv", 4, "c-2", ["zero_price"]],
    ]
    assert [row["source_row"] for row in padded.rejected_rows] == [5]


def test_rows_that_could_not_be_read_are_found_by_the_id_as_a_whole_field(
    ask: Callable[..., Explanation],
) -> None:
    for customer, row in ((ODD, 7), (UNREAD, 8), (f"{UNREAD} too", 9)):
        found = ask(customer)
        assert [(r["path"], r["source_row"]) for r in found.unreadable_rows] == [("extra.csv", row)]
        assert found.unreadable_rows[0]["reasons"] == ["quantity: 'a dozen' is not a number"]
        assert [r["unreadable"] for r in found.files] == [1]
    assert ask(f" {OBJECTED}.0 ") == ask(OBJECTED), "what a spreadsheet adds to an id is no part of it"


def test_nothing_after_the_day_is_read(root: Path, ask: Callable[..., Explanation], tmp_path: Path) -> None:
    moved = shutil.copytree(root, tmp_path / "shop")
    later = [path for path in moved.glob("lake/*/*date=2024-02-*/**/*.parquet") if path.is_file()]
    assert {path.relative_to(moved).parts[1] for path in later} >= {"transactions", "customer_days"}
    for path in later:
        path.write_bytes(b"damaged")
    found = explain(open_pipeline(moved, **settings(root)).settings, CUSTOMERS[0], CLOSE)
    assert found == replace(ask(CUSTOMERS[0], CLOSE), segments=found.segments)
    assert {row["date"] for row in found.days} == {
        row["date"] for row in ask(CUSTOMERS[0]).days if row["date"] <= CLOSE
    }


def test_no_other_customer_is_given_out(root: Path) -> None:
    everybody = {row["customer"].strip() for row in (*EXTRA, *sales(FIRST))} | set(CUSTOMERS)
    for customer, *arguments in ((CUSTOMERS[0],), (REFUSED, "--json"), (ODD,), (ODD, "--json")):
        said = call(root, "explain", customer, LAST, *arguments)
        assert said.exit_code == 0
        said_of = said.output.replace(json.dumps(customer), "").replace(customer, "")
        others = everybody - {customer, ""}
        assert [other for other in others if re.search(rf"\b{re.escape(other)}\b", said_of)] == []


def test_the_json_holds_everything_under_the_keys_of_the_docs(
    root: Path, ask: Callable[..., Explanation]
) -> None:
    told = json.loads(call(root, "explain", CUSTOMERS[0], LAST, "--json").output)
    assert told == json.loads(as_json(ask(CUSTOMERS[0])))
    docs = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    part = docs.split("## explain")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", part, re.M) == list(told)
    assert told["features"]["monetary"]["value"] == float(ask(CUSTOMERS[0]).features["monetary"]["value"])  # type: ignore[index]
    assert told["day"] == str(LAST)


def test_the_page_fits_a_hundred_columns_and_says_what_the_json_says(
    ask: Callable[..., Explanation],
) -> None:
    for customer in (CUSTOMERS[0], LAPSED, REFUSED, ODD):
        found, page = ask(customer), StringIO()
        print_explanation(Console(file=page, width=100, soft_wrap=True, highlight=False), found)
        said = page.getvalue()
        assert max(map(len, said.splitlines())) <= 100
        flat = " ".join(said.split())
        assert f"customer {customer} as of {LAST}" in flat
        for row in found.segments:
            assert row["reason"] in flat
        for row in found.lists:
            assert f"{row['offer']} by {row['channel']}; rank {row['rank']} of {row['customers']}" in flat
        if found.features:
            assert f"{found.features['monetary']['value']:,.2f} EUR" in flat
        if len(found.days) > MOST_ROWS:
            assert f"… {len(found.days) - MOST_ROWS} more" in flat
        assert all(str(row["date"]) in flat for row in found.days[-MOST_ROWS:])


def test_what_cannot_be_explained_is_refused_in_a_sentence(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for customer, day, message, *options in (
        ("70099", LAST, f"the snapshot of {LAST} has {len(CUSTOMERS) + 2} customers"),
        ("", LAST, "anonymous sales belong to nobody"),
        ("1", DAYS[-2], f"not made; the nearest made are {CLOSE} and {LAST}; `retail-pipeline run "),
        ("1", LAST + timedelta(days=1), f"the nearest made are {LAST}; "),
        ("1", FIRST - timedelta(days=1), f"is before the first delivery, {FIRST}"),
        ("1", LAST, "before the first delivery, of which there is none", "--lake", tmp_path / "empty"),
        (
            "1",
            LAST,
            f"there is no lake {tmp_path}/no: `retail-pipeline run` makes",
            "--lake",
            tmp_path / "no",
        ),
    ):
        said = call(root, "explain", customer, day, *options)
        assert said.exit_code == 2
        assert message in said.output


def test_every_line_of_synthetic_deliveries_is_explained_as_what_became_of_it(tmp_path: Path) -> None:
    first, last = date(2010, 12, 1), date(2010, 12, 3)
    synthetic.generate(tmp_path / "landing", 12_000, seed=4, first_day=first, last_day=last)
    chosen = load_settings(landing=tmp_path / "landing", lake=tmp_path / "lake", first_day=str(first))
    with dg.DagsterInstance.ephemeral() as instance:
        assert bring_up_to_date(Pipeline(chosen), instance, lambda: last).failures == []
    with duckdb.connect() as connection:
        lines = connection.execute(
            """select CustomerID, count(*),
                count(*) filter (try_cast(Quantity as int) is null or price is null
                    or try_cast(InvoiceDate as timestamp) is null),
                count(*) filter (price <= 0)
            from (
                select *, try_cast(UnitPrice as decimal(18, 4)) as price from read_csv(?, all_varchar = true)
            )
            where CustomerID is not null group by 1 order by 3, 4, 1""",
            [str(tmp_path / "landing" / "*.csv")],
        ).fetchall()
    dirtiest = lines[-15:]
    assert min(sum(column) for column in list(zip(*dirtiest, strict=True))[2:]) > 2
    for customer, delivered, unreadable, refused in (*lines[:3], *dirtiest):
        found = explain(chosen, customer, last)
        counts = [sum(file[kind] for file in found.files) for kind in ("lines", "rejected", "unreadable")]
        assert counts == [delivered - unreadable - refused, refused, unreadable]
        assert (len(found.rejected_rows), len(found.unreadable_rows)) == (refused, unreadable)
