"""What every method shares on the way from a snapshot to a fitted model: checks, order, card, JSON."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    import pandas as pd

RFM = ("recency_days", "frequency", "monetary")
FEATURES = (*RFM, "avg_order_value")
READ = (*FEATURES, "tenure_days", "active_days")  # what a fit knows of a customer
NUMERIC_ID = "^[0-9]{1,18}$"
SCHEMA_VERSION = 2

Array = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]
T = TypeVar("T")


def rounded(value: float) -> float:
    """The value to 12 significant digits: neither threads nor the order of a sum reach that far."""
    return float(f"{value:.12g}") + 0.0


class Frozen(BaseModel):
    """Plain data that refuses unknown fields, infinities and changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Fact = Literal["new", "few_orders", "once", "repeat", "seldom", "overdue", "late"]

_WORDS: Mapping[Fact, str] = {
    "new": "new newcomers first first-time",
    "few_orders": "promising",
    "once": "one-time",
    "repeat": "loyal champions regular regulars frequent",
    "seldom": "infrequent occasional",
    "overdue": "sleep risk slipping",
    "late": "re-engage hibernating sleeping dormant inactive lose lost gone churned",
}
# what a word in a segment's name claims
CLAIMS: Mapping[str, Fact] = {word: fact for fact, words in _WORDS.items() for word in words.split()}


class Guards(Frozen):
    """What must be true of a customer, whatever the others do, before a segment's name may say it."""

    few_orders: int = Field(default=2, ge=1, description="Few orders are so many at most")
    new_days: int = Field(
        default=90, ge=1, description="New is who has few orders, the first at most so many days ago"
    )
    seldom_days: int = Field(
        default=30, ge=1, description="Seldom is few orders, or so many days or more between two"
    )
    late_by: float = Field(
        default=2.0,
        ge=1,
        description="Late is who has been silent for more than so many of their own gaps between two orders; "
        "who bought once is held against the median of the shop's",
    )
    fewest: int = Field(
        default=200,
        ge=1,
        description="With fewer customers the method draws no lines: names follow from these facts alone",
    )
    words: dict[str, Fact] = Field(
        default=dict(CLAIMS),
        description="What a word in a segment's name claims: `new`, `few_orders`, `once` (a single order "
        "ever), `repeat` (came back), `seldom`, `overdue` (silent for longer than the own gap), `late`",
    )

    def claims(self, name: str) -> tuple[Fact, ...]:
        """What the words of a segment's name claim of its customers."""
        words = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", name.lower())
        return tuple(dict.fromkeys(self.words[word] for word in words if word in self.words))


class Rhythm(Frozen):
    """What customers' gaps between orders are measured by."""

    window_days: int | None = Field(default=None, description="The window of the features; null: all history")
    usual_gap: float = Field(default=90.0, gt=0, description="Days between two orders, the shop's median")


class MethodParameters(Frozen):
    """Settings that every method has."""

    guards: Guards | None = Field(
        default=Guards(),
        description="What a name must be true of; null: names are relative only",
    )

    # these two shape no model: a changed one fits nothing anew
    margin: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        exclude=True,
        description="Customers stay in their segment while features that differ from theirs by at most this "
        "share would give it",
    )
    stay_days: int = Field(
        default=14,
        ge=0,
        le=366,
        exclude=True,
        description="Who does not order stays so many days longer before recency moves them on; with "
        "`margin: 0` as well, nobody stays",
    )

    @property
    def is_steady(self) -> bool:
        """Whether a customer may stay in a segment that the day's features alone do not give."""
        return bool(self.margin or self.stay_days)

    @property
    def without_lines(self) -> tuple[tuple[tuple[Fact, ...], str], ...]:
        """Names by facts alone, for a shop of too few customers: the first whose facts are true."""
        return ()


class CurvePoint(Frozen):
    """How well one number of clusters describes the customers."""

    k: int = Field(description="Number of clusters")
    inertia: float = Field(description="Sum of squared distances to the own centre, in units of spread")
    silhouette: float | None = Field(description="Mean silhouette of a sample, -1 to 1; null for one cluster")


class Match(Frozen):
    """Where the name of a cluster comes from."""

    name: str
    champion: str | None = Field(description="The champion's cluster matched to it; null: none was left")
    cost: float | None = Field(description="Distance of the two centres, in the champion's spreads")
    by_figures: str = Field(description="The name its figures alone would have given")


class Card(Frozen):
    """What a person wants to know of a fit before trusting it."""

    customers: Annotated[int, Field(ge=0, description="Customers fitted: those with an order in the window")]
    lapsed: Annotated[int, Field(ge=0, description="Customers left out: no order in the window")]
    segments: dict[str, int] = Field(description="Fitted customers by segment")
    deciles: dict[str, tuple[float, ...]] = Field(
        description="Minimum, nine deciles and maximum of each feature over the fitted customers"
    )
    inertia: float | None = Field(
        default=None, description="Sum of squared distances to the own cluster's centre, in units of spread"
    )
    trained_through: date | None = Field(default=None, description="The last day the fit knows of")
    silhouette: float | None = Field(
        default=None,
        description="Mean silhouette, -1 to 1: how much nearer customers are to their own cluster",
    )
    stability: dict[str, float] = Field(
        default={},
        description="Mean Jaccard similarity of each segment to the likest of each of ten refits on "
        "customers drawn with replacement",
    )
    curve: tuple[CurvePoint, ...] = Field(
        default=(), description="The same figures for other numbers of them"
    )
    fitted_on: str | None = Field(default=None, description="What the clusters were found on, in words")
    matches: tuple[Match, ...] = Field(default=(), description="The clusters against the champion's")
    notes: tuple[str, ...] = Field(default=(), description="Every fall-back the fit had to take, in words")


class Fitted(Frozen):
    """What the models of all methods have; one whose card counts no customers knows nobody.

    Each has ``columns``, the stages of its query and the expression of the segment, and ``words``: further
    stages, score and reason. Its parameters have ``segments``, every name the method can give, and ``fit``.
    """

    schema_version: Literal[2] = 2
    parameters: MethodParameters
    rhythm: Rhythm = Rhythm()
    card: Card

    @property
    def knows_too_few(self) -> bool:
        """Whether it was fitted on fewer customers than lines can be drawn between."""
        return too_few(self.parameters, self.card.customers)


def too_few(parameters: MethodParameters, customers: int) -> bool:
    guards = parameters.guards
    return bool(guards and customers < guards.fewest and parameters.without_lines)


@dataclass(frozen=True)
class Snapshot:
    """The customers who ordered in the window, in ascending customer_id, and how many did not."""

    values: Array
    lapsed: int
    ids: npt.NDArray[np.object_]
    window_days: int | None = None

    def feature(self, name: str) -> Array:
        column: Array = self.values[:, READ.index(name)]
        return column

    def matrix(self, names: Sequence[str]) -> Array:
        """Some features of the active customers: one row a customer, one column a feature."""
        return self.values[:, [READ.index(name) for name in names]]

    def card(self, segments: Iterable[str], notes: Iterable[str] = (), **figures: Any) -> Card:
        """The card of a fit on these customers that gives these names, none of them counted yet."""
        deciles = {
            name: tuple(rounded(edge) for edge in np.quantile(self.feature(name), np.linspace(0, 1, 11)))
            for name in FEATURES
            if len(self.values)
        }
        return Card(
            customers=len(self.values), lapsed=self.lapsed, segments=dict.fromkeys(segments, 0),
            deciles=deciles, notes=tuple(notes), **figures,
        )  # fmt: skip


def snapshot(features: Mapping[str, Any] | pd.DataFrame, window_days: int | None = None) -> Snapshot:
    """The active customers of ONE ``rfm_features`` snapshot: its columns by name; and the features' window.

    Raises ValueError naming the column when one is absent or holds missing or infinite values, or when a
    customer stands in more than one row.
    """
    needed = ["customer_id", *READ]
    if absent := [name for name in needed if name not in features]:
        raise ValueError(f"rfm_features lacks the columns {absent}; a fit needs {needed}")
    ids = np.asarray(features["customer_id"], dtype=object)
    values = np.stack([np.asarray(features[name], dtype=np.float64) for name in READ], axis=1)
    active = values[:, READ.index("frequency")] > 0
    unknown = ~np.isfinite(values)
    # who ordered nothing in the window has no average order
    unknown[:, READ.index("avg_order_value")] &= active
    nobody = np.fromiter((name is None or name != name for name in ids), bool, len(ids))
    broken = [int(nobody.sum()), *unknown.sum(axis=0)]
    for name, count in zip(needed, broken, strict=True):
        if count:
            raise ValueError(
                f"rfm_features.{name} is missing or infinite in {count} of {len(ids)} rows; "
                "rebuild the snapshot from customer_days before fitting"
            )
    if repeated := len(ids) - len(set(ids)):
        raise ValueError(
            f"rfm_features.customer_id repeats in {repeated} of {len(ids)} rows; "
            "fit one snapshot_date at a time"
        )
    names = ids[active].astype(str).astype(object)
    order = sorted(range(len(names)), key=lambda position: _by_customer(str(names[position])))
    return Snapshot(values[active][order], int((~active).sum()), names[order], window_days)


def _by_customer(name: str) -> tuple[bool, int, str]:
    """As ``compile.by_customer`` sorts: numbers as numbers, then texts."""
    numeric = re.match(NUMERIC_ID, name) is not None
    return (not numeric, int(name) if numeric else 0, name)


def sealed(body: Mapping[str, Any]) -> str:
    """The data as JSON that says when it was changed: the same bytes for the same data, with a checksum."""
    return _written({**body, "checksum": _checksum(body)})


def unsealed(text: str, validate: Callable[[Any], T], what: str) -> T:
    """The value that ``sealed`` wrote; errors call it ``what`` ("model").

    Raises ValueError when the text is no JSON object, of another ``schema_version``, changed since it was
    written, or not of this kind.
    """
    again = "restore the file or fit the month again"
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise ValueError(f"the {what} is no JSON: {where}; {again}") from error
    if not isinstance(body, dict):
        raise ValueError(f"the {what} is no JSON object; {again}")
    found = body.get("schema_version")
    if isinstance(found, int) and found != SCHEMA_VERSION:
        raise ValueError(
            f"the {what} has schema_version {found}, this program reads {SCHEMA_VERSION}; "
            f"{'upgrade retail-pipeline or ' if found > SCHEMA_VERSION else ''}fit the month again"
        )
    if body.pop("checksum", None) != _checksum(body):
        raise ValueError(
            f"the {what} was changed after it was written (its checksum does not match); {what}s are never "
            "edited: change the settings and fit the month again, or restore the file"
        )
    try:
        return validate(body)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"the {what} is not valid ({faults}); {again}") from error


def _written(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_written(body).encode()).hexdigest()
