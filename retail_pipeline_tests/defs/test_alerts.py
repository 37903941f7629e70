"""Alerts that really arrive, each once, and the facts that they rest on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.alerts import AlertError, Standing, targets, tell
from retail_pipeline.defs.alerts import standing as stands_now
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.sensors import alert
from retail_pipeline.lake.alerts_sent import read_told
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline.planning.alerts import Problem
from retail_pipeline.settings import ALERT_URLS, load_settings
from retail_pipeline_tests.defs.support import land, make_days, open_pipeline
from retail_pipeline_tests.defs.test_sensors import MAKES, SETTINGS, execute, tick
from retail_pipeline_tests.shop import CUSTOMERS, FIRST, deliver, sales, span, write

DAYS = span(FIRST, 2)
MORNING = datetime.fromisoformat(f"{DAYS[-1] + timedelta(1)}T12:00+00:00")


@pytest.fixture
def dry(tmp_path: Path) -> Pipeline:
    """A pipeline whose alerts go to a file."""
    (tmp_path / "landing").mkdir()
    return open_pipeline(tmp_path, alerts={"dry_run": str(tmp_path / "sent.jsonl")}, **SETTINGS)


def sent(pipeline: Pipeline) -> list[dict[str, str]]:
    """The alerts in the file."""
    path = pipeline.settings.alerts.dry_run
    assert path
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def webhook(works: bool = True) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web-hook on this machine: its address for apprise, and what it was sent."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if works:
                received.append(json.loads(body))
            self.send_response(200 if works else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"json://ana:secret@127.0.0.1:{server.server_port}/hook-token", received
        finally:
            server.shutdown()
            thread.join()


def standing(*names: str) -> Standing:
    return Standing(
        [Problem("file_refused", f"file_refused.{name}", f"{name}: no profile fits") for name in names]
    )


def test_a_refused_file_and_a_held_day_are_told_once_and_healed_told_as_gone(
    tmp_path: Path, instance: dg.DagsterInstance
):
    """The story of a morning: the dry-run file gets what Slack would get."""
    settings = {"dry_run": str(tmp_path / "sent.jsonl"), "resolved": True, "ui": "http://dagster:3000"}
    pipeline = open_pipeline(tmp_path, alerts=settings, **SETTINGS)
    deliver(pipeline.settings.landing, DAYS[:1])
    deliver(pipeline.settings.landing, DAYS[1:], currency="USD")
    (pipeline.settings.landing / "stock.csv").write_text("shelf,count\nA,1\n")
    land(pipeline, instance)
    make_days(pipeline, instance, DAYS)
    assert "2 messages sent" in alert(instance, pipeline, MORNING)
    assert [(line["severity"], line["title"]) for line in sent(pipeline)] == [
        ("failure", "A file could not be read"),
        ("failure", "A day is held"),
    ]
    refused, held = (line["body"] for line in sent(pipeline))
    assert refused.startswith("stock.csv: ")
    assert "http://dagster:3000/assets/raw_transactions?view=partitions&partition=stock.csv@" in refused
    assert held.startswith(f"{DAYS[1]}: ")
    assert f"retail-pipeline days release {DAYS[1]} --why …" in held
    assert not [customer for customer in CUSTOMERS if customer in refused + held]

    for _ in range(2):
        assert alert(instance, pipeline, MORNING) == "2 problems stand"
    with dg.DagsterInstance.ephemeral() as another:
        assert alert(another, pipeline, MORNING) == "2 problems stand", "a restart tells nothing twice"
    assert len(sent(pipeline)) == 2

    (pipeline.settings.landing / "stock.csv").unlink()
    assert alert(instance, pipeline, MORNING) == "1 problems stand; 1 problems are gone"
    assert sent(pipeline)[-1] == {
        "severity": "success",
        "title": "A problem is gone",
        "body": "- " + refused.splitlines()[0],
    }
    (pipeline.settings.landing / "stock.csv").write_text("shelf,count\nA,1\n")
    assert "1 messages sent" in alert(instance, pipeline, MORNING), "it is back"


def test_it_arrives_through_apprise_and_no_secret_is_shown(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    pipeline = open_pipeline(tmp_path, **SETTINGS)
    with webhook() as (url, received), webhook() as (other, too):
        monkeypatch.setenv(ALERT_URLS, f"{url}, {other}")
        to = targets(pipeline.settings)
        said = tell(pipeline, standing("till.csv"), to)
    for got in (received, too):
        (message,) = got
        assert message["title"] == "A file could not be read"
        assert message["message"].startswith("till.csv: no profile fits")
        assert message["type"] == "failure"
    (told,) = read_told(pipeline.lake).values()
    shown = f"{to} {told} {said} {pipeline.settings!r} {caplog.text}"
    assert [target.shown for target in to] == ["address 1 (JSON)", "address 2 (JSON)"]
    for secret in ("secret", "hook-token", "127.0.0.1"):
        assert secret not in shown


def test_a_target_that_cannot_be_reached_is_told_later_and_the_others_not_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pipeline = open_pipeline(tmp_path, **SETTINGS)
    with webhook() as (url, received), webhook(works=False) as (down, nothing):
        monkeypatch.setenv(ALERT_URLS, f"{url} {down}")
        to = targets(pipeline.settings)
        for expected in (["1 messages sent"], []):
            assert tell(pipeline, standing("a.csv"), to) == [
                *expected,
                "address 2 (JSON) could not be reached: tried again at the next tick",
            ]
        assert len(received) == 1
        assert not nothing
        # it is back
        assert tell(
            pipeline, standing("a.csv"), [to[0], to[1].__class__(to[1].name, "", lambda message: True)]
        ) == ["1 messages sent"]
        assert tell(pipeline, standing("a.csv"), to) == []
        assert tell(pipeline, standing("a.csv", "b.csv"), to[:1]) == ["1 messages sent"]
    assert received[-1]["message"].startswith("b.csv")


def test_what_cannot_be_looked_for_is_not_gone_and_a_damaged_record_is_told_again(dry: Pipeline):
    to = targets(dry.settings)
    tell(dry, standing("a.csv"), to)
    (record,) = (dry.lake.root / ".alerts").iterdir()
    record.write_text("{")
    assert tell(dry, standing("a.csv"), to) == ["1 messages sent"]
    tell(dry, Standing([], complete=False), to)
    assert len(read_told(dry.lake)) == 1
    assert tell(dry, Standing([]), to) == ["1 problems are gone"]
    assert not read_told(dry.lake)


def test_without_an_address_the_tick_says_what_stands_and_that_nobody_is_told(
    dry: Pipeline, instance: dg.DagsterInstance
):
    silent = open_pipeline(dry.lake.root.parent, **SETTINGS)
    silent.settings.landing.rmdir()
    sensor = build_defs(silent.settings).get_repository_def().get_sensor_def("failure_alert_sensor")
    with dg.build_sensor_context(instance=instance, resources={"pipeline": silent}) as context:
        said = sensor.evaluate_tick(context).skip_message
    assert said == (
        f"1 problems stand (`retail-pipeline alerts list`); nobody is told: {ALERT_URLS} is not set"
    )
    assert "1 messages sent" in alert(instance, dry, MORNING)
    assert sent(dry)[0]["title"] == "The landing folder cannot be read"


def test_a_damaged_lake_is_told_too(dry: Pipeline, instance: dg.DagsterInstance):
    manifest = dry.lake.partition("transactions", {"date": str(FIRST)}) / "_manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{")
    assert "1 messages sent" in alert(instance, dry, MORNING)
    assert sent(dry)[0]["title"] == "The lake cannot be read"
    assert str(manifest) in sent(dry)[0]["body"]


def test_what_cannot_be_recorded_is_told_once_all_the_same(dry: Pipeline):
    dry.lake.root.mkdir()
    (dry.lake.root / ".alerts").write_text("in the way of the folder")
    to = targets(dry.settings)
    with pytest.raises(LakeError, match="cannot be written"):
        tell(dry, standing("a.csv"), to)
    assert tell(dry, standing("a.csv"), to) == []
    assert len(sent(dry)) == 1


def test_the_nightly_look_finds_all_that_is_damaged_and_people_are_told_until_it_is_whole(
    dry: Pipeline, instance: dg.DagsterInstance
):
    deliver(dry.settings.landing, DAYS)
    land(dry, instance)
    make_days(dry, instance, DAYS)

    def look() -> None:
        job = build_defs(dry.settings).resolve_job_def("damage_job")
        assert job.execute_in_process(instance=instance).success

    look()
    assert "lake_damaged" not in {p.kind for p in standing_now(dry, instance)}
    files = [dry.lake.data("customer_days", {"date": str(day)}) for day in DAYS]
    whole = [path.read_bytes() for path in files]
    for path in files:
        path.write_bytes(b"torn")
    look()
    (problem,) = [p for p in standing_now(dry, instance) if p.kind == "lake_damaged"]
    for path in files:
        assert f"{path} is not what its manifest says: remove {path.parent} and run again" in problem.what
    # the next look has begun, and fails
    job = build_defs(dry.settings).resolve_job_def("damage_job")
    begun = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    planned = AssetCheckEvaluationPlanned(asset_key=dg.AssetKey("deliveries"), check_name="lake_is_whole")
    event = dg.DagsterEvent("ASSET_CHECK_EVALUATION_PLANNED", job.name, event_specific_data=planned)
    instance.report_dagster_event(event, begun.run_id)
    assert problem in standing_now(dry, instance), "it is not gone while somebody looks"
    instance.report_run_failed(begun)
    kinds = {p.kind for p in standing_now(dry, instance)}
    assert kinds >= {"lake_damaged", "work_failed"}

    for path, content in zip(files, whole, strict=True):
        path.write_bytes(content)
    look()
    assert "work_failed" not in {p.kind for p in standing_now(dry, instance)}
    assert "lake_damaged" not in {p.kind for p in standing_now(dry, instance)}


@pytest.mark.parametrize("broken", ["gone", "old"])
def test_a_suppression_file_that_holds_the_lists_back_is_told_by_what_mends_it(
    tmp_path: Path, instance: dg.DagsterInstance, broken: str
):
    objected = tmp_path / "objected.csv"
    objected.write_text("customer_id\nC1\n")
    suppression = {"path": str(objected), "max_age_days": 7}
    shop = open_pipeline(tmp_path, suppression=suppression, **SETTINGS)
    deliver(shop.settings.landing, DAYS)
    land(shop, instance)
    assert "suppression_unusable" not in {p.kind for p in standing_now(shop, instance)}
    if broken == "gone":
        objected.unlink()
    else:
        long_ago = (MORNING - timedelta(30)).timestamp()
        os.utime(objected, (long_ago, long_ago))
    (problem,) = [p for p in standing_now(shop, instance) if p.kind == "suppression_unusable"]
    assert str(objected) in problem.what
    assert ("restore it" if broken == "gone" else "deliver a newer one") in problem.what


def standing_now(pipeline: Pipeline, instance: dg.DagsterInstance) -> list[Problem]:
    return stands_now(pipeline, instance, MORNING, busy=False).problems


def test_work_that_is_not_tried_again_is_told_with_its_run(dry: Pipeline, instance: dg.DagsterInstance):
    write(dry.settings.landing / "a.csv", sales(FIRST))
    land(dry, instance)
    make_days(dry, instance, [FIRST])
    (torn,) = dry.lake.partition("raw_transactions", {"date": str(FIRST)}).glob("*.parquet")
    torn.write_bytes(b"torn")
    stale = open_pipeline(
        dry.lake.root.parent,
        cleaning={"minimum_price": "2"},
        alerts=dry.settings.alerts.model_dump(),
        **SETTINGS,
    )
    now = MORNING.replace(hour=7) - timedelta(1)
    assert alert(instance, stale, now) == "no problem stands"
    execute(stale, instance, tick(stale, instance, MAKES).run_requests)
    assert "1 messages sent" in alert(instance, stale, now)
    (message,) = sent(stale)
    assert message["title"] == "Work failed and is not tried again"
    assert message["body"].startswith(f"daily_job {FIRST}: 1 day could not be made")


def test_yesterday_is_told_when_it_should_be_there_and_is_not(dry: Pipeline, instance: dg.DagsterInstance):
    deliver(dry.settings.landing, DAYS[:1])
    land(dry, instance)
    assert alert(instance, dry, MORNING.replace(hour=7)) == "no problem stands"
    assert "1 messages sent" in alert(instance, dry, MORNING)
    assert sent(dry)[0]["title"] == "Yesterday is not made"
    assert sent(dry)[0]["body"].startswith(f"{DAYS[1]} has no snapshot")
    assert alert(instance, dry, MORNING + timedelta(60)) == "no problem stands; 1 problems are gone"


@pytest.mark.parametrize("urls", ["slak://x/y", "nonsense"])
def test_an_address_that_apprise_does_not_know_is_refused_without_showing_it(
    urls: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(ALERT_URLS, urls)
    with pytest.raises(AlertError, match="address 1 of 1") as refused:
        targets(load_settings())
    assert urls not in str(refused.value)
