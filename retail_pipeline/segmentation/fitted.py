"""What every method shares on the way from a snapshot to a fitted model: checks, order, rounding, card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas as pd

RFM = ("recency_days", "frequency", "monetary")
FEATURES = (*RFM, "avg_order_value")
NUMERIC_ID = "^[0-9]{1,18}$"

Array = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]


def rounded(value: float) -> float:
    """The value to 12 significant digits: neither threads nor the order of a sum reach that far."""
    return float(f"{value:.12g}") + 0.0


class Frozen(BaseModel):
    """Plain data that refuses unknown fields, infinities and changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    curve: tuple[CurvePoint, ...] = Field(
        default=(), description="The same figures for other numbers of them"
    )
    fitted_on: str | None = Field(default=None, description="What the clusters were found on, in words")
    matches: tuple[Match, ...] = Field(default=(), description="The clusters against the champion's")
    notes: tuple[str, ...] = Field(default=(), description="Every fall-back the fit had to take, in words")


@dataclass(frozen=True)
class Snapshot:
    """The customers who ordered in the window, in ascending customer_id, and how many did not."""

    values: Array
    lapsed: int
    ids: npt.NDArray[np.object_]

    def feature(self, name: str) -> Array:
        """One feature of the active customers."""
        column: Array = self.values[:, FEATURES.index(name)]
        return column

    def matrix(self, names: Sequence[str]) -> Array:
        """Some features of the active customers: one row a customer, one column a feature."""
        return self.values[:, [FEATURES.index(name) for name in names]]

    def card(
        self,
        segments: dict[str, int],
        notes: Sequence[str],
        inertia: float | None = None,
        silhouette: float | None = None,
        curve: Sequence[CurvePoint] = (),
        fitted_on: str | None = None,
        matches: Sequence[Match] = (),
    ) -> Card:
        """The card of a fit on these customers."""
        tenths = np.linspace(0, 1, 11)
        deciles = {
            name: tuple(rounded(edge) for edge in np.quantile(self.feature(name), tenths))
            for name in FEATURES
            if len(self.values)
        }
        return Card(
            customers=len(self.values),
            lapsed=self.lapsed,
            segments=segments,
            deciles=deciles,
            inertia=inertia,
            silhouette=silhouette,
            curve=tuple(curve),
            fitted_on=fitted_on,
            matches=tuple(matches),
            notes=tuple(notes) if len(self.values) else ("no customer has an order in the window", *notes),
        )


def snapshot(features: pd.DataFrame) -> Snapshot:
    """The active customers of ONE ``rfm_features`` snapshot.

    Raises ValueError naming the column when one is absent or holds missing or infinite values, or when a
    customer stands in more than one row.
    """
    needed = ["customer_id", *FEATURES]
    if absent := [name for name in needed if name not in features.columns]:
        raise ValueError(f"rfm_features lacks the columns {absent}; a fit needs {needed}")
    ids = features["customer_id"]
    values = features[list(FEATURES)].astype("float64").to_numpy()
    active = values[:, FEATURES.index("frequency")] > 0
    # who ordered nothing in the window has no average order
    needless = ~active & (np.array(FEATURES) == "avg_order_value")[:, None]
    broken = {"customer_id": int(ids.isna().sum())} | {
        name: int((~np.isfinite(values[:, i]) & ~needless[i]).sum()) for i, name in enumerate(FEATURES)
    }
    for name, count in broken.items():
        if count:
            raise ValueError(
                f"rfm_features.{name} is missing or infinite in {count} of {len(features)} rows; "
                "rebuild the snapshot from customer_days before fitting"
            )
    if repeated := int(ids.duplicated().sum()):
        raise ValueError(
            f"rfm_features.customer_id repeats in {repeated} of {len(features)} rows; "
            "fit one snapshot_date at a time"
        )
    order = _ascending([str(customer) for customer in ids[active]])
    return Snapshot(
        values=values[active][order],
        lapsed=int((~active).sum()),
        ids=ids[active].astype(str).to_numpy(dtype=object)[order],
    )


def _ascending(ids: Sequence[str]) -> list[int]:
    """Positions by ascending customer_id as ``compile.by_customer`` sorts: numbers as numbers, then texts."""
    number = re.compile(NUMERIC_ID)

    def key(position: int) -> tuple[bool, int, str]:
        text = ids[position]
        numeric = number.match(text) is not None
        return (not numeric, int(text) if numeric else 0, text)

    return sorted(range(len(ids)), key=key)
