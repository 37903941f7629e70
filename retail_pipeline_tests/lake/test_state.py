"""What is there, read back from the lake: for the planner, and nothing concluded."""

from __future__ import annotations

import errno
import os
import re
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from retail_pipeline.lake.partitions import Lake, LakeError, write_manifest
from retail_pipeline.lake.records import forget, record, records
from retail_pipeline.lake.state import RELEASED_FILE, read_state
from retail_pipeline.planning.arrivals import FileSeen, Refusal
from retail_pipeline.planning.decisions import DayRelease, ListRelease
from retail_pipeline.planning.manifests import Frozen, Manifest, Part
from retail_pipeline.planning.state import State

DAY = date(2011, 3, 5)
RELEASE = DayRelease(day=DAY, content="abc", why="the till was closed for stocktaking", by="anne")
REFUSAL = Refusal(path="a.csv", size_bytes=3, sha256="a" * 64, reason="is empty", tried_with="profiles")
LIST_RELEASE = ListRelease(day=DAY, campaign="pamper", content="c", why="the spring mailing", by="anne")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def manifest(table: str, **partition: str) -> Manifest:
    return Manifest(
        table=table,
        partition=partition,
        rows=1,
        content="c",
        inputs={"source_system": "till"},
        code_version="1",
        schema_fingerprint="s",
        parts={DAY: Part(rows=1, content="p")} if table == "landed_files" else {},
    )


def test_an_empty_lake_is_an_empty_state(lake: Lake):
    assert read_state(lake) == State()


def test_every_table_is_found_under_its_keys(lake: Lake):
    day, month = str(DAY), "2011-03"
    made = [
        manifest("landed_files", file="f"),
        manifest("transactions", date=day),
        manifest("customer_days", date=day),
        manifest("rfm_features", snapshot_date=day),
        manifest("segmentation_models", month=month),
        manifest("segment_assignments", snapshot_date=day, segmentation="behaviour"),
        manifest("segment_assignments", snapshot_date=day, segmentation="rfm_grid"),
        manifest("campaign_lists", snapshot_date=day, campaign="pamper"),
        manifest("restated_lists", snapshot_date=day, campaign="pamper"),
    ]
    for one in made:
        write_manifest(lake, one)
    record(lake, RELEASE)
    record(lake, LIST_RELEASE)
    (lake.partition("campaign_lists", made[7].partition) / RELEASED_FILE).touch()
    (lake.root / "campaign_lists" / "snapshot_date=2011-03-06").mkdir()  # held back
    seen = (FileSeen(path="f.csv", size_bytes=1, sha256=sha256(b"x").hexdigest()),)
    assert read_state(lake, seen) == State(
        seen=seen,
        landed={"f": made[0]},
        made={
            "transactions": {DAY: made[1]},
            "customer_days": {DAY: made[2]},
            "rfm_features": {DAY: made[3]},
            "segmentation_models": {month: made[4]},
            "segment_assignments": {DAY: {"behaviour": made[5], "rfm_grid": made[6]}},
            "campaign_lists": {DAY: {"pamper": made[7]}, date(2011, 3, 6): {}},
            "restated_lists": {DAY: {"pamper": made[8]}},
        },
        list_releases={(DAY, "pamper"): "c"},
        list_markers=frozenset({(DAY, "pamper")}),
        released={DAY: "abc"},
    )


def test_the_last_record_of_a_thing_counts_until_it_is_forgotten(lake: Lake):
    path = record(lake, RELEASE)
    assert path == lake.root / "decisions" / "released_days" / "2011-03-05.json"
    later = RELEASE.model_copy(update={"content": "def"})
    record(lake, later)
    record(lake, REFUSAL)
    assert records(lake, DayRelease) == [later]
    assert records(lake, Refusal) == [REFUSAL]
    for source_id in ("a" * 16, "b" * 16):
        forget(lake, Refusal, source_id)
    assert not records(lake, Refusal)
    assert records(lake, DayRelease) == [later]


@pytest.mark.parametrize(
    ("kept", "content", "says"),
    [
        (RELEASE, "", "is not a decision: restore or remove it"),
        (RELEASE, "{}", "is not a decision: restore or remove it"),
        (
            RELEASE,
            '{"day": "2011-03-05", "content": "a", "why": "", "by": "a"}',
            "is not a decision: restore",
        ),
        (REFUSAL, "{", "is no record of a refused file: remove it"),
    ],
)
def test_a_damaged_record_is_named_with_what_to_do(lake: Lake, kept: Frozen, content: str, says: str):
    path = record(lake, kept)
    path.write_text(content)
    with pytest.raises(LakeError, match=f"{re.escape(str(path))} {says}"):
        read_state(lake)


def test_the_suppression_file_is_named_by_its_content(lake: Lake, tmp_path: Path):
    file = tmp_path / "suppression.csv"
    absent = read_state(lake, suppression=file).suppression
    file.write_text("customer_id\n1\n")
    first = read_state(lake, suppression=file).suppression
    file.write_text("customer_id\n2\n")
    second = read_state(lake, suppression=file).suppression
    file.write_text("customer_id\n1\n")
    assert read_state(lake, suppression=file).suppression == first
    assert len({absent, first, second, read_state(lake).suppression}) == 4


@pytest.mark.parametrize(
    "folder", ["decisions", "decisions/files", "decisions/released_lists", "quarantine", "transactions"]
)
def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(
    lake: Lake, folder: str, monkeypatch: pytest.MonkeyPatch
):
    """As a folder is that another user made under a strict umask; root may read all, so it is acted."""
    record(lake, LIST_RELEASE)
    listed, shut = os.listdir, lake.root / folder
    shut.mkdir(parents=True, exist_ok=True)

    def listdir(path: Path) -> list[str]:
        if shut in (path, *path.parents):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(
        LakeError, match=rf"{folder}.* cannot be read \(Permission denied\): give it to the user"
    ):
        read_state(lake)


def test_something_else_in_the_place_of_the_decisions_is_said(lake: Lake):
    lake.root.mkdir()
    (lake.root / "decisions").write_text("see the other disk")
    with pytest.raises(LakeError, match="decisions/files cannot be read"):
        read_state(lake)
