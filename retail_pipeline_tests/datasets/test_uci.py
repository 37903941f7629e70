"""UCI Online Retail is read from the workbook, verified before anything is written, and split by day."""

import socket
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retail_pipeline.datasets import uci
from retail_pipeline.datasets.deliveries import DatasetError
from retail_pipeline_tests.ingest.books import book

FIRST, SECOND = datetime.fromisoformat("2010-12-01 08:26"), datetime.fromisoformat("2010-12-02 09:30")
ROWS = [
    (536365, "85123A", "WHITE HANGING HEART ", 6, FIRST, 2.55, 17850, "United Kingdom"),
    (536365, 71053, 20713, 6, FIRST, 3, 17850, "United Kingdom"),
    ("C536379", "D", 'Discount, "big"', -1, SECOND, 27.5, 14527, "United Kingdom"),
    (536414, 22139, None, 56, SECOND.replace(hour=11, minute=0), 0, None, "EIRE"),
]
LANDED = {
    "online_retail_2010-12-01.csv": [
        "536365,85123A,WHITE HANGING HEART ,6,2010-12-01 08:26:00,2.55,17850,United Kingdom",
        "536365,71053,20713,6,2010-12-01 08:26:00,3,17850,United Kingdom",
    ],
    "online_retail_2010-12-02.csv": [
        'C536379,D,"Discount, ""big""",-1,2010-12-02 09:30:00,27.5,14527,United Kingdom',
        "536414,22139,,56,2010-12-02 11:00:00,0,,EIRE",
    ],
}


def write_xlsx(path: Path, rows: list[Any], header: tuple[str, ...] = uci.COLUMNS) -> Path:
    path.write_bytes(book({"Online Retail": [header, *rows]}))
    return path


@pytest.fixture
def workbook(tmp_path):
    return write_xlsx(tmp_path / "Online Retail.xlsx", ROWS)


@pytest.fixture
def expected(workbook):
    frame = pd.DataFrame(
        [[str(v) if v is not None else None for v in row] for row in ROWS], columns=uci.COLUMNS
    )
    return uci.Content(len(ROWS), uci.rows_sha256(frame))


def test_a_workbook_becomes_a_file_for_each_trading_day(workbook, expected, tmp_path):
    landing = tmp_path / "landing"
    landed = uci.fetch(landing, from_file=workbook, expected=expected)
    assert (landed.files, landed.rows, landed.first_day, landed.last_day) == (
        2,
        4,
        date(2010, 12, 1),
        date(2010, 12, 2),
    )
    header = ",".join(uci.COLUMNS)
    assert {path.name: path.read_text().splitlines() for path in landing.iterdir()} == {
        name: [header, *rows] for name, rows in LANDED.items()
    }


def test_the_zip_as_downloaded_is_read_too(workbook, expected, tmp_path):
    with zipfile.ZipFile(tmp_path / "online+retail.zip", "w") as archive:
        archive.write(workbook, workbook.name)
    assert uci.fetch(tmp_path / "landing", tmp_path / "online+retail.zip", expected=expected).rows == 4


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS[:-1], uci.COLUMNS, "3 rows, not 4"),
        ([*ROWS[:-1], (*ROWS[-1][:3], 57, *ROWS[-1][4:])], uci.COLUMNS, "not those of UCI Online Retail"),
        (ROWS, ("Invoice", *uci.COLUMNS[1:]), "has the columns"),
        (
            [*ROWS[:-1], (*ROWS[-1][:4], "yesterday", *ROWS[-1][5:])],
            uci.COLUMNS,
            "row 5: InvoiceDate is 'yesterday'",
        ),
    ],
)
def test_another_workbook_is_refused_and_leaves_nothing(rows, header, message, expected, tmp_path):
    other = write_xlsx(tmp_path / "other.xlsx", rows, header)
    with pytest.raises(DatasetError, match=message):
        uci.fetch(tmp_path / "landing", from_file=other, expected=expected)
    assert not (tmp_path / "landing").exists()


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "page.zip").write_text("<html>Not found</html>")
    with pytest.raises(DatasetError, match="neither a zip nor an xlsx"):
        uci.fetch(tmp_path / "landing", from_file=tmp_path / "page.zip")


def test_without_network_the_message_says_how_to_place_the_file_by_hand(tmp_path):
    pytest.importorskip("httpx", reason="httpx comes with the extra `demo`")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/online+retail.zip"
        with pytest.raises(DatasetError) as failure:
            uci.fetch(tmp_path / "landing", url=url)
    assert url in str(failure.value)
    assert "--from-file" in str(failure.value)
    assert not (tmp_path / "landing").exists()


def test_the_checksum_is_of_what_the_rows_say_not_how(expected):
    frame = pd.DataFrame(
        [
            line.replace('"Discount, ""big"""', "Discount; big").split(",")
            for day in LANDED.values()
            for line in day
        ],
        columns=uci.COLUMNS,
    )
    frame["Description"] = ["white hanging heart", "20713.0", 'Discount, "big"', "NA"]
    frame["CustomerID"] = frame["CustomerID"].map(lambda customer: f"{customer}.0" if customer else None)
    assert uci.rows_sha256(frame[::-1]) == expected.sha256
    frame.loc[0, "UnitPrice"] = "2.56"
    assert uci.rows_sha256(frame) != expected.sha256


def test_the_shipped_checksum_is_that_of_the_real_rows(uci_dir):
    files = sorted(uci_dir.glob("*.csv"))
    frame = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False) for path in files])
    uci.verify(frame, uci.EXPECTED)
