"""A drafted profile names the right columns, loads, and asks where it could be wrong."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.core.drafts import Draft, profile_draft
from retail_pipeline.core.sources import SourceProfile


def drafted(text: str, delimiter: str = ";") -> Draft:
    header, *rows = [line.split(delimiter) for line in text.strip().splitlines()]
    return profile_draft("shop", header, rows, delimiter=delimiter, currency="EUR")


def loaded(draft: Draft) -> SourceProfile:
    return SourceProfile.model_validate(yaml.safe_load(f"sources:\n{draft.text}")["sources"]["shop"])


GERMAN = """
Beleg-Nr.;Artikel-Nr.;Bezeichnung;Menge;Einzelpreis;Datum;Kundennr.;Land
1001;A-1;Käse;2;1.234,50;13.04.2024;K1;DE
1002;A-2;Brot;1-;2,50;14.04.2024;K2;DE
"""
FRENCH = """
N° commande;Référence;Désignation;Quantité;Prix unitaire;Date de commande;Heure;Code client;Pays
1;r1;Crème;2;1 234,50 €;31/01/2024;10:12;c1;France
1;r2;Pâté;2;2,50 €;31/01/2024;10:12;c1;France
"""
SPANISH = """
numero_factura;codigo_articulo;descripcion;unidades;precio_unitario;fecha_venta;cliente
1;a;una cosa;2;1.50;2024-01-02;9
"""
PORTUGUESE = """
Pedido;Código do Produto;Descrição;Qtde;Valor Unitário;Data;Cliente
1;2;x y;3;4,50;25/06/2024;7
"""
DUTCH = """
Factuurnummer;Artikelcode;Omschrijving;Aantal;Stuksprijs;Factuurdatum;Klantnr
1;2;x;3;€ 4,50;25-06-2024;7
"""
ITALIAN = """
numeroOrdine;codiceArticolo;descrizione;quantita;prezzo;dataOrdine;idCliente
1;2;x;3;4,50;25/06/2024;7
"""
SAP = """
VBELN;MATNR;ARKTX;FKIMG;NETWR;FKDAT;KUNAG;WAERK
0090001;000000001;Schraube;1.000,000;1.234,56-;20240131;0000012;EUR
0090002;000000001;Schraube;1,000;1,56;20240201;0000012;EUR
"""
MAGENTO = """
increment_id;sku;name;qty_ordered;price;row_total;created_at;customer_email
1;a;Tee shirt;2.0000;10.0000;20.0000;2024-05-01 10:00:00;x@y.de
"""
WOOCOMMERCE = """
Order Number;Order Date;SKU;Item Name;Quantity (- Refund);Item Cost;Order Line Total;Customer ID;Currency
55;2024-05-01 10:00;ab-1;Tee;2;10.00;20.00;7;EUR
"""


@pytest.mark.parametrize(
    "text", [GERMAN, FRENCH, SPANISH, PORTUGUESE, DUTCH, ITALIAN, SAP, MAGENTO, WOOCOMMERCE]
)
def test_a_plain_export_is_drafted_without_a_question(text: str):
    draft = drafted(text)
    assert draft.questions == ()
    assert {"invoice_id", "product_id", "quantity", "sold_at", "customer_id"} <= loaded(draft).columns.keys()


def test_the_draft_says_how_the_file_is_written():
    assert loaded(drafted(GERMAN)) == SourceProfile(
        source_system="shop",
        delimiter=";",
        decimal_mark=",",
        thousands_mark=".",
        date_order="day_first",
        columns={
            "invoice_id": '"Beleg-Nr."',
            "product_id": '"Artikel-Nr."',
            "description": "Bezeichnung",
            "quantity": "Menge",
            "unit_price": "Einzelpreis",
            "sold_at": "Datum",
            "customer_id": '"Kundennr."',
            "country": "Land",
        },
    )


def test_a_date_and_a_time_apart_are_put_together():
    draft = loaded(drafted(FRENCH))
    assert draft.columns["sold_at"] == "strptime(\"Date de commande\" || ' ' || Heure, '%d/%m/%Y %H:%M')"
    assert draft.thousands_mark == " "
    assert draft.currency == "EUR"


@pytest.mark.parametrize(
    ("column", "value", "expression"),
    [
        ("order_ts_timestamp", "1700000000", "to_timestamp(cast(order_ts_timestamp as double))"),
        ("timestamp", "1700000000123", 'epoch_ms(cast("timestamp" as bigint))'),
        ("date", "5 Mar 2024", "strptime(\"date\", '%d %b %Y')"),
        ("order_date", "2024-03-05T10:00:00Z", "order_date"),
    ],
)
def test_times_in_other_ways(column: str, value: str, expression: str):
    made = loaded(drafted(f"order;sku;qty;price;{column};customer\n1;a;2;3.50;{value};c\n")).columns[
        "sold_at"
    ]
    assert made.replace('"', "") == expression.replace('"', "")


@pytest.mark.parametrize(
    ("customers", "expression"),
    [
        (["17850.0", "12.0"], "regexp_replace(customer, '[.]0$', '')"),
        (["C1", "GUEST"], "nullif(customer, 'GUEST')"),
        (["C1", "C2"], "customer"),
    ],
)
def test_customers_lose_decorations_and_placeholders(customers: list[str], expression: str):
    rows = "".join(f"1;a;2;3.50;2024-01-02;{customer}\n" for customer in customers)
    assert loaded(drafted(f"order;sku;qty;price;date;customer\n{rows}")).columns["customer_id"] == expression


def test_what_stands_on_an_order_s_first_line_is_filled_down():
    draft = drafted("""
order;sku;qty;price;date;email
1;a;2;3.50;2024-01-02;a@b.com
1;b;1;3.50;;
2;a;1;3.50;2024-01-03;c@d.com
""")
    assert draft.questions == ()
    assert (filled := loaded(draft).fill_down)
    assert (filled.by, filled.columns) == ("order", ("date", "email"))


# questions

NAMES = "order;sku;qty;price;date;customer"
ROW = "1;a;2;3.50;2024-04-03;c"


@pytest.mark.parametrize(
    ("header", "row", "question"),
    [
        (NAMES, "1;a;2;3.50;03/04/2024;c", "date_order: the dates, such as 03/04/2024, do not show"),
        (NAMES, "1;a;2;1,250;2024-04-03;c", "decimal_mark: the numbers, such as 1,250, do not show"),
        (NAMES, "1;a;2;$3.50;2024-04-03;c", "currency: which one"),
        ("time;" + NAMES, "10:00;1;a;2;3.5;03/04/2024;c", "sold_at: day or month first"),
        ("1001;A1;2;3,50;13.04.2024;K1", "1002;A1;2;3,50;14.04.2024;K1", "the first row looks like data"),
        (NAMES.replace("sku", "name"), "1;a b;2;3.5;2024-04-03;c", "product_id: no column of product codes"),
        (NAMES.replace("customer", "who"), ROW, "customer_id: no column was found"),
        (NAMES.replace("qty", "n"), ROW, "quantity: taken because n alone holds"),
        (NAMES.replace("customer", "customer name"), ROW, "customer_id: taken because"),
    ],
)
def test_what_is_not_certain_is_asked(header: str, row: str, question: str):
    draft = drafted(f"{header}\n{row}\n")
    assert [q for q in draft.questions if q.startswith(question)], draft.questions
    assert question.split(": ")[-1] in draft.text or question.startswith("the first row")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "order;sku;qty;price;total;date;customer\n1;a;2;3.50;30;2024-04-03;c\n",
            "not quantity x unit_price",
        ),
        (
            "order;sku;qty;total;date;customer\n1;a;2;30;2024-04-03;c\n1;b;1;30;2024-04-03;c\n",
            "order's total",
        ),
    ],
)
def test_an_order_s_total_is_not_taken_for_a_line_s(text: str, why: str):
    draft = drafted(text)
    assert why in draft.text
    assert "      # amount: total" in draft.text


def test_a_column_that_stands_twice_is_not_named():
    draft = drafted("order;order;sku;qty;price;date;customer\n1;1;a;2;3.50;2024-04-03;c\n")
    assert draft.questions == ("invoice_id: no column was found for it",)


NAME = st.sampled_from(["order", "sku", "qty", "price", "date", "customer"]) | st.text(
    min_size=1, max_size=12
)
CELL = st.sampled_from(["1", "2,50", "3.50", "2024-01-02", "03/04/2024", "a@b.com", "EUR"]) | st.text(
    max_size=8
)


@given(st.lists(NAME, min_size=1, max_size=7), st.lists(st.lists(CELL, max_size=7), max_size=4))
def test_whatever_the_file_says_the_draft_is_yaml_and_a_profile_but_for_what_is_missing(
    header: list[str], rows: list[list[str]]
):
    draft = profile_draft("shop", header, rows)
    made = yaml.safe_load(f"sources:\n{draft.text}")["sources"]["shop"]
    usable = {guess.column: guess.expression for guess in draft.guesses if guess.usable}
    assert (made["columns"] or {}) == usable
    stand_in = dict.fromkeys(
        ("invoice_id", "product_id", "quantity", "unit_price", "sold_at", "customer_id"), "x"
    )
    SourceProfile.model_validate(made | {"columns": stand_in | usable})
