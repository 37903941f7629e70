"""What is true of a customer by their own figures alone, as SQL: what a segment's name may claim.

A customer's own gap is the mean of the days between two days with an order, within the window. Who bought on
one day has none and is held against the shop's usual one, the median of all who came back.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sqlglot import exp

from retail_pipeline.segmentation.compile import (
    DIALECT,
    Sql,
    Stages,
    ago,
    as_double,
    choose,
    described,
    double,
    evaluated,
    integer,
    joined,
    sql,
    stage,
    text,
)
from retail_pipeline.segmentation.fitted import Fact, Fitted, Guards, Rhythm, Snapshot, rounded

ENOUGH_GAPS = 30  # customers who came back, from which on their median is the shop's


def rhythm(customers: Snapshot, guards: Guards | None) -> Rhythm:
    """The shop's usual gap; of too few who came back, the days for which a customer is new stand for it."""
    if guards is None:
        return Rhythm(window_days=customers.window_days)
    alone = {"paced": stage("active", {"gap": _gap(customers.window_days, integer(0))})}
    gaps = evaluated(alone, customers)(exp.column("gap"))
    gaps = gaps[gaps > 0]
    usual = rounded(float(np.median(gaps))) if len(gaps) >= ENOUGH_GAPS else guards.new_days
    return Rhythm(window_days=customers.window_days, usual_gap=usual)


def known(fitted: Fitted) -> tuple[dict[str, exp.Select], str]:
    """The stages that tell a customer's gap and, with guards, the facts; and the name of the last."""
    seen = _seen(fitted.rhythm.window_days)
    gap_and_whose = {
        "gap": _gap(fitted.rhythm.window_days, double(fitted.rhythm.usual_gap)),
        "own_gap": sql(":seen > 0", seen=seen),
    }
    stages = {"paced": stage("active", gap_and_whose)}
    if (guards := fitted.parameters.guards) is None:
        return stages, "paced"
    few, gap = integer(guards.few_orders), exp.column("gap")
    facts: dict[Fact, Sql] = {
        "new": sql("frequency <= :few and tenure_days <= :days", few=few, days=integer(guards.new_days)),
        "few_orders": sql("frequency <= :few", few=few),
        "once": sql("frequency = 1 and tenure_days = recency_days"),
        "repeat": sql("frequency > 1 or tenure_days > recency_days"),
        "seldom": sql("frequency <= :few or gap >= :days", few=few, days=integer(guards.seldom_days)),
        "overdue": sql("recency_days > :gap", gap=gap),
        "late": sql("recency_days > :by * :gap", by=double(guards.late_by), gap=gap),
    }
    known = stage("paced", {f"is_{fact}": condition for fact, condition in facts.items()})
    return stages | {"known": known}, "known"


def are_true(facts: Iterable[Fact]) -> Sql:
    """The condition that all of the facts, at least one, hold."""
    return exp.and_(*(exp.column(f"is_{fact}") for fact in facts), copy=False)


def claimed(fitted: Fitted, name: str) -> Sql | None:
    """The condition for a name to be true of a customer; None where it claims nothing."""
    claims = fitted.parameters.guards.claims(name) if fitted.parameters.guards else ()
    return are_true(claims) if claims else None


def belied(fitted: Fitted, name: str) -> Sql:
    """Why a name is not true of a customer, in their own figures."""
    assert fitted.parameters.guards
    claims = fitted.parameters.guards.claims(name)
    orders = described("frequency")
    if {"overdue", "late"} & {*claims}:
        return joined(described("recency_days"), "; ", orders)
    return joined(orders, "; the first ", ago("tenure_days")) if "new" in claims else orders


def without_lines(fitted: Fitted) -> tuple[Stages, Sql, Sql, Sql]:
    """Stages, segment, score and reason where there are too few customers to draw lines between."""
    assert fitted.parameters.guards
    stages, _ = known(fitted)
    *named, (_, last) = fitted.parameters.without_lines
    segment = choose([(are_true(facts), text(name)) for facts, name in named], text(last))
    said = f"too few customers to compare ({fitted.card.customers} of {fitted.parameters.guards.fewest}): "
    reason = joined(said, described("recency_days"), "; ", described("frequency"))
    return stages, segment, double(0), reason


def slipping(window_days: int | None) -> Sql:
    """What is about to be lost with a customer: own gaps since the last order, times revenue a day.

    Who bought on one day has been a customer for one gap. A month at least is reckoned with: what somebody
    spent yesterday is no rate.
    """
    days = exp.column("tenure_days")
    if window_days is not None:
        days = sql("least(tenure_days, :window)", window=integer(window_days))
    month = sql("greatest(:days, 30)", days=days)
    return sql(
        "cast(recency_days as double) / greatest(:gap, :day) * (cast(monetary as double) / :month)",
        gap=_gap(window_days, month),
        day=double(1),
        month=as_double(month),
    )


def slipping_sql(window_days: int | None) -> str:
    """The select of each customer's ``hundredths`` of it, none below 0: their sum has no order."""
    hundredths = sql(
        "cast(floor(greatest(:slipping, :none) * 100) as bigint)",
        slipping=slipping(window_days),
        none=double(0),
    )
    query = exp.select("customer_id", hundredths.as_("hundredths")).from_("rfm_features")
    return str(query.sql(dialect=DIALECT))


def _gap(window_days: int | None, usual: Sql) -> Sql:
    """Days between two days with an order; as usual where there is one such day.

    Of a customer older than the window the order before its first one is not known: as many gaps as orders.
    """
    seen, gaps = _seen(window_days), sql("active_days - 1")
    if window_days is not None:
        inside = sql("tenure_days < :window", window=integer(window_days))
        gaps = choose([(inside, gaps)], exp.column("active_days"))
    mean = sql(
        "cast(:seen as double) / cast(case when :gaps > 1 then :gaps else 1 end as double)",
        seen=seen,
        gaps=exp.Paren(this=gaps),
    )
    return choose([(sql(":seen > 0", seen=seen), mean)], as_double(usual))


def _seen(window_days: int | None) -> Sql:
    """The days from the first order in the window to the last one; of older customers from its first day."""
    seen = sql("tenure_days - recency_days")
    if window_days is not None:
        inside = sql("tenure_days < :window", window=integer(window_days))
        seen = choose([(inside, seen)], sql(":window - recency_days", window=integer(window_days)))
    return exp.Paren(this=seen)
