"""What lies in landing: names of any kind, files still being written, ten thousand files looked at again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from retail_pipeline.ingest import listing
from retail_pipeline.ingest.listing import list_files, list_settled
from retail_pipeline.lake.partitions import Lake

YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Arrival:
    complete_when: str = "stable"
    settle_seconds: float = 3600
    marker_suffix: str = ".done"


def put(path: Path, content: str = "x", age: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if age:
        written = path.stat().st_mtime - age
        os.utime(path, (written, written))
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    (tmp_path / "lake").mkdir()
    return Lake(tmp_path / "lake")


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


def paths(found: listing.Listing) -> list[str]:
    return [file.path for file in found.files]


def test_a_file_that_has_just_changed_waits_even_if_its_time_is_old(landing: Path):
    put(landing / "copied with its time.csv", age=YEAR)
    found = list_files(landing, Arrival())
    assert not found.files
    assert "may still be written" in found.waiting["copied with its time.csv"]
    assert 0 < found.settled_in <= 3600


def test_a_file_that_rests_is_taken_with_content_size_and_time(landing: Path):
    put(landing / "day" / "a.csv", "abc", age=60)
    (file,) = list_files(landing, Arrival(settle_seconds=0)).files
    assert (file.path, file.size_bytes) == ("day/a.csv", 3)
    assert file.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert file.modified_ns == (landing / "day" / "a.csv").stat().st_mtime_ns


def test_by_name_a_file_is_whole_once_it_is_called_so(landing: Path):
    for name in ("whole.csv", "a.csv.tmp", "b.csv.part", "c.csv.partial", "d.csv.filepart", ".hidden.csv"):
        put(landing / name)
    assert paths(list_files(landing, Arrival("renamed"))) == ["whole.csv"]


def test_by_marker_a_file_waits_for_its_marker_which_is_no_delivery_itself(landing: Path):
    put(landing / "a.csv")
    put(landing / "b.csv")
    put(landing / "b.csv.done", "")
    found = list_files(landing, Arrival("marker"))
    assert paths(found) == ["b.csv"]
    assert found.waiting == {"a.csv": "waits for its marker a.csv.done"}
    assert not found.ignored
    assert not found.settled_in


def test_waiting_ends_when_the_files_have_settled(landing: Path, lake: Lake):
    put(landing / "a.csv")
    said: list[str] = []
    found = list_settled(landing, Arrival(settle_seconds=0.2), lake, said.append)
    assert paths(found) == ["a.csv"]
    assert said == ["waiting for 1 files that are being written (a.csv) to settle"]


def test_files_that_were_hashed_are_not_read_again(
    landing: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
):
    for number in range(20):
        put(landing / f"{number}.csv", str(number))
    first = list_files(landing, lake=lake)
    read: list[Path] = []
    hashed = listing.identity

    def noted(path: Path) -> tuple[int, str]:
        read.append(path)
        return hashed(path)

    monkeypatch.setattr(listing, "identity", noted)
    assert list_files(landing, lake=lake) == first
    assert not read
    put(landing / "7.csv", "corrected")
    corrected = list_files(landing, lake=lake)
    assert read == [landing / "7.csv"]
    assert corrected.files != first.files


def test_a_lost_or_damaged_memory_changes_nothing(landing: Path, lake: Lake):
    put(landing / "a.csv")
    first = list_files(landing, lake=lake)
    for damaged in ("", "[1]", "{"):
        (lake.root / listing.MEMORY_FILE).write_text(damaged)
        assert list_files(landing, lake=lake) == first


def test_what_a_tick_has_no_time_for_waits_and_comes_next(landing: Path, lake: Lake):
    for number in range(3):
        put(landing / f"{number}.csv", str(number))
    none = list_files(landing, lake=lake, seconds=-1)
    assert not none.files
    assert len(none.waiting) == 3
    assert len(list_files(landing, lake=lake).files) == 3
    assert len(list_files(landing, lake=lake, seconds=-1).files) == 3, "what is known needs no time"


def test_what_spreadsheets_and_systems_drop_beside_files_is_no_delivery(landing: Path):
    for name in (
        "~$orders.xlsx",
        ".~lock.orders.ods#",
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
        "._orders.csv",
    ):
        put(landing / name)
    put(landing / "__MACOSX" / "orders.csv")
    put(landing / "~orders.csv")
    found = list_files(landing)
    assert paths(found) == ["~orders.csv"]
    assert not found.ignored


def test_a_pipe_a_socket_and_a_device_are_passed_over_with_a_word_and_never_opened(landing: Path):
    put(landing / "whole.csv")
    os.mkfifo(landing / "orders.csv")
    (landing / "linked.csv").symlink_to(landing / "orders.csv")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(landing):
        listening.bind("day.csv")
    for found in (list_files(landing), list_files(landing, Arrival("renamed"))):
        assert paths(found) == ["whole.csv"]
        assert found.ignored.keys() == {"orders.csv", "linked.csv", "day.csv"}
        assert all("no file: passed over" in why for why in found.ignored.values())


def test_odd_names_are_taken_and_links_that_leave_are_not(landing: Path, tmp_path: Path):
    odd = [
        "-rf.csv",
        "a b.csv",
        "a..b.csv",
        "..c.csv",
        "Käufe/Übung.csv",
        "100%.csv",
        "[x]*?.csv",
        "q'\"`$.csv",
    ]
    for name in odd:
        put(landing / name, name)
    outside = put(tmp_path / "outside.csv")
    (landing / "link.csv").symlink_to(outside)
    (landing / "inner.csv").symlink_to(landing / "a b.csv")
    (landing / "loop.csv").symlink_to(landing / "loop.csv")
    put(landing / "notes.doc")
    (landing / "folder").symlink_to(tmp_path)
    found = list_files(landing)
    assert set(paths(found)) == {*odd, "inner.csv"} - {"..c.csv"}
    assert found.ignored["link.csv"] == "is a link that leaves the landing folder"
    assert "cannot be read" in found.ignored["loop.csv"]
    assert found.ignored["notes.doc"] == (
        "is none of .csv, .tsv, .txt, .jsonl, .ndjson, .xlsx, .xlsm, .xlsb, .xls, .ods, .parquet, as it is "
        "or packed (.gz, .zst, .zip)"
    )
    assert "folder" not in found.ignored
