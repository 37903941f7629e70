"""A drafted profile names the right columns, loads, and asks where it could be wrong."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.ingest.profiles.drafts import Draft, profile_draft
from retail_pipeline.ingest.profiles.profile import REQUIRED, SourceProfile


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
OTHERS = """
numero_factura;codigo_articulo;descripcion;unidades;precio_unitario;fecha_venta;cliente
1;a;una cosa;2;1.50;2024-01-02;9

Pedido;Código do Produto;Descrição;Qtde;Valor Unitário;Data;Cliente
1;2;x y;3;4,50;25/06/2024;7

Factuurnummer;Artikelcode;Omschrijving;Aantal;Stuksprijs;Factuurdatum;Klantnr
1;2;x;3;€ 4,50;25-06-2024;7

numeroOrdine;codiceArticolo;descrizione;quantita;prezzo;dataOrdine;idCliente
1;2;x;3;4,50;25/06/2024;7

VBELN;MATNR;ARKTX;FKIMG;NETWR;FKDAT;KUNAG;WAERK
0090001;000000001;Schraube;1.000,000;1.234,56-;20240131;0000012;EUR
0090002;000000001;Schraube;1,000;1,56;20240201;0000012;EUR

increment_id;sku;name;qty_ordered;price;row_total;created_at;customer_email
1;a;Tee shirt;2.0000;10.0000;20.0000;2024-05-01 10:00:00;x@y.de

Order Number;Order Date;SKU;Item Name;Quantity (- Refund);Item Cost;Order Line Total;Customer ID;Currency
55;2024-05-01 10:00;ab-1;Tee;2;10.00;20.00;7;EUR
"""


@pytest.mark.parametrize("text", [GERMAN, FRENCH, *OTHERS.split("\n\n")])
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
    draft = drafted(f"order;sku;qty;price;{column};customer\n1;a;2;3.50;{value};c\n")
    made = loaded(draft).columns["sold_at"]
    assert made.replace('"', "") == expression.replace('"', "")


@pytest.mark.parametrize(
    ("customers", "expression"),
    [
        (["17850.0", "12.0"], "regexp_replace(customer, '[.]0$', '')"),
        (["Ann@a.com", "bob@b.com"], "lower(customer)"),
        (["C1", "C2"], "customer"),
    ],
)
def test_customers_lose_decorations(customers: list[str], expression: str):
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
        ("1001;A1;2;3,50;13.04.2024;K1", "1002;A1;2;3,50;14.04.2024;K1", "header: the first row looks like"),
        (NAMES.replace("sku", "name"), "1;a b;2;3.5;2024-04-03;c", "product_id: no column of product codes"),
        (NAMES.replace("customer", "who"), ROW, "customer_id: no column was found"),
        (NAMES.replace("qty", "n"), ROW, "quantity: taken because n alone holds"),
        (NAMES.replace("customer", "customer name"), ROW, "customer_id: taken because"),
    ],
)
def test_what_is_not_certain_is_asked(header: str, row: str, question: str):
    draft = drafted(f"{header}\n{row}\n")
    assert [q for q in draft.questions if q.startswith(question)], draft.questions
    assert question.split(": ")[-1] in draft.text or question.startswith("header: the first row")


def test_an_order_s_total_is_not_taken_for_a_line_s():
    for text, why in (
        ("price;total;date;customer\n1;a;2;3.50;30;2024-04-03;c\n", "not quantity x unit_price"),
        ("total;date;customer\n1;a;2;30;2024-04-03;c\n1;b;1;30;2024-04-03;c\n", "order's total"),
    ):
        draft = drafted(f"order;sku;qty;{text}")
        assert why in draft.text
        assert "      # amount: total" in draft.text


# what is not read is asked about


def asked(text: str, topic: str) -> str:
    """The one question of a draft about this, without its name."""
    (question,) = [q for q in drafted(text).questions if q.startswith(f"{topic}: ")]
    return question.removeprefix(f"{topic}: ")


def proposed(text: str, field: str) -> object:
    """What the draft proposes for a field that it asks about."""
    made = [line.removeprefix("    ").removeprefix("# ") for line in drafted(text).text.splitlines()]
    (line,) = [line for line in made if line.startswith(f"{field}: ")]
    assert "  # ? " in line
    return yaml.safe_load(line)[field]


@pytest.mark.parametrize(
    ("column", "values", "condition"),
    [
        ("order_state", ["complete", "complete", "canceled"], "(order_state in ('complete'))"),
        ("Zustand", ["offen", "bezahlt", "Storniert"], "(Zustand in ('bezahlt'))"),
        ("Statut", ["Payé", "Annulée", "Payé"], "(Statut in ('Payé'))"),
        ("foo", ["shipped", "VOIDED", ""], "(coalesce(foo, '') in ('', 'shipped'))"),
        ("is_void", ["0", "0", "1"], "(is_void in ('0'))"),
        ("Buchungsart", ["Verkauf", "Test", "Verkauf"], "(Buchungsart in ('Verkauf'))"),
    ],
)
def test_which_rows_count_is_asked_with_the_values(column: str, values: list[str], condition: str):
    rows = "".join(f"{n};a;2;3.50;2024-01-02;c;{value}\n" for n, value in enumerate(values))
    text = f"{NAMES};{column}\n{rows}"
    question = asked(text, "keep_rows")
    assert column in question
    assert all(f"{value} {values.count(value)}" in question for value in values if value)
    assert proposed(text, "keep_rows") == condition


def test_a_refund_with_a_minus_is_kept_and_one_without_is_asked_about():
    row = "1;a;{};3.50;2024-01-02;c;{}\n"
    signed = f"{NAMES};event\n" + row.format("2", "Sale") + row.format("-1", "Refund")
    assert proposed(signed, "keep_rows") == "(event in ('Refund', 'Sale'))"
    unsigned = signed.replace("-1", "1")
    assert proposed(unsigned, "keep_rows") == "(event in ('Sale'))"
    assert "quantity: case when event in ('Refund') then '-' || qty" in asked(unsigned, "returns")


def test_rows_of_an_order_itself_and_of_payments_do_not_count_as_lines():
    text = """
order;line;sku;qty;total;date;who_customer
1;Sale;;3;12.00;2024-01-02;c
1;Sale Line;a;1;4.00;2024-01-02;c
1;Sale Line;b;2;8.00;2024-01-02;c
1;Payment;;;12.00;2024-01-02;c
"""
    assert proposed(text, "keep_rows") == "(line in ('Sale Line'))"


@pytest.mark.parametrize("value", ["WALK-IN", "Guest Customer", "Laufkundschaft", "0000", "999999"])
def test_a_customer_that_looks_like_nobody_is_asked_about(value: str):
    text = f"{NAMES}\n{ROW}\n2;a;1;3.50;2024-04-03;{value}\n"
    assert f"{value} 1" in asked(text, "cleaning")
    assert proposed(text, "cleaning") == {"anonymous_ids": [value]}


def test_a_customer_with_an_outlandish_share_is_asked_about():
    rows = "".join(f"{n};a;1;3.50;2024-04-03;{'K7' if n % 2 else f'C{n % 20}'}\n" for n in range(80))
    assert proposed(f"{NAMES}\n{rows}", "cleaning") == {"anonymous_ids": ["K7"]}


def test_a_product_that_looks_like_none_is_asked_about():
    text = f"{NAMES}\n{ROW}\n1;Versandkosten;1;4.90;2024-04-03;c\n"
    assert proposed(text, "cleaning") == {"adjustment_pattern": "(?i)^(Versandkosten)$"}


@pytest.mark.parametrize(
    ("columns", "values", "topic", "said"),
    [
        ("Rabatt", "1.50", "discounts", "Rabatt (1.50 1)"),
        ("coupon_code", "SAVE10", "discounts", "coupon_code (SAVE10 1)"),
        ("VAT %", "20", "tax", "VAT % (20 1)"),
        ("Einheit", "kg", "units", "Einheit (kg 1)"),
        ("base_currency;currency", "USD;EUR", "currency", "base_currency (USD 1)"),
        ("Time Zone", "Pacific Time (US & Canada)", "time_zone", "Pacific Time (US & Canada) 1"),
    ],
)
def test_columns_that_change_what_money_and_time_mean_are_asked_about(
    columns: str, values: str, topic: str, said: str
):
    assert said in asked(f"{NAMES};{columns}\n{ROW};{values}\n", topic)


@pytest.mark.parametrize(
    ("columns", "values"), [("discount", "0.00"), ("unit", "pcs"), ("payment_method", "Card"), ("tax", "")]
)
def test_what_changes_nothing_is_not_asked_about(columns: str, values: str):
    assert drafted(f"{NAMES};{columns}\n{ROW};{values}\n").questions == ()


def test_what_was_taken_off_whole_orders_is_sent_to_the_order_s_total():
    text = f"{NAMES};coupon\n{ROW};5.00\n{ROW.replace(';a;', ';b;')};5.00\n2;a;1;3.50;2024-04-03;c;0\n"
    assert "what is of whole orders (coupon) goes into order_total" in asked(text, "discounts")
    assert "order_total" not in asked(text.replace("c;5.00", "c;4.00", 1), "discounts")


def test_a_discount_that_the_amount_shows_is_not_asked_about():
    text = "order;sku;qty;gross;discount;net sales;date;customer\n1;a;2;7.00;1.00;6.00;2024-04-03;c\n"
    assert drafted(text).questions == ()


def test_rows_without_a_code_go_by_their_name_and_are_asked_about():
    text = f"{NAMES};name\n{ROW};Cup\n1;;1;2.00;2024-04-03;c;Custom amount\n"
    assert loaded(drafted(text)).columns["product_id"] == "coalesce(sku, name)"
    assert "Custom amount 1" in asked(text, "product_id")


def test_money_in_cents_is_divided():
    text = "order;sku;qty;line_net_cents;date;customer\n1;a;2;350;2024-04-03;c\n"
    assert loaded(drafted(text)).columns["amount"] == "cast(line_net_cents as bigint) / 100"


def test_a_column_that_stands_twice_is_not_named():
    draft = drafted("order;order;sku;qty;price;date;customer\n1;1;a;2;3.50;2024-04-03;c\n")
    assert draft.questions == ("invoice_id: no column was found for it",)


NAME = st.sampled_from(NAMES.split(";")) | st.text(min_size=1, max_size=12)
CELLS = ["1", "2,50", "3.50", "2024-01-02", "03/04/2024", "a@b.com", "EUR"]
CELL = st.sampled_from(CELLS) | st.text(max_size=8)


@given(st.lists(NAME, min_size=1, max_size=7), st.lists(st.lists(CELL, max_size=7), max_size=4))
def test_whatever_the_file_says_the_draft_is_yaml_and_a_profile_but_for_what_is_missing(
    header: list[str], rows: list[list[str]]
):
    draft = profile_draft("shop", header, rows)
    made = yaml.safe_load(f"sources:\n{draft.text}")["sources"]["shop"]
    stand_in = dict.fromkeys((*REQUIRED, "unit_price"), "x")
    SourceProfile.model_validate(made | {"columns": stand_in | (made["columns"] or {})})
