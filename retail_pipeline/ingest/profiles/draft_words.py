"""The words that drafts of profiles go by: what shops and their systems call things, in seven languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# what shops and their systems call the columns, the plainer names first; as `compact_name` writes them
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "invoice_id": """
            invoiceno invoiceid orderkey invoicekey
            invoicenumber invoice orderid orderno ordernumber ordernum ordernr
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
            sku stockcode productid productkey itemkey productcode productno productnumber productsku
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
            soldat invoicedate orderdate orderts soldts orderdatetime orderdttm
            transactiontimestamp transactiondate transactiontime
            saledate salesdate purchasedate orderedat purchasedat createdat paidat ordertimestamp
            dateadd receiptdate billingdate datetime timestamp date belegdatum rechnungsdatum
            bestelldatum auftragsdatum verkaufsdatum kaufdatum buchungsdatum zeitstempel datum
            datefacture datedefacture datecommande datedecommande dateachat datevente fechafactura
            fechapedido fechadepedido fechaventa fechacompra fechahora fecha datafatura datapedido
            datadopedido datavenda datacompra datahora data factuurdatum orderdatum besteldatum
            verkoopdatum dataordine datafattura datavendita dataora fkdat audat erdat""",
        "customer_id": """
            customerid customerno customerkey customernumber customercode custid clientid buyerid memberid
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
            moneda divisa moeda valuta waerk waers wkz wkzumsatz isocurrency currencyisocode""",
        "time": "time uhrzeit zeit heure hora tijd ora uur ordertime saletime belegzeit",
    }
)
RANKS = {column: {name: n for n, name in enumerate(names.split())} for column, names in NAMES.items()}
SIGNS = MappingProxyType({"£": "GBP", "€": "EUR", "₹": "INR", "₺": "TRY", "zł": "PLN", "R$": "BRL"})
CODES = frozenset(
    {"AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY"}
    | {"KRW", "MXN", "NOK", "NZD", "PLN", "RON", "SEK", "SGD", "TRY", "USD", "ZAR"}
)
DOLLARS = frozenset({"AUD", "CAD", "HKD", "MXN", "NZD", "SGD", "USD"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# what is compared with these is written as `compact_name` writes it
NOBODY = _words(
    """guest guestcustomer guestuser guestcheckout walkin walkincustomer walkins gast gastkunde gaste
    laufkundschaft laufkunde barkunde barverkauf diverse diverser diversekunden diversekunde tageskunde cash
    cashcustomer cashsale counter countersale anonymous anonym anonyme anonimo invite client0 clientcomptoir
    comptoir clientdepassage passage clientedecontado mostrador clientemostrador consumidorfinal
    publicogeneral publicoengeneral clientegenerico clientegeneral clienteoccasionale clientepadrao passant
    balieklant contantklant unknown unbekannt inconnu desconocido default defaultcustomer nocustomer misc
    retailcustomer onlinecustomer"""
)
NO_PRODUCT = _words(
    """shipping shippingcost shippingfee delivery deliveryfee freight postage post porto versand versandkosten
    fracht frachtkosten lieferung livraison fraisdeport port envio gastosdeenvio portes frete verzending
    verzendkosten spedizione discount rabatt remise descuento desconto korting sconto coupon voucher
    gutschein giftcard giftvoucher geschenkgutschein geschenkkarte cartecadeau bonachat tarjetaregalo
    cadeaubon cadeaukaart cartaregalo buonoregalo pfand leergut deposit consigne statiegeld fee fees
    servicefee handling surcharge bankcharges tip tips trinkgeld gratuity pourboire propina fooi mancia
    donation spende rounding rundung roundoff arrondi"""
)
# names of columns that may tell sales from other rows; those of TYPE only if their values are few
BAD = _words(
    """storno storniert cancelled canceled cancelledat canceledat cancellation cancel cancelreason annulation
    annule anulado anulada cancelado annullato geannuleerd void voided voidedat refund refunded refundedat
    refundid refundstatus return returned returnedat isreturn isrefund isvoid retoure retour retourne devuelto
    devolucion reso restituito reversed reversal deleted deletedat test istest istraining gutschrift avoir
    creditnote creditmemo"""
)
STATE = BAD | _words("status state statut etat estado stato orderstate zustand situacao stand paid bezahlt")
TYPE = _words(
    """type typ tipo art soort linetype rowtype recordtype eventtype event transactiontype doctype
    documenttype ordertype saletype salestype itemtype itemizationtype amounttype amountdescription
    movementtype kind
    vorgang vorgangsart belegart belegtyp positionsart positionstyp buchungsart satzart umsatzart
    zeilentyp buchungsschlussel sollhaben shkz"""
)
# of a status of these, and of a type of those below as well, nothing depends
NOT_STATE = _words(
    "shipping shipment delivery billing address province region fulfillment fulfilment versandart"
)
NOT_TYPE = _words(
    """payment pay tender card device customer contact product zahlungsart zahlart kundenart paiement pago
    betaling pagamento marketing user price file"""
)
DISCOUNT = _words(
    """discount discounts discountamount rabatt rabatte nachlass skonto remise ristourne descuento desconto
    korting sconto promo promotion promotions promotiondiscount coupon coupons voucher refundamount
    refundedamount refund refunds refunded erstattung erstattet gutschriftbetrag rembourse remboursement
    reembolso terugbetaling rimborso markdown rebate"""
)
TAX = _words(
    "tax taxes taxrate vat mwst ust steuer steuersatz tva iva btw imposta impuesto imposto gst hst salestax"
)
UNIT = _words(
    """unit uom unitofmeasure einheit mengeneinheit vrkme meins unite unidad unidade eenheid unita
    unitadimisura quantityunit quantitytype measure packsize packagesize gebinde"""
)
CURRENCY = _words("currency currencies waehrung wahrung devise monnaie moneda divisa moeda valuta waers")
ZONE = _words("timezone tz zeitzone fuseau fuseauhoraire zonahoraria fusohorario tijdzone fusoorario")
HUNDREDTHS = _words("cent cents centimes centimos centavos pence pennies minor minorunits")
PIECES = _words("ea each pc pcs piece pieces unit units un st stk stck stueck stück stuk pce pz ud uds x")
# words within values; a kind of row that holds one of BAD_VALUES is no sale, one of RETURNED came back
RETURNED = _words(
    "refund return retour rueckgabe ruckgabe gutschrift storno avoir devol reembols reso credit rma"
)
BAD_VALUES = _words(
    """cancel storn void fail pending onhold expired authori test delet draft declin denied reject
    abgebrochen offen annul anulad abandon unpaid error fraud quote trash wartend enattente pendiente
    inafwachting"""
)
STATE_VALUES = _words(
    """cancelled canceled void voided refunded refund returned return failed pending completed complete closed
    processing shipped storno storniert retoure gutschrift sale sales payment annule rembourse anulado
    devuelto annullato rimborsato geannuleerd onhold expired declined unpaid abgeschlossen versendet
    terminee creditmemo creditnote test"""
)
FLAGS = frozenset({"0", "1", "y", "n", "j", "x", "t", "f", "yes", "no", "ja", "nein", "true", "false"}) | {""}
ZONES = MappingProxyType(
    {
        "eastern time (us & canada)": "America/New_York",
        "central time (us & canada)": "America/Chicago",
        "mountain time (us & canada)": "America/Denver",
        "pacific time (us & canada)": "America/Los_Angeles",
        "alaska": "America/Anchorage",
        "hawaii": "Pacific/Honolulu",
        "arizona": "America/Phoenix",
        "atlantic time (canada)": "America/Halifax",
        "london": "Europe/London",
        "dublin": "Europe/Dublin",
        "paris": "Europe/Paris",
        "berlin": "Europe/Berlin",
        "madrid": "Europe/Madrid",
        "tokyo": "Asia/Tokyo",
        "osaka": "Asia/Tokyo",
        "sydney": "Australia/Sydney",
        "melbourne": "Australia/Melbourne",
        "brisbane": "Australia/Brisbane",
        "perth": "Australia/Perth",
        "utc": "UTC",
        "gmt": "UTC",
    }
)
