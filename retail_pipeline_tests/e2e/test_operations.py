"""A shop's day as whoever is on call sees it: Postgres, daemon and webserver as deployed, a browser, alerts.

Files are dropped and nothing else is touched; what follows must come by itself, in the order of the tests:
good and bad files come; one is corrected, the bad one is mended, and the daemon is killed with all that it
started.

Where the environment's ``PICTURES`` names a folder, what is seen is kept there for docs/images.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from retail_pipeline.lake.lock import is_held
from retail_pipeline.lake.partitions import Lake
from retail_pipeline_tests.command import retail_pipeline
from retail_pipeline_tests.e2e.conftest import REPOSITORY, ask, expect_value
from retail_pipeline_tests.postgres import NEEDS_POSTGRES, running_postgres
from retail_pipeline_tests.processes import Process, free_port, started, until, wait_until_served
from retail_pipeline_tests.shop import PROFILE, Line, sales, settings_file, span, write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("operations"), NEEDS_POSTGRES]

FIRST, SECOND, THIRD = span(date(2024, 1, 1), 3)
RUBBISH = "<html><body><h1>502 Bad Gateway</h1></body></html>\n"
REASON = "is a web page or XML inside, whatever its name"
UNREAD = "A file could not be read"
CORRECTED = sales(SECOND)[3:]
UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED")
# of a landing, its days and their snapshot, on a machine that is busy with other tests
RUNS_SECONDS = 240
SETTINGS: Mapping[str, Any] = {
    "landing": "landing",
    "lake": "lake",
    "sources": {"corner_shop": {**PROFILE, "replaces": "same_name"}},
    "arrival": {"complete_when": "renamed"},
    "segmentations": {"spend_tiers": {}},
    "default_campaigns": "spend_tiers",
    "sensors": {"every_seconds": 1},
    "last_day": "2024-01-07",
}


@dataclass(frozen=True)
class Installation:
    """A shop with its services as deploy/README.md sets them up, and the alerts that reached its webhook."""

    folder: Path
    deployed: Mapping[str, str]
    port: int
    alerts: list[dict[str, str]] = field(default_factory=list)

    def service(self, *command: str) -> AbstractContextManager[Process]:
        """One of the services, with a log of its own."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RETAIL_PIPELINE_")}
        return started(command, {**ours, **self.deployed}, REPOSITORY, self.log(command[0]))

    def log(self, command: str) -> Path:
        return self.folder / f"{command}.log"

    def deliver(self, day: date, content: str | list[Line]) -> None:
        """Put a day's file into landing as a well-behaved shop does: written aside, then renamed."""
        path = self.folder / "landing" / f"{day}.csv"
        aside = path.with_name(f".{path.name}")
        if isinstance(content, str):
            aside.write_text(content)
        else:
            write(aside, content)
        aside.rename(path)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def has_lists_of(self, day: date) -> bool:
        return any(self.lake.glob(f"campaign_lists/snapshot_date={day}/*/*.json"))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command under the services' environment."""
        return retail_pipeline(*arguments, cwd=self.folder, **self.deployed)

    def said(self, title: str) -> list[str]:
        return [alert["message"] for alert in self.alerts if alert["title"] == title]


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """The port of a webhook, and what was posted to it."""
    posted: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, posted
        server.shutdown()


@pytest.fixture(scope="module")
def installation(
    chromium: str, webhook: tuple[int, list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Postgres, the deployed dagster.yaml, settings and environment; no service runs yet."""
    folder, port = tmp_path_factory.mktemp("operations"), free_port()
    for name in ("landing", "dagster_home"):
        (folder / name).mkdir()
    shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", folder / "dagster_home")
    alerts = {"ui": f"http://127.0.0.1:{port}", "resolved": True}
    settings_file(folder / "settings.yaml", **SETTINGS, alerts=alerts)
    hook, posted = webhook
    with running_postgres() as server:
        deployed = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DAGSTER_HOME": str(folder / "dagster_home"),
            "DAGSTER_PG_HOST": server.host,
            "DAGSTER_PG_PORT": str(server.port),
            "DAGSTER_PG_DB": server.dbname,
            "DAGSTER_PG_USERNAME": server.user,
            "DAGSTER_PG_PASSWORD": server.password,
            "DAGSTER_COMPUTE_LOGS": str(folder / "dagster_logs"),
            "RETAIL_PIPELINE_SETTINGS": str(folder / "settings.yaml"),
            "RETAIL_PIPELINE_ALERT_URLS": f"json://127.0.0.1:{hook}/",
        }
        yield Installation(folder, deployed, port, posted)


@pytest.fixture(scope="module")
def ui(installation: Installation) -> Iterator[str]:
    port = str(installation.port)
    command = ("dagster-webserver", "-w", "workspace.yaml", "--host", "127.0.0.1", "--port", port)
    with installation.service(*command) as process:
        wait_until_served(process, installation.port, installation.log(command[0]))
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def services() -> Iterator[ExitStack]:
    """Whatever was started in a test's course is ended after the last, Postgres and webserver later still."""
    with ExitStack() as stack:
        yield stack


def start_daemon(installation: Installation, services: ExitStack) -> Process:
    return services.enter_context(installation.service("dagster-daemon", "run", "-w", "workspace.yaml"))


@pytest.fixture(scope="module")
def delivered(installation: Installation, ui: str, services: ExitStack) -> Process:
    """Two days' files come, and a third that is none; the daemon."""
    daemon = start_daemon(installation, services)
    installation.deliver(FIRST, sales(FIRST))
    installation.deliver(SECOND, sales(SECOND))
    installation.deliver(THIRD, RUBBISH)
    return daemon


@pytest.fixture(scope="module")
def corrected(
    installation: Installation, delivered: Process, browser: Browser, ui: str, services: ExitStack
) -> None:
    """All that came is made; then one file is corrected, the bad one mended, and the daemon dies over it."""
    page = browser.new_page(base_url=ui)
    until(lambda: installation.has_lists_of(SECOND) and not runs(page, *UNDER_WAY), RUNS_SECONDS, "no lists")
    installation.deliver(SECOND, CORRECTED)
    installation.deliver(THIRD, sales(THIRD))
    lands = partial(is_held, Lake(installation.lake))
    until(lands, RUNS_SECONDS, "nothing lands", installation.log("dagster-daemon"))
    # with all that it started, as when the machine is cut from its power
    os.killpg(delivered.pid, signal.SIGKILL)
    page.close()
    start_daemon(installation, services)


def test_files_land_but_for_the_one_that_is_none(page: Page, delivered: Process):
    page.goto("/assets/raw_transactions?view=partitions")
    soon(page.get_by_text("Materialized (2)"))
    expect(page.get_by_text("Failed (1)")).to_be_visible()


def test_their_days_turn_green(page: Page, delivered: Process, installation: Installation):
    page.goto(f"/assets/transactions?view=partitions&partition={SECOND}")
    soon(page.get_by_text("Materialized (2)"))
    page.reload()
    expect_value(page, "dagster/partition_row_count", str(len(sales(SECOND))))
    page.goto(f"/assets/campaign_lists?view=partitions&partition={SECOND}")
    soon(page.get_by_text("Materialized (1)"))
    page.reload()
    expect(page.get_by_text("View all historical events (1)")).to_be_visible()
    keep(page, "days")
    assert installation.has_lists_of(SECOND)


def test_the_alert_says_what_is_wrong_and_leads_to_it(
    page: Page, delivered: Process, installation: Installation
):
    (body,) = until(
        lambda: installation.said(UNREAD), RUNS_SECONDS, "no alert", installation.log("dagster-daemon")
    )
    assert body.startswith(f"2024-01-03.csv: {REASON}")
    page.goto(body.splitlines()[-1])
    expect(page.get_by_text("failed, and did not materialize this asset.")).to_be_visible()
    keep(page, "file")
    page.get_by_role("button", name="View logs").click()
    expect(page.get_by_text(REASON).last).to_be_visible()
    keep(page, "reason")


def test_the_command_says_so_too(delivered: Process, installation: Installation):
    until(lambda: installation.said(UNREAD), RUNS_SECONDS, "no alert")
    listed = installation.command("quarantine", "list")
    assert "2024-01-03.csv" in listed.stdout
    assert "is a web page" in listed.stdout
    standing = installation.command("alerts", "list")
    assert standing.returncode == 1
    assert f"{UNREAD} (told): 2024-01-03.csv" in standing.stdout


def test_the_days_of_a_corrected_file_are_redone(page: Page, corrected: None, installation: Installation):
    page.goto(f"/assets/transactions?view=partitions&partition={SECOND}")
    soon(page.get_by_text("Materialized (3)"))
    page.reload()
    expect(page.get_by_text("View all historical events (2)")).to_be_visible()
    expect_value(page, "dagster/partition_row_count", str(len(CORRECTED)))
    keep(page, "redone")
    page.goto(f"/assets/campaign_lists?view=partitions&partition={THIRD}")
    soon(page.get_by_text("Materialized (2)"))
    (raw,) = installation.lake.glob(f"raw_transactions/date={SECOND}/*.parquet")
    assert pq.read_metadata(raw).num_rows == len(CORRECTED)


def test_a_mended_file_heals(page: Page, corrected: None, installation: Installation):
    page.goto("/assets/raw_transactions?view=partitions")
    soon(page.get_by_text("Failed (0)"))
    expect(page.get_by_text("Materialized (4)")).to_be_visible()
    (body,) = until(lambda: installation.said("A problem is gone"), RUNS_SECONDS, "no word that it is gone")
    assert REASON in body
    assert "no file is in quarantine" in installation.command("quarantine", "list").stdout
    until(lambda: not runs(page, *UNDER_WAY) and installation.has_lists_of(THIRD), RUNS_SECONDS, "no lists")
    assert installation.command("status", "--through", str(THIRD)).returncode == 0


def test_what_the_killed_daemon_left_is_done_again_and_nobody_is_woken(
    page: Page, corrected: None, installation: Installation
):
    until(lambda: runs(page, "SUCCESS") and not runs(page, *UNDER_WAY), RUNS_SECONDS, "runs do not end")
    page.goto("/runs")
    expect(page.get_by_text("attempt: 2")).to_be_visible()
    keep(page, "runs")
    killed, refused = runs(page, "FAILURE")
    assert (killed["jobName"], refused["jobName"]) == ("landing_job", "landing_job")
    page.goto(f"/runs/{killed['runId']}")
    expect(page.get_by_text("the process that ran it was killed").first).to_be_visible()
    assert [alert["title"] for alert in installation.alerts] == [UNREAD, "A problem is gone"]


RUNS = """
query Runs($statuses: [RunStatus!]) {
  runsOrError(filter: {statuses: $statuses}) {
    ... on Runs { results { runId jobName } }
  }
}
"""


def runs(page: Page, *statuses: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = ask(page, RUNS, statuses=statuses)["runsOrError"]["results"]
    return found


def soon(shown: Locator) -> None:
    """Expect to be shown what runs have to make first."""
    expect(shown).to_be_visible(timeout=RUNS_SECONDS * 1000)


def keep(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        page.set_viewport_size({"width": 1400, "height": 700})
        page.wait_for_load_state("networkidle")
        page.screenshot(path=Path(folder) / f"operations-{name}.png")
