"""Method `spend_tiers`: tiers by total and average spend, one-time big buyers apart (METHODS.md, 5).

A share of the customers never takes in more than that share: where many have the same value at its edge all
of them stay outside, for equal customers get equal tiers. The limit lies half-way between the last inside and
the first outside.

Score: the larger of total / limit of the top totals and average / limit of the top averages; 1 is at a limit.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from sqlglot import exp

from retail_pipeline.segmentation.compile import (
    Sql,
    choose,
    counted,
    described,
    double,
    joined,
    money,
    nobody,
    sql,
    stage,
    statement,
    text,
)
from retail_pipeline.segmentation.fitted import Array, Card, Frozen, Names, Snapshot, rounded

HIGH, ONE_TIME, MID, LOW = "High-value", "One-time Big Buyer", "Mid-tier", "Low-spending"


class SpendTiersParameters(Frozen):
    """Settings of the method `spend_tiers`."""

    method: Literal["spend_tiers"] = "spend_tiers"
    high_share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of customers with the highest total, and the highest average, spend",
    )
    low_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of customers with the lowest total spend"
    )

    @model_validator(mode="after")
    def _leave_a_middle(self) -> SpendTiersParameters:
        if self.high_share + self.low_share > 1:
            raise ValueError(
                f"high_share {self.high_share} and low_share {self.low_share} overlap; "
                "together they may be 1 at most"
            )
        return self


class Limits(Frozen):
    """Where the tiers end, in currency, strictly; None where no customer lies beyond."""

    high_total: float | None
    high_average: float | None
    low_total: float | None


class FittedSpendTiers(Frozen):
    """A fitted `spend_tiers` segmentation; without ``limits`` there was nobody to fit."""

    schema_version: Literal[2] = 2
    method: Literal["spend_tiers"] = "spend_tiers"
    parameters: SpendTiersParameters
    limits: Limits | None
    card: Card


def segments(parameters: SpendTiersParameters) -> tuple[str, ...]:
    """The four names, whatever the parameters."""
    return (HIGH, ONE_TIME, MID, LOW)


def fit(customers: Snapshot, parameters: SpendTiersParameters) -> FittedSpendTiers:
    """The limits over all active customers."""
    if not len(customers.values):
        return FittedSpendTiers(parameters=parameters, limits=None, card=customers.card({}, ()))
    total, average = customers.feature("monetary"), customers.feature("avg_order_value")
    lowest = _limit(-total, parameters.low_share)
    limits = Limits(
        high_total=_limit(total, parameters.high_share),
        high_average=_limit(average, parameters.high_share),
        low_total=None if lowest is None else rounded(-lowest),
    )
    sizes = dict.fromkeys(segments(parameters), 0) | Counter(_names(customers, limits))
    top, bottom = _percent(parameters.high_share), _percent(parameters.low_share)
    notes = [
        f"nobody is in {group}: more than that share of the {len(total):,} customers are equal at its edge"
        for limit, group in (
            (limits.high_total, f"the top {top} by total"),
            (limits.high_average, f"the top {top} by average order"),
            (limits.low_total, f"the bottom {bottom} by total"),
        )
        if limit is None
    ]
    return FittedSpendTiers(parameters=parameters, limits=limits, card=customers.card(sizes, notes))


def assign(fitted: FittedSpendTiers, customers: Snapshot) -> Names:
    """The segment of each active customer, as the query gives it; empty where the model knows nobody."""
    if fitted.limits is None:
        return np.full(len(customers.values), "", dtype=object)
    return _names(customers, fitted.limits)


def to_sql(fitted: FittedSpendTiers) -> str:
    """The query that assigns every customer of ``rfm_features``."""
    if fitted.limits is None:
        return nobody()
    tiers = _tiers(fitted.limits, fitted.parameters)
    measured = {
        "total": sql("cast(monetary as double)"),
        "average": sql("cast(avg_order_value as double)"),
    }
    return statement(
        {"measured": stage("active", measured)},
        segment=choose([(condition, text(name)) for condition, name, _ in tiers], text(MID)),
        score=_score(fitted.limits),
        reason=choose([(condition, reason) for condition, _, reason in tiers], _middle(fitted.limits)),
    )


def _limit(values: Array, share: float) -> float | None:
    """The limit that as many values as the share allows lie above, no more; None where that is none."""
    falling = np.sort(values)[::-1]
    first_outside = falling[int(Fraction(str(share)) * len(values))]
    inside = falling[falling > first_outside]
    return rounded((inside[-1] + first_outside) / 2) if len(inside) else None


def _names(customers: Snapshot, limits: Limits) -> Names:
    def beyond(feature: str, limit: float | None) -> npt.NDArray[np.bool_]:
        return customers.feature(feature) > (np.inf if limit is None else limit)

    much, large = beyond("monetary", limits.high_total), beyond("avg_order_value", limits.high_average)
    little = customers.feature("monetary") < (-np.inf if limits.low_total is None else limits.low_total)
    once = customers.feature("frequency") == 1
    tier = np.select([much & once, much, little, large], range(4), 4)
    names: Names = np.array([ONE_TIME, HIGH, LOW, HIGH, MID], dtype=object)[tier]
    return names


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _total() -> Sql:
    return joined("total ", money("monetary"))


def _tiers(limits: Limits, parameters: SpendTiersParameters) -> list[tuple[Sql, str, Sql]]:
    """The tiers but the middle one as condition, segment and reason; the first that holds decides."""
    top, bottom = _percent(parameters.high_share), _percent(parameters.low_share)
    by_total, by_average = list[tuple[Sql, str, Sql]](), list[tuple[Sql, str, Sql]]()
    also = text("")
    if limits.high_average is not None:
        large = sql("average > :limit", limit=double(limits.high_average))
        words = joined(described("avg_order_value"), f" above {limits.high_average:.2f}, the top {top}")
        by_average.append((large, HIGH, words))
        also = choose([(large, joined("; ", words))], text(""))
    if limits.high_total is not None:
        much = sql("total > :limit", limit=double(limits.high_total))
        words = joined(
            _total(), f" above {limits.high_total:.2f}, the top {top}, in ", counted("frequency", "order")
        )
        by_total.append((exp.and_(much, sql("frequency = 1")), ONE_TIME, words))
        by_total.append((much, HIGH, joined(words, also)))
    if limits.low_total is not None:
        little = sql("total < :limit", limit=double(limits.low_total))
        words = joined(_total(), f" below {limits.low_total:.2f}, the bottom {bottom}")
        by_total.append((little, LOW, words))
    return by_total + by_average


def _middle(limits: Limits) -> Sql:
    """Why a customer is in none of the other tiers."""
    bounds = (("from", limits.low_total), ("up to", limits.high_total))
    between = "".join(f" {word} {limit:.2f}" for word, limit in bounds if limit is not None)
    below = "" if limits.high_average is None else f" up to {limits.high_average:.2f}"
    return joined(_total(), f"{between}; ", described("avg_order_value"), below)


def _score(limits: Limits) -> Sql:
    """How near the limits at the top a customer comes; a limit of zero or less measures nothing."""
    ratios = [
        sql(":value / :limit", value=exp.column(name), limit=double(limit))
        for name, limit in (("total", limits.high_total), ("average", limits.high_average))
        if limit is not None and limit > 0
    ]
    if len(ratios) == 2:
        return sql("greatest(:one, :other)", one=ratios[0], other=ratios[1])
    return ratios[0] if ratios else double(0)
