"""What the report says is what the numbers say, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.report import formats, words
from retail_pipeline.report.data import ReportData
from retail_pipeline_tests.report.support import (
    BEHAVIOUR,
    QUALITY,
    SPEND,
    Segment,
    campaign,
    cohorts,
    distribution,
    key_figures,
    migration,
    periods,
    profiles,
    shop,
    trends,
)

# the same with enough customers to compare
MANY = {name: (10 * segment[0], *segment[1:]) for name, segment in SPEND.items()}


def plain(text: str) -> str:
    return text.replace(formats.NBSP, " ").replace(formats.MINUS, "-")


def said(points: list[words.Point]) -> dict[str, str]:
    return {plain(point.head): plain(point.text) for point in points}


def of(segmentation: str, segments: Mapping[str, Segment], **changes: Any) -> ReportData:
    return shop({"segment_profiles": profiles(segmentation, segments)}, **changes)


def most_valuable(data: ReportData) -> tuple[str, str]:
    point = words.most_valuable(data, "behaviour")
    assert point is not None
    return point.head, plain(point.text)


# numbers


@given(st.floats(0, 1))
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float) -> None:
    text = plain(formats.percent(share))
    assert (text == "0 %") == (share == 0)
    assert (text == "100 %") == (share == 1)


def test_numbers_have_as_many_digits_as_they_deserve() -> None:
    shares = (0.5063, 0.0692, 0.0004, 0.9996, 0.02, -0.3)
    written = ["51 %", "6.9 %", "under 0.1 %", "99.9 %", "2 %", "-30 %"]
    assert [plain(formats.percent(share)) for share in shares] == written
    amounts = {
        (13992.13, "GBP"): ("£13,992", "£14.0k"),
        (2.9, "EUR"): ("€2.90", "€2.90"),
        (-1234567.0, "GBP"): ("-£1,234,567", "-£1.2m"),
        (99.999, "CHF"): ("CHF 100", "CHF 100"),
        (999_600.0, "USD"): ("$999,600", "$1.0m"),
    }
    for (value, currency), texts in amounts.items():
        made = formats.money(value, currency), formats.short_money(value, currency)
        assert tuple(map(plain, made)) == texts


# the most valuable, and those who slip away


def test_the_most_valuable_are_named_with_their_number_and_their_share() -> None:
    # 10 of 100 customers, 9,000 of 18,000
    assert most_valuable(shop()) == (
        "DELIGHT",
        "10 customers, 10 % of all, bring 50 % of revenue: €900 each on average (median €900), 5 times the "
        "average customer (€180). They placed 12 orders on average, the last 5 days ago.",
    )
    other = of("behaviour", {"DELIGHT": (2, 900, 5, 9, 9), "NURTURE": (100, 50, 9, 1, 9)})
    assert "More revenue in all comes from NURTURE: €5,000 from 100 customers." in most_valuable(other)[1]


def test_those_who_slip_away_are_found_by_their_recency_not_by_their_name() -> None:
    # the average customer bought 39.5 days ago
    assert list(words.slipping(shop(), "behaviour")["segment"]) == ["RE-ENGAGE"]
    renamed = {{"RE-ENGAGE": "Night Owls"}.get(name, name): segment for name, segment in BEHAVIOUR.items()}
    assert said(words.slipping_away(of("behaviour", renamed), "behaviour")) == {
        "Night Owls": "30 customers, 30 % of all, last bought 90 days ago on average (the average customer: "
        "40 days ago). They spent €200 each on average, more than the average customer, and 33 % of revenue "
        "in all. With them lies 84 % of what is about to be lost: their own gaps since the last order, times "
        "what they spend a day."
    }
    same = of("behaviour", {"DELIGHT": (2, 900, 7, 9, 9), "RE-ENGAGE": (9, 50, 7, 1, 9)})
    assert words.slipping_away(same, "behaviour") == []
    nobody = plain(words.nobody_slips(same, "behaviour"))
    assert nobody.startswith("Nobody: no segment's last order lies 20 % longer back")


def test_lapsed_customers_neither_lead_nor_slip() -> None:
    data = of("behaviour", {**BEHAVIOUR, "Lapsed": (50, 5000.0, 900.0, 0.0, 0.0)})
    assert most_valuable(data)[0] == "DELIGHT"
    assert list(words.slipping(data, "behaviour")["segment"]) == ["RE-ENGAGE"]


def test_no_share_is_claimed_of_a_revenue_of_nothing() -> None:
    data = of("behaviour", {"DELIGHT": (2, 0, 5, 9, 9), "RE-ENGAGE": (9, 0, 50, 1, 9)})
    everything = [*words.takeaways(data), *words.slipping_away(data, "behaviour")]
    assert not [point for point in everything if "of revenue" in point.text]


# the spend profile


def test_the_profile_compares_only_what_stands_alone() -> None:
    paragraphs = dict(words.profile_words(of("spend_profile", MANY), "spend_profile"))
    assert [plain(line) for line in paragraphs["Infrequent, Low Spenders"]] == [
        "600 customers, 60 % of all, the largest group.",
        "They place 1.2 orders on average, the fewest of all groups.",
        "They spend €60 each on average, the least of all groups, and bring 21 % of revenue.",
        "An order is €50 on average.",
    ]
    assert [plain(line) for line in paragraphs["VIP"]][:2] == [
        "50 customers, 5 % of all, the smallest group.",
        "They place 20 orders on average, the most of all groups.",
    ]
    # five customers are too few to be the most of all groups
    few = dict(words.profile_words(shop(), "spend_profile"))["VIP"]
    assert plain(few[1]) == "They place 20 orders on average."


def test_the_takeaways_follow_the_numbers() -> None:
    assert said(words.profile_takeaways(of("spend_profile", MANY), "spend_profile")) == {
        "Regular, Mid-Spending": "The biggest revenue driver: 35 % of revenue from 20 % of customers.",
        "VIP": "Worth most on average: €1,000 each, 5.9 times the average customer.",
        "Infrequent, Low Spenders": "The largest group and the least engaged: 600 customers, 1.2 orders on "
        "average.",
        "Occasional, Higher Order Value": "The largest orders of all (€100), placed less often than the "
        "average customer does (1.6 orders against 3.2).",
    }
    data = of("spend_profile", {**MANY, "VIP": (5000, *MANY["VIP"][1:])})
    paragraphs = dict(words.profile_words(data, "spend_profile"))
    assert plain(paragraphs["VIP"][0]) == "5,000 customers, 84 % of all, the largest group."
    takeaways = said(words.profile_takeaways(data, "spend_profile"))
    assert takeaways["VIP"].startswith("The biggest revenue driver and the largest group")
    assert [name for name, text in takeaways.items() if "largest group" in text] == ["VIP"]


def test_large_orders_that_came_back_are_not_praised() -> None:
    # one order of 80,000 each, and 2 left of it; 100 ordered against 60 left is not most of it
    data = of("spend_profile", {**MANY, "Occasional, Higher Order Value": (20, 2.0, 162.0, 1.0, 80_000.0)})
    assert said(words.profile_takeaways(data, "spend_profile"))["Occasional, Higher Order Value"] == (
        "Most of what they ordered came back: €80,000 an order, but €2 spent on average."
    )
    told = {name for name, said in words.profile_words(data, "spend_profile") if "came back" in said[-1]}
    assert told == {"Occasional, Higher Order Value"}
    assert not [said for _, said in words.profile_words(shop(), "spend_profile") if "came back" in said[-1]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=6))
def test_a_superlative_is_said_of_at_most_one_and_only_where_it_is_true(
    facts: list[tuple[int, int, int]],
) -> None:
    segments = {f"S{i}": (20 * n, float(s), 1.0, float(o), 1.0) for i, (n, s, o) in enumerate(facts)}
    paragraphs = dict(words.profile_words(of("spend_profile", segments, lists=[]), "spend_profile"))
    for line, word, position in ((0, "the largest group", 0), (2, "the most of all groups", 1)):
        values = [fact[position] for fact in facts]
        named = {name for name, lines in paragraphs.items() if word in lines[line]}
        alone = [i for i, value in enumerate(values) if value == max(values)]
        assert named == ({f"S{alone[0]}"} if len(alone) == 1 and len(facts) > 1 else set())


# what changed


def test_what_changed_adds_up() -> None:
    total = words.change(shop(), "behaviour")
    assert total == words.Change(date(2021, 2, 8), 85, 100, 15, 0, 0, 11, 10, 0, 1)
    assert said(words.changes(shop(), "behaviour")) == {
        "15 customers joined": "85 on 8 February 2021, 100 now.",
        "11 customers changed segment": "13 % of those who were there: 10 by what they ordered or sent back, "
        "0 by time passing, 1 because a newer model draws its lines elsewhere.",
        "The largest flows": "NURTURE to RE-ENGAGE (8) and NURTURE to DELIGHT (3).",
        "DELIGHT (the most valuable)": "3 came in, 0 left: +3.",
        "RE-ENGAGE (slipping away)": "8 came in, 0 left: +8.",
    }


def test_who_lapsed_and_who_came_back_is_told_apart_from_other_moves() -> None:
    stayed, lapsed = ("Lapsed", "Lapsed", 9, 0, 0), ("NURTURE", "Lapsed", 4, 4, 0)
    data = shop({"segment_migration": migration("behaviour", lapsed, ("Lapsed", "NURTURE", 2, 2, 0), stayed)})
    total = words.change(data, "behaviour")
    assert total is not None
    assert (total.lapsed, total.returned, total.moved, total.joined) == (4, 2, 6, 0)
    assert {"4 customers lapsed", "2 customers returned"} <= said(words.changes(data, "behaviour")).keys()


def test_no_change_is_claimed_where_there_is_none_or_nothing_to_compare_with() -> None:
    first_day = shop(without=["segment_migration"])
    assert said(words.changes(first_day, "behaviour")) == {"No comparison yet": words.NO_COMPARISON}
    assert said(words.takeaways(first_day))["Since last month"] == words.NO_COMPARISON
    assert "Nobody changed segment" in said(words.changes(shop(), "spend_profile"))
    assert plain(words.flows_title(shop(), "spend_profile")) == "Nobody changed segment since 8 February 2021"


# the whole shop


def test_the_page_in_a_few_sentences() -> None:
    assert said(words.takeaways(shop())) == {
        "Most valuable": "DELIGHT: 10 customers, 10 % of all, 50 % of revenue.",
        "Largest group": "NURTURE: 60 customers, 60 % of all, 17 % of revenue.",
        "Slipping away": "RE-ENGAGE (30): 30 % of customers and 33 % of revenue, last bought 90 days ago on "
        "average, against 40 days ago over all.",
        "Since 8 February 2021": "15 customers joined, 11 changed segment (10 by orders or returns, 0 "
        "by time, 1 by a newer model).",
        "Revenue": "€1,000 in the last four weeks: 25 % more than in the four weeks before.",
        "Coming back": "Of a month's new customers, 25 % (of 40) buy again in the first month after it. The "
        "first month is left out: as the gaps between purchases say, 80 % of those first seen then had "
        "bought before the data begin (in the month after: 10 %).",
        "Lists": "2 lists with 40 customers are ready, 4 of them held out as control.",
    }
    assert [plain(line) for line in words.coming_back(shop())] == [
        "70 % of revenue comes from customers with more than one order.",
        "Of those who bought in the year before the last 365 days, 25 % have not since.",
        "40 % of customers have ordered once.",
    ]
    unmeasured = shop({"key_figures": key_figures(lost_share_of_year=None)})
    assert not [line for line in words.coming_back(unmeasured) if "365" in line]


def test_the_lists_that_are_ready_and_what_holds_them() -> None:
    nobody = shop(lists=[*shop().lists, campaign("win_back", "Lapsed", 0, 0)])
    assert plain(words.lists_words(nobody)).endswith("held out as control. Nobody is on win_back.")
    held = replace(QUALITY, held_days=[date(2021, 3, 8), date(2021, 3, 9)])
    text = plain(words.lists_words(shop(lists=[], quality=held)))
    assert text == "No lists were made. Held (see data quality): 8 March 2021 to 9 March 2021 (2 days)."


def test_the_segmentation_behind_the_lists_leads() -> None:
    assert shop().segmentations == ("behaviour", "spend_profile")
    assert shop(lists=[campaign("vip", "VIP", 5, 1)]).segmentations == ("spend_profile", "behaviour")


# retention, trends, rankings, distribution, outliers


def test_only_whole_months_after_new_customers_are_retention() -> None:
    # of the 40 of January 10 bought in February, which is whole; once March is, also 5 of the 50 of February
    for whole, share in (("2021-03", "25 % (of 40)"), ("2021-04", "17 % (of 90)")):
        rows = cohorts()
        rows["whole"] = rows["month"] < whole
        text = words.retention_words(shop({"cohort_retention": rows}))[0]
        assert plain(text) == f"Of a month's new customers, {share} buy again in the first month after it."
    first_month = shop({"cohort_retention": cohorts().tail(1)})
    assert words.retention_words(first_month) == ["No month after a first purchase is complete yet."]


def test_months_of_old_customers_are_left_out_of_retention_and_it_is_said() -> None:
    old = cohorts().assign(left_censored=True, old_share=[0.9] * 5 + [0.6] * 3)
    (text,) = words.retention_words(shop({"cohort_retention": old}))
    assert plain(text) == (
        "No month counts as one of new customers: as the gaps between purchases say, 90 % down to 60 % of "
        "those first seen then had bought before the data begin."
    )
    assert (
        words.retention_title(shop({"cohort_retention": old}))
        == "90 customers were first seen in December 2020"
    )
    young = old.assign(old_share=None)
    assert "too young" in words.retention_words(shop({"cohort_retention": young}))[0]


def test_the_days_that_are_in_no_whole_month_or_season_are_counted() -> None:
    assert plain(words.whole_words(shop())) == (
        "Of the 69 days, 10 days in no whole month and 69 days in no whole season are left out of that "
        "comparison."
    )


def test_nothing_is_the_busiest_that_is_only_longer_or_near_the_others() -> None:
    """In 31 of 365 days 8.8 % of the orders are no more than the days are."""
    lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    table = trends()
    month = table["dimension"] == "month"
    orders = [round(10 * n * (1.03 if n == 31 else 1)) for n in lengths]
    table.loc[month, "days"], table.loc[month, "orders_of_days"] = lengths, orders
    assert words.trend_title(shop({"sales_trends": table}), "month").startswith("No month stands out")
    orders[6] *= 2
    table.loc[month, "orders_of_days"] = orders
    assert plain(words.trend_title(shop({"sales_trends": table}), "month")) == (
        "July is the busiest: 20.6 orders a day, 16 % of orders in 8.5 % of the days"
    )


def test_key_figures_are_compared_with_weeks_that_are_as_many_and_whole() -> None:
    changes = [(name, value, *map(plain, against)) for name, value, against in words.key_changes(shop())]
    assert changes == [
        ("Revenue", "€1,000", "+25 %", formats.DASH),
        ("Orders", "150", "+50 %", formats.DASH),
        ("Customers who bought", "42", "+5 %", formats.DASH),
        ("Sales an order", "€8", "-11 %", formats.DASH),
    ]
    near = periods().assign(revenue=1000.0, whole=True, orders=20)
    assert words.revenue_words(shop({"sales_periods": near})) == (
        "€1,000 in the last four weeks: about as much as in the four weeks before and about as much as in "
        "the same weeks a year before."
    )
    held = periods().assign(whole=False)
    assert "not whole" in words.revenue_words(shop({"sales_periods": held}))
    assert words.key_changes(shop({"sales_periods": held})) == []
    few = periods().assign(orders=19)
    assert words.revenue_words(shop({"sales_periods": few})) == "€1,000 in the last four weeks."


def test_every_title_says_what_its_figure_shows() -> None:
    data = shop()
    open_ended = distribution().assign(densest=lambda cells: cells["orders_from"] == 3)
    titles = [
        words.shares_title(data, "behaviour"),
        words.sizes_title(data, "behaviour", "recency_days"),
        words.sizes_title(data, "behaviour", "frequency"),
        words.retention_title(data),
        words.retention_title(shop({"cohort_retention": cohorts().tail(1)})),
        words.revenue_title(data),
        *(words.trend_title(data, by) for by in ("weekday", "month", "season", "hour")),
        *(words.ranking_title(data, by, 2) for by in ("total", "average", "orders")),
        *(words.product_title(data, by) for by in ("revenue", "units", "invoices")),
        words.distribution_title(data),
        words.distribution_title(shop({"spend_distribution": open_ended})),
    ]
    assert [plain(title) for title in titles] == [
        "DELIGHT are 10 % of customers and bring 50 % of revenue",
        "NURTURE are the largest segment",
        "NURTURE are the largest segment",
        "Of 40 customers who first bought in January 2021, 25 % bought in February 2021",
        "10 customers were first seen in March 2021",
        "February 2021 brought €1,400, a day 50 % less than January 2021",
        "Tuesday is the busiest: 4 orders a day, 40 % of orders in 14 % of the days",
        "No month stands out: 1.1 to 1.6 orders a day",
        "No two seasons are whole yet, so that they could be compared",
        "8:00 to 9:00 and 10:00 to 11:00 are the busiest: 100 % of all orders",
        "The 2 customers who spent most brought 8.3 % of revenue",
        "The 2 customers with the largest orders spent €200 to €900 an order",
        "The 2 customers who order most often placed 46 % of all orders of customers",
        "LAMP leads by revenue: €100, returns taken off",
        "LAMP leads by units: 48 units, returns taken off",
        "LAMP leads by invoices: 10 sold it, 1 took it back",
        "60 % of customers place 1 or 2 orders and spend €0 to €100",
        "20 % of customers place 3 orders and more and spend €0 and more",
    ]


def test_what_the_top_tenth_amounts_to() -> None:
    assert said(words.top_tenth(shop())) == {
        "Spend most": "The tenth who spend most bring 60 % of revenue.",
        "Order most often": "An order of the tenth who order most often is €40 on average before "
        "returns, of the others €80: they pay less for an order.",
    }
    # less than a tenth apart is about the same: 40 of 44 are
    near = key_figures(others_avg_order_value=44.0)
    assert "they pay about as much" in said(words.top_tenth(shop({"key_figures": near})))["Order most often"]
    few = key_figures(active_customers=199)
    assert said(words.top_tenth(shop({"key_figures": few}))).keys() == {"Too few customers"}


def test_the_state_of_the_data_and_what_does_not_count_so_that_the_rows_add_up() -> None:
    late = replace(
        QUALITY,
        last_delivered=date(2021, 3, 7),
        warnings=["duplicates were kept"],
        held_days=[date(2021, 3, day) for day in (1, 6, 7, 9)],
        places={"used": (1, 1000), "on held days": (1, 17), "in quarantine": (1, 140), "refused": (0, 8)},
        unread=["x.csv"],
    )
    assert [tuple(map(plain, row[:3])) for row in words.quality_rows(shop(quality=late))] == [
        ("Used", "1", "1,000"),
        ("On held days", "1", "17"),
        ("In quarantine", "1", "140"),
        ("Refused", "0", "8"),
        ("Unaccounted for", "0", "35"),
        ("Delivered", "3", "1,200"),
    ]
    assert said(words.quality_words(shop(quality=late))) == {
        "Refused by": "zero price 8. A row that breaks two rules counts under both.",
        "Held days": "1 March 2021, 6 March 2021 to 7 March 2021 (2 days) and 9 March 2021.",
        "Not read at all": "1 more file could not be read, so nobody knows their rows: x.csv.",
        "Without a customer": "12 % of lines, 9 % of sales: in the trends, in no segment.",
        "Late": "Nothing was delivered for the last 3 days.",
        "Warning": "Duplicates were kept.",
    }
    assert [row[0] for row in words.quality_rows(shop())] == ["Used", "Refused", "Unreadable", "Delivered"]


def test_a_long_history_shows_its_last_year() -> None:
    months = pd.period_range("2018-01", "2021-03", freq="M").strftime("%Y-%m")
    pairs = [(a, b, i, 900 - j) for j, a in enumerate(months) for i, b in enumerate(months[j:])]
    rows = pd.DataFrame(pairs, columns=["cohort_month", "month", "months_since", "cohort_customers"])
    more = {"customers": 90, "rate": 0.1, "whole": True, "left_censored": False, "old_share": 0.0}
    data = shop({"cohort_retention": rows.assign(**more)})
    assert sorted(set(data.cohorts()["cohort_month"])) == list(months[-13:])
    assert data.cohorts()["months_since"].max() == 12
    # the largest of the thirteen, not of all
    assert plain(words.retention_title(data)).startswith("Of 874 customers who first bought in March 2020")
