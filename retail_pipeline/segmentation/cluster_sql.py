"""Clusters as SQL: the nearest centre, how clear it is, and why it is that one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product

from sqlglot import exp

from retail_pipeline.segmentation.clusters import Clustering
from retail_pipeline.segmentation.compile import (
    Sql,
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


def stages(fitted: Clustering, source: str) -> dict[str, Sql]:
    """Stages giving ``own`` and ``runner_up`` (names), and what score and reason are made from.

    The pull of a feature is how much farther the runner-up's centre lies than the own, in that feature alone.
    """
    distance = {name: exp.column(f"distance_{i}") for i, name in enumerate(fitted.names, 1)}
    distances = {
        distance[cluster.name].name: _sum(
            [_squared(fitted, f, double(cluster.centre[f])) for f in fitted.features]
        )
        for cluster in fitted.clusters
    }
    own_distance, runner_up_distance = exp.column("own_distance"), exp.column("runner_up_distance")
    own = [(column.eq(own_distance), text(name)) for name, column in distance.items()]
    found = {
        "distances": stage(source, distances),
        "nearest": stage("distances", {"own_distance": least(list(distance.values()))}),
        "owned": stage("nearest", {"own": choose(own)}),
    }
    if len(distance) == 1:
        return found
    second = {
        name: least([column for other, column in distance.items() if other != name]) for name in distance
    }
    runner_up = [
        (exp.and_(column.eq(runner_up_distance), exp.column("own").neq(text(name))), text(name))
        for name, column in distance.items()
    ]
    centres_compared = {
        f"{whose}_{feature}": pick(whose, {c.name: double(c.centre[feature]) for c in fitted.clusters})
        for whose in ("own", "runner_up")
        for feature in fitted.features
    }
    pulls = {f"{feature}_pull": _pull(fitted, feature) for feature in fitted.features}
    return {
        **found,
        "second_nearest": stage("owned", {"runner_up_distance": pick("own", second)}),
        "runners_up": stage("second_nearest", {"runner_up": choose(runner_up)}),
        "compared": stage("runners_up", centres_compared),
        "explained": stage("compared", pulls),
    }


def score(fitted: Clustering) -> Sql:
    """1 - d(own) / d(runner-up): 0 is a toss-up, 1 sits on the centre (or there is no other cluster)."""
    if len(fitted.clusters) == 1:
        return double(1)
    return sql(
        """case when runner_up_distance > 0 then 1 - sqrt(own_distance / runner_up_distance)
           else cast(0 as double) end"""
    )


def reason(fitted: Clustering) -> Sql:
    """Why the own centre and not the runner-up's: the two features with the strongest pull, in figures."""
    if len(fitted.clusters) == 1:
        figures = [described(feature) for feature in FEATURES if feature in fitted.clusters[0].centre]
        return joined(f"{fitted.names[0]} is the only group: ", *_listed(figures))
    *pairs, last = combinations(fitted.features, min(2, len(fitted.features)))
    others = {pair: [feature for feature in fitted.features if feature not in pair] for pair in pairs}
    branches = [(_outpull(pair, others[pair]), _because(fitted, pair)) for pair in pairs]
    return choose(branches, _because(fitted, last))


def _squared(fitted: Clustering, feature: str, centre: Sql) -> Sql:
    away = sql(
        "(cast(:value as double) - :centre) / :spread",
        value=exp.column(feature),
        centre=centre,
        spread=double(fitted.spread[feature]),
    )
    return sql("(:away) * (:away)", away=away)


def _sum(terms: Sequence[Sql]) -> Sql:
    total = terms[0] if terms else double(0)
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return total


def _pull(fitted: Clustering, feature: str) -> Sql:
    far, near = (
        _squared(fitted, feature, exp.column(f"{whose}_{feature}")) for whose in ("runner_up", "own")
    )
    return exp.Sub(this=far, expression=near)


def _outpull(kept: Iterable[str], dropped: Iterable[str]) -> Sql:
    return exp.and_(
        *(
            exp.column(f"{strong}_pull") >= exp.column(f"{weak}_pull")
            for strong, weak in product(kept, dropped)
        )
    )


def _because(fitted: Clustering, features: Iterable[str]) -> Sql:
    figures = [_compared(fitted, feature) for feature in features]
    return joined(
        "closest to ", exp.column("own"), " rather than ", exp.column("runner_up"), ": ", *_listed(figures)
    )


def _compared(fitted: Clustering, feature: str) -> Sql:
    about = {c.name: f"{c.name} about {_about(c.centre[feature])}" for c in fitted.clusters}
    own = pick("own", {name: text(f" ({words}, ") for name, words in about.items()})
    runner_up = pick("runner_up", {name: text(f"{words})") for name, words in about.items()})
    return joined(described(feature), own, runner_up)


def _listed(phrases: Sequence[Sql]) -> list[Sql | str]:
    first, *rest = phrases
    return [first, *(part for phrase in rest for part in (", ", phrase))]


def _about(value: float) -> str:
    decimals = 0 if abs(value) >= 10 else 1
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
