"""Clusters as SQL: the nearest centre, how clear it is, and why it is that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import combinations, product

from sqlglot import exp

from retail_pipeline.segmentation.clusters import Clustering
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
from retail_pipeline.segmentation.fitted import FEATURES

TOO_FAR = 1e308  # the distance to a cluster whose name is not true of a customer


def stages(fitted: Clustering, source: str, claims: Mapping[str, Sql] | None = None) -> dict[str, exp.Select]:
    """Stages giving the distance to each centre, the least, and ``own``, the nearest cluster's name.

    A cluster whose name ``claims`` what is not true of a customer is out of their reach.
    """
    distances = {
        f"distance_{i}": reduce(
            lambda total, term: exp.Add(this=total, expression=term),
            [_squared(fitted, f, double(cluster.centre[f])) for f in fitted.features] or [double(0)],
        )
        for i, cluster in enumerate(fitted.clusters, 1)
    }
    for i, name in enumerate(fitted.names, 1):
        if claims and name in claims:
            distances[f"distance_{i}"] = choose([(claims[name], distances[f"distance_{i}"])], double(TOO_FAR))
    own = [(column.eq(exp.column("own_distance")), text(name)) for name, column in _distances(fitted).items()]
    return {
        "distances": stage(source, distances),
        "nearest": stage("distances", {"own_distance": least(list(_distances(fitted).values()))}),
        "owned": stage("nearest", {"own": choose(own)}),
    }


def explained(fitted: Clustering) -> tuple[dict[str, exp.Select], Sql, Sql]:
    """Further stages on top of ``stages``, and score and reason made from them."""
    return _further(fitted), _score(fitted), _reason(fitted)


def _distances(fitted: Clustering) -> dict[str, exp.Column]:
    return {name: exp.column(f"distance_{i}") for i, name in enumerate(fitted.names, 1)}


def _further(fitted: Clustering) -> dict[str, exp.Select]:
    """Stages giving ``runner_up``, the name of the next nearest cluster, and each feature's pull.

    The pull is how much farther the runner-up's centre lies than the own, in that feature alone.
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
    pulls = {
        f"{feature}_pull": exp.Sub(
            this=_squared(fitted, feature, exp.column(f"runner_up_{feature}")),
            expression=_squared(fitted, feature, exp.column(f"own_{feature}")),
        )
        for feature in fitted.features
    }
    return {
        "second_nearest": stage("owned", {"runner_up_distance": pick("own", second)}),
        "runners_up": stage("second_nearest", {"runner_up": choose(runner_up)}),
        "compared": stage("runners_up", centres_compared),
        "explained": stage("compared", pulls),
    }


def _score(fitted: Clustering) -> Sql:
    """1 - d(own) / d(runner-up): 0 is a toss-up, 1 sits on the centre (or there is no other cluster)."""
    if len(fitted.clusters) == 1:
        return double(1)
    return sql(
        """case when runner_up_distance > 0 then 1 - sqrt(own_distance / runner_up_distance)
           else cast(0 as double) end"""
    )


def _reason(fitted: Clustering) -> Sql:
    """Why the own centre and not the runner-up's: the two features with the strongest pull, in figures."""
    if len(fitted.clusters) == 1:
        figures = [described(feature) for feature in FEATURES if feature in fitted.clusters[0].centre]
        return _listed(f"{fitted.names[0]} is the only group: ", figures)
    branches = []
    for pair in combinations(fitted.features, min(2, len(fitted.features))):
        others = [feature for feature in fitted.features if feature not in pair]
        stronger = [exp.column(f"{a}_pull") >= exp.column(f"{b}_pull") for a, b in product(pair, others)]
        opening = joined("closest to ", exp.column("own"), " rather than ", exp.column("runner_up"), ": ")
        branches.append((stronger, _listed(opening, [_compared(fitted, feature) for feature in pair])))
    *pairs, (_, last) = branches
    return choose([(exp.and_(*stronger), because) for stronger, because in pairs], last)


def _squared(fitted: Clustering, feature: str, centre: Sql) -> Sql:
    off = exp.Paren(this=exp.Sub(this=as_double(exp.column(feature)), expression=centre))
    away = exp.Paren(this=exp.Div(this=off, expression=double(fitted.spread[feature])))
    return exp.Mul(this=away, expression=away.copy())


def _compared(fitted: Clustering, feature: str) -> Sql:
    about = {c.name: f"{c.name} about {_about(c.centre[feature])}" for c in fitted.clusters}
    own = pick("own", {name: text(f" ({words}, ") for name, words in about.items()})
    runner_up = pick("runner_up", {name: text(f"{words})") for name, words in about.items()})
    return joined(described(feature), own, runner_up)


def _listed(opening: Sql | str, phrases: Sequence[Sql]) -> Sql:
    first, *rest = phrases
    return joined(opening, first, *(part for phrase in rest for part in (", ", phrase)))


def _about(value: float) -> str:
    decimals = 0 if abs(value) >= 10 else 1
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
