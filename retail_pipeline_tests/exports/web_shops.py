"""Exports of web shops: PrestaShop, Magento, WooCommerce."""

from __future__ import annotations

from decimal import Decimal

from retail_pipeline_tests.exports.made import PROPOSED, Export, Line, cents, comma, orders, table

_OFF = Decimal("0.10")


def prestashop() -> Export:
    """Semicolons, decimal commas with a sign, a state in words, a reduction beside the price."""
    fates = ("Livré", "Paiement accepté", "Annulé", "En attente du paiement par chèque")
    rows, books = [], []
    for sold in orders(11, fates):
        mail = f"{sold.customer}@example.fr".replace("ada", "Ada" if sold.number % 2 else "ada")
        for sku, name, pieces, price in sold.lines:
            off = cents(price * pieces * _OFF) if sold.number % 4 == 0 else Decimal("0.00")
            order = [
                f"XK{sold.number:05d}",
                sold.fate,
                f"{sold.at:%d/%m/%Y %H:%M:%S}",
                mail,
                "Carte bancaire",
            ]
            rows.append([*order, sku, name, pieces, f"{comma(price)} €", f"{comma(off)} €", "FR"])
            if sold.fate in fates[:2]:
                net = price * pieces - off
                books.append(Line(f"XK{sold.number:05d}", sold.at, mail.lower(), sku, Decimal(pieces), net))
    header = ["Référence commande", "Etat", "Date de commande", "Email", "Paiement", "Référence produit"]
    header += ["Désignation", "Quantité", "Prix unitaire", "Remise", "Pays"]

    def number(column: str) -> str:
        plain = f"replace(replace(replace(\"{column}\", ' €', ''), '.', ''), ',', '.')"
        return f"cast({plain} as decimal(18, 2))"

    kept = f'{number("Prix unitaire")} * cast("Quantité" as integer) - {number("Remise")}'
    return Export(
        {"commandes.csv": table(header, rows, ";")},
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
    header = ["increment_id", "status", "created_at", "customer_email", "product_type", "sku", "name"]
    header += ["qty_ordered", "qty_refunded", "price", "row_total"]
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
    header = ["Order Number", "Order Status", "Order Date", "Email (Billing)", "Order Total Amount"]
    header += ["Country Code (Billing)", "SKU", "Item #", "Item Name", "Quantity", "Item Cost"]
    return Export({"shop.csv": table(header, rows)}, books, {"keep_rows": PROPOSED})
