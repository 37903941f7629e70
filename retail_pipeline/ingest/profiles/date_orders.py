"""In which order a column's dates are written: told by the dates of the whole column, or asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from retail_pipeline.ingest.profiles.dialects import DateOrder, date_order_of, dates_by_order

_NUMERIC_DATE = re.compile(r"\s*(\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{8})(?!\d)")
_PLAIN_ISO = re.compile(r"\s*\d{4}[/-]\d{1,2}[/-](\d{1,2})(?!\d)")


class AmbiguousDatesError(ValueError):
    """A column's dates could be read in two orders, or in none; the message shows two of them."""


@dataclass
class DateTexts:
    """What a column's texts say of its dates: those that need an order, by text, and the plain ISO ones.

    ``early`` and ``late`` count the rows of ISO dates up to the 12th of a month, and later.
    """

    column: str
    dates: Counter[str] = field(default_factory=Counter)
    early: int = 0
    late: int = 0

    def add(self, texts: Iterable[str | None], rows: int = 1) -> None:
        """Count texts; each stands in so many rows."""
        for text in texts:
            if not text:
                continue
            if (iso := _PLAIN_ISO.match(text)) and text[-1] not in "mM":
                if int(iso[1]) > 12:
                    self.late += rows
                else:
                    self.early += rows
            elif date := _NUMERIC_DATE.match(text):
                self.dates[date[1]] += rows

    def check(self) -> None:
        """Refuse a column in which a spreadsheet has swapped days and months.

        Raises:
            AmbiguousDatesError: real dates go up to the 12th, and texts begin with the 13th.
        """
        said = dates_by_order(self.dates)
        for order in ("day_first", "month_first"):
            # one alone proves nothing
            if self.early > 1 and not self.late and said[order] and said[order] >= 0.9 * self.dates.total():
                raise AmbiguousDatesError(
                    f"the dates in the column {self.column} were swapped by a spreadsheet: the {self.early} "
                    "that it took for real dates lie on the 1st to 12th of a month, the "
                    f"{self.dates.total()} that it left as texts, such as {min(self.dates)!r}, all on later "
                    "days: export the file anew, with the dates as texts"
                )

    def order(self) -> DateOrder | None:
        """The order of the dates; None if there are none that need one.

        Raises:
            AmbiguousDatesError: there is none, several fit, or too few rows speak for one; it names the
                column, two dates, how many rows say what, and the remedy.
        """
        self.check()
        if not self.dates:
            return None
        if order := date_order_of(self.dates):
            return order
        said = dates_by_order(self.dates)
        counts = ", ".join(f"{n} can only be {o.replace('_', ' ')}" for o, n in said.items() if n)
        why = "fit several orders of day, month and year, or none"
        if counts:
            why = f"do not tell their order for certain ({counts}, of {self.dates.total()})"
        raise AmbiguousDatesError(
            f"the dates in the column {self.column}, such as {min(self.dates)!r} and {max(self.dates)!r}, "
            f"{why}: say `date_order: day_first`, `month_first` or `year_first` in the profile"
        )
