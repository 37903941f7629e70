"""A row reads the same in a block and alone, wherever the blocks end."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from retail_pipeline.ingest import text_rows
from retail_pipeline.ingest.files import blocks
from retail_pipeline.ingest.files.records import Layout, open_records

LINES = st.lists(
    st.sampled_from(
        [
            "1,2,3", "1,,", ",,", "a b, c ,d", "é,ü,€", "x\0y,1,2", "a\rb,1,2", "1,2", "1,2,3,4", "", "  ",
            "word", "\t", "1\t2\t3", "\t\t", " \t \t", "i,j,k", "xi,j,k", '"i",j,k', "\ufeffi,j,k", "i,2,3",
            '"a,b",2,3', '1,"2""3",3', '1,"two', 'lines",3', '"', 'a"b,2,3', '"a"b,2,3', '1,"open,3',
            "\ufeff1,2,3",
        ]
    )
)  # fmt: skip
# bytes that are not UTF-8, and one that cp1252 does not know
DIRT = st.sampled_from([b"", b"\xff", b"\x81", b"\xe9,1,2"])


def rows_of_blocks(path: Path, layout: Layout, width: int) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for batch in blocks.read_blocks(path, layout, range(width)):
        for problem, payload, *fields in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            found.append((None if problem else fields, problem, payload))
    return found


@given(
    LINES, LINES, DIRT, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from(["utf-8", "cp1252"]),
    st.sampled_from([",", "\t"]), st.sampled_from([1, 3]), st.booleans(), st.integers(1, 40),
    st.integers(1, 4),
)  # fmt: skip
@example(['1,"two'], ['lines",3'], b"", "\n", True, "utf-8", ",", 3, False, 1, 4)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_rows_of_blocks_are_those_of_single_lines(
    tmp_path: Path,
    before: list[str],
    after: list[str],
    dirt: bytes,
    end: str,
    is_whole: bool,
    encoding: str,
    delimiter: str,
    width: int,
    is_given: bool,
    size: int,
    most_lines: int,
):
    names = ("i", "j", "k")[:width]
    text = [end.join(["" if is_given else delimiter.join(names), *before]), end.join([*after, ""])]
    content = (end.encode() + dirt).join(part.encode(encoding, "replace") for part in text)
    path = tmp_path / "file.csv"
    path.write_bytes(content if is_whole else content.removesuffix(b"\n"))
    layout = Layout("text", "", encoding, delimiter, header=names if is_given else None)
    assert blocks.has_blocks(layout)
    with patch.object(text_rows, "MAX_LINES", most_lines), patch.object(blocks, "BLOCK_BYTES", size):
        with open_records(path, layout, tmp_path) as (header, records):
            alone = [(r.fields and list(r.fields), r.problem, r.payload) for r in records]
        assert rows_of_blocks(path, layout, len(header)) == alone


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_bad_row_is_found_at_the_start_in_the_middle_and_at_the_end(
    tmp_path: Path, pack: Callable[[bytes], bytes]
):
    bad = {0: '1,"never closed', 70_000: "1,2", 139_999: "1,2,3,4"}
    lines = [bad.get(n, f"{n},{n % 7},text") for n in range(140_000)]
    path = tmp_path / ("file.csv" if pack is bytes else "file.csv.gz")
    path.write_bytes(pack("\n".join(["i,j,k", *lines, ""]).encode()))
    rows = rows_of_blocks(path, Layout("text", "" if pack is bytes else "gz", "utf-8"), 3)
    assert {n for n, (_, problem, _) in enumerate(rows) if problem} == set(bad)
    assert [payload for _, _, payload in rows] == lines


def test_reading_blocks_does_without_pandas(tmp_path: Path):
    path = tmp_path / "file.csv"
    path.write_text('i,j,k\n1,2,3\n"a,b",2,3\n1,2\n')
    read = (
        "import sys; from pathlib import Path; from retail_pipeline.ingest.files import blocks as b; "
        f"list(b.read_blocks(Path({str(path)!r}), b.Layout('text', '', 'utf-8'), [0, 2])); "
        "sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", read], check=True)
