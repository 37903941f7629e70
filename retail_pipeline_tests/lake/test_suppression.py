"""Nobody who objected is written to: a file that cannot be trusted blocks, and no id is misread."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_pipeline.lake.suppression import SuppressionError, read_suppressed

DAY = date(2011, 12, 9)


@dataclass(frozen=True)
class File:
    path: Path
    max_age_days: int = 7


def written(path: Path, content: bytes | pa.Table, changed: date = DAY) -> File:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path)
    at = datetime(changed.year, changed.month, changed.day, 12, tzinfo=UTC).timestamp()
    os.utime(path, (at, at))
    return File(path)


def ids(file: File | None) -> list[str]:
    found: list[str] = read_suppressed(file, DAY)["customer_id"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"customer_id\n17850\n12583\n", ["17850", "12583"]),
        (b"customer_id\n007\n00012\n", ["007", "00012"]),
        (b"customer_id\n17850\n17850\n", ["17850"]),
        (b"why,customer_id,when\nasked,17850,2011-01-01\n", ["17850"]),
        (b"\xef\xbb\xbfcustomer_id\r\n17850\r\n", ["17850"]),
        (b"customer_id\n", []),
        (b'customer_id\n"O\'Neil, Anne"\n', ["O'Neil, Anne"]),
    ],
)
def test_ids_are_text_each_once(tmp_path: Path, content: bytes, expected: list[str]):
    assert ids(written(tmp_path / "s.csv", content)) == expected
    assert ids(None) == []


@pytest.mark.parametrize("content", [b"customer_id\n17850.0\n", b"customer_id\n 17850 \n"])
def test_an_id_that_a_spreadsheet_decorated_is_still_that_customers(tmp_path: Path, content: bytes):
    assert "17850" in ids(written(tmp_path / "s.csv", content))


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.float64(), pa.large_string()])
def test_a_parquet_file_of_any_type_names_the_same_customers(tmp_path: Path, kind: pa.DataType):
    numbers = pa.table({"customer_id": pa.array([17850, 12583, 17850]).cast(kind)})
    assert {"17850", "12583"} <= set(ids(written(tmp_path / "s.parquet", numbers)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.csv", b"", "cannot be read .*; restore it"),
        ("s.csv", b"customer_id\n17850,12583\n", "cannot be read .*; restore it"),
        ("s.csv", b"customer_id\n\xff\xfe\n", "cannot be read .*; restore it"),
        ("s.parquet", b"no parquet", "cannot be read .*; restore it"),
        ("s.csv", b"CustomerID,why\n1,2\n", "has no column customer_id but CustomerID, why"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, message: str
):
    with pytest.raises(SuppressionError, match=message) as raised:
        ids(written(tmp_path / name, content))
    assert str(tmp_path / name) in str(raised.value)
    assert "17850" not in str(raised.value), "no customer is named"


@pytest.mark.parametrize("name", ["gone.csv", "."])
def test_an_absent_file_or_a_folder_is_refused(tmp_path: Path, name: str):
    with pytest.raises(SuppressionError, match="cannot be read"):
        ids(File(tmp_path / name))


def test_a_file_older_than_its_stated_age_is_refused_and_a_newer_one_serves_the_past(tmp_path: Path):
    for changed in (date(2011, 12, 2), date(2024, 1, 1)):
        assert ids(written(tmp_path / "s.csv", b"customer_id\n1\n", changed)) == ["1"]
    with pytest.raises(SuppressionError, match=r"is of 2011-12-01, more than 7 days before 2011-12-09"):
        ids(written(tmp_path / "s.csv", b"customer_id\n1\n", date(2011, 12, 1)))
