"""Method `spend_tiers`: tiers by total and average spend, one-time big buyers apart (METHODS.md, 5).

A share of the customers never takes in more than that share: where many have the same value at its edge all
of them stay outside, for equal customers get equal tiers. The limit lies half-way between the last inside and
the first outside.

Score: the larger of total / limit of the top totals and average / limit of the top averages; 1 is at a limit.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator
from sqlglot import exp

from retail_pipeline.segmentation import guards
from retail_pipeline.segmentation.compile import (
    Sql,
    Stages,
    choose,
    counted,
    double,
    joined,
    money,
    sql,
    stage,
    text,
)
from retail_pipeline.segmentation.fitted import (
    Array,
    Fact,
    Fitted,
    Frozen,
    MethodParameters,
    Snapshot,
    rounded,
)

HIGH, ONE_TIME, MID, LOW = "High-value", "One-time Big Buyer", "Mid-tier", "Low-spending"


class SpendTiersParameters(MethodParameters):
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

    @property
    def segments(self) -> tuple[str, ...]:
        return (HIGH, ONE_TIME, MID, LOW)

    @property
    def without_lines(self) -> tuple[tuple[tuple[Fact, ...], str], ...]:
        return (((), MID),)

    def fit(self, customers: Snapshot, *_: Any) -> FittedSpendTiers:
        """The limits over all active customers."""
        total, average = customers.feature("monetary"), customers.feature("avg_order_value")
        lowest = _limit(-total, self.low_share)
        limits = Limits(
            high_total=_limit(total, self.high_share),
            high_average=_limit(average, self.high_share),
            low_total=None if lowest is None else rounded(-lowest),
        )
        top, bottom = _percent(self.high_share), _percent(self.low_share)
        groups = (
            f"the top {top} by total",
            f"the top {top} by average order",
            f"the bottom {bottom} by total",
        )
        equal = f"more than that share of the {len(total):,} customers are equal at its edge"
        notes = [
            f"nobody is in {group}: {equal}"
            for limit, group in zip(limits.model_dump().values(), groups, strict=True)
            if limit is None
        ]
        return FittedSpendTiers(parameters=self, limits=limits, card=customers.card(self.segments, notes))


class Limits(Frozen):
    """Where the tiers end, in currency, strictly; None where no customer lies beyond."""

    high_total: float | None
    high_average: float | None
    low_total: float | None


class FittedSpendTiers(Fitted):
    """A fitted `spend_tiers` segmentation."""

    method: Literal["spend_tiers"] = "spend_tiers"
    parameters: SpendTiersParameters
    limits: Limits | None = None

    def columns(self) -> tuple[Stages, Sql]:
        measured = {
            "total": sql("cast(monetary as double)"),
            "average": sql("cast(avg_order_value as double)"),
        }
        tiers = [(condition, text(name)) for condition, name, _ in self._tiers()]
        known, source = guards.known(self)
        return known | {"measured": stage(source, measured)}, choose(tiers, text(MID))

    def words(self) -> tuple[Stages, Sql, Sql]:
        """Score and reason of each customer; a limit of zero or less measures nothing."""
        assert self.limits
        low, high, average = self.limits.low_total, self.limits.high_total, self.limits.high_average
        bounds = (("from", low), ("up to", high))
        between = "".join(f" {word} {limit:.2f}" for word, limit in bounds if limit is not None)
        below = "" if average is None else f" up to {average:.2f}"
        middle = joined(_total(), f"{between}; ", _average(), below)
        ratios = [
            sql(":value / :limit", value=exp.column(name), limit=double(limit))
            for name, limit in (("total", high), ("average", average))
            if limit is not None and limit > 0
        ] or [double(0)]
        score = sql("greatest(:one, :other)", one=ratios[0], other=ratios[1]) if ratios[1:] else ratios[0]
        return {}, score, choose([(condition, reason) for condition, _, reason in self._tiers()], middle)

    def _tiers(self) -> list[tuple[Sql, str, Sql]]:
        """The tiers but the middle one as condition, segment and reason; the first that holds decides."""
        assert self.limits
        top, bottom = _percent(self.parameters.high_share), _percent(self.parameters.low_share)
        by_total, by_average = list[tuple[Sql, str, Sql]](), list[tuple[Sql, str, Sql]]()
        also = text("")
        if (limit := self.limits.high_average) is not None:
            large = sql("average > :limit", limit=double(limit))
            words = joined(_average(), f" above {limit:.2f}, the top {top}")
            by_average.append((large, HIGH, words))
            also = choose([(large, joined("; ", words))], text(""))
        if (limit := self.limits.high_total) is not None:
            much = sql("total > :limit", limit=double(limit))
            orders = counted("frequency", "order")
            words = joined(_total(), f" above {limit:.2f}, the top {top}, in ", orders)
            once = guards.claimed(self, ONE_TIME) or sql("frequency = 1")
            by_total.append((exp.and_(much, once), ONE_TIME, words))
            by_total.append((much, HIGH, joined(words, also)))
        if (limit := self.limits.low_total) is not None:
            little = sql("total < :limit", limit=double(limit))
            words = joined(_total(), f" below {limit:.2f}, the bottom {bottom}")
            by_total.append((little, LOW, words))
        return by_total + by_average


def _limit(values: Array, share: float) -> float | None:
    """The limit that as many values as the share allows lie above, no more; None where that is none."""
    falling = np.sort(values)[::-1]
    first_outside = falling[int(Fraction(str(share)) * len(values))]
    inside = falling[falling > first_outside]
    return rounded((inside[-1] + first_outside) / 2) if len(inside) else None


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _total() -> Sql:
    return joined("total ", money("monetary"))


def _average() -> Sql:
    return joined("average order ", money("avg_order_value"))
