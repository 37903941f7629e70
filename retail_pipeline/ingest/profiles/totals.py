"""Lines of a file that are no lines of a sale: totals, notes and blank lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from retail_pipeline.ingest.profiles.ids import literal

# words for a total in the languages of exports; as the whole of a field, but for numbers and signs
_WORDS = (
    "(?:(?:grand|sub|net|sous|overall)?[ -]?total(?:e|en|es|i|s)?|(?:grand )?sums?|total g[ée]n[ée]ral|"
    "(?:eind)?totaal|gesamt(?:summe|betrag|umsatz)?|(?:zwischen|end|tages|monats)?summen?|somme|suma|soma|"
    "somma|razem|celkem|součet|spolu|összesen|toplam|summa|yhteensä|итого|всего|合計|总计|合计|小計)"
)
_SIGNS = r"\s\"'*=:;,.#>|+/()_-"
_TOTAL = f"(?i)^[{_SIGNS}]*{_WORDS}[0-9€$£%{_SIGNS}]*$"
_TOTAL_ALONE = f"(?i)^[{_SIGNS}]*{_WORDS}[{_SIGNS}]*$"


def names_a_total(text: str | None) -> bool:
    """True when a field holds a word for a total and nothing else but numbers and signs."""
    return text is not None and len(text) < 60 and re.match(_TOTAL, text) is not None


def is_none(dates: Sequence[str]) -> str:
    """SQL (DuckDB): the row is no line of a sale; ``dates`` are the columns that its time is read from.

    Its product is a word for a total; or it has no product, and its invoice or customer is one; or it has no
    product, invoice, customer and date at all; or a row that could not be split reads as a total.
    """

    def total(text: str) -> str:
        return f"coalesce(regexp_matches({text}, {literal(_TOTAL)}), false)"

    dated = f"regexp_matches(concat({', '.join((*dates, literal('')))}), '[0-9]')"
    return f"""case when problem is not null then {total("left(payload, 500)")}
        when product_id >= '0' and product_id < ':' then false -- it begins with a digit, and no word does
        when product_id is not null then regexp_matches(product_id, {literal(_TOTAL_ALONE)})
        else {total("invoice_id")} or {total("customer_id")}
            or (invoice_id is null and customer_id is null and not {dated}) end"""
