"""Method `rfm_grid`: scores by quantile or cut point, and named segments from rules on them (METHODS.md, 4).

Scores start at 1, and the highest is the best: the most recent, the most orders, the most money. The
segmentation's score is the mean of the three.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise, product
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from retail_pipeline.segmentation.compile import (
    LAPSED,
    Sql,
    by_customer,
    choose,
    double,
    integer,
    joined,
    nobody,
    scored,
    sql,
    stage,
    statement,
    text,
)
from retail_pipeline.segmentation.fitted import RFM, Array, Card, Frozen, Names, Snapshot, rounded

Scores = npt.NDArray[np.int64]

MOST_BINS = 9
_POSITION = r"[0-9]|\.|\[\^?[0-9-]+\]"

RULES = (
    ("[12][12]", "Hibernating"),
    ("[12][34]", "At Risk"),
    ("[12]5", "Can't Lose Them"),
    ("3[12]", "About To Sleep"),
    ("33", "Need Attention"),
    ("[34][45]", "Loyal Customers"),
    ("41", "Promising"),
    ("51", "New Customers"),
    ("[45][23]", "Potential Loyalists"),
    ("5[45]", "Champions"),
)


class Scale(Frozen):
    """How one feature becomes a score: exactly one of ``bins``, ``quantiles`` and ``cuts``."""

    bins: int | None = Field(
        default=None, ge=2, le=MOST_BINS, description="So many bins of equally many customers, 2 to 9"
    )
    quantiles: tuple[float, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_BINS - 1,
        description="Or: bins end at these quantiles",
    )
    cuts: tuple[float, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_BINS - 1,
        description="Or: bins start at these values",
    )
    ties: Literal["together", "rank"] = Field(
        default="together",
        description="Equal customers get equal scores (`together`), or are ranked by customer_id (`rank`)",
    )
    on_edge: Literal["below", "above"] | None = Field(
        default=None,
        description="Where a value on an edge belongs: `below` or `above`; null: above `cuts`, below "
        "the others",
    )

    @model_validator(mode="after")
    def _is_one_way(self) -> Scale:
        given = [name for name in ("bins", "quantiles", "cuts") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of bins, quantiles and cuts, not {' and '.join(given) or 'none'}"
            )
        for name, edges in (("quantiles", self.quantiles), ("cuts", self.cuts)):
            if edges and any(low >= high for low, high in pairwise(edges)):
                raise ValueError(f"{name} must rise, each above the one before: {list(edges)}")
        if self.quantiles and not 0 < self.quantiles[0] <= self.quantiles[-1] < 1:
            raise ValueError(f"quantiles lie between 0 and 1, both excluded: {list(self.quantiles)}")
        if self.cuts and self.ties == "rank":
            raise ValueError("ties: rank needs bins or quantiles; fixed cuts keep equal customers together")
        if self.on_edge and self.ties == "rank":
            raise ValueError("on_edge needs ties: together; ranks have no edges that a value could be on")
        return self

    @property
    def shares(self) -> tuple[Fraction, ...]:
        """The share of customers below each edge, as exact as it was written; none for fixed cuts."""
        if self.bins:
            return tuple(Fraction(i, self.bins) for i in range(1, self.bins))
        return tuple(Fraction(str(q)) for q in self.quantiles or ())

    @property
    def edge_is_above(self) -> bool:
        """Whether a value on an edge belongs to the bin above it."""
        return self.on_edge == "above" or (self.on_edge is None and self.cuts is not None)

    @property
    def size(self) -> int:
        """How many scores there are."""
        return 1 + len(self.shares or self.cuts or ())


class RfmGridParameters(Frozen):
    """Settings of the method `rfm_grid`."""

    method: Literal["rfm_grid"] = "rfm_grid"
    recency: Scale = Field(
        default=Scale(bins=5), description="The score of recency; the fewest days score highest"
    )
    frequency: Scale = Field(default=Scale(bins=5), description="The score of frequency")
    monetary: Scale = Field(default=Scale(bins=5), description="The score of monetary")
    pattern_on: Literal["pair", "rfm"] = Field(
        default="pair",
        description="`pair`: rules read two digits, recency and `other`; `rfm`: three",
    )
    other: Literal["frequency", "monetary", "mean_fm"] = Field(
        default="mean_fm",
        description="Second digit of a pair: `frequency`, `monetary`, or the mean of both (`mean_fm`)",
    )
    rules: tuple[tuple[str, str], ...] = Field(
        default=RULES,
        min_length=1,
        description="`[pattern, segment]` in order; the first that matches wins",
    )

    @field_validator("rules")
    @classmethod
    def _are_readable(cls, rules: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pattern, name in rules:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"the pattern {pattern!r} of {name!r} is no pattern: {error}") from error
            if not re.fullmatch(f"(?:{_POSITION})+", pattern):
                raise ValueError(
                    f"the pattern {pattern!r} of {name!r} must be made of digits, classes such as [45] or "
                    "[1-3], and dots"
                )
            if not name.strip() or name == LAPSED:
                raise ValueError(
                    f"the pattern {pattern!r} needs a segment name that is not blank and not {LAPSED}"
                )
        return rules

    @model_validator(mode="after")
    def _covers_every_score(self) -> RfmGridParameters:
        digits = ["recency", "frequency", "monetary"] if self.pattern_on == "rfm" else ["recency", self.other]
        for pattern, name in self.rules:
            if len(re.findall(_POSITION, pattern)) != len(digits):
                raise ValueError(
                    f"the pattern {pattern!r} of {name!r} must have {len(digits)} positions: "
                    f"{', '.join(digits)}"
                )
        for scores, rule in self.outcomes().items():
            if rule is None:
                shown = "".join(map(str, scores))
                meaning = ", ".join(f"{name} {score}" for name, score in zip(digits, scores, strict=True))
                raise ValueError(
                    f"no rule matches the score {shown} ({meaning}); add a rule for it, or end the rules "
                    f"with ['{'.' * len(digits)}', <segment>] for all that is left"
                )
        return self

    @property
    def scales(self) -> dict[str, Scale]:
        """The scale of each feature."""
        return dict(zip(RFM, (self.recency, self.frequency, self.monetary), strict=True))

    def outcomes(self) -> dict[tuple[int, ...], tuple[str, str] | None]:
        """Every combination of digits that can occur, with the first rule that matches it."""
        r, f, m = (range(1, scale.size + 1) for scale in self.scales.values())
        means = sorted({(a + b + 1) // 2 for a, b in product(f, m)})
        pairs = product(r, {"frequency": f, "monetary": m, "mean_fm": means}[self.other])
        # Compiled here: re keeps no more than 512 patterns, and a shop may name every score.
        rules = [(re.compile(rule[0]), rule) for rule in self.rules]
        return {
            digits: next(
                (rule for pattern, rule in rules if pattern.fullmatch("".join(map(str, digits)))), None
            )
            for digits in (product(r, f, m) if self.pattern_on == "rfm" else pairs)
        }

    def live_rules(self) -> tuple[tuple[str, str], ...]:
        """The rules that decide at least one combination; earlier rules leave nothing to the others."""
        deciding = set(self.outcomes().values())
        return tuple(rule for rule in self.rules if rule in deciding)


class Edges(Frozen):
    """Where the bins of each feature end, ascending; None where customers are ranked, which has no values."""

    recency_days: tuple[float, ...] | None
    frequency: tuple[float, ...] | None
    monetary: tuple[float, ...] | None


class FittedRfmGrid(Frozen):
    """A fitted `rfm_grid` segmentation; without ``edges`` there was nobody to fit."""

    schema_version: Literal[2] = 2
    method: Literal["rfm_grid"] = "rfm_grid"
    parameters: RfmGridParameters
    edges: Edges | None
    card: Card

    @model_validator(mode="after")
    def _edges_fit_the_scales(self) -> FittedRfmGrid:
        for name, scale in self.parameters.scales.items() if self.edges else ():
            edges = getattr(self.edges, name)
            if (edges is None) != (scale.ties == "rank"):
                raise ValueError(f"edges of {name}: there must be none where ties are ranked, and only there")
            if edges is not None and (len(edges) != scale.size - 1 or list(edges) != sorted(edges)):
                raise ValueError(f"edges of {name}: {scale.size - 1} rising values are needed: {list(edges)}")
        return self


def segments(parameters: RfmGridParameters) -> tuple[str, ...]:
    """Every name the rules can give, in their order."""
    return tuple(dict.fromkeys(name for _, name in parameters.live_rules()))


def fit(customers: Snapshot, parameters: RfmGridParameters) -> FittedRfmGrid:
    """Edges of the bins over all active customers."""
    if not len(customers.values):
        return FittedRfmGrid(parameters=parameters, edges=None, card=customers.card({}, ()))
    scales = parameters.scales
    edges = Edges(**{name: _edges(customers.feature(name), scale) for name, scale in scales.items()})
    scores = _scores(customers, scales, edges)
    sizes = dict.fromkeys(segments(parameters), 0) | Counter(_names(scores, parameters))
    notes = [
        f"{name} gives {len(given)} of {scale.size} scores: too many customers have the same value"
        for name, scale in scales.items()
        if scale.shares and len(given := np.unique(scores[name])) < scale.size
    ]
    return FittedRfmGrid(parameters=parameters, edges=edges, card=customers.card(sizes, notes))


def assign(fitted: FittedRfmGrid, customers: Snapshot) -> Names:
    """The segment of each active customer, as the query gives it; empty where the model knows nobody."""
    if fitted.edges is None:
        return np.full(len(customers.values), "", dtype=object)
    return _names(_scores(customers, fitted.parameters.scales, fitted.edges), fitted.parameters)


def grid(fitted: FittedRfmGrid, customers: Snapshot) -> tuple[Scores, Scores]:
    """Each active customer's place in the grid: recency, and the second digit of the rules.

    Under three-digit rules the second is the mean of frequency and monetary, a half rounded up.
    """
    if fitted.edges is None:
        nobody_known = np.zeros(len(customers.values), dtype=np.int64)
        return nobody_known, nobody_known
    scores = _scores(customers, fitted.parameters.scales, fitted.edges)
    other = "mean_fm" if fitted.parameters.pattern_on == "rfm" else fitted.parameters.other
    return scores["recency_days"], _seconds(scores)[other]


def to_sql(fitted: FittedRfmGrid) -> str:
    """The query that assigns every customer of ``rfm_features``."""
    parameters = fitted.parameters
    if fitted.edges is None:
        return nobody()
    edges, scales = fitted.edges.model_dump(), parameters.scales
    ranks = {_rank(name): by_customer(name) for name, scale in scales.items() if scale.ties == "rank"}
    scores = {_score(name): _score_sql(name, scale, edges[name]) for name, scale in scales.items()}
    seconds = {
        "frequency": exp.column(_score("frequency")),
        "monetary": exp.column(_score("monetary")),
        "mean_fm": sql("cast(floor(cast(frequency_score + monetary_score + 1 as double) / 2) as bigint)"),
    }
    recency = exp.column(_score("recency_days"))
    if parameters.pattern_on == "rfm":
        digits = [recency, seconds["frequency"], seconds["monetary"]]
    else:
        digits = [recency, seconds[parameters.other]]
    named = {f"digit_{i}": digit for i, digit in enumerate(digits, 1)}
    shown = [scored(name, scale.size) for name, scale in scales.items()]
    return statement(
        {
            **({"ranked": stage("active", {**ranks, "customers": sql("count(*) over ()")})} if ranks else {}),
            "scored": stage("ranked" if ranks else "active", scores),
            "digits": stage("scored", named),
        },
        segment=_segment_sql(parameters, list(named)),
        score=sql("cast(recency_days_score + frequency_score + monetary_score as double) / 3"),
        reason=joined(shown[0], ", ", shown[1], ", ", shown[2]),
    )


def _edges(values: Array, scale: Scale) -> tuple[float, ...] | None:
    if scale.ties == "rank":
        return None
    if scale.cuts:
        return tuple(map(rounded, scale.cuts))
    return tuple(rounded(edge) for edge in np.quantile(values, [float(share) for share in scale.shares]))


def _names(scores: Mapping[str, Scores], parameters: RfmGridParameters) -> Names:
    """The segments that the rules give to the scores."""
    r, f, m = scores.values()
    digits = (r, f, m) if parameters.pattern_on == "rfm" else (r, _seconds(scores)[parameters.other])
    named = {there: rule[1] for there, rule in parameters.outcomes().items() if rule}
    found = [named[there] for there in zip(*(digit.tolist() for digit in digits), strict=True)]
    return np.array(found, dtype=object)


def _seconds(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    f, m = scores["frequency"], scores["monetary"]
    return {"frequency": f, "monetary": m, "mean_fm": (f + m + 1) // 2}


def _scores(customers: Snapshot, scales: Mapping[str, Scale], edges: Edges) -> dict[str, Scores]:
    return {
        name: _scores_of(name, customers.feature(name), scale, getattr(edges, name))
        for name, scale in scales.items()
    }


def _scores_of(name: str, values: Array, scale: Scale, edges: tuple[float, ...] | None) -> Scores:
    if edges is None:
        place = np.empty(len(values), dtype=np.int64)
        place[np.argsort(values, kind="stable")] = np.arange(len(values))
        passed = sum(
            (place * share.denominator > share.numerator * (len(values) - 1)).astype(np.int64)
            for share in scale.shares
        )
    else:
        passed = np.searchsorted(edges, values, side="right" if scale.edge_is_above else "left")
    bins: Scores = np.asarray(passed + 1, dtype=np.int64)
    return scale.size + 1 - bins if name == "recency_days" else bins


def _score_sql(name: str, scale: Scale, edges: tuple[float, ...] | None) -> Sql:
    """The score as one CASE from the highest edge down."""
    if edges is None:
        passed = [
            sql(
                "(:rank - 1) * :denominator > :numerator * (customers - 1)",
                rank=exp.column(_rank(name)),
                denominator=integer(share.denominator),
                numerator=integer(share.numerator),
            )
            for share in scale.shares
        ]
    else:
        above = f"cast(:value as double) {'>=' if scale.edge_is_above else '>'} :edge"
        passed = [sql(above, value=exp.column(name), edge=double(edge)) for edge in edges]
    best_first = name == "recency_days"
    bins = [integer(scale.size - i if best_first else i + 1) for i in range(scale.size)]
    return choose(list(zip(passed, bins[1:], strict=True))[::-1], bins[0])


def _segment_sql(parameters: RfmGridParameters, digits: Sequence[str]) -> Sql:
    """The rules as conditions on digits: no regular expressions, which engines spell differently."""

    def matches(pattern: str) -> Sql:
        allowed = {
            digit: [i for i in range(1, 10) if re.fullmatch(position, str(i))]
            for digit, position in zip(digits, re.findall(_POSITION, pattern), strict=True)
            if position != "."
        }
        return exp.and_(
            *([exp.column(digit).isin(*those) for digit, those in allowed.items()] or [exp.true()])
        )

    return choose([(matches(pattern), text(name)) for pattern, name in parameters.live_rules()])


def _rank(name: str) -> str:
    return f"{name}_rank"


def _score(name: str) -> str:
    return f"{name}_score"
