"""Who comes, what is bought and when: a day whose customers, invoices or prices are not its own is found.

And that an ordinary shop, large or small, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random

import pyarrow as pa
import pytest

from retail_pipeline.engine.duckdb import DuckDB, connect
from retail_pipeline.lake.slices import together
from retail_pipeline.planning.readiness import Delivered, Expected, Finding, Readiness, judge
from retail_pipeline.planning.shapes import SAMPLE, Shapes, shapes
from retail_pipeline.settings import SettingsError, load_settings
from retail_pipeline.tables import TABLES

FIRST = date(2024, 1, 1)


@dataclass(frozen=True)
class Line:
    invoice: str
    product: str
    customer: str | None
    hour: int
    quantity: int = 1
    price: int = 5
    country: str = "Home"


Lines = Sequence[Line]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    with connect("300MB", 2, tmp_path_factory.mktemp("spill")) as session:
        yield session


def shop(day: int, customers: int = 400, invoices: int = 60) -> Lines:
    """A day of a shop whose customers come again, with some who are new each day."""
    random, lines = Random(day), list[Line]()
    for number in range(random.randint(invoices * 9 // 10, invoices * 11 // 10)):
        who = f"new{day}-{number}" if random.random() < 0.05 else f"c{random.randrange(customers)}"
        known, hour = (who if random.random() < 0.9 else None), random.randint(9, 18)
        country = "Home" if random.random() < 0.8 else "Abroad"
        for _ in range(random.randint(1, 9)):
            product, quantity = random.randrange(300), random.randint(1, 6)
            back = -1 if random.random() < 0.03 else 1
            line = Line(
                f"{day}-{number}", f"p{product}", known, hour, back * quantity, 2 + product % 20, country
            )
            lines.append(line)
    return lines


def row(number: int, day: date, line: Line) -> dict[str, object]:
    return {
        "source_id": "f",
        "source_row": number,
        "source_system": "till",
        "invoice_id": line.invoice,
        "product_id": line.product,
        "quantity": Decimal(line.quantity),
        "unit_price": Decimal(line.price),
        "amount": Decimal(line.quantity * line.price),
        "customer_id": line.customer,
        "sold_at": datetime.combine(day, time(line.hour)),
        "country": line.country,
        "currency": "GBP",
        "line_kind": "sale" if line.quantity > 0 else "return",
    }


def shapes_of(engine: DuckDB, days: dict[date, Lines]) -> Shapes:
    schema = TABLES["transactions"].arrow
    rows = {
        day: pa.Table.from_pylist([row(n, day, line) for n, line in enumerate(lines)], schema)
        for day, lines in days.items()
    }
    found = engine.run("day_shapes", {"transactions": together(rows, "date")}, most=SAMPLE)
    return shapes(found.to_pylist())


def findings(history: Shapes, rules: Readiness = Readiness()) -> dict[date, tuple[Finding, ...]]:  # noqa: B008
    came = (
        Delivered(day, "till", shape.counts["lines"], shape.counts["value"], None, None, shape)
        for day, systems in sorted(history.items())
        for shape in systems.values()
    )
    return dict(judge(tuple(came), Expected(rules=rules)).found)


DAYS = [FIRST + timedelta(n) for n in range(45)]
LAST = DAYS[-1]


@pytest.fixture(scope="module")
def usual(engine: DuckDB) -> Shapes:
    return shapes_of(engine, {day: shop(n) for n, day in enumerate(DAYS)})


def test_an_ordinary_shop_is_left_alone(usual: Shapes):
    assert findings(usual) == {}


def test_a_shop_of_few_customers_is_left_alone_and_its_strangers_are_found(engine: DuckDB):
    days = {FIRST + timedelta(n): shop(n, customers=30, invoices=8) for n in range(80)}
    few = shapes_of(engine, days)
    assert findings(few) == {}
    last = max(days)
    strange = shapes_of(engine, {last: [replace(line, customer=f"?{line.customer}") for line in days[last]]})
    (finding, *_) = findings({**few, **strange})[last]
    assert (finding.kind, finding.holds) == ("identity", True)


def slipped(lines: Lines) -> Iterable[Line]:
    return (replace(a, customer=b.customer) for a, b in zip(lines, [*lines[1:], lines[0]], strict=True))


DEFECTS: dict[str, tuple[str, Callable[[Lines], Iterable[Line]]]] = {
    "ids in another format": (
        "new_customers", lambda d: (replace(x, customer=f"UK-{x.customer}") for x in d),
    ),
    "customers gone": ("anonymous_lines", lambda d: (replace(x, customer=None) for x in d)),
    "a default card": (
        "top_customer",
        lambda d: (replace(x, customer="0") if int(x.invoice.split("-")[1]) % 2 else x for x in d),
    ),
    "customers slipped by a line": ("mixed_invoices", slipped),
    "once more under new numbers": (
        "repeated_invoices", lambda d: [*d, *(replace(x, invoice=f"9{x.invoice}") for x in d)],
    ),
    "another day once more": ("delivered_again", lambda d: shop(len(DAYS) - 9)),
    "an invoice a line": ("invoice_lines", lambda d: (replace(x, invoice=f"{n}") for n, x in enumerate(d))),
    "one invoice": ("customer_invoices", lambda d: (replace(x, invoice="1") for x in d)),
    "lines twice": ("copied_lines", lambda d: [*d, *d[::2]]),
    "one product": ("products", lambda d: (replace(x, product="1") for x in d)),
    "all returned": ("returned_lines", lambda d: (replace(x, quantity=-abs(x.quantity)) for x in d)),
    "a tenth in pence": (
        "high_price", lambda d: (replace(x, price=x.price * (1 if n % 10 else 100)) for n, x in enumerate(d)),
    ),
    "cases for units": ("high_quantity", lambda d: (replace(x, quantity=x.quantity * 12) for x in d)),
    "one line for a fortune": ("largest_line", lambda d: [*d, replace(d[0], quantity=80_995)]),
    "another country": ("abroad", lambda d: (replace(x, country="Abroad") for x in d)),
}  # fmt: skip


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_day_that_is_not_itself_is_held_by_name(engine: DuckDB, usual: Shapes, kind: str):
    figure, plant = DEFECTS[kind]
    planted = shapes_of(engine, {LAST: [*plant(shop(len(DAYS) - 1))]})
    found = findings({**usual, **planted})[LAST]
    assert any(finding.holds and f"({figure})" in finding.says for finding in found), found


def test_hours_that_are_others_are_amber_and_a_figure_is_held_amber_or_off_as_set(
    engine: DuckDB, usual: Shapes
):
    night = [replace(line, hour=(line.hour + 12) % 24) for line in shop(len(DAYS) - 1)]
    history = {**usual, **shapes_of(engine, {LAST: night})}
    for action, expected in ((None, [False]), ("hold", [True]), ("warn", [False]), ("off", [])):
        rules = Readiness.model_validate({"figures": {"hours": action} if action else {}})
        found = findings(history, rules).get(LAST, ())
        assert [finding.holds for finding in found] == expected
        assert all(
            finding.says.startswith("till: 100.0% of its lines lie at other hours than usual, where ")
            and finding.says.endswith(" are usual by the last 28 days (hours)")
            for finding in found
        )


def test_a_third_of_strangers_is_found_within_five_days_and_the_good_day_after_is_good(engine: DuckDB):
    count = 110
    days = {FIRST + timedelta(n): shop(n) for n in range(count)}
    bad = sorted(days)[-6:-1]
    for day in bad:
        days[day] = [
            replace(x, customer=f"?{x.customer}") if int(x.invoice.split("-")[1]) % 4 == 0 else x
            for x in days[day]
        ]
    found = findings(shapes_of(engine, days))
    assert any(finding.holds for day in bad for finding in found.get(day, ()))
    assert max(days) not in found
    assert not found.keys() - set(bad)


def test_the_shape_of_a_day_counts_what_it_says(engine: DuckDB):
    one = Line("1", "tea", "ana", 9, 2, 10)
    lines = [
        one,
        one,
        replace(one, product="milk", customer="bob"),
        replace(one, invoice="2", customer=None, country="Away"),
        replace(one, invoice="3", customer=None, country="Away"),
        replace(one, invoice="4", customer="ana", quantity=-1, hour=17),
    ]
    shape = shapes_of(engine, {FIRST: lines})[FIRST]["till"]
    assert shape.counts == {
        "lines": 6, "copies": 1, "anonymous": 2, "sales": 5, "returns": 1, "value": 90, "sold": 100,
        "returned": 10, "largest_line": 40, "products": 2, "invoices": 4, "mixed": 1, "repeated": 1,
        "customers": 2, "top": 3,
    }  # fmt: skip
    assert shape.shares["hour"] == {"9": 5, "17": 1}
    assert shape.shares["country"] == {"Home": 2, "Away": 2}
    assert shape.shares["price"] == {"9": 5}


def test_a_figure_that_there_is_not_is_refused(tmp_path):
    (tmp_path / "s.yaml").write_text("readiness: {figures: {new_customer: off}}")
    with pytest.raises(SettingsError, match="new_customer"):
        load_settings(tmp_path / "s.yaml")
