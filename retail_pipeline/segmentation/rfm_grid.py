"""Method `rfm_grid`: scores by quantile or cut point, and named segments from rules on them (METHODS.md, 4).

Scores start at 1, and the highest is the best: the most recent, the most orders, the most money. The
segmentation's score is the mean of the three.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from retail_pipeline.segmentation import guards
from retail_pipeline.segmentation.compile import (
    LAPSED,
    Sql,
    Stages,
    by_customer,
    choose,
    double,
    evaluated,
    integer,
    joined,
    scored,
    sql,
    stage,
    stepped,
    text,
)
from retail_pipeline.segmentation.fitted import (
    RFM,
    Array,
    Fact,
    Fitted,
    Frozen,
    MethodParameters,
    Snapshot,
    rounded,
)

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
WITHOUT_LINES: tuple[tuple[tuple[Fact, ...], str], ...] = (
    (("late", "few_orders"), "Hibernating"),
    (("late",), "At Risk"),
    (("new",), "New Customers"),
    (("few_orders",), "Promising"),
    ((), "Loyal Customers"),
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


class RfmGridParameters(MethodParameters):
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
    def _stays_by_value(self) -> RfmGridParameters:
        if self.is_ranked and super().is_steady and {"margin", "stay_days"} & self.model_fields_set:
            raise ValueError(
                "margin and stay_days need ties: together; ranks change with everybody else's figures"
            )
        return self

    @model_validator(mode="after")
    def _covers_every_score(self) -> RfmGridParameters:
        digits = ["recency", "frequency", "monetary"] if self.pattern_on == "rfm" else ["recency", self.other]
        for pattern, name in self.rules:
            if len(re.findall(_POSITION, pattern)) != len(digits):
                raise ValueError(
                    f"the pattern {pattern!r} of {name!r} must have {len(digits)} positions: "
                    f"{', '.join(digits)}"
                )
        for scores, rule in self.outcomes.items():
            if rule is None:
                shown = "".join(map(str, scores))
                meaning = ", ".join(f"{name} {score}" for name, score in zip(digits, scores, strict=True))
                raise ValueError(
                    f"no rule matches the score {shown} ({meaning}); add a rule for it, or end the rules "
                    f"with ['{'.' * len(digits)}', <segment>] for all that is left"
                )
        if self.guards and all(map(self.guards.claims, self.segments)):
            raise ValueError(
                f"every name claims something ({', '.join(self.segments)}), and a customer of whom none is "
                "true has no segment; add a rule with a name that claims nothing, or set `guards: null`"
            )
        return self

    @property
    def is_ranked(self) -> bool:
        """Whether a score is a rank, which features alone do not give."""
        return any(scale.ties == "rank" for scale in self.scales.values())

    @property
    def is_steady(self) -> bool:
        return super().is_steady and not self.is_ranked

    @property
    def scales(self) -> dict[str, Scale]:
        """The scale of each feature."""
        return dict(zip(RFM, (self.recency, self.frequency, self.monetary), strict=True))

    @cached_property
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

    @property
    def live_rules(self) -> tuple[tuple[str, str], ...]:
        """The rules that decide at least one combination; earlier rules leave nothing to the others."""
        deciding = set(self.outcomes.values())
        return tuple(rule for rule in self.rules if rule in deciding)

    @property
    def segments(self) -> tuple[str, ...]:
        """Every name the rules can give, in their order."""
        return tuple(dict.fromkeys(name for _, name in self.live_rules))

    @property
    def without_lines(self) -> tuple[tuple[tuple[Fact, ...], str], ...]:
        """None under names of one's own, nor where no bin depends on how many customers there are."""
        drawn = any(scale.shares for scale in self.scales.values())
        return WITHOUT_LINES if drawn and {name for _, name in WITHOUT_LINES} <= set(self.segments) else ()

    def true_names(self, digits: tuple[int, ...]) -> tuple[str, ...]:
        """The name of a place in the grid, and if it claims something those to take where that is not true.

        They are those of the nearest places (by steps, then by the longest of them, then along recency, then
        upwards), to the first that claims nothing; a name is left out that claims what one before it claimed
        in vain.
        """
        assert self.guards
        names, in_vain = list[str](), list[set[Fact]]()

        def away(other: tuple[int, ...]) -> tuple[Any, ...]:
            steps = [there - here for here, there in zip(digits, other, strict=True)]
            far = [abs(step) for step in steps]
            return sum(far), max(far), sum(far[1:]), [-step for step in steps]

        for other in sorted(self.outcomes, key=away):
            _, name = self.outcomes[other] or ("", "")
            claims = set(self.guards.claims(name))
            if not any(vain <= claims for vain in in_vain):
                names.append(name)
                in_vain.append(claims)
            if not claims:
                break
        return tuple(names)

    def fit(self, customers: Snapshot, *_: Any) -> FittedRfmGrid:
        """Edges of the bins over all active customers."""
        edges = Edges(**{name: _edges(customers.feature(name), scale) for name, scale in self.scales.items()})
        fitted = FittedRfmGrid(parameters=self, edges=edges, card=customers.card(self.segments))
        value = evaluated(fitted.stages(), customers)
        notes = [
            f"{name} gives {len(given)} of {scale.size} scores: too many customers have the same value"
            for name, scale in self.scales.items()
            if scale.shares and len(given := np.unique(value(_score(name)))) < scale.size
        ]
        return fitted.model_copy(update={"card": customers.card(self.segments, notes)})


class Edges(Frozen):
    """Where the bins of each feature end, ascending; None where customers are ranked, which has no values."""

    recency_days: tuple[float, ...] | None
    frequency: tuple[float, ...] | None
    monetary: tuple[float, ...] | None


class FittedRfmGrid(Fitted):
    """A fitted `rfm_grid` segmentation."""

    method: Literal["rfm_grid"] = "rfm_grid"
    parameters: RfmGridParameters
    edges: Edges | None = None

    @model_validator(mode="after")
    def _edges_fit_the_scales(self) -> FittedRfmGrid:
        for name, scale in self.parameters.scales.items() if self.edges else ():
            edges = getattr(self.edges, name)
            if (edges is None) != (scale.ties == "rank"):
                raise ValueError(f"edges of {name}: there must be none where ties are ranked, and only there")
            if edges is not None and (len(edges) != scale.size - 1 or list(edges) != sorted(edges)):
                raise ValueError(f"edges of {name}: {scale.size - 1} rising values are needed: {list(edges)}")
        return self

    def columns(self) -> tuple[Stages, Sql]:
        stages = self.stages()
        digits = [column.alias for column in stages["digits"].expressions if column.alias]
        rules = [(_matches(rule[0], digits), self._name(rule, digits)) for rule in self.parameters.live_rules]
        return stages, choose(rules)

    def _name(self, rule: tuple[str, str], digits: Sequence[str]) -> Sql:
        """The rule's name where it is true, else by the place in the grid the next one that is."""
        if guards.claimed(self, rule[1]) is None:
            return text(rule[1])
        places = dict[tuple[str, ...], list[Sql]]()
        for place, decided in self.parameters.outcomes.items():
            if decided == rule:
                here = [exp.column(d).eq(integer(i)) for d, i in zip(digits, place, strict=True)]
                places.setdefault(self.parameters.true_names(place), []).append(exp.and_(*here, copy=False))
        *most, (_, last) = [
            (exp.or_(*those, copy=False), self._first_true(names)) for names, those in places.items()
        ]
        return choose(most, last)

    def _first_true(self, names: Sequence[str]) -> Sql:
        *claiming, last = names
        return choose(
            [(guards.claimed(self, name) or exp.true(), text(name)) for name in claiming], text(last)
        )

    def stages(self) -> Stages:
        """The columns with the scores, and with the digits that the rules read."""
        scales = self.parameters.scales
        ranks = {f"{name}_rank": by_customer(name) for name, scale in scales.items() if scale.ties == "rank"}
        scores = {f"{name}_score": self._scored(name, scale) for name, scale in scales.items()}
        rfm = self.parameters.pattern_on == "rfm"
        others = ("frequency", "monetary") if rfm else (self.parameters.other,)
        digits = {f"digit_{i}": _score(name) for i, name in enumerate(("recency_days", *others), 1)}
        known, source = guards.known(self)
        ranked = {"ranked": stage(source, {**ranks, "customers": sql("count(*) over ()")})} if ranks else {}
        return {
            **known,
            **ranked,
            "scored": stage("ranked" if ranks else source, scores),
            "digits": stage("scored", digits),
        }

    def words(self) -> tuple[Stages, Sql, Sql]:
        score = sql("cast(recency_days_score + frequency_score + monetary_score as double) / 3")
        unread = {"frequency": "monetary", "monetary": "frequency"}.get(self.parameters.other)
        read = {
            name: scale.size
            for name, scale in self.parameters.scales.items()
            if self.parameters.pattern_on == "rfm" or name != unread
        }
        digits = [column.alias for column in self.stages()["digits"].expressions if column.alias]
        belied = [
            (
                exp.and_(_matches(pattern, digits), claim.not_()),
                joined(f"by rank {name}, but ", guards.belied(self, name)),
            )
            for pattern, name in self.parameters.live_rules
            if (claim := guards.claimed(self, name)) is not None
        ]
        return {}, score, choose(belied, joined(*scored(read)))

    def _scored(self, name: str, scale: Scale) -> Sql:
        """The score of a feature, counted by the edges that a customer has passed."""
        edges = getattr(self.edges, name)
        if edges is None:
            passed = [
                sql(
                    "(:rank - 1) * :denominator > :numerator * (customers - 1)",
                    rank=exp.column(f"{name}_rank"),
                    denominator=integer(share.denominator),
                    numerator=integer(share.numerator),
                )
                for share in scale.shares
            ]
        else:
            above = f"cast(:value as double) {'>=' if scale.edge_is_above else '>'} :edge"
            passed = [sql(above, value=exp.column(name), edge=double(edge)) for edge in edges]
        return stepped(passed, falling=name == "recency_days", lowest=1)


def grid(fitted: FittedRfmGrid, customers: Snapshot) -> tuple[Scores, Scores]:
    """Each active customer's place in the grid: recency, and the second digit of the rules.

    Under three-digit rules the second is the mean of frequency and monetary, a half rounded up.
    """
    if fitted.edges is None:
        nobody_known = np.zeros(len(customers.values), dtype=np.int64)
        return nobody_known, nobody_known
    value = evaluated(fitted.stages(), customers)
    other = "mean_fm" if fitted.parameters.pattern_on == "rfm" else fitted.parameters.other
    recency, second = (value(_score(name)).astype(np.int64) for name in ("recency_days", other))
    return recency, second


def _edges(values: Array, scale: Scale) -> tuple[float, ...] | None:
    if scale.ties == "rank":
        return None
    if scale.cuts:
        return tuple(map(rounded, scale.cuts))
    return tuple(rounded(edge) for edge in np.quantile(values, [float(share) for share in scale.shares]))


def _score(name: str) -> Sql:
    """A feature's score, or `mean_fm`, the mean of frequency and monetary, a half rounded up."""
    if name == "mean_fm":
        return sql("cast(floor(cast(frequency_score + monetary_score + 1 as double) / 2) as bigint)")
    return exp.column(f"{name}_score")


def _matches(pattern: str, digits: Sequence[str]) -> Sql:
    """A rule as conditions on digits: no regular expressions, which engines spell differently."""
    allowed = {
        digit: [i for i in range(1, 10) if re.fullmatch(position, str(i))]
        for digit, position in zip(digits, re.findall(_POSITION, pattern), strict=True)
        if position != "."
    }
    conditions = [
        exp.In(this=exp.column(digit), expressions=[integer(i) for i in those])
        for digit, those in allowed.items()
    ]
    return exp.and_(*(conditions or [exp.true()]), copy=False)
