"""Synthetic deliveries of any size, shaped like a real set, with dirt in known amounts.

The generator and the figures it is held to belong here. The columns are those of UCI Online Retail, so that
the same source profile reads them. The orders are planned first (small), their lines made day by day (bounded
memory).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from retail_pipeline.datasets.deliveries import (
    DatasetError,
    Landed,
    OnFile,
    deliver,
    file_name,
    write_atomically,
)
from retail_pipeline.datasets.uci import COLUMNS

PREFIX = "synthetic"
Like = Literal["uci", "complete-journey"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """What makes two sets alike; ``measure`` in the tests defines each figure."""

    one_order_share: float
    spend_gini: float
    median_gap_days: float
    returned_share: float


@dataclass(frozen=True)
class Shape:
    """A set's statistical shape: what was measured on it, and what was tuned until those agreed."""

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

# Measured on all 541,909 lines of UCI Online Retail, and on all 1,469,307 of The
# Complete Journey with household, basket, New York time and sales_value as customer, invoice, date and price
# of one unit.
SHAPES: dict[Like, Shape] = {
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


Texts = dict[str, npt.NDArray[np.object_]]
"""The columns of a day's file, and `fee`: an amount that no other line of the invoice has."""


@dataclass(frozen=True)
class Dirt:
    """A kind of dirty line: its share of all lines, and what stands in its columns instead."""

    share: float
    spoil: Callable[[Texts], dict[str, Any]]


def _no_product(texts: Texts) -> dict[str, Any]:
    which = np.arange(len(texts["fee"])) % len(_NON_PRODUCTS)
    codes, names = np.array(list(_NON_PRODUCTS.items()))[which].T
    return {"StockCode": codes, "Description": names, "Quantity": 1, "UnitPrice": texts["fee"]}


def _bad_debt(texts: Texts) -> dict[str, Any]:
    sold = {"StockCode": "B", "Description": "Adjust bad debt", "Quantity": 1}
    return sold | {"InvoiceNo": "A" + texts["InvoiceNo"], "UnitPrice": "-" + texts["fee"]}


DIRT: dict[str, Dirt] = {
    "unreadable_quantity": Dirt(0.0002, lambda _: {"Quantity": "6 pcs"}),
    "unreadable_price": Dirt(0.0002, lambda _: {"UnitPrice": "on request"}),
    "impossible_date": Dirt(0.0002, lambda _: {"InvoiceDate": "2011-02-30 10:00:00"}),
    "zero_price": Dirt(0.002, lambda _: {"UnitPrice": "0.00"}),
    "negative_price": Dirt(0.0001, lambda texts: {"UnitPrice": "-" + texts["UnitPrice"]}),
    "bad_debt": Dirt(0.0001, _bad_debt),
    "non_product_code": Dirt(0.003, _no_product),
    "untidy_product_code": Dirt(
        0.001, lambda texts: {"StockCode": [f" {code.lower()} " for code in texts["StockCode"]]}
    ),
}
_DUPLICATE_SHARE = 0.0097  # as in UCI


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
    customers: int | None = None,
) -> Landed:
    """Write exactly ``lines`` lines to ``landing``, a CSV file a trading day, and their manifest beside it.

    ``like`` (default ``uci``) gives the shape, the default days and the usual number of ``customers``. From
    some 100,000 lines on, over about a year, the figures come within 10 % of the shape's; over another
    period the gaps between orders scale with it. The manifest counts, in lines: clean sales of known
    customers, ``anonymous`` sales, ``cancellation`` lines, ``exact_duplicate`` (the second of two equal
    lines) and each kind of DIRT. No line is of two kinds, so the counts add up to ``lines``. Same arguments,
    same bytes. Raises DatasetError for an impossible period, for too many customers, or when files of another
    generation would stay between the new ones.
    """
    shape = SHAPES[like or "uci"]
    first, last = first_day or shape.first_day, last_day or shape.last_day
    if last < first:
        raise DatasetError(f"The last day {last} lies before the first day {first}.")
    if lines < 1:
        raise DatasetError(f"{lines} lines cannot be made; ask for 1 or more.")
    shares = {"anonymous": shape.anonymous_share, "cancellation": shape.figures.returned_share}
    shares |= {"exact_duplicate": _DUPLICATE_SHARE} | {kind: dirt.share for kind, dirt in DIRT.items()}
    counts = {kind: int(lines * share) for kind, share in shares.items()}
    counts = {"clean": lines - sum(counts.values()), **counts}
    rng = np.random.default_rng(seed)
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    orders = _orders(counts, customers, shape, days, rng)
    trading = list(orders["day"].unique())
    names = {file_name(PREFIX, day) for day in trading}
    if left := sorted(path.name for path in landing.glob(f"{PREFIX}_*") if path.name not in names):
        raise DatasetError(
            f"{landing} holds {len(left)} files of another generation ({left[0]} and on), which would be "
            "mixed with this one. Remove them or choose another landing folder."
        )
    shop = _shop(orders, shape, rng)
    files = ((day, _texts(made, day, shop)) for day, made in _days(orders, counts, shop, shape, rng))
    landed = deliver(landing, PREFIX, files, len(trading), on_file)
    manifest = {
        "like": like or "uci",
        "seed": seed,
        "lines": lines,
        "files": landed.files,
        "first_day": landed.first_day.isoformat(),
        "last_day": landed.last_day.isoformat(),
        "customers": int(orders["customer"].max()) + 1,
        "kinds": counts,
        "like_figures": asdict(shape.figures),
    }
    write_atomically(manifest_path(landing), (json.dumps(manifest, indent=2) + "\n").encode())
    return landed


def _orders(
    counts: dict[str, int], customers: int | None, shape: Shape, days: list[date], rng: np.random.Generator
) -> pd.DataFrame:
    """Every order in the order of time: day, minute, customer (0, 1, ...; -1: nobody), number of lines."""
    busy = np.cumsum([shape.months[day.month - 1] * shape.weekdays[day.weekday()] for day in days])
    if not busy[-1]:
        raise DatasetError(f"From {days[0]} to {days[-1]} the shop is closed; choose a longer period.")
    known = counts["clean"] + sum(counts[kind] for kind in DIRT)
    of_customers = _customer_of_order(known, customers, shape)
    of_nobody = np.full(-(-counts["anonymous"] // shape.anonymous_lines_per_order), -1)
    customer = np.concatenate([of_customers, of_nobody])
    day = np.searchsorted(busy, rng.random(len(customer)) * busy[-1], side="right")
    lines = [
        _shared_out(count, len(orders), shape, rng)
        for count, orders in ((known, of_customers), (counts["anonymous"], of_nobody))
    ]
    orders = pd.DataFrame(
        {
            "day": np.array(days, dtype=object)[day],
            "minute": _minutes(len(customer), shape, rng),
            "customer": customer,
            "lines": np.concatenate(lines),
        }
    )
    return orders.sort_values(["day", "minute"], kind="stable", ignore_index=True)


def _customer_of_order(lines: int, customers: int | None, shape: Shape) -> Ints:
    """The customer of each order, as many customers as ``lines`` need unless told.

    The orders of the customers are quantiles of the measured distribution, not draws from it: the heavy tail
    would make the figures of a small set a matter of luck.
    """
    share = shape.figures.one_order_share
    single = round((customers or lines / shape.lines_per_customer) * share)
    all_customers = customers or max(1, round(single / share if single else lines / shape.lines_per_customer))
    at = (np.arange(all_customers - single) + 0.5) / max(all_customers - single, 1)
    repeat = np.rint(np.exp(np.interp(at, _QUANTILES, np.log(shape.repeat_orders))))
    orders = np.repeat(np.arange(all_customers), np.concatenate([np.ones(single), repeat]).astype(np.int64))
    if customers and len(orders) > lines:
        raise DatasetError(
            f"{customers:,} customers have {len(orders):,} orders, more than the {lines:,} lines that are "
            "theirs: ask for fewer customers or more lines."
        )
    return orders[:lines]


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


@dataclass(frozen=True)
class _Shop:
    """Products by falling popularity (cumulative), and customers; the last, which -1 picks, is nobody."""

    popularity: Floats
    products: Texts
    customers: Texts
    usual_quantity: Floats


def _shop(orders: pd.DataFrame, shape: Shape, rng: np.random.Generator) -> _Shop:
    # Zipf's law; the last products are only there for the longest orders.
    products = shape.products + int(orders["lines"].max())
    popularity = np.cumsum(1 / (np.arange(shape.products) + _HEAD))
    numbers = zip(_FIRST_PRODUCT + rng.permutation(products), rng.random(products) < 0.1, strict=True)
    words = zip(*(rng.choice(names, products) for names in (_LOOKS, _USES, _THINGS)), strict=True)
    cents = np.maximum(10, np.rint(100 * np.exp(rng.normal(*shape.price, products))))
    customers = int(orders["customer"].max()) + 1
    ids = _FIRST_CUSTOMER + rng.permutation(customers)
    countries = rng.choice(list(_COUNTRIES), customers, p=list(_COUNTRIES.values()))
    spread = NormalDist(0, shape.customer_sigma)
    usual = np.exp([spread.inv_cdf((n + 0.5) / customers) for n in range(customers)])
    return _Shop(
        popularity=popularity / popularity[-1],
        products={
            "StockCode": np.array([f"{n}A" if is_variant else str(n) for n, is_variant in numbers], object),
            "Description": np.array([" ".join(text) for text in words], object),
            "UnitPrice": np.array([f"{price / 100:.2f}" for price in cents], object),
        },
        customers={
            "CustomerID": np.array([*map(str, ids), None], object),
            "Country": np.array([*countries, "United Kingdom"], object),
        },
        usual_quantity=np.append(rng.permutation(usual), 1.0),
    )


def _days(
    orders: pd.DataFrame, counts: dict[str, int], shop: _Shop, shape: Shape, rng: np.random.Generator
) -> Iterator[tuple[date, pd.DataFrame]]:
    """Each day's lines in file order: invoice, minute, customer, product, quantity, kind, place."""
    marks = rng.permutation(np.repeat(list(counts)[2:], list(counts.values())[2:]))
    all_known = int(orders["lines"][orders["customer"] >= 0].sum())
    known, invoice = 0, _FIRST_INVOICE
    last = orders["day"].nunique() - 1
    returns = pd.DataFrame()
    for day, (_, of_day) in enumerate(orders.groupby("day")):
        sold = _sold(of_day, shop, shape, rng)
        mine = np.flatnonzero(sold["customer"] >= 0)
        # as many marks as the day's share of the lines: spread over the period, and never two on a line
        given = marks[len(marks) * known // all_known : len(marks) * (known + len(mine)) // all_known]
        known += len(mine)
        sold.loc[rng.choice(mine, len(given), replace=False), "kind"] = given

        back = sold[sold["kind"] == "cancellation"]
        wait = rng.random(len(back)) ** 2 * (min(last - day, _LONGEST_RETURN) + 1)
        minute = np.maximum(back["minute"], _minutes(len(back), shape, rng))
        back = back.assign(
            back_on=day + wait.astype(np.int64),
            minute=minute,
            quantity=-back["quantity"],
            kind="clean",
            place=0,
        )
        returns = pd.concat([returns, back])
        returned = returns[returns["back_on"] == day].sort_values("minute", kind="stable")
        returns = returns[returns["back_on"] > day]
        returned = returned.assign(invoice=len(of_day) + np.arange(len(returned)))

        # one sequence of numbers by time, a sale before the return that it makes possible
        in_time = np.argsort(pd.concat([of_day["minute"], returned["minute"]]), kind="stable")
        numbers = np.empty(len(in_time), np.int64)
        numbers[in_time] = invoice + np.arange(len(in_time))
        invoice += len(in_time)
        made = pd.concat([sold, sold[sold["kind"] == "exact_duplicate"], returned])
        made["invoice"] = numbers[made["invoice"]]
        yield of_day["day"].iloc[0], made.sort_values(["invoice", "place"], kind="stable", ignore_index=True)


def _sold(orders: pd.DataFrame, shop: _Shop, shape: Shape, rng: np.random.Generator) -> pd.DataFrame:
    """The lines of a day's orders, all clean; ``invoice`` counts the orders."""
    order = np.repeat(np.arange(len(orders)), orders["lines"])
    sold = orders[["minute", "customer"]].iloc[order].reset_index(drop=True)
    sold["product"] = _basket(order, shop.popularity, rng)
    usual = np.exp(rng.normal(*shape.quantity, len(order))) * shop.usual_quantity[sold["customer"]]
    sold["quantity"] = np.maximum(1, np.rint(usual)).astype(np.int64)
    sold["invoice"] = order
    sold["place"] = sold.groupby("invoice").cumcount()
    return sold.assign(kind="clean")


def _basket(order: Ints, popularity: Floats, rng: np.random.Generator) -> Ints:
    """A product for each line, no product twice in an order; ``order`` is ascending."""
    draws = np.searchsorted(popularity, rng.random(len(order)), side="right")
    # Orders lie so far apart on one axis that moving equal products up never reaches the next order.
    gap = 2 * (len(popularity) + len(order))
    line = np.arange(len(order))
    return np.maximum.accumulate(np.sort(order * gap + draws) - line) + line - order * gap


def _texts(lines: pd.DataFrame, day: date, shop: _Shop) -> pd.DataFrame:
    """The columns of the file of ``day``, spoiled as the lines' kinds say."""
    invoices = zip(lines["invoice"], lines["quantity"] < 0, strict=True)
    clock = np.array([f"{day} {minute // 60:02}:{minute % 60:02}:00" for minute in range(24 * 60)], object)
    texts: Texts = {name: of[lines["product"]] for name, of in shop.products.items()}
    texts |= {name: of[lines["customer"]] for name, of in shop.customers.items()}
    texts |= {
        "InvoiceNo": np.array([f"C{no}" if is_back else str(no) for no, is_back in invoices], object),
        "InvoiceDate": clock[lines["minute"]],
        "Quantity": lines["quantity"].to_numpy(object),
        "fee": np.array([f"{1 + place / 100:.2f}" for place in lines["place"]], object),
    }
    for kind in DIRT.keys() & set(lines["kind"]):
        here = np.flatnonzero(lines["kind"] == kind)
        for name, spoilt in DIRT[kind].spoil({name: of[here] for name, of in texts.items()}).items():
            texts[name][here] = spoilt
    return pd.DataFrame({name: texts[name] for name in COLUMNS}, dtype=object)
