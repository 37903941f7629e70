"""UCI Online Retail: a year of orders, many of them wholesale, of a British web shop, from its official home.

Only fetching, verifying and splitting into daily deliveries belongs here; cleaning is the pipeline's work.
The set: Chen, D. (2015), Online Retail, UCI Machine Learning Repository, https://doi.org/10.24432/C5BW33, CC
BY 4.0.
"""

import hashlib
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from retail_pipeline.datasets.deliveries import DatasetError, Landed, OnFile, deliver

PREFIX = "online_retail"
URL = "https://archive.ics.uci.edu/static/public/352/online+retail.zip"
COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
)  # fmt: skip

_REMEDY = (
    "Download the archive with a browser and run: "
    "retail-pipeline datasets fetch uci --from-file PATH (the zip, or the xlsx inside it)"
)
_TIMEOUT_SECONDS = 60.0
# How spreadsheets and the tools that export them spell an empty text.
_EMPTY = ["NAN", "NA", "N/A", "#N/A", "NULL", "NONE"]


@dataclass(frozen=True)
class Content:
    """What a workbook must hold: its number of data rows and their `rows_sha256`."""

    rows: int
    sha256: str


EXPECTED = Content(541_909, "e607634b0b699c19db66b9629574107441f3aa75b55d81b1e4c915cacc6396ef")


def fetch(
    landing: Path,
    from_file: Path | None = None,
    url: str = URL,
    expected: Content = EXPECTED,
    on_file: OnFile | None = None,
) -> Landed:
    """Download the set, or read ``from_file`` (zip or xlsx), verify it and write a CSV file a trading day.

    The columns and the text are the workbook's, ids without decoration (``17850``), ``InvoiceDate`` as
    ``YYYY-MM-DD HH:MM:SS`` in the shop's time. Raises DatasetError, before anything is written, when there is
    no network, the file is not the workbook, or its rows are not the expected ones.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = from_file or _download(url, Path(folder) / "online_retail.zip")
        frame = read_workbook(_workbook(source, Path(folder)))
    verify(frame, expected)
    days = frame.groupby(pd.to_datetime(frame["InvoiceDate"]).dt.date, sort=True)
    return deliver(landing, PREFIX, days, len(days), on_file)


def read_workbook(path: Path) -> pd.DataFrame:
    """The first sheet of the workbook as text, columns COLUMNS: whole numbers as integers, empty cells as "".

    Raises DatasetError when it is no workbook, has other columns, or an ``InvoiceDate`` is not a date.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    except CalamineError as error:
        raise DatasetError(f"{path.name} cannot be read as an xlsx workbook ({error}). {_REMEDY}") from error
    header = [str(name) for name in rows[0]] if rows else []
    if header != list(COLUMNS):
        raise DatasetError(f"{path.name} has the columns {header}, not {list(COLUMNS)}. {_REMEDY}")
    frame = pd.DataFrame(rows[1:], columns=header, dtype=object)
    # Excel keeps a time as a fraction of a day: 08:26:00 may come out as 08:25:59.999999.
    sold_at = pd.to_datetime(frame["InvoiceDate"], errors="coerce").dt.round("s")
    if sold_at.isna().any():
        row = int(sold_at.isna().to_numpy().argmax())
        value = frame["InvoiceDate"].iloc[row]
        raise DatasetError(f"{path.name}, row {row + 2}: InvoiceDate is {value!r}, not a date. {_REMEDY}")
    text = frame.drop(columns="InvoiceDate").map(_text)
    text.insert(COLUMNS.index("InvoiceDate"), "InvoiceDate", sold_at.dt.strftime("%Y-%m-%d %H:%M:%S"))
    return text


def rows_sha256(frame: pd.DataFrame) -> str:
    """The sha256 of what the rows say (COLUMNS as text), whatever their order, number formats and padding.

    A row becomes one line: its values joined by U+001F, padding off, upper case; numbers without ``.0``,
    UnitPrice with four decimals; a Description that only says that there is none (``NA`` and the like) is
    empty.
    """
    plain = frame[list(COLUMNS)].fillna("").map(_text).apply(lambda column: column.str.strip().str.upper())
    plain["Description"] = plain["Description"].mask(plain["Description"].isin(_EMPTY), "")
    plain["UnitPrice"] = pd.to_numeric(plain["UnitPrice"], errors="coerce").map("{:.4f}".format)
    lines = sorted(map("\x1f".join, zip(*(plain[name] for name in COLUMNS), strict=True)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def verify(frame: pd.DataFrame, expected: Content) -> None:
    """Raise DatasetError unless ``frame`` (columns COLUMNS, as text) holds exactly the expected rows."""
    if len(frame) != expected.rows:
        raise DatasetError(f"The workbook has {len(frame):,} rows, not {expected.rows:,}. {_REMEDY}")
    if (found := rows_sha256(frame)) != expected.sha256:
        raise DatasetError(
            f"The workbook's rows are not those of UCI Online Retail: their sha256 is {found}, "
            f"not {expected.sha256}. {_REMEDY}"
        )


def _text(value: object) -> str:
    """Spreadsheet numbers are floats: 17850.0 is written 17850, as is the text "17850.0" of an export."""
    return str(value).removesuffix(".0")


def _download(url: str, target: Path) -> Path:
    try:
        import httpx
    except ModuleNotFoundError as error:
        needs = "Downloading UCI Online Retail needs httpx: pip install 'retail-pipeline[demo]'"
        raise DatasetError(needs) from error
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT_SECONDS) as response,
            target.open("wb") as file,
        ):
            response.raise_for_status()
            for chunk in response.iter_bytes():
                file.write(chunk)
    except httpx.HTTPError as error:
        raise DatasetError(f"{url} could not be downloaded ({error}). {_REMEDY}") from error
    return target


def _workbook(source: Path, folder: Path) -> Path:
    """The workbook in ``source``: itself, or the xlsx it holds, unpacked into ``folder``."""
    if not source.is_file():
        raise DatasetError(f"{source} is not a file. {_REMEDY}")
    if not zipfile.is_zipfile(source):
        raise DatasetError(f"{source} is neither a zip nor an xlsx file. {_REMEDY}")
    with zipfile.ZipFile(source) as archive:
        # An xlsx file is itself a zip, with this part inside.
        if "[Content_Types].xml" in archive.namelist():
            return source
        inside = [name for name in archive.namelist() if name.lower().endswith(".xlsx")]
        if len(inside) != 1:
            raise DatasetError(f"{source} holds {len(inside)} xlsx files, not one. {_REMEDY}")
        workbook = folder / "online_retail.xlsx"
        with archive.open(inside[0]) as packed, workbook.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    return workbook
