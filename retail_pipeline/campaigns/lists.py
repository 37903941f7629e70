"""Campaigns: which segments get which offer, who is held out, and how a list is ranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import sqlglot
from pydantic import AfterValidator, Field, model_validator
from sqlglot import exp
from sqlglot.errors import SqlglotError

from retail_pipeline.planning.manifests import Frozen
from retail_pipeline.segmentation import LAPSED
from retail_pipeline.segmentation.guards import slipping
from retail_pipeline.tables import TABLES

SLIPPING = "slipping"
RANKABLE = (*(c for c in TABLES["rfm_features"].names if c != "customer_id"), "score", SLIPPING)
CONTROLS_TO_MEASURE = 100
WANTED_LIFT = 0.05  # what a holdout should be able to show
_EXPRESSIONS = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div,
    exp.IntDiv, exp.Mod, exp.Pow, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.Not, exp.And,
    exp.Or, exp.Case, exp.If, exp.Coalesce, exp.Abs, exp.Ln, exp.Sqrt, exp.Greatest, exp.Least,
)  # fmt: skip


def _expression(text: str) -> str:
    try:
        parsed = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError as error:
        raise ValueError(f"{text!r} is no SQL expression; write one over {', '.join(RANKABLE)}") from error
    for node in parsed.walk():
        if isinstance(node, exp.Column) and node.sql() not in RANKABLE:
            raise ValueError(f"{text!r} names {node.sql()}; it may use {', '.join(RANKABLE)}")
        if not isinstance(node, _EXPRESSIONS):
            raise ValueError(
                f"{text!r} uses {node.key}; it may use arithmetic, case, coalesce, greatest, least, ln"
            )
    return text


def _condition(text: str | None) -> str | None:
    parsed = sqlglot.parse_one(_expression(text), read="duckdb").unnest() if text else None
    if text and not isinstance(parsed, exp.Predicate | exp.Connector | exp.Not):
        raise ValueError(f"{text!r} is no condition; write one such as frequency = 1")
    return text


class Campaign(Frozen):
    """One campaign: who, what, how, and how many are held out to measure it."""

    segmentation: str = Field("behaviour", description="The segmentation whose segments it uses")
    segments: tuple[str, ...] = Field(min_length=1, description="The segments it goes to")
    offer: str = Field(min_length=1, description="The offer, as the CRM system names it")
    offer_if: Annotated[str | None, AfterValidator(_condition)] = Field(
        None, description="Whom the offer fits: a condition in SQL, as `rank_by`; null: everybody"
    )
    other_offer: str | None = Field(
        None, min_length=1, description="The offer to the others; null: they are not on the list"
    )
    channel: str = Field("email", description="The channel")
    strategy: str = Field("", description="What the campaign is for, in a sentence")
    holdout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share in the control arm, below 1",
    )
    rank_by: Annotated[str, AfterValidator(_expression)] = Field(
        "monetary",
        description="SQL over the columns of `rfm_features`, `score` and `slipping` (what is about to be "
        "lost); the highest is rank 1",
    )

    @model_validator(mode="after")
    def _others_are_told(self) -> Campaign:
        if self.other_offer and not self.offer_if:
            raise ValueError("other_offer is for those whom offer_if leaves out: say whom the offer fits")
        return self

    @property
    def offers(self) -> str:
        """What it offers, in words."""
        return f"{self.offer}, else {self.other_offer}" if self.other_offer else self.offer


def control_below(holdout: float) -> str:
    """The 8 hex digits below which a customer's hash puts them in the control arm.

    A hash is uniform over 16**8 values, so the share of customers below the threshold is ``holdout``. 'g'
    sorts above every hex digit: the threshold of a holdout that rounds to everyone.
    """
    threshold = round(holdout * 16**8)
    return f"{threshold:08x}" if threshold < 16**8 else "g"


def candidates_sql(campaign: Campaign, window_days: int | None) -> str:
    """The select that gives a campaign's candidates: assignments joined to features, with ``rank_value``.

    Reads ``segment_assignments`` and ``rfm_features`` of some days, with their snapshot_date; gives
    snapshot_date, customer_id, segment, reason, offer, rank_value. Whom the offer does not fit gets the other
    one, or is none where there is none. ``window_days``: of the features.
    """

    def read(expression: str) -> exp.Expression:
        def known(node: exp.Expression) -> exp.Expression:
            named = isinstance(node, exp.Column) and node.name == SLIPPING
            return exp.Paren(this=slipping(window_days)) if named else node

        return sqlglot.parse_one(expression, read="duckdb").transform(known)

    fits = read(campaign.offer_if or "true")
    offer = exp.Case().when(fits, exp.Literal.string(campaign.offer))
    if campaign.other_offer:
        offer, fits = offer.else_(exp.Literal.string(campaign.other_offer)), exp.true()
    text: str = (
        exp.select("snapshot_date", "customer_id", "segment", "reason")
        .select(offer.as_("offer"))
        .select(exp.cast(read(campaign.rank_by), "double").as_("rank_value"))
        .from_("segment_assignments")
        .join("rfm_features", using=["snapshot_date", "customer_id"], join_type="inner")
        .where(exp.column("segment").isin(*campaign.segments), fits.copy())
        .sql(dialect="duckdb")
    )
    return text


def smallest_lift(treated: float, controls: float, base: float) -> float | None:
    """The smallest lift of a response rate that two arms show; None where none up to 100 % does.

    Two-sided test at 5 % with 80 % power: the difference is 1.96 standard errors of arms that are alike and
    0.84 of arms that differ (Fleiss, Statistical Methods for Rates and Proportions).
    """

    def shows(lift: float) -> bool:
        there, both = base + lift, (controls * base + treated * (base + lift)) / (controls + treated)
        alike = (both * (1 - both) * (1 / treated + 1 / controls)) ** 0.5
        apart = (there * (1 - there) / treated + base * (1 - base) / controls) ** 0.5
        return bool(lift >= 1.96 * alike + 0.842 * apart)

    if controls < CONTROLS_TO_MEASURE or treated < 1 or not shows(1 - base):
        return None
    low, high = 0.0, 1 - base
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def measurable_lift(treated: int, controls: int, base: float | None = None) -> str:
    """The smallest lift that the arms of a list show, in words; without a base rate that of the worst, 50 %.

    And the share to hold out that would make it measurable, or show WANTED_LIFT, or as little as half would.
    """
    lift, listed = smallest_lift(treated, controls, 0.5 if base is None else base), treated + controls
    if base is None:
        return "not measurable" if lift is None else f"{_points(lift)} or less"
    if lift is not None and lift <= WANTED_LIFT:
        return _points(lift)
    for share in range(1, 51):
        held = round(listed * share / 100)
        found = smallest_lift(listed - held, held, base)
        if found is not None and (lift is None or found <= WANTED_LIFT or share == 50):
            said = "not measurable" if lift is None else _points(lift)
            return f"{said}; with {share} % held out {_points(found)}" if held > controls else said
    return "not measurable: the list is too small"


def _points(lift: float) -> str:
    return f"{100 * lift:.1f} percentage points"


def _defaults(segmentation: str, *rows: tuple[str, str, str, str, str, str]) -> Mapping[str, Campaign]:
    """Campaigns from rows of name, segment, offer, channel, strategy and ranking."""
    return {
        name: Campaign(
            segmentation=segmentation, segments=(segment,), offer=offer, channel=channel, strategy=strategy,
            rank_by=rank_by, **(_FOR_THE_FIRST_ORDER if offer == _SECOND_ORDER else {}),
        )
        for name, segment, offer, channel, strategy, rank_by in (*rows, _WIN_BACK)
    }  # fmt: skip


_SECOND_ORDER = "second_order_discount"
_FOR_THE_FIRST_ORDER = {
    "offer_if": "frequency = 1 and tenure_days = recency_days", "other_offer": "next_order_discount",
}  # fmt: skip
_WIN_BACK = (
    "win_back", LAPSED, "comeback_gift", "email",
    "Nothing bought in the window: one lucrative offer, then leave them in peace.", "-recency_days",
)  # fmt: skip

DEFAULTS: Mapping[str, Mapping[str, Campaign]] = {
    "behaviour": _defaults(
        "behaviour",
        ("delight", "DELIGHT", "early_access_and_personal_thanks", "phone",
         "Most valuable and most frequent: exclusive deals, early access, a person who knows them.",
         "monetary"),
        ("pamper", "PAMPER", "personal_offer", "phone",
         "Spend very much, without ordering unusually often: look after them personally.", "monetary"),
        ("upsell", "UPSELL", "bundles_and_cross_sell", "email",
         "Order more often than almost all, but spend no more: bundles, cross-selling, membership.",
         "frequency"),
        ("reward", "REWARD", "loyalty_points", "email",
         "Valuable and recent: loyalty programme, ask for feedback, thank them.", "monetary"),
        ("retain", "RETAIN", "related_products", "email",
         "Steady middle: related products and membership, to help them up.", "monetary"),
        ("nurture", "NURTURE", "second_order_discount", "email",
         "Spend the least: onboarding and a discount on the second order, or the next.", "-recency_days"),
        ("re_engage", "RE-ENGAGE", "reactivation_offer", "email",
         "Silent for longer than they used to be: reactivation, with an offer close to what they bought.",
         "slipping"),
    ),
    "spend_profile": _defaults(
        "spend_profile",
        ("vip", "VIP", "early_access_and_exclusive_deals", "phone",
         "Spend the most: exclusive deals, early access to new products, personal offers.", "monetary"),
        ("regular", "Regular, Mid-Spending", "membership", "email",
         "Active, and next in spend: upselling, cross-selling, membership, to bring them up to VIP.",
         "monetary"),
        ("occasional", "Occasional, Higher Order Value", "seasonal_promotion", "email",
         "Spend little in all, but much in one order: seasonal deals, and what fits past orders.",
         "avg_order_value"),
        ("infrequent", "Infrequent, Low Spenders", "loyalty_points", "email",
         "Order seldom and small: discounts, e-mail campaigns and points, to bring them back more often.",
         "-recency_days"),
    ),
    "value_score": _defaults(
        "value_score",
        ("high_value", "High Value", "personal_offer_and_feedback", "phone",
         "Highest in recency, orders and spend taken together: ask for feedback, keep them for years.",
         "monetary"),
        ("mid_value", "Mid Value", "incentive_for_the_next_order", "email",
         "In between: an incentive for the next order.",
         "monetary"),
        ("low_value", "Low Value", "personal_offer", "email",
         "Lowest in recency, orders and spend taken together: an offer near what they once bought.",
         "slipping"),
    ),
    "rfm_grid": _defaults(
        "rfm_grid",
        ("champions", "Champions", "early_access", "email",
         "Among the most recent, with the most orders and spend: reward them, they speak for the shop.",
         "monetary"),
        ("loyal_customers", "Loyal Customers", "loyalty_points", "email",
         "Came back, and are high in orders and spend: upsell, ask for reviews.", "monetary"),
        ("potential_loyalists", "Potential Loyalists", "membership", "email",
         "On their way up: offer membership and related products.", "monetary"),
        ("new_customers", "New Customers", "welcome_series", "email",
         "Bought lately for the first time: onboarding support and an offer for the second visit.",
         "-recency_days"),
        ("promising", "Promising", "second_order_discount", "email",
         "Few orders so far: build the relationship.", "-recency_days"),
        ("need_attention", "Need Attention", "limited_time_offer", "email",
         "Middling in everything: a limited offer based on past purchases.", "monetary"),
        ("about_to_sleep", "About To Sleep", "popular_products", "email",
         "Silent for longer than they used to be: recommend what is popular, reconnect.", "slipping"),
        ("at_risk", "At Risk", "personal_reactivation", "email",
         "Spent more than others, and are overdue: personal reactivation and helpful products.", "slipping"),
        ("cant_lose_them", "Can't Lose Them", "personal_call", "phone",
         "Bought most, and silent for far longer than they used to be: win them back by a call.", "slipping"),
        ("hibernating", "Hibernating", "reactivation_offer", "email",
         "Silent for far longer than they used to be, and small: standard offers of relevant products.",
         "slipping"),
    ),
    "spend_tiers": _defaults(
        "spend_tiers",
        ("high_value", "High-value", "early_access", "email",
         "Spend the most in all or an order: keep them engaged with early access and personal offers.",
         "score"),
        ("one_time_big_buyer", "One-time Big Buyer", "follow_up_and_second_order_offer", "email",
         "Spent as much as the best in a single order: ask how it went and give a reason for a second one; "
         "nothing that thanks them for loyalty.", "-recency_days"),
        ("mid_tier", "Mid-tier", "discount_on_the_next_order", "email",
         "In between, with room to grow: discounts for frequent orders, to make them top spenders.", "score"),
        ("low_spending", "Low-spending", "bundle_offer", "email",
         "Spend the least: cheap standard offers and bundles, no costly channel.", "-recency_days"),
    ),
}  # fmt: skip
