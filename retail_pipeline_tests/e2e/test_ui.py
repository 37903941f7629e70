"""What a person sees and does in the Dagster UI, in a real browser on an instance that the command filled."""

import re
from collections import Counter

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from retail_pipeline.tables import TABLES
from retail_pipeline_tests.e2e.conftest import FIRST_DAY, LAST_DAY, RUN_SECONDS, Shop, ask, expect_value, row

# one UI serves them all: keep them on one worker
pytestmark = pytest.mark.xdist_group("ui")

TABLE = TABLES["segment_assignments"]
LAYERS = ("landing", "transactions", "features", "segments", "campaigns")


def test_graph_shows_the_layers_and_leads_to_a_table(page: Page):
    page.goto("/")
    page.locator("a[href='/asset-groups']").click()
    graph = page.locator("foreignObject")
    for layer in LAYERS:
        expect(graph.get_by_text(layer, exact=True)).to_be_visible()
    graph.get_by_text("segments", exact=True).click()
    # a small node shortens its table's name in the middle
    graph.get_by_text(re.compile("^segme.*_assignments$")).click()
    expect(page.get_by_text(TABLE.meaning)).to_be_visible()
    page.get_by_role("link", name="View in Asset Catalog").click()
    expect(page).to_have_url(re.compile("/assets/segment_assignments"))


def test_code_location_and_daemons_are_well(page: Page):
    page.goto("/locations")
    expect(page.get_by_role("link", name="retail_pipeline").first).to_be_visible()
    expect(page.get_by_text("Loaded", exact=True)).to_be_visible()
    page.goto("/health")
    for daemon in ("Sensors", "Scheduler", "Run queue"):
        expect(row(page, daemon)).to_contain_text("Running")


def test_asset_page_says_what_the_table_is_and_where(page: Page, shop: Shop):
    page.goto("/assets/segment_assignments")
    expect(page.get_by_text(TABLE.meaning)).to_be_visible()
    expect(page.get_by_role("link", name="segments", exact=True)).to_be_visible()
    for fact in ("data-platform", "DuckDB", "Parquet", str(shop.lake / TABLE.name)):
        expect(page.get_by_text(fact, exact=True)).to_be_visible()
    for column in TABLE.columns:
        expect(row(page, column.name)).to_contain_text(str(column.type))
        expect(row(page, column.name)).to_contain_text(column.meaning.replace("`", ""))


def test_asset_page_shows_the_figures_of_the_lake(page: Page, shop: Shop):
    folder = shop.lake / TABLE.name / f"snapshot_date={LAST_DAY}"
    rows = pq.read_table(folder)
    sizes = Counter(zip(rows["segmentation"].to_pylist(), rows["segment"].to_pylist(), strict=True))
    page.goto("/assets/segment_assignments")
    expect(page.get_by_text(str(LAST_DAY), exact=True)).to_be_visible()
    expect_value(page, "dagster/partition_row_count", str(len(rows)))
    expect_value(page, "path", str(folder))
    for (segmentation, segment), size in sizes.items():
        expect_value(page, f"{segmentation}: {segment}", str(size))


def test_checks_are_green_and_show_their_figures(page: Page, shop: Shop):
    rows = pq.read_metadata(shop.lake / "transactions" / f"date={LAST_DAY}" / "part-0.parquet").num_rows
    page.goto("/assets/transactions")
    page.get_by_role("tab", name="Checks").click()
    for check in ("no_row_is_lost", "transactions_are_valid"):
        page.get_by_text(check, exact=True).first.click()
        expect(page.get_by_text("Passed", exact=True)).to_be_visible()
        expect(page.get_by_text("This is a blocking asset check.")).to_be_visible()
        expect(page.get_by_text(str(LAST_DAY), exact=True)).to_be_visible()
    page.get_by_text("no_row_is_lost", exact=True).first.click()
    expect(page.get_by_text("Raw rows = transactions + rejected rows.")).to_be_visible()
    expect_value(page, "transactions", str(rows))


def test_materializing_one_day_in_the_dialog_succeeds(page: Page):
    days = (LAST_DAY - FIRST_DAY).days + 1
    page.goto("/assets/segment_assignments")
    page.get_by_role("tab", name="Partitions").click()
    expect(page.get_by_text(f"{days} Partitions Selected")).to_be_visible()
    page.get_by_role("button", name="Materialize").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Latest").click()
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Launch 1 run").click()
    page.get_by_role("link", name="View", exact=True).click()
    expect(page).to_have_url(re.compile("/runs/"))
    expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=RUN_SECONDS * 1000)
    run = ask(page, RUN, run=page.url.partition("/runs/")[2][:36])["runOrError"]
    assert run == {
        "status": "SUCCESS",
        "assetMaterializations": [
            {"assetKey": {"path": ["segment_assignments"]}, "partition": str(LAST_DAY)}
        ],
    }


def test_telemetry_stays_off(shop: Shop, page: Page):
    page.goto("/")
    expect(page.get_by_role("link", name="Overview").first).to_be_visible()
    # Dagster collects here what it is about to send
    kept = [path for folder in ("logs", ".logs_queue") for path in (shop.dagster_home / folder).glob("*")]
    assert kept == []


RUN = """
query Run($run: ID!) {
  runOrError(runId: $run) {
    ... on Run { status assetMaterializations { assetKey { path } partition } }
  }
}
"""
