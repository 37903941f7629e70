"""Which problems stand, that their keys last, and what the messages say."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import retail_pipeline
from retail_pipeline.planning.alerts import (
    KINDS,
    MOST_LINES,
    FailedWork,
    Problem,
    messages,
    of_days,
    of_models,
    of_work,
    of_yesterday,
    resolved,
)
from retail_pipeline.planning.manifests import CheckOutcome, Manifest, Part
from retail_pipeline.planning.state import State

RUNBOOK = Path(retail_pipeline.__file__).parents[1] / "docs" / "operations.md"


def refused(count: int) -> list[Problem]:
    return [
        Problem(
            "file_refused", f"file_refused.{n}", f"till_{n}.csv: no profile fits", f"id{n}", f"/assets/{n}"
        )
        for n in range(count)
    ]


def test_one_problem_is_one_message_with_what_to_do_and_where_to_look() -> None:
    (message,) = messages(refused(1), "https://dagster.shop/")
    assert message.title == "A file could not be read"
    assert message.severity == "failure"
    assert message.keys == ("file_refused.0",)
    assert message.body.splitlines() == [
        "till_0.csv: no profile fits",
        "None of its rows count; the other files landed.",
        "To do: Deliver it mended, and it heals by itself; `retail-pipeline quarantine show id0` says more",
        "https://dagster.shop/assets/0",
    ]
    (without_link,) = messages(refused(1))
    assert "http" not in without_link.body


def test_two_hundred_refused_files_are_one_message_with_their_number_and_the_first_five() -> None:
    (message,) = messages(refused(200))
    assert message.title == "200 files could not be read"
    assert len(message.keys) == 200
    lines = message.body.splitlines()
    assert lines[:MOST_LINES] == [f"- till_{n}.csv: no profile fits" for n in range(5)]
    assert lines[5].startswith("and 195 more")


def test_kinds_are_told_apart_and_the_worst_come_first() -> None:
    waits = list(of_models("2024-02", {"behaviour": ("abcdef0123", "silhouette 0.1 (at least 0.2)")}))
    failed = list(of_work([FailedWork("w1", "daily_job 2024-01-01", "held", "run1")]))
    told = messages([*waits, *failed, *refused(2)])
    assert [message.title for message in told] == [
        "2 files could not be read",
        "Work failed and is not tried again",
        "A model waits for a person",
    ]
    assert [message.severity for message in told] == ["failure", "failure", "warning"]
    assert "model show 2024-02 --segmentation behaviour" in told[-1].body


def test_a_new_candidate_that_waits_is_another_problem_and_a_retry_of_the_same_work_is_none() -> None:
    one, other = (next(of_models("2024-02", {"a": (content, "why")})) for content in ("11111111", "22222222"))
    assert one.key != other.key
    first, again = (next(of_work([FailedWork("w1", "job", "why", run)])) for run in ("run1", "run2"))
    assert first.key == again.key


def test_other_rows_of_a_day_that_are_held_too_are_another_problem() -> None:
    """Who delivered a day anew must hear that it did not help."""
    day = date(2024, 1, 4)

    def manifest(**more: Any) -> Manifest:
        known: dict[str, Any] = {"table": "", "partition": {}, "rows": 1, "code_version": "1"}
        return Manifest(**known, schema_fingerprint="", **more)

    def problem(content: str) -> Problem:
        failed = CheckOutcome(states="currency is EUR", blocking=True, count=2)
        landed = manifest(
            content="",
            inputs={"source_system": "till"},
            counts={"rows_read": 1, "unreadable": 0},
            parts={day: Part(rows=1, content="")},
        )
        made = manifest(content=content, inputs={}, failures=(failed,))
        (found,) = of_days(State(landed={"file": landed}, made={"transactions": {day: made}}))
        return found

    assert problem("aaaaaaaa").key == problem("aaaaaaaa").key
    assert problem("aaaaaaaa").key != problem("bbbbbbbb").key
    assert problem("aaaaaaaa").what == "2024-01-04: 2 rows against «currency is EUR»"


def test_deliveries_that_stay_away_are_one_problem_for_as_long_as_nothing_newer_comes() -> None:
    last = date(2024, 3, 1)
    keys = {next(of_yesterday(date(2024, 3, n), last, "nothing came", "")).key for n in (2, 3, 4)}
    assert keys == {"delivery_late.2024-03-01"}
    (unmade,) = of_yesterday(date(2024, 3, 2), last, "", "no lists")
    assert unmade.key == "yesterday_unmade.2024-03-02"
    assert not list(of_yesterday(date(2024, 3, 2), last, "", ""))


def test_long_texts_are_cut_to_a_line() -> None:
    (message,) = messages([Problem("day_held", "k", "2024-01-01: " + "many\nwords " * 200, "2024-01-01")])
    assert max(map(len, message.body.splitlines())) <= 410
    assert "\nwords" not in message.body


def test_what_is_gone_is_said_in_one_message() -> None:
    assert resolved({}) == []
    (message,) = resolved({f"k{n}": f"file {n}" for n in range(7)})
    assert message.title == "7 problems are gone"
    assert message.severity == "success"
    assert message.body.endswith("and 2 more")


@pytest.mark.parametrize("kind", KINDS)
def test_the_runbook_explains_every_problem(kind: str) -> None:
    section = RUNBOOK.read_text(encoding="utf-8").split("\n## Alerts\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+ \| [^|]+?) \|", section, re.M))
    assert rows.keys() == KINDS.keys()
    assert rows[kind] == f"{KINDS[kind].severity} | {KINDS[kind].one}"
