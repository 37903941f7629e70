"""Synthetic deliveries of any size, shaped like a real set, with dirt in known amounts.

The generator and the figures it is held to belong here. The columns are those of UCI Online Retail, so that
the same source profile reads them. Everything is planned per order (small), then written day by day (bounded
memory).
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from retail_pipeline.datasets import DatasetError, Landed
from retail_pipeline.datasets.deliveries import OnFile, file_name, write_atomically
from retail_pipeline.datasets.uci import COLUMNS

PREFIX = "synthetic"
Like = Literal["uci", "complete-journey"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """What makes two sets alike; `measure` defines each figure."""

    one_order_share: float
    spend_gini: float
    median_gap_days: float
    returned_share: float


@dataclass(frozen=True)
class Shape:
    """A set's statistical shape: what was measured on it, and what was tuned until `measure` agreed."""

    figures: Figures
    first_day: date
    last_day: date
    # Orders of the customers with two and more, at the probabilities _QUANTILES.
    repeat_orders: tuple[int, ...]
    lines_per_customer: float
    lines_sigma: float
    anonymous_share: float
    anonymous_lines_per_order: int
    products: int
    # Orders a day, relative to the mean: January to December, Monday to Sunday.
    months: tuple[float, ...]
    weekdays: tuple[float, ...]
    open_hours: tuple[int, int]
    # Tuned: spread of the customers' usual quantities.
    customer_sigma: float
    # Log-normal quantity of a line and price of a product.
    quantity: tuple[float, float]
    price: tuple[float, float]


_QUANTILES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1)

# Measured with `measure` and group-bys on all 541,909 lines of UCI Online Retail, and on all 1,469,307 of The
# Complete Journey with household, basket, New York time and sales_value as customer, invoice, date and price
# of one unit.
SHAPES: Mapping[Like, Shape] = {
    "uci": Shape(
        figures=Figures(0.3443, 0.7151, 21.91, 0.01714),
        first_day=date(2010, 12, 1),
        last_day=date(2011, 12, 9),
        repeat_orders=(2, 2, 2, 3, 3, 4, 4, 6, 7, 12, 17, 26, 37, 51, 101, 210),
        lines_per_customer=91.7,
        lines_sigma=1.16,
        anonymous_share=0.2493,
        anonymous_lines_per_order=38,
        products=4_070,
        months=(0.67, 0.71, 0.91, 0.85, 1.01, 0.95, 0.91, 0.80, 1.13, 1.25, 1.71, 1.09),
        weekdays=(0.94, 1.09, 1.12, 1.26, 0.98, 0.0, 0.61),
        open_hours=(8, 18),
        customer_sigma=0.8,
        quantity=(1.2, 1.0),
        price=(0.75, 0.9),
    ),
    "complete-journey": Shape(
        figures=Figures(0.01256, 0.5247, 2.210, 0.0),
        first_day=date(2017, 1, 1),
        last_day=date(2017, 12, 31),
        repeat_orders=(2, 9, 17, 24, 33, 44, 56, 74, 95, 138, 183, 266, 336, 398, 698, 780),
        lines_per_customer=595.1,
        lines_sigma=1.17,
        anonymous_share=0.0,
        anonymous_lines_per_order=1,
        products=68_509,
        months=(0.97, 0.99, 0.98, 0.99, 1.03, 1.02, 1.04, 1.01, 0.99, 1.0, 0.99, 0.99),
        weekdays=(0.99, 0.94, 0.93, 0.94, 0.97, 1.11, 1.12),
        open_hours=(6, 24),
        customer_sigma=0.3,
        quantity=(0.2, 0.5),
        price=(0.75, 0.7),
    ),
}

_COUNTRIES = {
    "United Kingdom": 0.915,
    "Germany": 0.02,
    "France": 0.02,
    "EIRE": 0.015,
    "Spain": 0.01,
    "Belgium": 0.01,
    "Portugal": 0.01,
}
_LOOKS = ("VINTAGE", "RED", "WHITE", "SMALL", "LARGE", "WOODEN", "PINK", "RETROSPOT", "REGENCY", "HANGING")
_USES = ("CHRISTMAS", "PARTY", "KITCHEN", "GARDEN", "TRAVEL", "BABUSHKA", "LUNCH", "DOORMAT", "TEA", "STAR")
_THINGS = (
    "BAG",
    "MUG",
    "LANTERN",
    "FRAME",
    "BOX",
    "CANDLE",
    "CUSHION",
    "CLOCK",
    "TIN",
    "HOLDER",
    "BOWL",
    "SIGN",
)
_NON_PRODUCTS = {"POST": "POSTAGE", "DOT": "DOTCOM POSTAGE", "M": "Manual", "BANK CHARGES": "Bank Charges"}

_FIRST_INVOICE = 536_365
_FIRST_CUSTOMER = 12_346
_FIRST_PRODUCT = 10_000
_LONGEST_RETURN = 60  # trading days
_HEAD = 50  # flattens the head of Zipf's law: the best seller has 0.4 % of UCI's lines

Texts = dict[str, Any]
"""The columns of a day's file as Arrow text, and `fee`: an amount no other line of the invoice has."""


@dataclass(frozen=True)
class Dirt:
    """A kind of dirty line: its share of all lines and what stands in its columns instead."""

    share: float
    spoil: Mapping[str, Callable[[Texts], Any]]


def _joined(*parts: Any) -> Any:
    return pc.binary_join_element_wise(*parts, "")


def _untidy(texts: Texts) -> Any:
    return _joined(" ", pc.utf8_lower(texts["StockCode"]), " ")


def _non_product(names: tuple[str, ...]) -> Callable[[Texts], Any]:
    def pick(texts: Texts) -> Any:
        return pa.array(names).take(pa.array(np.arange(len(texts["fee"])) % len(names)))

    return pick


DIRT: Mapping[str, Dirt] = {
    "unreadable_quantity": Dirt(0.0002, {"Quantity": lambda _: "6 pcs"}),
    "unreadable_price": Dirt(0.0002, {"UnitPrice": lambda _: "on request"}),
    "impossible_date": Dirt(0.0002, {"InvoiceDate": lambda _: "2011-02-30 10:00:00"}),
    "zero_price": Dirt(0.002, {"UnitPrice": lambda _: "0.00"}),
    "negative_price": Dirt(0.0001, {"UnitPrice": lambda texts: _joined("-", texts["UnitPrice"])}),
    "bad_debt": Dirt(
        0.0001,
        {
            "InvoiceNo": lambda texts: _joined("A", texts["InvoiceNo"]),
            "StockCode": lambda _: "B",
            "Description": lambda _: "Adjust bad debt",
            "Quantity": lambda _: "1",
            "UnitPrice": lambda texts: _joined("-", texts["fee"]),
        },
    ),
    "non_product_code": Dirt(
        0.003,
        {
            "StockCode": _non_product(tuple(_NON_PRODUCTS)),
            "Description": _non_product(tuple(_NON_PRODUCTS.values())),
            "Quantity": lambda _: "1",
            "UnitPrice": lambda texts: texts["fee"],
        },
    ),
    "untidy_product_code": Dirt(0.001, {"StockCode": _untidy}),
}
_DUPLICATE_SHARE = 0.0097  # as in UCI
# The kinds of marked lines: 0 is an ordinary one; `cancellation` marks the sale that a later line takes back.
_KINDS = ("clean", *DIRT, "exact_duplicate", "cancellation")


def measure(frame: pd.DataFrame) -> Figures:
    """The figures of a set with CustomerID, InvoiceNo, InvoiceDate, Quantity and UnitPrice (text will do).

    Over the lines of known customers whose invoice is no cancellation (prefix C): the share of customers with
    one invoice; the Gini coefficient of the customers' sums of positive lines; the median time between the
    beginnings of a customer's consecutive invoices, in days with fractions. Over all lines: the share on
    cancellation invoices. Unreadable numbers and dates count for nothing.
    """
    customer = frame["CustomerID"].mask(frame["CustomerID"] == "")
    cancelled = frame["InvoiceNo"].astype(str).str.startswith("C")
    lines = pd.DataFrame(
        {
            "customer": customer,
            "invoice": frame["InvoiceNo"],
            "at": pd.to_datetime(frame["InvoiceDate"], format="%Y-%m-%d %H:%M:%S", errors="coerce"),
            "amount": pd.to_numeric(frame["Quantity"], errors="coerce")
            * pd.to_numeric(frame["UnitPrice"], errors="coerce"),
        }
    )[customer.notna() & ~cancelled]
    orders = lines.groupby(["customer", "invoice"])["at"].min().reset_index().sort_values(["customer", "at"])
    spend = np.sort(lines[lines["amount"] > 0].groupby("customer")["amount"].sum().to_numpy())
    rank = np.arange(1, len(spend) + 1)
    return Figures(
        one_order_share=float((orders.groupby("customer").size() == 1).mean()),
        spend_gini=float((2 * rank - len(spend) - 1) @ spend / (len(spend) * spend.sum())),
        median_gap_days=float(orders.groupby("customer")["at"].diff().dt.total_seconds().median() / 86_400),
        returned_share=float(cancelled.mean()),
    )


def manifest_path(landing: Path) -> Path:
    """Where the manifest of ``landing`` lies: beside the folder, so that no scan takes it for data."""
    folder = landing.resolve()
    return folder.with_name(f"{folder.name}.manifest.json")


def generate(
    landing: Path,
    lines: int,
    seed: int,
    like: Like | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    on_file: OnFile | None = None,
) -> Landed:
    """Write exactly ``lines`` lines to ``landing``, a CSV file a trading day, and their manifest beside it.

    ``like`` (default ``uci``) gives the shape and the default days. From some 100,000 lines on, over about a
    year, `measure` comes within 10 % of the shape's figures; over another period the gaps between orders
    scale with it. The manifest counts, in lines: clean sales of known customers, ``anonymous`` sales,
    ``cancellation`` lines, ``exact_duplicate`` (the second of two equal lines) and each kind of DIRT. No line
    is of two kinds, so the counts add up to ``lines``. Same arguments, same bytes. Raises DatasetError for an
    impossible period, or when files of another generation would stay between the new ones.
    """
    shape = SHAPES[like or "uci"]
    days = _days(first_day or shape.first_day, last_day or shape.last_day)
    rng = np.random.default_rng([seed, 0])
    counts = _counts(lines, shape)
    plan = _plan(counts, shape, days, rng)
    catalogue = _catalogue(shape, int(plan.sales["lines"].max()), rng)
    trading = [days[i] for i in np.union1d(plan.sales["day"], plan.returns["day"])]
    names = {file_name(PREFIX, day) for day in trading}
    if left := sorted(path.name for path in landing.glob(f"{PREFIX}_*") if path.name not in names):
        raise DatasetError(
            f"{landing} holds {len(left)} files of another generation ({left[0]} and on), which would be "
            "mixed with this one. Remove them or choose another landing folder."
        )
    for done, day in enumerate(trading, start=1):
        number = (day - days[0]).days
        rng = np.random.default_rng([seed, 1, number])
        content = _csv(_day_lines(plan, catalogue.popularity, shape, number, rng), plan, catalogue, day)
        write_atomically(landing / file_name(PREFIX, day), content)
        if on_file:
            on_file(done, len(trading))
    manifest = {
        "like": like or "uci",
        "seed": seed,
        "lines": lines,
        "files": len(trading),
        "first_day": trading[0].isoformat(),
        "last_day": trading[-1].isoformat(),
        "customers": len(plan.usual_quantity) - 1,
        "kinds": counts,
        "like_figures": asdict(shape.figures),
    }
    write_atomically(manifest_path(landing), (json.dumps(manifest, indent=2) + "\n").encode())
    return Landed(len(trading), lines, trading[0], trading[-1], landing)


@dataclass(frozen=True)
class _Plan:
    """Every invoice of the period, and the marked lines.

    ``sales`` (day, minute, customer, lines, invoice) and ``returns`` (day, minute, customer, mark, invoice)
    are in the order of time; ``day`` counts from the first day, customer -1 is anonymous. ``marks`` are
    ascending numbers of lines, counted over the sales to known customers only (``known_before`` each sale,
    and in all); ``kinds`` index _KINDS. ``sold`` is filled day by day with product and quantity of the marked
    lines: returns give back the same.
    """

    sales: pd.DataFrame
    returns: pd.DataFrame
    known_before: Ints
    marks: Ints
    kinds: Ints
    sold: Ints
    # By customer; the last place, which -1 picks, is the anonymous one's.
    usual_quantity: Floats
    customer_ids: Any
    countries: Any


@dataclass(frozen=True)
class _Catalogue:
    codes: Any
    descriptions: Any
    prices: Any
    popularity: Floats  # cumulative


def _days(first: date, last: date) -> list[date]:
    if last < first:
        raise DatasetError(f"The last day {last} lies before the first day {first}.")
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def _counts(lines: int, shape: Shape) -> dict[str, int]:
    if lines < 1:
        raise DatasetError(f"{lines} lines cannot be made; ask for 1 or more.")
    shares = {
        "anonymous": shape.anonymous_share,
        "cancellation": shape.figures.returned_share,
        "exact_duplicate": _DUPLICATE_SHARE,
        **{kind: dirt.share for kind, dirt in DIRT.items()},
    }
    counts = {kind: int(lines * share) for kind, share in shares.items()}
    return {"clean": lines - sum(counts.values()), **counts}


def _plan(counts: Mapping[str, int], shape: Shape, days: list[date], rng: np.random.Generator) -> _Plan:
    busy = np.cumsum([shape.months[day.month - 1] * shape.weekdays[day.weekday()] for day in days])
    if not busy[-1]:
        raise DatasetError(f"From {days[0]} to {days[-1]} the shop is closed; choose a longer period.")
    known_lines = counts["clean"] + sum(counts[kind] for kind in DIRT)
    sales = _sales(known_lines, counts["anonymous"], shape, busy, rng)
    known_before = np.append(0, np.cumsum(sales["lines"] * (sales["customer"] >= 0)))

    kinds = rng.permutation(np.repeat(np.arange(len(_KINDS)), [0, *(counts[kind] for kind in _KINDS[1:])]))
    # One line out of each of as many equal stretches: spread over the period, and never the same line twice.
    edges = np.arange(len(kinds) + 1) * known_lines // max(len(kinds), 1)
    marks = edges[:-1] + (rng.random(len(kinds)) * np.diff(edges)).astype(np.int64)
    returned = np.flatnonzero(kinds == _KINDS.index("cancellation"))
    sale = np.searchsorted(known_before, marks[returned], side="right") - 1
    returns = _returns(sales.iloc[sale], returned, shape, busy, rng)

    # One sequence of numbers by time, a sale before the return that it makes possible.
    in_time = (
        pd.concat([sales, returns], ignore_index=True).sort_values(["day", "minute"], kind="stable").index
    )
    invoice = np.empty(len(in_time), np.int64)
    invoice[in_time] = _FIRST_INVOICE + np.arange(len(in_time))

    customers = int(sales["customer"].max()) + 1
    spread = NormalDist(0, shape.customer_sigma)
    usual = np.exp([spread.inv_cdf((i + 0.5) / customers) for i in range(customers)])
    ids = _FIRST_CUSTOMER + rng.permutation(customers)
    countries = rng.choice(list(_COUNTRIES), customers, p=list(_COUNTRIES.values()))
    return _Plan(
        sales=sales.assign(invoice=invoice[: len(sales)]),
        returns=returns.assign(invoice=invoice[len(sales) :]),
        known_before=known_before,
        marks=marks,
        kinds=kinds,
        sold=np.zeros((2, len(marks)), np.int64),
        usual_quantity=np.append(rng.permutation(usual), 1.0),
        customer_ids=pa.array([*map(str, ids), None]),
        countries=pa.array([*countries.tolist(), "United Kingdom"]),
    )


def _sales(known: int, anonymous: int, shape: Shape, busy: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """Orders with ``known`` lines of customers and ``anonymous`` lines of nobody, in the order of time."""
    customer = _customer_of_order(known, shape)[:known]
    nobody = np.full(-(-anonymous // shape.anonymous_lines_per_order), -1)
    lines = [_shared_out(n, len(of), shape, rng) for n, of in ((known, customer), (anonymous, nobody))]
    customer = np.concatenate([customer, nobody])
    orders = len(customer)
    sales = pd.DataFrame(
        {
            "day": np.searchsorted(busy, rng.random(orders) * busy[-1], side="right"),
            "minute": _minutes(orders, shape, rng),
            "customer": customer,
            "lines": np.concatenate(lines),
        }
    )
    return sales.sort_values(["day", "minute"], kind="stable", ignore_index=True)


def _customer_of_order(lines: int, shape: Shape) -> Ints:
    """The customer (0, 1, ...) of each order, as many customers as ``lines`` need.

    The orders of the customers are quantiles of the measured distribution, not draws from it: the heavy tail
    would make the figures of a small set a matter of luck.
    """
    share = shape.figures.one_order_share
    single = round(lines / shape.lines_per_customer * share)
    customers = max(1, round(single / share if single else lines / shape.lines_per_customer))
    at = (np.arange(customers - single) + 0.5) / (customers - single) if customers > single else np.empty(0)
    repeat = np.rint(np.exp(np.interp(at, _QUANTILES, np.log(shape.repeat_orders))))
    return np.repeat(np.arange(customers), np.concatenate([np.ones(single), repeat]).astype(np.int64))


def _shared_out(lines: int, orders: int, shape: Shape, rng: np.random.Generator) -> Ints:
    """Log-normal numbers of lines, each at least 1, that add up to ``lines``."""
    reach = np.cumsum(np.exp(rng.normal(0, shape.lines_sigma, orders)))
    sizes: Ints = 1 + np.diff(np.rint(reach / reach[-1:] * (lines - orders)), prepend=0).astype(np.int64)
    return sizes


def _minutes(count: int, shape: Shape, rng: np.random.Generator) -> Ints:
    """Minutes of the day, most of them in the middle of the opening hours."""
    opens, closes = shape.open_hours
    minutes: Ints = (60 * (opens + (closes - opens) * rng.random((2, count)).mean(axis=0))).astype(np.int64)
    return minutes


def _returns(
    sale: pd.DataFrame, mark: Ints, shape: Shape, busy: Floats, rng: np.random.Generator
) -> pd.DataFrame:
    """A cancellation for each ``sale``, on the same or a later open day; ``mark`` is what it gives back."""
    open_days = np.flatnonzero(np.diff(busy, prepend=0))
    sold_on = np.searchsorted(open_days, sale["day"])
    longest = np.minimum(len(open_days) - 1 - sold_on, _LONGEST_RETURN)
    later = (rng.random(len(sale)) ** 2 * (longest + 1)).astype(np.int64)
    returns = pd.DataFrame(
        {
            "day": open_days[sold_on + later],
            "minute": np.maximum(sale["minute"].to_numpy(), _minutes(len(sale), shape, rng)),
            "customer": sale["customer"].to_numpy(),
            "mark": mark,
        }
    )
    return returns.sort_values(["day", "minute"], kind="stable", ignore_index=True)


def _catalogue(shape: Shape, longest_order: int, rng: np.random.Generator) -> _Catalogue:
    """Products by falling popularity (Zipf's law); the last ones are only there for the longest orders."""
    products = shape.products + longest_order
    numbers = _FIRST_PRODUCT + rng.permutation(products)
    suffixes = np.where(rng.random(products) < 0.1, "A", "")
    words = [rng.choice(names, products) for names in (_LOOKS, _USES, _THINGS)]
    cents = np.maximum(10, np.rint(100 * np.exp(rng.normal(*shape.price, products)))).astype(np.int64)
    popularity = np.cumsum(1 / (np.arange(shape.products) + _HEAD))
    return _Catalogue(
        codes=pa.array([f"{n}{suffix}" for n, suffix in zip(numbers, suffixes, strict=True)]),
        descriptions=pa.array([" ".join(text) for text in zip(*words, strict=True)]),
        prices=pa.array([f"{price / 100:.2f}" for price in cents]),
        popularity=popularity / popularity[-1],
    )


def _basket(order: Ints, popularity: Floats, rng: np.random.Generator) -> Ints:
    """A product for each line, no product twice in an order; ``order`` is ascending."""
    draws = np.searchsorted(popularity, rng.random(len(order)), side="right")
    # Orders lie so far apart on one axis that moving equal products up never reaches the next order.
    gap = 2 * (len(popularity) + len(order))
    line = np.arange(len(order))
    return np.maximum.accumulate(np.sort(order * gap + draws) - line) + line - order * gap


def _day_lines(
    plan: _Plan, popularity: Floats, shape: Shape, number: int, rng: np.random.Generator
) -> pd.DataFrame:
    """The day's lines in file order: invoice, minute, customer, product, quantity, kind, place in invoice."""
    begin, end = np.searchsorted(plan.sales["day"], [number, number + 1])
    order = np.repeat(np.arange(begin, end), plan.sales["lines"].iloc[begin:end])
    lines = plan.sales[["invoice", "minute", "customer"]].iloc[order].reset_index(drop=True)
    lines["product"] = _basket(order - begin, popularity, rng)
    quantity = np.exp(rng.normal(*shape.quantity, len(order))) * plan.usual_quantity[lines["customer"]]
    lines["quantity"] = np.maximum(1, np.rint(quantity)).astype(np.int64)
    lines["kind"] = 0
    lines["place"] = lines.groupby("invoice").cumcount()

    first, last = np.searchsorted(plan.marks, plan.known_before[[begin, end]])
    marked = np.flatnonzero(lines["customer"] >= 0)[plan.marks[first:last] - plan.known_before[begin]]
    lines.loc[marked, "kind"] = plan.kinds[first:last]
    plan.sold[:, first:last] = lines.loc[marked, ["product", "quantity"]].to_numpy().T

    begin, end = np.searchsorted(plan.returns["day"], [number, number + 1])
    returns = plan.returns.iloc[begin:end]
    product, quantity = plan.sold[:, returns["mark"]]
    returns = returns[["invoice", "minute", "customer"]].assign(
        product=product, quantity=-quantity, kind=0, place=0
    )
    twice = lines[lines["kind"] == _KINDS.index("exact_duplicate")]
    return pd.concat([lines, twice, returns]).sort_values(
        ["invoice", "place"], kind="stable", ignore_index=True
    )


def _csv(lines: pd.DataFrame, plan: _Plan, catalogue: _Catalogue, day: date) -> bytes:
    """The file of ``day`` with the lines of `_day_lines`, spoiled as their kinds say."""
    number = {name: pa.array(lines[name].to_numpy()) for name in lines.columns}
    customer = pa.array(lines["customer"].to_numpy() % len(plan.usual_quantity))
    times = pa.array([f"{day} {minute // 60:02}:{minute % 60:02}:00" for minute in range(24 * 60)])
    prefix = pa.array(["", "C"]).take(pa.array((lines["quantity"] < 0).to_numpy(np.int8)))
    fees = pa.array([f"{1 + place / 100:.2f}" for place in range(int(lines["place"].max()) + 1)])
    texts: Texts = {
        "InvoiceNo": _joined(prefix, number["invoice"].cast(pa.string())),
        "StockCode": catalogue.codes.take(number["product"]),
        "Description": catalogue.descriptions.take(number["product"]),
        "Quantity": number["quantity"].cast(pa.string()),
        "InvoiceDate": times.take(number["minute"]),
        "UnitPrice": catalogue.prices.take(number["product"]),
        "CustomerID": plan.customer_ids.take(customer),
        "Country": plan.countries.take(customer),
        "fee": fees.take(number["place"]),
    }
    for kind, dirt in DIRT.items():
        here = pa.array(lines["kind"].to_numpy() == _KINDS.index(kind))
        spoiled = {
            column: pc.if_else(here, spoil(texts), texts[column]) for column, spoil in dirt.spoil.items()
        }
        texts |= spoiled
    content = io.BytesIO()
    options = pyarrow.csv.WriteOptions(quoting_style="none", quoting_header="none")
    pyarrow.csv.write_csv(pa.table({name: texts[name] for name in COLUMNS}), content, options)
    return content.getvalue()
