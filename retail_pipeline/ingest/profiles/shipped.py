"""The source profiles that ship, and how settings change single fields of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from retail_pipeline.ingest.profiles.cleaning import CleaningRules
from retail_pipeline.ingest.profiles.draft_words import ZONES
from retail_pipeline.ingest.profiles.profile import REQUIRED, FillDown, SourceProfile

_UCI_SOLD_AT = (
    "coalesce(try_strptime(InvoiceDate, '%Y-%m-%d %H:%M:%S'), try_strptime(InvoiceDate, '%m/%d/%Y %H:%M'))"
)
# codes come as both `m` and `M`; all DCGS codes (the gift shop's own, DCGSSBOY and DCGSSGIRL too) and the
# vouchers are no products; C3, ADJUST…, TEST… and plain GIFT occur in the second edition alone; PADS is a
# product, at 0.001
_UCI_CLEANING = CleaningRules.model_validate(
    {
        "cancellation_pattern": "^[Cc]",
        "bad_debt_pattern": "^A",
        "adjustment_pattern": (
            "(?i)^(POST|DOT|M|C2|C3|D|S|B|BANK CHARGES|AMAZONFEE|CRUK|ADJUST[0-9]*|TEST[0-9]+|DCGS.*|"
            "GIFT(_.*)?)$"
        ),
    }
)

# a gift card sold is money owed: what is bought with it is the sale. Not so a holder for gift cards
_GIFT_CARD = (
    "(?i)(?:^|[^a-z])(?:(?:e[ -]?)?gift ?(?:card|voucher)s?|geschenk(?:gutschein|karte)|carte[ -]cadeau|"
    "tarjeta (?:de )?regalo|cadeau(?:bon|kaart)|carta regalo|buono regalo) *(?:$|[^ a-z]| [^a-z]*[0-9])"
)
# the day comes second in North America only; elsewhere Square's dates may be either way, unless they are ISO
_SQUARE_AT = '"Date" || \' \' || "Time"'
_SQUARE_LOCAL = (
    f"coalesce(try_strptime({_SQUARE_AT}, '%Y-%m-%d %H:%M:%S'), "
    "case when contains(\"Time Zone\", 'US & Canada') or \"Time Zone\" in ('Arizona', 'Alaska', 'Hawaii') "
    f"then coalesce(try_strptime({_SQUARE_AT}, '%m/%d/%y %H:%M:%S'), "
    f"try_strptime({_SQUARE_AT}, '%m/%d/%Y %H:%M:%S')) end)"
)
_SQUARE_ZONE = (
    'case lower("Time Zone") '
    + " ".join(f"when '{name}' then '{zone}'" for name, zone in ZONES.items())
    + " end"
)

_UCI = SourceProfile(
    source_system="uci_online_retail",
    columns={
        "invoice_id": "InvoiceNo",
        "product_id": "StockCode",
        "description": "Description",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
        "sold_at": _UCI_SOLD_AT,
        "customer_id": "CustomerID",
        "country": "Country",
    },
    currency="GBP",
    cleaning=_UCI_CLEANING,
)
_UCI_II = {"invoice_id": "Invoice", "unit_price": "Price", "customer_id": '"Customer ID"'}

SHIPPED: Mapping[str, SourceProfile] = MappingProxyType(
    {
        "uci_online_retail": _UCI,
        # the same shop in its second edition: one source system, so that an invoice in both is one invoice
        "uci_online_retail_ii": _UCI.model_copy(update={"columns": _UCI.columns | _UCI_II}),
        "complete_journey": SourceProfile(
            source_system="complete_journey",
            columns={
                "invoice_id": "basket_id",
                "product_id": "product_id",
                "quantity": "quantity",
                "amount": "sales_value",
                "sold_at": "transaction_timestamp",
                "customer_id": "household_id",
            },
            currency="USD",
            time_zone="UTC",
        ),
        # Shopify's orders export: a line an item; what belongs to the order stands on its first line alone.
        # Subtotal is what the items came to after all discounts; a refund is of items first, with their tax
        "shopify_orders": SourceProfile(
            source_system="shopify",
            columns={
                "invoice_id": "Name",
                "product_id": 'coalesce("Lineitem sku", "Lineitem name")',
                "description": '"Lineitem name"',
                "quantity": '"Lineitem quantity"',
                "amount": (
                    'cast("Lineitem quantity" as decimal(18, 3)) * cast("Lineitem price" as decimal(18, 4)) '
                    '- coalesce(cast("Lineitem discount" as decimal(18, 4)), 0)'
                ),
                "sold_at": '"Created at"',
                "customer_id": "lower(Email)",
                "country": 'coalesce("Shipping Country", "Billing Country")',
                "currency": "Currency",
            },
            keep_rows=(
                "lower(\"Financial Status\") in ('paid', 'partially_paid', 'partially_refunded') "
                f'and "Cancelled at" is null and not regexp_matches("Lineitem name", \'{_GIFT_CARD}\')'
            ),
            order_total=(
                "case when Subtotal is not null then round(greatest(cast(Subtotal as double) - "
                'coalesce(cast("Refunded Amount" as double), 0) * '
                "least(coalesce((cast(Subtotal as double) + coalesce(cast(Shipping as double), 0)) "
                "/ nullif(cast(Total as double), 0), 1), 1), 0), 2) end"
            ),
            fill_down=FillDown(
                by="Name",
                columns=(
                    "Email",
                    "Financial Status",
                    "Cancelled at",
                    "Currency",
                    "Created at",
                    "Billing Country",
                    "Shipping Country",
                ),
            ),
        ),
        # an order export plugin's: a line an item; Item Cost is what was paid for one, after coupons
        "woocommerce_orders": SourceProfile(
            source_system="woocommerce",
            columns={
                "invoice_id": '"Order Number"',
                "product_id": 'coalesce(SKU, "Item Name")',
                "description": '"Item Name"',
                "quantity": '"Quantity (- Refund)"',
                "unit_price": '"Item Cost"',
                "sold_at": '"Order Date"',
                "customer_id": 'lower("Email (Billing)")',
                "country": '"Country Code (Billing)"',
            },
            keep_rows="lower(\"Order Status\") in ('completed', 'processing')",
        ),
        # items of Square's till: net of discounts; what came back has a minus
        "square_items": SourceProfile(
            source_system="square",
            columns={
                "invoice_id": '"Transaction ID"',
                "product_id": "coalesce(SKU, Item)",
                "description": "Item",
                "quantity": "Qty",
                "amount": '"Net Sales"',
                "sold_at": f"{_SQUARE_LOCAL} at time zone {_SQUARE_ZONE}",
                "customer_id": '"Customer ID"',
            },
            thousands_mark=",",
            keep_rows=(
                f"\"Event Type\" in ('Payment', 'Refund') and not regexp_matches(Item, '{_GIFT_CARD}')"
            ),
        ),
        # billing items under SAP's names: 1.234,50- for what went back; ids keep their leading zeros
        "sap_export": SourceProfile(
            source_system="sap",
            columns={
                "invoice_id": "VBELN",
                "product_id": "MATNR",
                "description": "ARKTX",
                "quantity": "FKIMG",
                "amount": "NETWR",
                "sold_at": "FKDAT",
                "customer_id": "KUNAG",
                "country": "LAND1",
                "currency": "WAERK",
            },
            encoding="cp1252",
            delimiter=";",
            decimal_mark=",",
            thousands_mark=".",
            date_order="day_first",
        ),
    }
)


def laid_over(name: str, given: object) -> object:
    """A profile as the settings give it; one that is not whole changes the shipped one of its name.

    It is whole when it has a source system and every column that a profile needs. Of one that is not, each
    field takes the place of the shipped one, ``columns`` and ``cleaning`` name by name; null takes away.
    """
    if (shipped := SHIPPED.get(name)) is None or not isinstance(given, Mapping):
        return given
    columns = given.get("columns")
    if "source_system" in given and isinstance(columns, Mapping) and columns.keys() >= set(REQUIRED):
        return given
    below = shipped.model_dump(exclude_unset=True)
    merged = {
        field: {**below[field], **given[field]}
        for field in ("columns", "cleaning")
        if isinstance(below.get(field), Mapping) and isinstance(given.get(field), Mapping)
    }
    laid = {**below, **given, **merged}
    if isinstance(laid["columns"], Mapping):
        laid["columns"] = {column: text for column, text in laid["columns"].items() if text is not None}
    return laid
