"""Which files are new, what a file is called, and when it must be read again."""

from __future__ import annotations

from datetime import date
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.planning.arrivals import (
    FileSeen,
    came_otherwise,
    in_landing,
    landing_inputs,
    must_land_again,
)
from retail_pipeline.planning.manifests import Arrival, Manifest, Part
from retail_pipeline.tables import TABLES

FIRST, LAST = date(2010, 12, 1), date(2011, 12, 9)


def seen(path: str, content: str, at: int = 0) -> FileSeen:
    digest = sha256(content.encode()).hexdigest()
    return FileSeen(path=path, size_bytes=len(content), sha256=digest, modified_ns=at)


def landed(file: FileSeen, *days: date, outside: int = 0, late: int = 0) -> Manifest:
    return Manifest(
        table="landed_files",
        partition={"file": file.source_id},
        rows=1,
        content="",
        inputs=landing_inputs(file, "till", "profile-1", outside, late, FIRST, LAST),
        code_version=TABLES["landed_files"].code_version,
        schema_fingerprint="",
        parts={day: Part(rows=1, content="") for day in days},
        arrival=Arrival(path=file.path, size_bytes=file.size_bytes, modified_ns=file.modified_ns),
    )


def test_the_same_content_under_two_names_is_one_file():
    there = in_landing([seen("b.csv", "x"), seen("a.csv", "x"), seen("c.csv", "y")], {})
    assert [*there.values()] == [seen("a.csv", "x"), seen("c.csv", "y")]


def test_a_copy_made_later_is_no_later_delivery():
    original, copy = seen("b.csv", "x", at=1), seen("a.csv", "x", at=2)
    assert in_landing([copy, original], {}) == {original.source_id: original}
    known = {original.source_id: landed(original)}
    assert in_landing([copy, original], known) == {original.source_id: original}
    assert in_landing([copy], known) == {original.source_id: seen("a.csv", "x", at=1)}


def test_what_lies_at_a_path_now_came_after_what_is_gone_from_there():
    old, corrected = seen("a.csv", "x", at=5), seen("a.csv", "x corrected", at=3)
    known = {old.source_id: landed(old)}
    assert in_landing([corrected], known)[corrected.source_id].modified_ns == 6
    both = known | {corrected.source_id: landed(corrected.model_copy(update={"modified_ns": 6}))}
    # delivered once more as it first was
    assert in_landing([old], both)[old.source_id].modified_ns == 7


def test_a_file_that_moved_or_came_again_is_read_again_only_if_it_may_replace_others():
    file = seen("a.csv", "x", at=1)
    plain = landed(file)
    replacing = plain.model_copy(
        update={"arrival": plain.arrival.model_copy(update={"replaces": "same_name"})}
    )
    for other in (seen("b.csv", "x", at=1), seen("a.csv", "x", at=2)):
        assert came_otherwise(replacing, other)
        assert not came_otherwise(plain, other)
    assert not came_otherwise(replacing, file)


def test_a_file_whose_second_file_is_another_is_read_again_and_one_whose_second_file_is_gone_is_not():
    file = seen("lines_1.csv", "x").model_copy(update={"second": "heads"})
    assert not came_otherwise(landed(file), file)
    assert came_otherwise(landed(file), file.model_copy(update={"second": "other heads"}))
    assert came_otherwise(landed(seen("lines_1.csv", "x")), file)
    assert not came_otherwise(landed(file), seen("lines_1.csv", "x"))


@given(st.text(min_size=1))
def test_a_partition_shows_a_files_name_and_content_in_what_dagster_takes(name):
    file = seen("2010/12/2010-12-01.csv", "x")
    assert file.partition_key == f"2010-12-01.csv@{file.source_id}"
    key = seen(name, "x").partition_key
    assert not any(
        bad in key for bad in ("...", ",", "/", "|", "\n", "\r", "\t", "\a", "\b", "\f", "\v", "\0", " ")
    )
    assert len(key) <= 97


def test_a_landed_file_is_read_again_only_when_settings_would_read_it_otherwise():
    inside = landed(seen("a", "a"), FIRST)
    cut = landed(seen("b", "b"), FIRST, outside=3)
    mine = {"till": "profile-1", "web": "profile-2"}
    assert not must_land_again(inside, mine, FIRST, LAST)
    assert must_land_again(inside, {"till": "profile-2"}, FIRST, LAST)
    assert not must_land_again(inside, mine, date(2009, 1, 1), None)
    assert must_land_again(inside, mine, date(2010, 12, 2), LAST)
    assert not must_land_again(cut, mine, FIRST, LAST)
    assert must_land_again(cut, mine, date(2009, 1, 1), LAST)
    assert must_land_again(inside, {"shop": "profile-1"}, FIRST, LAST), "it goes by the profile's name"
