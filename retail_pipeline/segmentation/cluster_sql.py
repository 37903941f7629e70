"""Clusters as SQL: the nearest centre, how clear it is, and why it is that one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from itertools import combinations, product

from sqlglot import exp

from retail_pipeline.segmentation.clusters import Cluster, Clustering
from retail_pipeline.segmentation.compile import (
    Sql,
    as_double,
    choose,
    described,
    double,
    joined,
    least,
    pick,
    sql,
    stage,
    text,
)

TOO_FAR = 1e308  # the distance to a cluster whose name is not true of a customer


def stages(fitted: Clustering, source: str, claims: Mapping[str, Sql] | None = None) -> dict[str, exp.Select]:
    """Stages giving the distance to each centre, the least, and ``own``, the nearest cluster's name.

    A cluster whose name ``claims`` what is not true of a customer is out of their reach.
    """
    distances = {f"distance_{i}": _distance(fitted, c) for i, c in enumerate(fitted.clusters, 1)}
    for i, name in enumerate(fitted.names, 1):
        if claims and name in claims:
            distances[f"distance_{i}"] = choose([(claims[name], distances[f"distance_{i}"])], double(TOO_FAR))
    own = [(column.eq(exp.column("own_distance")), text(name)) for name, column in _distances(fitted).items()]
    return {
        "distances": stage(source, distances),
        "nearest": stage("distances", {"own_distance": least(list(_distances(fitted).values()))}),
        "owned": stage("nearest", {"own": choose(own)}),
    }


def explained(
    fitted: Clustering, claims: Mapping[str, Sql] | None = None, belied: Mapping[str, Sql] | None = None
) -> tuple[dict[str, exp.Select], Sql, Sql]:
    """Further stages on top of ``stages``, and score and reason made from them.

    ``belied``: why a name that ``claims`` what is not true of a customer is not given, in words.
    """
    return _further(fitted, claims or {}), _score(fitted), _reason(fitted, belied or {})


def _distance(fitted: Clustering, cluster: Cluster) -> Sql:
    """The squared distance of a customer to a centre, in spreads."""
    return reduce(
        lambda total, term: exp.Add(this=total, expression=term),
        [_squared(fitted, f, double(cluster.centre[f])) for f in fitted.features] or [double(0)],
    )


def _distances(fitted: Clustering) -> dict[str, exp.Column]:
    return {name: exp.column(f"distance_{i}") for i, name in enumerate(fitted.names, 1)}


def _further(fitted: Clustering, claims: Mapping[str, Sql]) -> dict[str, exp.Select]:
    """Stages giving ``runner_up``, the next nearest cluster's name, and by how much each feature decides.

    That is how much farther the runner-up's centre lies than the own, in that feature alone, where no centre
    lies nearer than the own; else nothing. ``belied`` is the cluster that would be nearer were its name true.
    """
    distance = _distances(fitted)
    if len(distance) == 1:
        return {}
    second = {
        name: least([column for other, column in distance.items() if other != name]) for name in distance
    }
    runner_up = [
        (exp.and_(column.eq(exp.column("runner_up_distance")), exp.column("own").neq(text(name))), text(name))
        for name, column in distance.items()
    ]
    centres_compared = {
        f"{whose}_{feature}": pick(whose, {c.name: double(c.centre[feature]) for c in fitted.clusters})
        for whose in ("own", "runner_up")
        for feature in fitted.features
    }
    farther = {
        feature: exp.Sub(
            this=_squared(fitted, feature, exp.column(f"runner_up_{feature}")),
            expression=_squared(fitted, feature, exp.column(f"own_{feature}")),
        )
        for feature in fitted.features
    }
    decisive = {
        f"{feature}_decides": choose([(_nearest(fitted, feature), pull)], double(0))
        for feature, pull in farther.items()
    }
    nearer = [
        (exp.and_(claims[c.name].not_(), _distance(fitted, c) < exp.column("own_distance")), text(c.name))
        for c in fitted.clusters
        if c.name in claims
    ]
    return {
        "second_nearest": stage("owned", {"runner_up_distance": pick("own", second)}),
        "runners_up": stage("second_nearest", {"runner_up": choose(runner_up)}),
        "compared": stage("runners_up", centres_compared),
        "explained": stage("compared", {**decisive, "belied": choose(nearer, text(""))}),
    }


def _score(fitted: Clustering) -> Sql:
    """1 - d(own) / d(runner-up): 0 is a toss-up, 1 sits on the centre (or there is no other cluster)."""
    if len(fitted.clusters) == 1:
        return double(1)
    return sql(
        """case when runner_up_distance > 0 then 1 - sqrt(own_distance / runner_up_distance)
           else cast(0 as double) end"""
    )


def _reason(fitted: Clustering, belied: Mapping[str, Sql]) -> Sql:
    """What decided: at most two figures, each nearer to the own centre than to any other's.

    Of more, those that most separate the customer from the next cluster. Whom a name that is not true would
    have been nearer to is told why it is not.
    """
    own = exp.column("own")
    if len(fitted.clusters) == 1:
        figures = joined(described("recency_days"), "; ", described("frequency"))
        return joined(f"{fitted.names[0]} is the only group: ", figures)
    together = joined("nearest to ", own, " in all taken together, then to ", exp.column("runner_up"))
    branches = [
        (exp.column("belied").eq(text(name)), joined(f"by its figures {name}, but ", why))
        for name, why in belied.items()
    ]
    decides = {feature: exp.column(f"{feature}_decides") for feature in fitted.features}
    opening = joined("like ", own, ": ")
    for pair in combinations(decides, 2):
        stronger = [decides[a] >= decides[b] for a, b in product(pair, decides.keys() - pair)]
        counts = [decides[feature] > double(0) for feature in pair]
        one, other = (_compared(fitted, feature) for feature in pair)
        branches.append((exp.and_(*counts, *stronger), joined(opening, one, "; ", other)))
    for feature, alone in decides.items():
        branches.append((alone > double(0), joined(opening, _compared(fitted, feature))))
    return choose(branches, together)


def _squared(fitted: Clustering, feature: str, centre: Sql) -> Sql:
    off = exp.Paren(this=exp.Sub(this=as_double(exp.column(feature)), expression=centre))
    away = exp.Paren(this=exp.Div(this=off, expression=double(fitted.spread[feature])))
    return exp.Mul(this=away, expression=away.copy())


def _compared(fitted: Clustering, feature: str) -> Sql:
    about = {c.name: text(f" ({c.name} about {_about(c.centre[feature])})") for c in fitted.clusters}
    return joined(described(feature), pick("own", about))


def _nearest(fitted: Clustering, feature: str) -> Sql:
    """Whether a figure is nearer to the own centre than to any other's: between the points half-way."""
    value, between = as_double(exp.column(feature)), dict[str, Sql]()
    for cluster in fitted.clusters:
        at = cluster.centre[feature]
        others = [c.centre[feature] for c in fitted.clusters if c is not cluster]
        bounds: list[Sql] = [exp.false()] if at in others else []
        if lower := [other for other in others if other < at]:
            bounds.append(sql(":value > :middle", value=value, middle=double((max(lower) + at) / 2)))
        if higher := [other for other in others if other > at]:
            bounds.append(sql(":value < :middle", value=value, middle=double((min(higher) + at) / 2)))
        between[cluster.name] = exp.and_(*bounds)
    return pick("own", between)


def _about(value: float) -> str:
    decimals = 0 if abs(value) >= 10 else 1
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
