"""Exports of books and warehouses: DATEV-like postings, an Amazon settlement, a warehouse's two tables."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

from retail_pipeline_tests.exports.made import (
    AS_IT_STANDS,
    PROPOSED,
    Cell,
    Export,
    Line,
    cents,
    comma,
    orders,
    table,
)


def datev() -> Export:
    """Postings without a minus: debit or credit says it; no quantity, an account for a product."""
    rows, books = [], []
    for sold in orders(31, ("S", "H")):
        for account, (_, _, pieces, price) in enumerate(sold.lines, 8400):
            total = price * pieces
            debtor = 10000 + len(sold.customer or "")
            rows.append(
                [comma(total), sold.fate, "EUR", debtor, account, f"{sold.at:%d.%m.%Y}", f"RE-{sold.number}"]
            )
            sign = 1 if sold.fate == "S" else -1
            day = sold.at.replace(hour=0, minute=0, second=0)
            books.append(
                Line(f"RE-{sold.number}", day, str(debtor), str(account), Decimal(sign), sign * total)
            )
    header = [
        "Umsatz",
        "Soll/Haben-Kennzeichen",
        "WKZ Umsatz",
        "Konto",
        "Gegenkonto",
        "Belegdatum",
        "Belegfeld 1",
    ]
    credit = "case when \"Soll/Haben-Kennzeichen\" = 'H' then -1 else 1 end"
    amount = f"{credit} * cast(replace(replace(Umsatz, '.', ''), ',', '.') as decimal(18, 2))"
    return Export(
        {"buchungen.csv": table(header, rows, ";")},
        books,
        {
            "keep_rows": {"columns": {"quantity": credit, "amount": amount}},
            "invoice_id": {"columns": {"invoice_id": '"Belegfeld 1"'}},
            "product_id": {"columns": {"product_id": "Gegenkonto"}},
            "quantity": AS_IT_STANDS,
            "customer_id": {"columns": {"customer_id": "Konto"}},
        },
    )


def amazon() -> Export:
    """A row a kind of money: the price of the goods is one among tax, postage, commission and transfers."""
    rows: list[list[Cell]] = [["S1", "", "", "", "", "", "250.00", "2024-03-01T00:00:00+00:00", "", ""]]
    books = []
    for sold in orders(32, ("Order", "Refund")):
        number, sign = f"302-{sold.number:07d}", -1 if sold.fate == "Refund" else 1
        at = f"{sold.at:%Y-%m-%dT%H:%M:%S}+00:00"
        for sku, _, pieces, price in sold.lines:
            for kind, what, money in (
                ("ItemPrice", "Principal", price * pieces),
                ("ItemPrice", "Tax", cents(price * pieces / 5)),
                ("ItemPrice", "Shipping", Decimal("3.90")),
                ("ItemFees", "Commission", -cents(price * pieces / 7)),
            ):
                count = pieces if what == "Principal" else ""
                rows.append(["S1", sold.fate, number, "Amazon.de", kind, what, sign * money, at, sku, count])
            books.append(Line(number, sold.at, None, sku, Decimal(pieces), sign * price * pieces))
    rows.append(
        [
            "S1",
            "other-transaction",
            "",
            "",
            "other",
            "Subscription",
            "-39.00",
            "2024-03-30T00:00:00+00:00",
            "",
            "",
        ]
    )
    header = ["settlement-id", "transaction-type", "order-id", "marketplace-name", "amount-type"]
    header += ["amount-description", "amount", "posted-date-time", "sku", "quantity-purchased"]
    return Export(
        {"settlement.txt": table(header, rows, "\t")},
        books,
        {
            "keep_rows": PROPOSED,
            "sold_at": AS_IT_STANDS,
            "customer_id": {"columns": {"customer_id": "null"}},
        },
        {"business_zone": "UTC"},
    )


def warehouse() -> Export:
    """Lines in cents in one Parquet file; moments, customers and states of the orders in another."""
    lines, heads, books = [], [], []
    for sold in orders(33, ("SHIPPED", "CANCELLED", "RETURNED"), known=0.8):
        key, who = 500 + sold.number, None if sold.customer is None else 70 + len(sold.customer)
        moment = sold.at.isoformat() + "Z"
        heads.append(
            {
                "order_key": key,
                "customer_key": who,
                "order_ts": moment,
                "order_status": sold.fate,
                "currency_code": "EUR",
            }
        )
        sign = {"SHIPPED": 1, "RETURNED": -1}.get(sold.fate, 0)
        for sku, _, pieces, price in sold.lines:
            total = price * pieces
            lines.append({"order_key": key, "sku": sku, "qty": pieces, "line_net_cents": int(total * 100)})
            if sign:
                name = None if who is None else str(who)
                books.append(Line(str(key), sold.at, name, sku, Decimal(sign * pieces), sign * total))
    status = '"fct_head.order_status"'
    sign_of = f"case when {status} = 'RETURNED' then -1 else 1 end"
    return Export(
        {"fct_line.parquet": _parquet(lines), "fct_head.parquet": _parquet(heads)},
        books,
        {
            "lookups": AS_IT_STANDS,
            "amount": AS_IT_STANDS,
            "keep_rows": {"keep_rows": f"{status} in ('SHIPPED', 'RETURNED')"},
            "returns": {
                "columns": {
                    "quantity": f"{sign_of} * cast(qty as integer)",
                    "amount": f"{sign_of} * cast(line_net_cents as bigint) / 100",
                }
            },
        },
        {"business_zone": "UTC"},
    )


def _parquet(rows: Sequence[Mapping[str, Cell]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), sink)
    return sink.getvalue()
