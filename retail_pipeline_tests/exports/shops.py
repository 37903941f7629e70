"""Exports of ten kinds: web shops, tills, books and a warehouse, each with the lines that its books hold."""

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

_OFF = Decimal("0.10")


def prestashop() -> Export:
    """Semicolons, decimal commas with a sign, a state in words, a reduction beside the price."""
    fates = ("Livré", "Paiement accepté", "Annulé", "En attente du paiement par chèque")
    rows, books = [], []
    for sold in orders(11, fates):
        mail = f"{sold.customer}@example.fr".replace("ada", "Ada" if sold.number % 2 else "ada")
        for sku, name, pieces, price in sold.lines:
            off = cents(price * pieces * _OFF) if sold.number % 4 == 0 else Decimal("0.00")
            order = [f"XK{sold.number:05d}", sold.fate, f"{sold.at:%d/%m/%Y %H:%M:%S}", mail]
            rows.append(
                [*order, "Carte bancaire", sku, name, pieces, f"{comma(price)} €", f"{comma(off)} €", "FR"]
            )
            if sold.fate in fates[:2]:
                net = price * pieces - off
                books.append(Line(f"XK{sold.number:05d}", sold.at, mail.lower(), sku, Decimal(pieces), net))
    header = (
        "Référence commande;Etat;Date de commande;Email;Paiement;Référence produit;Désignation;Quantité;"
        "Prix unitaire;Remise;Pays"
    )

    def number(column: str) -> str:
        plain = f"replace(replace(replace(\"{column}\", ' €', ''), '.', ''), ',', '.')"
        return f"cast({plain} as decimal(18, 2))"

    kept = f'{number("Prix unitaire")} * cast("Quantité" as integer) - {number("Remise")}'
    return Export(
        {"commandes.csv": table(header, rows)},
        books,
        {"keep_rows": PROPOSED, "discounts": {"columns": {"amount": kept}}},
    )


def magento() -> Export:
    """A parent row and its variant without a price, four decimals, what was refunded in its own column."""
    rows, books = [], []
    fates = ("complete", "processing", "canceled", "holded")
    for sold in orders(12, fates):
        number, mail = f"1{sold.number:08d}", f"{sold.customer}@example.com"
        for sku, name, pieces, price in sold.lines:
            back = 1 if sold.number % 9 == 0 and pieces > 1 else 0
            parent = [number, sold.fate, sold.at, mail, "configurable", sku, name, f"{pieces}.0000"]
            rows.append([*parent, f"{back}.0000", f"{price}00", f"{price * pieces}00"])
            rows.append(
                [*parent[:4], "simple", f"{sku}-v", name, f"{pieces}.0000", "0.0000", "0.0000", "0.0000"]
            )
            if sold.fate in fates[:2]:
                kept = pieces - back
                books.append(Line(number, sold.at, mail, sku, Decimal(kept), price * kept))
    header = "increment_id,status,created_at,customer_email,product_type,sku,name,"
    header += "qty_ordered,qty_refunded,price,row_total"
    pieces_kept = "cast(qty_ordered as decimal(18, 4)) - cast(qty_refunded as decimal(18, 4))"
    return Export(
        {"sales_order_item.csv": table(header, rows)},
        books,
        {
            "keep_rows": {
                "keep_rows": "status in ('complete', 'processing') and product_type = 'configurable'"
            },
            "discounts": {
                "columns": {
                    "quantity": pieces_kept,
                    "amount": f"({pieces_kept}) * cast(price as decimal(18, 4))",
                }
            },
        },
    )


def woocommerce() -> Export:
    """A plugin's export without the columns that the shipped profile needs."""
    rows, books = [], []
    fates = ("completed", "processing", "cancelled", "failed", "pending")
    for sold in orders(13, fates):
        mail = f"{sold.customer}@example.org"
        total = sum(price * pieces for _, _, pieces, price in sold.lines)
        for n, (sku, name, pieces, price) in enumerate(sold.lines, 1):
            order = [sold.number + 800, sold.fate, f"{sold.at:%Y-%m-%d %H:%M}", mail, total, "GB"]
            rows.append([*order, sku, n, name, pieces, price])
            if sold.fate in fates[:2]:
                at = sold.at.replace(second=0)
                books.append(Line(str(sold.number + 800), at, mail, sku, Decimal(pieces), price * pieces))
    header = (
        "Order Number,Order Status,Order Date,Email (Billing),Order Total Amount,Country Code (Billing),SKU,"
        "Item #,Item Name,Quantity,Item Cost"
    )
    return Export({"shop.csv": table(header, rows)}, books, {"keep_rows": PROPOSED})


def lightspeed() -> Export:
    """American dates, prices in dollars, a type of line whose refunds have no minus, a walk-in customer."""
    rows, books = [], []
    for sold in orders(21, ("Sale", "Refund", "Void"), known=0.6):
        card = f"L-{sold.customer[:3]}" if sold.customer else "Walk-in Customer"
        for sku, name, pieces, price in sold.lines:
            money = [f"${price:,}", f"${price * pieces:,}", f"${cents(price * pieces / 12):,}"]
            at = f"{sold.at:%m/%d/%Y %I:%M %p}"
            rows.append([at, sold.number + 4000, "Main", card, sku, name, pieces, *money, sold.fate])
            sign = {"Sale": 1, "Refund": -1}.get(sold.fate, 0)
            if sign:
                order = (str(sold.number + 4000), sold.at.replace(second=0), sold.customer and card)
                books.append(Line(*order, sku, Decimal(sign * pieces), sign * price * pieces))
    header = "Date,Sale ID,Register,Customer,Item ID,Description,Qty,Price,Total,Tax,Type"
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
        count = sum(sign * pieces for _, _, pieces, _ in sold.lines)
        rows.append([at, number, "Sale", code, count, total, "", "Main", sold.fate, ""])
        for sku, name, pieces, price in sold.lines:
            net = sign * price * pieces
            rows.append([at, number, "Sale Line", "", sign * pieces, net, name, "Main", sold.fate, sku])
            if sold.fate != "VOIDED":
                books.append(Line(str(number), at, sold.customer, sku, Decimal(sign * pieces), net))
        rows.append([at, number, "Payment", "", "", total, "Card", "Main", sold.fate, ""])
    header = "Date,Receipt Number,Line Type,Customer Code,Quantity,Subtotal,Details,Register,Status,Sku"
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
    header = "Date,Time,Time Zone,Item,Qty,SKU,Gross Sales,Discounts,Net Sales,"
    header += "Transaction ID,Event Type,Customer ID"
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
    header = (
        "Bon-Nr.;Datum;Uhrzeit;Artikelnr.;Bezeichnung;Menge;Einzelpreis;Gesamtbetrag;MwSt %;Kundennr.;Storno"
    )
    return Export({"kasse.csv": table(header, rows)}, books, {"keep_rows": PROPOSED, "tax": AS_IT_STANDS})


def datev() -> Export:
    """Postings without a minus: debit or credit says it; no quantity, an account for a product."""
    rows, books = [], []
    for sold in orders(31, ("S", "H")):
        for account, (_, _, pieces, price) in enumerate(sold.lines, 8400):
            total = price * pieces
            debtor = 10000 + len(sold.customer or "")
            number, sign = f"RE-{sold.number}", 1 if sold.fate == "S" else -1
            day = sold.at.replace(hour=0, minute=0, second=0)
            rows.append([comma(total), sold.fate, "EUR", debtor, account, f"{day:%d.%m.%Y}", number])
            books.append(Line(number, day, str(debtor), str(account), Decimal(sign), sign * total))
    header = "Umsatz;Soll/Haben-Kennzeichen;WKZ Umsatz;Konto;Gegenkonto;Belegdatum;Belegfeld 1"
    credit = "case when \"Soll/Haben-Kennzeichen\" = 'H' then -1 else 1 end"
    amount = f"{credit} * cast(replace(replace(Umsatz, '.', ''), ',', '.') as decimal(18, 2))"
    return Export(
        {"buchungen.csv": table(header, rows)},
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
    last = ["-39.00", "2024-03-30T00:00:00+00:00", "", ""]
    rows.append(["S1", "other-transaction", "", "", "other", "Subscription", *last])
    header = (
        "settlement-id\ttransaction-type\torder-id\tmarketplace-name\tamount-type\tamount-description\tamount\t"
        "posted-date-time\tsku\tquantity-purchased"
    )
    return Export(
        {"settlement.txt": table(header, rows)},
        books,
        {
            "keep_rows": PROPOSED,
            "sold_at": AS_IT_STANDS,
            "customer_id": {"columns": {"customer_id": "null"}},
        },
        {"business_zone": "UTC"},
    )


_HEAD = ("order_key", "customer_key", "order_ts", "order_status", "currency_code")


def warehouse() -> Export:
    """Lines in cents in one Parquet file; moments, customers and states of the orders in another."""
    lines, heads, books = [], [], []
    for sold in orders(33, ("SHIPPED", "CANCELLED", "RETURNED"), known=0.8):
        key, who = 500 + sold.number, None if sold.customer is None else 70 + len(sold.customer)
        head = (key, who, sold.at.isoformat() + "Z", sold.fate, "EUR")
        heads.append(dict(zip(_HEAD, head, strict=True)))
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


KINDS = (prestashop, magento, woocommerce, lightspeed, vend, square, german_till, datev, amazon, warehouse)
