"""The order of dates is told by evidence in proportion, or asked."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from retail_pipeline.ingest.profiles.date_orders import AmbiguousDatesError, DateTexts


def column(*texts: str) -> DateTexts:
    dates = DateTexts("SOLD")
    dates.add(texts)
    return dates


def days(first: str, count: int, style: str) -> list[str]:
    begin = date.fromisoformat(first)
    return [(begin + timedelta(n)).strftime(style) for n in range(count)]


@pytest.mark.parametrize(("style", "order"), [("%d/%m/%Y", "day_first"), ("%m/%d/%Y", "month_first")])
@pytest.mark.parametrize(("first", "count"), [("2024-01-01", 366), ("2024-03-01", 13), ("2024-03-10", 7)])
def test_the_days_of_a_year_of_a_month_so_far_and_of_a_week_tell_their_order(style, order, first, count):
    assert column(*days(first, count, style)).order() == order


def test_a_month_so_far_with_many_lines_a_day_tells_by_the_months_it_gathers_in():
    texts = [text for text in days("2024-03-01", 12, "%d.%m.%Y") for _ in range(50)]
    assert column(*texts, "13.03.2024").order() == "day_first"


@pytest.mark.parametrize("others", [1, 2, 4, 12])
def test_few_lines_do_not_decide_against_the_many_that_gather_better_the_other_way(others):
    texts = days("2024-01-01", 12, "%m/%d/%Y") * 4
    with pytest.raises(AmbiguousDatesError, match=f"{others} can only be day first, of {48 + others}"):
        column(*texts, *days("2024-05-13", others, "%d/%m/%Y")).order()


def test_one_line_in_a_hundred_of_the_same_day_does_not_decide():
    with pytest.raises(AmbiguousDatesError, match="1 can only be month first, of 101"):
        column(*["05/03/2024"] * 100, "05/13/2024").order()


def test_dates_of_one_day_are_asked():
    with pytest.raises(AmbiguousDatesError, match="fit several orders of day, month and year"):
        column(*["05/03/2024 10:00"] * 3).order()


def test_dates_that_contradict_each_other_are_counted_by_order():
    said = "2 can only be day first, 1 can only be month first, of 4"
    with pytest.raises(AmbiguousDatesError, match=re.escape(said)):
        column("13/01/2024", "14/01/2024", "01/15/2024", "02/03/2024").order()


@pytest.mark.parametrize("style", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_real_dates_to_the_twelfth_beside_texts_from_the_thirteenth_are_a_swap(style):
    month = [date(2024, 3, day) for day in range(1, 32)]
    real = [f"2024-{day.day:02}-03 00:00:00" for day in month[:12]]
    texts = [day.strftime(style) for day in month[12:]]
    with pytest.raises(
        AmbiguousDatesError, match=r"swapped by a spreadsheet: the 12 .* 1st to 12th .* the 19"
    ):
        column(*real, *texts).order()


def test_a_column_that_turned_from_texts_to_iso_dates_is_no_swap():
    texts = [*days("2024-03-10", 20, "%d/%m/%Y"), *days("2024-03-30", 20, "%Y-%m-%d")]
    assert column(*texts).order() == "day_first"
    assert column(*days("2024-03-01", 12, "%Y-%m-%d")).order() is None
