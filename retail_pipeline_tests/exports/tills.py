"""Exports of tills: Lightspeed, Vend, Square, a German till."""

from __future__ import annotations

from decimal import Decimal

from retail_pipeline_tests.exports.made import (
    AS_IT_STANDS,
    PROPOSED,
    Export,
    Line,
    cents,
    comma,
    orders,
    table,
)


def lightspeed() -> Export:
    """American dates, prices in dollars, a type of line whose refunds have no minus, a walk-in customer."""
    rows, books = [], []
    for sold in orders(21, ("Sale", "Refund", "Void"), known=0.6):
        card = f"L-{sold.customer[:3]}" if sold.customer else "Walk-in Customer"
        for sku, name, pieces, price in sold.lines:
            money = [f"${price:,}", f"${price * pieces:,}", f"${cents(price * pieces / 12):,}"]
            rows.append(
                [
                    f"{sold.at:%m/%d/%Y %I:%M %p}",
                    sold.number + 4000,
                    "Main",
                    card,
                    sku,
                    name,
                    pieces,
                    *money,
                    sold.fate,
                ]
            )
            sign = {"Sale": 1, "Refund": -1}.get(sold.fate, 0)
            if sign:
                who, at = sold.customer and card, sold.at.replace(second=0)
                net = sign * price * pieces
                books.append(Line(str(sold.number + 4000), at, who, sku, Decimal(sign * pieces), net))
    header = [
        "Date",
        "Sale ID",
        "Register",
        "Customer",
        "Item ID",
        "Description",
        "Qty",
        "Price",
        "Total",
        "Tax",
        "Type",
    ]
    total = "cast(replace(replace(\"Total\", '$', ''), ',', '') as decimal(18, 2))"
    return Export(
        {"sales_lines.csv": table(header, rows)},
        books,
        {
            "currency": {"currency": "USD"},
            "keep_rows": {"keep_rows": "\"Type\" in ('Sale', 'Refund')"},
            "returns": {
                "columns": {
                    "quantity": "case when \"Type\" = 'Refund' then '-' || Qty else Qty end",
                    "amount": f"case when \"Type\" = 'Refund' then -1 else 1 end * {total}",
                }
            },
            "cleaning": {"columns": {"customer_id": "nullif(Customer, 'Walk-in Customer')"}},
            "tax": AS_IT_STANDS,
        },
        {"currency": None},
    )


def vend() -> Export:
    """An order's own row, its lines and its payment in one file; the customer stands on the first."""
    rows, books = [], []
    for sold in orders(22, ("CLOSED", "ONACCOUNT_CLOSED", "VOIDED"), known=0.6):
        number, at, code = sold.number + 7000, sold.at, sold.customer or "WALKIN"
        sign = -1 if sold.number % 11 == 0 else 1
        total = sum(sign * price * pieces for _, _, pieces, price in sold.lines)
        rows.append(
            [
                at,
                number,
                "Sale",
                code,
                sum(sign * p for _, _, p, _ in sold.lines),
                total,
                "",
                "Main",
                sold.fate,
                "",
            ]
        )
        for sku, name, pieces, price in sold.lines:
            net = sign * price * pieces
            rows.append([at, number, "Sale Line", "", sign * pieces, net, name, "Main", sold.fate, sku])
            if sold.fate != "VOIDED":
                books.append(Line(str(number), at, sold.customer, sku, Decimal(sign * pieces), net))
        rows.append([at, number, "Payment", "", "", total, "Card", "Main", sold.fate, ""])
    header = ["Date", "Receipt Number", "Line Type", "Customer Code", "Quantity", "Subtotal", "Details"]
    header += ["Register", "Status", "Sku"]
    return Export(
        {"history.csv": table(header, rows)},
        books,
        {
            "keep_rows": PROPOSED,
            "cleaning": {"columns": {"customer_id": "nullif(\"Customer Code\", 'WALKIN')"}},
        },
    )


def square() -> Export:
    """What the shipped profile reads: times of a zone, net beside gross, refunds with a minus, no codes."""
    rows, books = [], []
    for sold in orders(23, ("Payment", "Refund"), known=0.5):
        sign = -1 if sold.fate == "Refund" else 1
        for sku, name, pieces, price in [*sold.lines, ("", "Bag fee", 1, Decimal("0.25"))]:
            gross = sign * price * pieces
            off = -cents(gross / 20) if sold.number % 5 == 0 else Decimal("0.00")
            net = gross + off
            money = ["-" * (m < 0) + f"${abs(m):,}" for m in (gross, off, net)]
            day = [f"{sold.at:%m/%d/%y}", f"{sold.at:%H:%M:%S}", "Pacific Time (US & Canada)"]
            rows.append(
                [*day, name, f"{sign * pieces}.0", sku, *money, f"T{sold.number}q", sold.fate, sold.customer]
            )
            line = (f"T{sold.number}q", sold.at, sold.customer, (sku or name).upper())
            books.append(Line(*line, Decimal(sign * pieces), net))
    header = ["Date", "Time", "Time Zone", "Item", "Qty", "SKU", "Gross Sales", "Discounts", "Net Sales"]
    header += ["Transaction ID", "Event Type", "Customer ID"]
    return Export(
        {"items.csv": table(header, rows)},
        books,
        {},
        {"currency": "USD", "business_zone": "America/Los_Angeles"},
    )


def german_till() -> Export:
    """Decimal commas, weights, a day and a time, cancelled lines with a minus, a tax rate."""
    rows, books = [], []
    for sold in orders(24, ("N", "J"), known=0.4):
        sign, number = -1 if sold.fate == "J" else 1, f"{sold.number:06d}"
        for sku, name, pieces, price in sold.lines:
            weight = sign * (Decimal(pieces) - Decimal("0.268"))
            net = cents(weight * price)
            amounts = [comma(weight), comma(price), comma(net)]
            day = [number, f"{sold.at:%d.%m.%Y}", f"{sold.at:%H:%M}", sku, f"{name} süß"]
            rows.append([*day, *amounts, 7, sold.customer, sold.fate])
            books.append(Line(number, sold.at.replace(second=0), sold.customer, sku, weight, net))
    header = [
        "Bon-Nr.",
        "Datum",
        "Uhrzeit",
        "Artikelnr.",
        "Bezeichnung",
        "Menge",
        "Einzelpreis",
        "Gesamtbetrag",
    ]
    header += ["MwSt %", "Kundennr.", "Storno"]
    return Export(
        {"kasse.csv": table(header, rows, ";")}, books, {"keep_rows": PROPOSED, "tax": AS_IT_STANDS}
    )
