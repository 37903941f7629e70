"""The cleaning rules as settings: what each refuses or marks, and its default."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


Pattern = Annotated[str, AfterValidator(_regular_expression)]


def _ids(values: object) -> object:
    """Ids as files are read; YAML takes 0 and 99999 for numbers."""
    if not isinstance(values, list | tuple):
        return values
    return tuple(id_of(str(value)).lower() for value in values)


AnonymousIds = Annotated[tuple[str, ...], BeforeValidator(_ids)]


class CleaningRules(Frozen):
    """What happens to a readable row. Patterns are regular expressions to be found; null switches off."""

    anonymous: Literal["keep", "refuse"] = Field(
        "keep", description="Sales without a customer: `keep` (revenue, never RFM) or `refuse`"
    )
    anonymous_ids: AnonymousIds = Field(
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
    laid_over: Mapping[str, object] = (profile.model_dump(exclude_unset=True) if profile else {}) | (
        shop.model_dump(exclude_unset=True)
    )
    return CleaningRules.model_validate(laid_over)


def parameters(rules: CleaningRules) -> dict[str, object]:
    """The rules as the parameters of ``tables/judged_rows.sql``."""
    return {
        "tidy_text": rules.tidy_text,
        "anonymous_ids": "\n".join(("", *rules.anonymous_ids, "")) if rules.anonymous_ids else None,
        "invoice_pattern": rules.invoice_pattern,
        "product_pattern": rules.product_pattern,
        "cancellation_pattern": rules.cancellation_pattern,
        "bad_debt_pattern": rules.bad_debt_pattern,
        "adjustment_pattern": rules.adjustment_pattern,
        "minimum_price": rules.minimum_price,
        "refuse_anonymous": rules.anonymous == "refuse",
        "refuse_zero_price": rules.zero_price == "refuse",
        "refuse_negative_price": rules.negative_price == "refuse",
        "refuse_zero_quantity": rules.zero_quantity == "refuse",
        "drop_duplicates": rules.duplicates == "drop",
    }
