"""Second files that lie beside the files that need them are found by name, and are no deliveries."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.ingest.profiles.second_files import deliveries
from retail_pipeline.planning.arrivals import FileSeen

COLUMNS = {
    "invoice_id": "no", "product_id": "sku", "quantity": "qty", "unit_price": "price",
    "sold_at": '"head.at"', "customer_id": "null",
}  # fmt: skip


def profile(path: str = "heads_{date}.csv", files: str | None = "lines_{date}.csv") -> SourceProfile:
    lookups = {"head": {"path": path, "key": "no", "of": "no"}}
    return SourceProfile.model_validate(
        {"source_system": "s", "columns": COLUMNS, "files": files, "lookups": lookups}
    )


def seen(*contents: tuple[str, str]) -> list[FileSeen]:
    return [FileSeen(path=path, size_bytes=1, sha256=content * 64) for path, content in contents]


def test_a_second_file_is_found_by_the_parts_of_the_name_in_the_same_folder():
    made = profile("heads_{date}_{till}.csv", "[Ll]ines_{till}_{date}.c?v")
    lookup = made.lookups["head"]
    assert made.is_for("a/lines_t1_2024-01-02.csv")
    assert made.second_path(lookup, "a/b/lines_t1_2024-01-02.csv") == "a/b/heads_2024-01-02_t1.csv"


def test_second_files_are_no_deliveries_and_their_content_goes_with_those_that_need_them():
    there = seen(("x/lines_1.csv", "a"), ("x/heads_1.csv", "b"), ("heads_1.csv", "c"), ("prices.csv", "d"))
    (lines,) = deliveries(there, [profile()], {"prices.csv"})
    assert (lines.path, bool(lines.second)) == ("x/lines_1.csv", True)
    changed = deliveries(seen(("x/lines_1.csv", "a"), ("x/heads_1.csv", "e")), [profile()])
    assert changed[0].second not in ("", lines.second)
    assert deliveries(seen(("x/lines_1.csv", "a")), [profile()])[0].second == ""


def test_without_second_files_all_are_deliveries():
    there = seen(("a.csv", "a"), ("heads_1.csv", "b"))
    assert deliveries(there, []) == there


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"path": "heads_{day}.csv"}, "{day} is no part of `files`"),
        ({"files": None}, "is no part of `files`"),
        ({"path": "../heads_{date}.csv"}, "lies beside the first"),
        ({"path": "{date}.csv"}, "may be any file"),
        ({"files": "lines_{date}_{date}.csv"}, "a part stands twice"),
    ],
)
def test_a_pattern_that_names_no_one_file_is_refused(wrong: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        profile(**wrong)
