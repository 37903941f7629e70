"""Exports of ten kinds: `sources try` drafts each, its questions are answered, and the books come out.

Nothing is answered that was not asked, and all that is asked has an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from retail_pipeline.cli.main import app
from retail_pipeline.engine.duckdb import DuckDB, connect
from retail_pipeline.ingest.profiles.cleaning import CleaningRules, parameters, rules_for
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.ingest.profiles.shipped import SHIPPED
from retail_pipeline.tables import TABLES, statement
from retail_pipeline_tests.exports.made import PROPOSED, Export, Line
from retail_pipeline_tests.exports.shops import KINDS
from retail_pipeline_tests.ingest.landing_shop import Shop, counts


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    with connect("300MB", 2, tmp_path_factory.mktemp("spill")) as session:
        yield session


def drafted(root: Path, file: Path, currency: str | None) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The profile as shipped or drafted, what it proposes as comments, and what it asks about, by name."""
    (root / "settings.yaml").write_text(f"currency: {currency or 'null'}\n")
    given = ["sources", "try", str(file), "--settings", str(root / "settings.yaml")]
    said = CliRunner().invoke(app, given, catch_exceptions=False).output
    if shipped := re.search(r"profile +(\w+) +all the columns it needs are there", said):
        return SHIPPED[shipped[1]].model_dump(exclude_unset=True), {}, []
    text, _, asked = said.split("in retail_pipeline.yaml:\n")[1].partition("what only you can say:\n")
    (made,) = yaml.safe_load(text).values()
    proposals = re.findall(r"^ +# (\w+: .*?)(?:  # \?.*)?$", text, re.MULTILINE)
    proposed = {name: value for line in proposals for name, value in yaml.safe_load(line).items()}
    return made, proposed, [line.partition(":")[0].strip() for line in asked.splitlines() if line]


def answered(made: dict[str, Any], proposed: dict[str, Any], answers: Mapping[str, Any]) -> SourceProfile:
    for question, answer in answers.items():
        given = {question: (proposed | made)[question]} if answer is PROPOSED else dict(answer)
        columns = made["columns"] | given.pop("columns", {})
        made |= given | {"columns": columns}
    return SourceProfile.model_validate(made)


def transactions(engine: DuckDB, raw: list[dict[str, Any]], profile: SourceProfile) -> list[Line]:
    rules = rules_for(CleaningRules(), profile.cleaning)
    keyed = pa.Table.from_pylist(
        [{"date": row["sold_at"].date()} | row for row in raw],
        pa.schema([("date", pa.date32()), *TABLES["raw_transactions"].arrow]),
    )
    engine.keep("judged_rows", statement("judged_rows"), {"raw_transactions": keyed}, **parameters(rules))
    return [
        Line(*(row[c] for c in ("invoice_id", "sold_at", "customer_id", "product_id", "quantity", "amount")))
        for row in engine.run("transactions").to_pylist()
    ]


def figures(lines: list[Line]) -> dict[str, object]:
    """What a shop compares with its books."""
    back = [line for line in lines if line.quantity < 0 or line.net < 0]
    sold = [line for line in lines if line.quantity >= 0 and line.net >= 0]
    return {
        "net": sum((line.net for line in lines), Decimal(0)),
        "lines": len(sold),
        "returns": len(back),
        "orders": len({line.order for line in sold}),
        "customers": len({line.customer for line in sold} - {None}),
        "anonymous": sum(line.customer is None for line in lines),
    }


def by_key(line: Line) -> tuple[str, ...]:
    return (line.order, str(line.at), line.sku, str(line.net.normalize()))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_draft_whose_questions_are_answered_gives_the_books(
    engine: DuckDB, tmp_path: Path, kind: Callable[[], Export]
):
    export, shop = kind(), Shop(tmp_path)
    (delivered, *second) = export.files
    shop.deliver(delivered, export.files[delivered], end=b"")
    currency = export.settings.get("currency", "EUR")
    folder = tmp_path / "landing"
    for name in second:
        (folder / name).write_bytes(export.files[name])
    made, proposed, asked = drafted(tmp_path, folder / delivered, currency)
    assert sorted(set(asked)) == sorted(export.answers)
    profile = answered(made, proposed, export.answers)
    profile = profile.model_copy(
        update={
            "lookups": {
                name: lookup.model_copy(update={"path": str(tmp_path / lookup.path)})
                for name, lookup in profile.lookups.items()
            }
        }
    )
    zone = export.settings.get("business_zone", "Europe/Berlin")
    outcome = shop.land({"drafted": profile}, business_zone=zone, currency=currency)[delivered]
    assert counts(outcome)["unreadable"] == 0
    found = transactions(engine, shop.raw(), profile)
    assert figures(found) == figures(list(export.books))
    assert sorted(found, key=by_key) == sorted(export.books, key=by_key)
