"""Drafts of source profiles: from a header and some rows to settings that a person can paste and correct.

Belongs here: guessing what a file's columns mean, by their names and by what they hold, and saying what is
not certain. Does not belong here: how texts are written (``dialects.py``), or what a profile may say
(``sources.py``). A draft is never used by itself: a person pastes it into the settings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from sqlglot import exp

from retail_pipeline.core.dialects import date_order_of, number_of, number_style_of
from retail_pipeline.core.manifests import Frozen
from retail_pipeline.core.sources import CANONICAL, DIALECT, REQUIRED, clean_header, parsed

# what shops and their systems call the columns, the plainer names first; as `_compact` writes them
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "invoice_id": """
            invoiceno invoiceid invoicenumber invoice orderid orderno ordernumber ordernum ordernr
            order idorder amazonorderid incrementid basketid basket transactionid transactionno
            transaction ticketid ticketno ticketnumber ticket receiptid receiptno receiptnumber
            receipt saleid saleno salesid billno billid checkno documentno belegnummer belegnr
            beleg bestellnummer bestellnr bestellid bestellung auftragsnummer auftragsnr auftrag
            rechnungsnummer rechnungsnr rechnung bonnummer bonnr bon kassenbon facture
            numerofacture numerodefacture numfacture nofacture nfacture commande numerocommande
            numerodecommande numcommande nocommande ncommande idcommande referencecommande
            numeroticket factura numerofactura numerodefactura nofactura nfactura idfactura pedido
            numeropedido numerodepedido nopedido npedido idpedido fatura numerofatura
            numerodafatura notafiscal cupom numerocupom numerodopedido encomenda factuurnummer
            factuurnr factuur bestelnummer bestelling kassabon fattura numerofattura ordine
            numeroordine idordine scontrino numeroscontrino vbeln belnr""",
        "product_id": """
            sku stockcode productid productcode productno productnumber productsku
            productreference itemid itemcode itemno itemnumber itemsku lineitemsku variantsku
            articleid articleno articlecode articlenumber partnumber barcode ean gtin upc plu asin
            isbn artikelnummer artikelnr artikelcode artikelid artnr materialnummer produktnummer
            produktnr produktid productnummer referenceproduit refproduit codeproduit codearticle
            refarticle referencearticle idproduit codebarres codigoproducto codigodeproducto
            codigoarticulo idproducto codproducto codigoproduto codigodoproduto codproduto
            idproduto codicearticolo codiceprodotto idprodotto matnr product item article artikel
            produkt produit producto articulo produto prodotto articolo material reference
            referencia codigo codice""",
        "description": """
            description productname producttitle productdescription itemname itemdescription
            articlename lineitemname title bezeichnung artikelbezeichnung produktbezeichnung
            artikelname artikeltext produktname beschreibung designation libelle libellearticle
            libelleproduit nomproduit nomduproduit descripcion nombreproducto nombredelproducto
            descricao nomeproduto nomedoproduto omschrijving productnaam artikelomschrijving
            descrizione nomeprodotto arktx maktx name product item article artikel produkt produit
            producto articulo produto prodotto articolo""",
        "quantity": """
            quantity qty qtyordered quantityordered qtysold quantitysold quantitypurchased
            itemquantity lineitemquantity productquantity units unitssold pieces count menge
            anzahl stueck stuck stk stueckzahl stuckzahl quantite qte nombre cantidad cant
            unidades quantidade qtd qtde aantal hoeveelheid quantita qta pezzi fkimg kwmeng""",
        "unit_price": """
            unitprice price priceeach priceperunit itemprice itemcost lineitemprice productprice
            sellingprice salesprice retailprice unitpricetaxincl einzelpreis stueckpreis
            stuckpreis preis verkaufspreis prixunitaire prixunitairettc pu prix prixdevente
            preciounitario preciounidad precio preciodeventa precounitario valorunitario preco
            stuksprijs eenheidsprijs prijsperstuk prijs verkoopprijs prezzounitario prezzo""",
        "amount": """
            linetotal rowtotal lineamount linevalue orderlinetotal itemtotal amount totalprice
            extendedprice salesvalue netsales sales revenue netamount grossamount subtotal total
            zeilenbetrag positionsbetrag positionswert gesamtpreis gesamtbetrag betrag umsatz
            nettobetrag bruttobetrag gesamt summe totalligne montant montanttotal montantttc
            montantht prixtotal totalttc importe importetotal preciototal totallinea valortotal
            precototal valor bedrag regeltotaal totaalprijs totaal importo totaleriga prezzototale
            totale netwr nettowert""",
        "sold_at": """
            soldat invoicedate orderdate transactiontimestamp transactiondate transactiontime
            saledate salesdate purchasedate orderedat purchasedat createdat paidat ordertimestamp
            dateadd receiptdate billingdate datetime timestamp date belegdatum rechnungsdatum
            bestelldatum auftragsdatum verkaufsdatum kaufdatum buchungsdatum zeitstempel datum
            datefacture datedefacture datecommande datedecommande dateachat datevente fechafactura
            fechapedido fechadepedido fechaventa fechacompra fechahora fecha datafatura datapedido
            datadopedido datavenda datacompra datahora data factuurdatum orderdatum besteldatum
            verkoopdatum dataordine datafattura datavendita dataora fkdat audat erdat""",
        "customer_id": """
            customerid customerno customernumber customercode custid clientid buyerid memberid
            userid shopperid householdid loyaltyid customeruser kundennummer kundennr kundenid
            kdnr debitor idclient numeroclient noclient nclient codeclient idcliente codigocliente
            codcliente numerocliente klantnummer klantnr klantid codicecliente idcustomer kunag
            kunnr customer client buyer kunde cliente klant customeremail buyeremail email
            emailaddress useremail""",
        "country": """
            country countrycode shipcountry shippingcountry billingcountry deliverycountry land
            laendercode landercode lieferland pays pais paese land1""",
        "currency": """
            currency currencycode ordercurrency ordercurrencycode waehrung wahrung devise monnaie
            moneda divisa moeda valuta waerk waers""",
        "time": "time uhrzeit zeit heure hora tijd ora uur ordertime saletime belegzeit",
    }
)
_RANKS = {column: {name: n for n, name in enumerate(names.split())} for column, names in _NAMES.items()}
_MONEY = ("unit_price", "amount")
_NUMBERS = ("quantity", *_MONEY)
_MOSTLY = 0.9  # of a sample, where the rest is taken for what a shop writes there once in a while
_LOOKS = 0.75  # of a column's texts, where the rest are mistakes that will be unreadable
_NOBODY = frozenset({"0", "-1", "guest", "gast", "invité", "anonymous", "none", "null", "n/a", "na", "cash"})
_SIGNS = MappingProxyType({"£": "GBP", "€": "EUR", "₹": "INR", "₺": "TRY", "zł": "PLN", "R$": "BRL"})
_CODES = frozenset(
    {"AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY"}
    | {"KRW", "MXN", "NOK", "NZD", "PLN", "RON", "SEK", "SGD", "TRY", "USD", "ZAR"}
)
_DOLLARS = frozenset({"AUD", "CAD", "HKD", "MXN", "NZD", "SGD", "USD"})
_UNIT = r"(?:[A-Z]{3}|[Kk]r\.?|Fr\.?|zł|R\$|[$£€¥₹₺₽])"
_NUMBER = re.compile(rf"[-+(]?\s*{_UNIT}?\s*[-+(]?\s*(?:\d[\d.,'\u2019\s]*|[.,]\d+)[-)]?\s*{_UNIT}?\s*[-)]?")
_NUMERIC_DATE = re.compile(r"(\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|(?:19|20)\d\d[01]\d[0-3]\d)(?!\d)")
_ZONED = re.compile(r":[\d.]+ *(?:[+-]\d|Z)")
_PLAIN_ISO = re.compile(r"\d{4}[/-]\d")
_MONTHS = MappingProxyType(
    {r"\d{1,2} [A-Z][a-z]{2} \d{4}": "%d %b %Y", r"[A-Z][a-z]{2} \d{1,2}, \d{4}": "%b %d, %Y"}
)
_SECONDS = re.compile(r"1\d{9}(\d{3})?")

_KINDS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {
        "date": lambda text: _NUMERIC_DATE.match(text) or any(re.match(month, text) for month in _MONTHS),
        "time": re.compile(r"\d{1,2}:\d{2}(:\d{2})?").fullmatch,
        "email": re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}").fullmatch,
        "code": _CODES.__contains__,
        "seconds": _SECONDS.fullmatch,
        "number": _NUMBER.fullmatch,
    }
)
# what a column must look like; an id may look like anything but a date or a time
_MAY_BE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sold_at": frozenset({"date", "seconds"}),
        "time": frozenset({"time"}),
        "currency": frozenset({"code"}),
        "description": frozenset({"text", "number", "code"}),
        "country": frozenset({"text", "code"}),
    }
    | {column: frozenset({"number", "seconds"}) for column in _NUMBERS}
)
_ID = frozenset({"text", "number", "seconds", "email", "code"})


class Guess(Frozen):
    """What a canonical column is made of; ``doubt`` says what a person must look at, if anything.

    A guess that is not ``usable`` stands in the draft as a comment: to take it blindly could be wrong without
    a sign of it.
    """

    column: str
    expression: str
    doubt: str = ""
    usable: bool = True


class Draft(Frozen):
    """A profile for an unknown file: the guesses, what a person must decide, and the YAML with comments."""

    guesses: tuple[Guess, ...]
    questions: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class _Column:
    """A column of the sample: its name as it stands and compact, its cells by row, what they look like."""

    name: str
    compact: str
    cells: tuple[str, ...]
    kind: str

    @property
    def texts(self) -> list[str]:
        return [cell for cell in self.cells if cell]

    @property
    def reference(self) -> str:
        """The column's name as an expression writes it."""
        try:
            expression = parsed(self.name)
        except ValueError:
            expression = exp.null()
        bare = isinstance(expression, exp.Column) and expression.sql(DIALECT) == self.name
        return self.name if bare else exp.column(self.name, quoted=True).sql(DIALECT)


_Found = dict[str, _Column]


def profile_draft(
    name: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    currency: str | None = None,
) -> Draft:
    """Draft a profile called ``name`` from a file's header and its first rows (all texts).

    ``encoding`` and ``delimiter`` are written down when given; ``currency`` is that of the settings. A draft
    without questions reads the sample as it stands.
    """
    columns = _columns(clean_header(header), rows)
    found, doubts = _assigned(columns)
    style = number_style_of(text for c in _NUMBERS if c in found for text in found[c].texts)
    guesses = {c: _guess(c, found, style, doubts.get(c, "")) for c in CANONICAL if c in found}
    facts = [*_layout(encoding, delimiter), *_writing(found, style), *_filled(found)]
    facts += _currency(found, currency)
    questions = [f"{g.column}: {g.doubt}" for g in guesses.values() if g.doubt]
    questions += [f"{fact.name}: {fact.question}" for fact in facts if fact.question]
    questions += [f"{column}: no column was found for it" for column in _wanting(found)]
    if any(_kind([column.name]) not in ("text", "code") for column in columns):
        questions.append(
            "the first row looks like data: if the file has no header, name its columns under `header:` and "
            "say under `files:` what such files are called"
        )
    used = {column.name for column in found.values()}
    unread = [column.name for column in columns if column.name not in used]
    zoned = "sold_at" in found and any(_ZONED.search(text) for text in found["sold_at"].texts)
    return Draft(
        guesses=tuple(guesses.values()),
        questions=tuple(questions),
        text="\n".join(_lines(name, facts, guesses, _wanting(found), zoned, unread)) + "\n",
    )


def _wanting(found: _Found) -> list[str]:
    """The canonical columns that a profile needs and that were not found."""
    wanting = [column for column in REQUIRED if column not in found]
    return wanting if found.keys() & set(_MONEY) else [*wanting, "unit_price"]


# looking at columns


def _columns(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> list[_Column]:
    """The columns that an expression can name: those whose name is not empty and stands once."""
    cells = {
        n: tuple((row[n] or "").strip() if n < len(row) else "" for row in rows) for n in range(len(names))
    }
    return [
        _Column(name, _compact(name), cells[n], _kind([cell for cell in cells[n] if cell]))
        for n, name in enumerate(names)
        if name and names.count(name) == 1
    ]


def _compact(name: str) -> str:
    """A name in small letters and digits only; without accents and what stands in parentheses."""
    plain = unicodedata.normalize("NFKD", re.sub(r"[(\[].*?[)\]]", "", name))
    return "".join(c for c in plain.casefold() if c.isascii() and c.isalnum())


def _kind(texts: Sequence[str]) -> str:
    """What most of these texts look like; ``empty`` without any."""
    if not texts:
        return "empty"
    for kind, looks in _KINDS.items():
        if sum(bool(looks(text)) for text in texts) >= _LOOKS * len(texts):
            return kind
    return "text"


# which column is which


def _assigned(columns: Sequence[_Column]) -> tuple[_Found, dict[str, str]]:
    """The column for each canonical one, by its name, part of its name or its values; and the doubts."""
    found: _Found = {}
    doubts: dict[str, str] = {}

    def free(canonical: str) -> list[_Column]:
        kinds = _MAY_BE.get(canonical, _ID) | {"empty"}
        return [c for c in columns if c not in found.values() and c.kind in kinds]

    for canonical, ranks in _RANKS.items():
        if named := [c for c in free(canonical) if c.compact in ranks]:
            found[canonical] = min(named, key=lambda c: ranks[c.compact])
    for canonical in _wanting(found):
        if guess := _by_part_of_name(canonical, free(canonical)) or _by_values(canonical, free(canonical)):
            found[canonical], doubts[canonical] = guess
    if "product_id" not in found and "description" in found:
        found["product_id"] = found["description"]
        doubts["product_id"] = "no column of product codes was found; the description stands for them"
    return found, doubts


def _by_part_of_name(canonical: str, columns: Sequence[_Column]) -> tuple[_Column, str] | None:
    held = [
        (len(word), column, word)
        for column in columns
        for word in _RANKS[canonical]
        if len(word) >= 4 and word in column.compact and column.kind != "empty"
    ]
    if not held:
        return None
    _, column, word = max(held, key=lambda h: h[0])
    return column, f"taken because the name {column.name} holds {word!r}: is it this?"


def _by_values(canonical: str, columns: Sequence[_Column]) -> tuple[_Column, str] | None:
    looks: Mapping[str, tuple[Callable[[_Column], bool], str]] = {
        "sold_at": (lambda c: c.kind == "date", "a date"),
        "customer_id": (lambda c: c.kind == "email", "an e-mail address"),
        "quantity": (lambda c: all(re.fullmatch(r"-?\d{1,4}", t) for t in c.texts), "a small whole number"),
        "unit_price": (
            lambda c: any(re.search(r"[.,]\d{2}\b", t) for t in c.texts),
            "a number with decimals",
        ),
    }
    if canonical not in looks:
        return None
    fits, words = looks[canonical]
    fitting = [column for column in columns if column.kind != "empty" and fits(column)]
    if len(fitting) != 1:
        return None
    return fitting[0], f"taken because {fitting[0].name} alone holds {words} in every row: is it this?"


def _doubt_about_amount(found: _Found, style: tuple[str, str] | None) -> str:
    """Why an amount may not be the line's own, as far as the sample shows it."""
    if "amount" not in found or style is None:
        return ""
    if found.keys() >= set(_NUMBERS):
        cells = zip(*(found[column].cells for column in _NUMBERS), strict=True)
        values = [[number_of(cell, style) for cell in row] for row in cells]
        lines = [(q * p, a) for q, p, a in values if q is not None and p is not None and a is not None]
        off = sum(abs(expected - amount) * 100 > max(expected, Decimal(1)) for expected, amount in lines)
        if off > (1 - _MOSTLY) * len(lines):
            return (
                f"it is not quantity x unit_price in {off} of {len(lines)} rows: take it in if it is the "
                "line's own total, after discounts"
            )
    elif "invoice_id" in found and "unit_price" not in found:
        orders: dict[str, list[str]] = {}
        for invoice, amount in zip(found["invoice_id"].cells, found["amount"].cells, strict=True):
            orders.setdefault(invoice, []).append(amount)
        several = [amounts for amounts in orders.values() if len(amounts) > 1]
        if several and all(len(set(amounts)) == 1 for amounts in several):
            return "it is the same in all lines of an order: is it the order's total, not the line's?"
    return ""


# how they are written


@dataclass(frozen=True)
class _Fact:
    """A field of the profile as YAML; one with a question stands as a comment."""

    name: str
    value: str
    question: str = ""


def _layout(encoding: str | None, delimiter: str | None) -> Iterator[_Fact]:
    if encoding and not encoding.startswith("utf"):
        yield _Fact("encoding", encoding)
    if delimiter:
        yield _Fact("delimiter", r'"\t"' if delimiter == "\t" else f'"{delimiter}"')


def _writing(found: _Found, style: tuple[str, str] | None) -> Iterator[_Fact]:
    numbers = [column for canonical, column in found.items() if canonical in _NUMBERS and column.texts]
    if style is None and numbers:
        shown = next((t for c in numbers for t in c.texts if re.search(r"\d[.,]\d", t)), numbers[0].texts[0])
        yield _Fact(
            "decimal_mark", '","', f"the numbers, such as {shown}, do not show which mark is the decimal one"
        )
    if style and style[0] != ".":
        yield _Fact("decimal_mark", f'"{style[0]}"')
    if style and style[1]:
        yield _Fact("thousands_mark", f'"{style[1]}"')
    dates = _numeric_dates(found)
    if dates and "time" not in found:
        order = date_order_of(dates)
        question = (
            ""
            if order
            else f"the dates, such as {dates[0]}, do not show whether the day or the month comes first"
        )
        yield _Fact("date_order", order or "day_first", question)


def _numeric_dates(found: _Found) -> list[str]:
    texts = found["sold_at"].texts if "sold_at" in found and found["sold_at"].kind == "date" else []
    return [text for text in texts if _NUMERIC_DATE.match(text) and not _PLAIN_ISO.match(text)]


def _currency(found: _Found, default: str | None) -> Iterator[_Fact]:
    if "currency" in found:
        return
    money = [column for canonical, column in found.items() if canonical in _MONEY]
    said = " ".join(text for column in money for text in (column.name, *column.texts[:20]))
    codes = {code for sign, code in _SIGNS.items() if sign in said}
    codes |= {code for code in _CODES if code in said}
    if len(codes) == 1:
        yield _Fact("currency", codes.pop())
    elif codes or default is None or ("$" in said and default not in _DOLLARS):
        yield _Fact("currency", "USD", "which one, as ISO 4217 writes it? No column and no sign says it")


def _filled(found: _Found) -> Iterator[_Fact]:
    """Columns that are filled on the first line of an order only."""
    if "invoice_id" not in found:
        return
    invoices = found["invoice_id"].cells
    again = [n > 0 and cell in ("", invoices[n - 1]) for n, cell in enumerate(invoices)]
    filled = [
        column.name
        for canonical, column in found.items()
        if canonical in ("sold_at", "customer_id", "country", "currency", "time")
        and column.texts
        and any(again)
        and all((not cell) == repeated for cell, repeated in zip(column.cells, again, strict=True))
    ]
    if filled:
        names = ", ".join(map(_scalar, filled))
        yield _Fact("fill_down", f"{{by: {_scalar(found['invoice_id'].name)}, columns: [{names}]}}")


def _guess(canonical: str, found: _Found, style: tuple[str, str] | None, doubt: str) -> Guess:
    column = found[canonical]
    expression, undecided = column.reference, ""
    if canonical == "sold_at":
        expression, undecided = _moment(column, found.get("time"))
    elif canonical == "customer_id":
        expression = _customer(column)
    elif canonical in _NUMBERS and style and any(map(_has_unit, column.texts)):
        # a profile's marks serve plain columns; one with letters is first stripped of them
        expression = f"trim(regexp_replace({expression}, '[A-Za-z]+[.]?', '', 'g'))"
        for mark, plain in ((style[1], ""), (style[0], ".")):
            if mark not in ("", plain):
                expression = f"replace({expression}, {exp.Literal.string(mark).sql(DIALECT)}, '{plain}')"
    if canonical == "amount":
        undecided = _doubt_about_amount(found, style)
    return Guess(column=canonical, expression=expression, doubt=undecided or doubt, usable=not undecided)


def _has_unit(text: str) -> bool:
    return bool(re.search("[A-Za-z]", text) and _NUMBER.fullmatch(text))


def _customer(column: _Column) -> str:
    expression = column.reference
    if column.texts and all(re.fullmatch(r"\d+\.0", text) for text in column.texts):
        expression = f"regexp_replace({expression}, '[.]0$', '')"
    for nobody in sorted({text for text in column.texts if text.casefold() in _NOBODY}):
        expression = f"nullif({expression}, {exp.Literal.string(nobody).sql(DIALECT)})"
    return expression


def _moment(date: _Column, time: _Column | None) -> tuple[str, str]:
    """The expression for ``sold_at``, and the question that it leaves open."""
    if date.kind == "seconds":
        thousandths = len(date.texts[0]) == 13
        return (
            (f"epoch_ms(cast({date.reference} as bigint))", "")
            if thousandths
            else (f"to_timestamp(cast({date.reference} as double))", "")
        )
    for pattern, form in _MONTHS.items():
        if date.texts and all(re.fullmatch(pattern, text) for text in date.texts):
            return f"strptime({date.reference}, '{form}')", ""
    if time is None or any(":" in text for text in date.texts):
        return date.reference, ""
    order = "year_first" if _PLAIN_ISO.match(date.texts[0]) else date_order_of(date.texts)
    mark = next(iter(re.findall(r"\d([./-])\d", date.texts[0])), "")
    year = "%y" if mark and not re.search(r"\d{4}", date.texts[0]) else "%Y"
    parts = {"year_first": (year, "%m", "%d"), "month_first": ("%m", "%d", year)}.get(
        order or "", ("%d", "%m", year)
    )
    form = f"{mark.join(parts)} %H:%M" + (":%S" if time.texts and time.texts[0].count(":") == 2 else "")
    question = (
        "" if order else "day or month first? swap %d and %m if the month comes first, and take the # away"
    )
    return f"strptime({date.reference} || ' ' || {time.reference}, '{form}')", question


# writing it down


def _lines(
    name: str,
    facts: Sequence[_Fact],
    guesses: Mapping[str, Guess],
    wanting: Sequence[str],
    zoned: bool,
    unread: Sequence[str],
) -> Iterator[str]:
    yield f"  {_scalar(name)}:"
    yield f"    source_system: {_scalar(name)}"
    for fact in facts:
        yield f"    {'# ' if fact.question else ''}{fact.name}: {fact.value}{_comment(fact.question)}"
    if not zoned:
        yield "    # time_zone: Europe/Berlin  # that of the times, if it is not business time"
    yield "    columns:"
    for column in CANONICAL:
        if guess := guesses.get(column):
            expression = _scalar(guess.expression, _EXPRESSION)
            yield f"      {'' if guess.usable else '# '}{column}: {expression}{_comment(guess.doubt)}"
        elif column in wanting:
            hint = '; "null" if nobody is ever known' if column == "customer_id" else ""
            yield f"      # {column}:  # ? no column was found for it{hint}"
    if unread:
        yield f"    # not read: {_printable(', '.join(unread))}"


def _comment(question: str) -> str:
    return f"  # ? {_printable(question)}" if question else ""


def _printable(text: str) -> str:
    """A text that quotes the file, whose names may hold line breaks, on one line."""
    return "".join(char if char.isprintable() else " " for char in text)


def _scalar(text: str, pattern: str = r"[A-Za-z_][A-Za-z0-9_]*") -> str:
    """A text as YAML writes it: plain where nothing else can be read into it, otherwise in single quotes."""
    if re.fullmatch(pattern, text) and text.casefold() not in _WORDS:
        return text
    if not text.isprintable():
        return (
            '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'
        )
    return "'" + text.replace("'", "''") + "'"


_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# an expression has no comment, no mapping and no line break in it
_EXPRESSION = r"[A-Za-z_](?:[\w ()'\",./%|$+*\[\]-]|:(?! |$))*(?<! )"
