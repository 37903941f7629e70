"""A filled instance with its Dagster UI, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from retail_pipeline.datasets.synthetic import generate
from retail_pipeline_tests.processes import free_port, started, wait_until_served

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST_DAY, LAST_DAY = date(2011, 1, 4), date(2011, 2, 11)
# generous: the machine may be busy with other tests
RUN_SECONDS = 120
LOOK_SECONDS = 30
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# nothing of the browser's own may go out, so that a request that leaves the machine is the page's
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Shop:
    """A landing folder whose lake and Dagster instance ``retail-pipeline run`` has filled."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def dagster_home(self) -> Path:
        return self.folder / "dagster_home"


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is on the PATH (apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def shop(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Some six weeks of a small shop, brought up to date by the command."""
    folder = tmp_path_factory.mktemp("shop")
    settings = folder / "settings.yaml"
    settings.write_text(
        f"landing: landing\nlake: lake\ntime_zone: Europe/London\ncurrency: GBP\n"
        f"first_day: {FIRST_DAY}\nlast_day: {LAST_DAY}\n"
    )
    generate(folder / "landing", lines=6_000, seed=1, first_day=FIRST_DAY, last_day=LAST_DAY)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("RETAIL_PIPELINE_")}
    shop = Shop(
        folder,
        {
            **outside,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DAGSTER_HOME": str(folder / "dagster_home"),
            "RETAIL_PIPELINE_SETTINGS": str(settings),
        },
    )
    ran = subprocess.run(
        ["retail-pipeline", "run"], env=shop.environment, cwd=folder, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return shop


@pytest.fixture(scope="module")
def ui(shop: Shop) -> Iterator[str]:
    """The address of the Dagster UI, started as ``make ui`` starts it."""
    port, log = free_port(), shop.folder / "ui.log"
    command = ["dg", "dev", "-w", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with started(command, shop.environment, REPOSITORY, log) as process:
        wait_until_served(process, port, log)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, ui: str) -> Iterator[Page]:
    """A page that may ask this machine only: a request to another is stopped, and fails the test."""
    context = browser.new_context(
        base_url=ui, viewport={"width": 1600, "height": 900}, service_workers="block"
    )
    left: list[str] = []
    here = ui.removeprefix("http")

    def stay(route: Route) -> None:
        if route.request.url.startswith((ui, "data:", "blob:")):
            route.continue_()
        else:
            left.append(route.request.url)
            route.abort()

    context.route("**/*", stay)
    context.set_default_timeout(LOOK_SECONDS * 1000)
    expect.set_options(timeout=LOOK_SECONDS * 1000)
    page = context.new_page()
    page.on("websocket", lambda opened: None if here in opened.url else left.append(opened.url))
    page.add_locator_handler(
        page.get_by_text("Join the Dagster community"),
        lambda: page.get_by_role("button", name="Skip").click(),
    )
    yield page
    context.close()
    assert not left, f"the UI reached out to {left}"


def ask(page: Page, query: str, **variables: Any) -> Any:
    answer = page.request.post("/graphql", data={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def row(page: Page, first: str) -> Locator:
    """The row of a table of the UI that begins with a cell."""
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=first, exact=True))


def expect_value(page: Page, key: str, value: str) -> None:
    expect(row(page, key).get_by_role("cell", name=value).last).to_be_visible()
