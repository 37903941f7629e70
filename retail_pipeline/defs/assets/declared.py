"""Tables that are their declaration and their statement, and need no code of their own."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from retail_pipeline.defs.events import log_made
from retail_pipeline.defs.runner import Bad, Run, not_made
from retail_pipeline.engine import Input, Target
from retail_pipeline.lake.partitions import remove_partition
from retail_pipeline.planning.inputs import inputs_of, partitions_read
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Reads


def make_declared(run: Run, names: Iterable[str], days: Sequence[date]) -> Bad[date]:
    """Make those of these tables that are selected, in order; return the bad days with what is wrong.

    A statement sees each table that it reads under its name, with the day's partitions or those of all days
    up to it, and the day as ``$day``.
    """
    bad: Bad[date] = {}
    for name in names:
        if name in run.selected:
            for day in days:
                bad |= _make(run, name, day)
                run.pipeline.on_made(name, str(day))
    return bad


def _make(run: Run, name: str, day: date) -> Bad[date]:
    table, lake, keys = TABLES[name], run.pipeline.lake, {TABLES[name].partition_keys[0]: str(day)}
    inputs = {reads.table: _input(run, reads, day) for reads in table.reads}
    if missing := [source for source, files in inputs.items() if files == []]:
        return {day: not_made(missing[0])}
    parameters = run.pipeline.recipe.parameters.get(name, {})
    run.engine.keep("new_rows", name, inputs, day=day, **parameters)
    (rows,) = run.engine.ask("select count(*) as n from new_rows")["n"].to_pylist()
    if against := run.judge(name, [("new_rows", keys)], {day: rows})[day]:
        remove_partition(lake, name, keys)
        return {day: f"{name}: {against}"}
    target = Target(keys, inputs_of(run.state, run.pipeline.recipe, name, day))
    (made,) = run.engine.make(lake, table, "new_rows", [target])
    run.has(name, {day: made})
    log_made(run.log, name, str(day), made.rows)
    return {}


def _input(run: Run, reads: Reads, day: date) -> Input:
    """The files that a table's rows of a day lie in; an empty list when what it reads is not made."""
    first, *name = TABLES[reads.table].partition_keys
    return [
        run.pipeline.lake.data(reads.table, {first: str(d), **named})
        for d, made in partitions_read(run.state, reads, day).items()
        for named in ([{name[0]: n} for n in made] if isinstance(made, Mapping) else [{}])
    ]
