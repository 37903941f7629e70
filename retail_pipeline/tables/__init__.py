"""Every table of the lake, each declared once: ``<name>.py`` says all about it, ``<name>.sql`` makes it.

A new table is a module here with a ``TABLE``, and its statement. Its asset, lineage, checks, plan and state
follow. Its statement knows the day as ``$day``. Other modules hold what declarations
are made of (``table.py``, ``columns.py``, ``expectations.py``); other statements answer what
a table's maker asks.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module, resources
from types import MappingProxyType

from retail_pipeline.tables.table import LAYERS, Table


def _declared() -> Iterator[Table]:
    """The tables of this folder, each after those that it reads, layer by layer."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    found = {table.name: table for m in modules if isinstance(table := getattr(m, "TABLE", None), Table)}
    placed = set[str]()

    def place(table: Table) -> Iterator[Table]:
        if table.name not in placed:
            placed.add(table.name)
            before = [reads.table for reads in table.reads] or ([table.beside] if table.beside else [])
            for name in before:
                yield from place(found[name])
            yield table

    for table in sorted(found.values(), key=lambda table: LAYERS.index(table.layer)):
        yield from place(table)


TABLES: Mapping[str, Table] = MappingProxyType({table.name: table for table in _declared()})


@cache
def statement(name: str) -> str:
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def text_of(sql: str) -> str:
    """The text of a statement: ``sql`` itself, or that of the file it names."""
    return statement(sql) if sql.isidentifier() else sql
