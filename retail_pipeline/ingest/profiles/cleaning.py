"""The cleaning rules as settings: what each refuses or marks, and its default."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from retail_pipeline.ingest.profiles.ids import id_of
from retail_pipeline.planning.manifests import Frozen

# look-around, atomic groups and back-references: neither DuckDB's RE2 nor every cluster knows them
_PYTHON_ONLY = re.compile(r"(?<!\\)\(\?(?:[=!>(]|<[=!]|P=)|(?<!\\)\\[1-9]")


def _regular_expression(value: str) -> str:
    if found := _PYTHON_ONLY.search(value):
        raise ValueError(f"uses {found[0]}, which the engines' regular expressions lack; write it without")
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error}); write one such as ^[0-9]{{6}}$") from error
    return value


def _ids(values: object) -> object:
    """Ids as files are read; YAML takes 0 and 99999 for numbers."""
    if not isinstance(values, list | tuple):
        return values
    return tuple(id_of(str(value)).lower() for value in values)


Pattern = Annotated[str, AfterValidator(_regular_expression)]


class CleaningRules(Frozen):
    """What happens to a readable row. Patterns are regular expressions to be found; null switches off."""

    anonymous: Literal["keep", "refuse"] = Field(
        "keep", description="Sales without a customer: `keep` (revenue, never RFM) or `refuse`"
    )
    anonymous_ids: Annotated[tuple[str, ...], BeforeValidator(_ids)] = Field(
        (),
        description="Customers who are nobody, such as `[0, WALK-IN]`, in any letter case",
    )
    invoice_pattern: Pattern | None = Field(None, description="Invoices that do not match are refused")
    product_pattern: Pattern | None = Field(None, description="Product codes that do not match are refused")
    cancellation_pattern: Pattern | None = Field(
        None,
        description="Invoices that match are cancellations: their lines are returns; null: negative "
        "lines are",
    )
    bad_debt_pattern: Pattern | None = Field(None, description="Invoices that match are bookkeeping: refused")
    adjustment_pattern: Pattern | None = Field(
        None,
        description="Product codes that match are postage, fees, discounts: `adjustment`",
    )
    zero_price: Literal["keep", "refuse"] = Field(
        "refuse", description="Lines at price 0 (samples, stock checks): `keep` or `refuse`"
    )
    negative_price: Literal["keep", "refuse"] = Field(
        "refuse", description="Lines below price 0 (bookkeeping): `keep` or `refuse`"
    )
    minimum_price: Decimal | None = Field(None, ge=0, description="Prices above 0 but below this are refused")
    zero_quantity: Literal["keep", "refuse"] = Field(
        "refuse", description="Lines of 0 units and no value: `keep` or `refuse`"
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="Further exact copies of a row in one file: `keep` (tills do scan twice) or `drop`",
    )
    tidy_text: bool = Field(True, description="Trim ids and texts, write product codes in capitals")


def rules_for(shop: CleaningRules, profile: CleaningRules | None) -> CleaningRules:
    """The rules for one source: the shop's own settings, else the source profile's, else the defaults."""
    below = profile.model_dump(exclude_unset=True) if profile else {}
    return CleaningRules.model_validate(below | shop.model_dump(exclude_unset=True))


def parameters(rules: CleaningRules) -> dict[str, object]:
    """The rules as the parameters of ``tables/judged_rows.sql``: null is off, ``refuse`` is true."""
    said = rules.model_dump()
    said["anonymous_ids"] = "\n".join(("", *rules.anonymous_ids, "")) if rules.anonymous_ids else None
    for name in ("anonymous", "zero_price", "negative_price", "zero_quantity"):
        said[f"refuse_{name}"] = said.pop(name) == "refuse"
    said["drop_duplicates"] = said.pop("duplicates") == "drop"
    return said
