"""What the Dagster UI shows: asset specs, materializations, check evaluations, made alike everywhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from retail_pipeline.defs.partitions import MAPPINGS
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.engine.validation import Failure
from retail_pipeline.planning.manifests import CheckOutcome
from retail_pipeline.planning.masking import as_markdown
from retail_pipeline.planning.readiness import Finding
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Check, Table

KINDS = {"parquet": {"parquet", "duckdb"}, "json": {"json", "scikitlearn"}, "html": {"html"}}
Result = dg.MaterializeResult[None] | dg.AssetCheckResult


@dataclass(frozen=True)
class Log:
    """Where a step records the partitions that it made and what their checks found.

    Of a run of one partition that is ``kept``: the step's results, by which Dagster goes on to the next or
    does not. Of a range all is logged as it comes: a step that succeeds materializes its whole range, one
    that fails nothing of it, and a check's result counts for none. ``logged`` are each table's partitions,
    for steps that come after.
    """

    context: dg.AssetExecutionContext
    pipeline: Pipeline
    partitions: Sequence[str] = ()
    kept: dict[dg.AssetKey | dg.AssetCheckKey, dg.AssetMaterialization | dg.AssetCheckEvaluation] = field(
        default_factory=dict
    )
    logged: dict[dg.AssetKey, set[str]] = field(default_factory=dict)

    @property
    def one(self) -> str | None:
        return self.partitions[0] if len(self.partitions) == 1 else None

    def made(self, table: str, partition: str, metadata: Mapping[str, Any]) -> None:
        """Record that a partition was made; ``partition`` is Dagster's key."""
        key = self.pipeline.key(table)
        event = dg.AssetMaterialization(key, partition=partition, metadata=metadata)
        if partition == self.one and key in self.context.selected_asset_keys:
            self.kept[key] = event
        else:
            self.context.log_event(event)
            self.logged.setdefault(key, set()).add(partition)

    def checked(
        self,
        table: str,
        name: str,
        partition: str | None,
        passed: bool,
        fails: bool,
        description: str | None,
        metadata: Mapping[str, Any],
    ) -> None:
        """Record what a check found; without a partition, of a check that has none."""
        key = dg.AssetCheckKey(self.pipeline.key(table), name)
        event = dg.AssetCheckEvaluation(
            key.asset_key,
            name,
            passed,
            dict(metadata),
            severity=severity(fails),
            description=description,
            partition=partition,
        )
        if self.one and partition in (self.one, None) and key in self.context.selected_asset_check_keys:
            self.kept[key] = event
        else:
            self.context.log_event(event)

    def results(self) -> Iterator[Result]:
        """What the step yields: the tables, then what their checks found."""
        checks = []
        for event in self.kept.values():
            if isinstance(event, dg.AssetMaterialization):
                yield dg.MaterializeResult(asset_key=event.asset_key, metadata=event.metadata)
            else:
                checks.append(event)
        for event in checks:
            yield dg.AssetCheckResult(
                asset_key=event.asset_key,
                check_name=event.check_name,
                passed=event.passed,
                severity=event.severity,
                description=event.description,
                metadata=event.metadata,
            )
        # whoever comes after in the run waits for the whole range
        if not self.one and len(self.context.job_def.nodes) > 1:
            for key, made in self.logged.items():
                if key in self.context.selected_asset_keys and made >= {*self.partitions}:
                    yield dg.MaterializeResult(asset_key=key)

    def break_off(self) -> None:
        """Log what was kept: the step ends with an error before it can yield anything."""
        for event in self.kept.values():
            self.context.log_event(event)


def asset_specs(
    pipeline: Pipeline,
    names: Iterable[str],
    partitions: dg.PartitionsDefinition[str],
    deps: Sequence[dg.AssetKey] = (),
) -> list[dg.AssetSpec]:
    """The specs of tables' assets: what each is, whose, where it lies, its columns, what it is made from.

    ``deps`` are those of all of them besides the tables that they read.
    """
    return [
        dg.AssetSpec(
            pipeline.key(table.name),
            deps=[
                *(
                    dg.AssetDep(pipeline.key(r.table), partition_mapping=MAPPINGS[r.over])
                    for r in table.reads
                ),
                *deps,
            ],
            description=table.meaning,
            group_name=table.layer,
            owners=pipeline.settings.owners,
            kinds=KINDS.get(table.file.rpartition(".")[2]),
            code_version=table.code_version,
            partitions_def=partitions,
            skippable=True,
            metadata={"dagster/uri": str(pipeline.lake.root.resolve() / table.name), **_shape(table)},
        )
        for table in (TABLES[name] for name in names)
    ]


def check_specs(
    pipeline: Pipeline, names: Iterable[str], partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetCheckSpec]:
    """The specs of tables' checks; each description states what is true when it is green."""
    every = Check("{}_are_valid", "Every expectation of the table holds.")
    return [
        dg.AssetCheckSpec(
            check.name.format(name),
            asset=pipeline.key(name),
            description=check.meaning,
            blocking=check.blocking,
            partitions_def=partitions,
        )
        for name in names
        for check in (*TABLES[name].checks, *([every] if TABLES[name].is_checked else []))
    ]


def _shape(table: Table) -> dict[str, Any]:
    if not table.columns:
        return {}
    columns = [
        dg.TableColumn(
            column.name,
            str(column.type),
            f"{column.meaning} ({column.unit})" if column.unit else column.meaning,
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable,
                other=[f"one of: {', '.join(column.values)}"] if column.values else None,
            ),
        )
        for column in table.columns
    ]
    return {
        "dagster/table_name": table.name,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "partitioned by": ", ".join(table.partition_keys),
        "primary key": ", ".join((*table.partition_keys, *table.key)),
        "kept": table.kept,
    }


def log_made(log: Log, table: str, partition: str, rows: int, **metadata: Any) -> None:
    """Record that a partition was made; ``partition`` is Dagster's key, a day (a month's first day)."""
    key = TABLES[table].partition_keys[0]
    keys = {key: partition.removesuffix("-01") if key == "month" else partition}
    path = dg.MetadataValue.path(str(log.pipeline.lake.partition(table, keys).resolve()))
    log.made(table, partition, {"dagster/partition_row_count": rows, "path": path, **metadata})


def as_metadata(figures: Mapping[str, bytes]) -> dict[str, Any]:
    """PNG figures by title as the UI shows them; nothing when there are none."""
    shown = [
        f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
        for title, png in figures.items()
    ]
    return {"figures": dg.MetadataValue.md("\n\n".join(shown))} if shown else {}


def log_check(
    log: Log,
    table: str,
    name: str,
    partition: str | None,
    failures: Sequence[Failure],
    figures: Mapping[str, Any],
) -> None:
    """Record what a check found: green without failures, red with a blocking one, else amber."""
    metadata = dict(figures)
    if failures:
        metadata["failures"] = dg.MetadataValue.md(_as_markdown(failures))
    description = "; ".join(f"not so for {f.count:,} {f.of}: {f.states}" for f in failures) or None
    log.checked(
        table, name, partition, not failures, any(f.blocking for f in failures), description, metadata
    )


def log_findings(
    log: Log,
    table: str,
    name: str,
    partition: str,
    findings: Sequence[Finding],
    figures: Mapping[str, Any],
    holds: bool = True,
) -> None:
    """Record what is amiss with a day: red when it ``holds`` and stays so, amber when it may mend itself."""
    fails = holds and any(finding.fails for finding in findings)
    log.checked(table, name, partition, not findings, fails, said(findings), figures)


def severity(fails: bool) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if fails else dg.AssetCheckSeverity.WARN


def said(findings: Iterable[Finding]) -> str | None:
    return "; ".join(finding.says for finding in findings) or None


def _as_markdown(failures: Sequence[Failure]) -> str:
    parts = []
    for failure in failures:
        how = failure.expectation or "counted"
        parts.append(f"**{as_markdown(failure.states)}**: {failure.count:,} {failure.of} do not ({how})")
        if failure.samples:
            names = [*failure.samples[0]]
            rows = [names, *(sample.values() for sample in failure.samples)]
            lines = ["| " + " | ".join(as_markdown(str(cell)) for cell in row) + " |" for row in rows]
            parts.append("\n".join([lines[0], "|" + " --- |" * len(names), *lines[1:]]))
    return "\n\n".join(parts)


def outcomes(failures: Sequence[Failure]) -> tuple[CheckOutcome, ...]:
    """Failures as a partition's manifest keeps them (no samples: they may hold personal data)."""
    return tuple(CheckOutcome(states=f.states, blocking=f.blocking, count=f.count) for f in failures)


def blocking(failures: Iterable[Failure]) -> str:
    """What stands against going on, in words; empty when nothing does."""
    return "; ".join(f"{f.count:,} {f.of} against «{f.states}»" for f in failures if f.blocking)
