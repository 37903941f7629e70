"""Models in the lake: JSON files, one a segmentation, of a month or beside a snapshot fitted on itself.

What reads a file raises LakeError when it is missing, damaged, edited or of a newer version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from retail_pipeline.lake.partitions import Lake, LakeError, contents, entries, replace_file, write_manifest
from retail_pipeline.lake.records import records
from retail_pipeline.planning.manifests import Manifest, fingerprint, schema_fingerprint
from retail_pipeline.segmentation import FittedSegmentation, from_json
from retail_pipeline.segmentation.gates import Candidate, ModelDecision, Verdict, candidate_from_json, verdict
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Table

CANDIDATES, MODELS = TABLES["model_candidates"], TABLES["segmentation_models"]


def own_model_path(lake: Lake, day: date, segmentation: str) -> Path:
    keys = {"snapshot_date": str(day), "segmentation": segmentation}
    return lake.partition("segment_assignments", keys) / "_model.json"


def read_model(lake: Lake, month: str, segmentation: str) -> FittedSegmentation:
    return _model(lake.partition(MODELS.name, {"month": month}) / f"{segmentation}.json")


def read_own_model(lake: Lake, day: date, segmentation: str) -> FittedSegmentation:
    """The model that a snapshot was fitted with on itself."""
    return _model(own_model_path(lake, day, segmentation))


def model_names(lake: Lake, month: str) -> list[str]:
    return [path.stem for path in entries(lake.partition(MODELS.name, {"month": month}), "[!_]*.json")]


def read_candidates(lake: Lake, month: str) -> Mapping[str, Candidate]:
    """The candidates of a month, by segmentation."""
    found = {}
    for path, text in contents(
        entries(lake.partition(CANDIDATES.name, {"month": month}), "[!_]*.json"), Path.read_bytes
    ):
        with _errors_of(path):
            found[path.stem] = candidate_from_json(text.decode())
    return found


def judged(lake: Lake, month: str) -> Mapping[str, tuple[Candidate, Verdict]]:
    """The candidates of a month by segmentation, and what gates and people's decisions make of them."""
    decisions = {d.segmentation: d for d in records(lake, ModelDecision) if d.month == month}
    return {
        name: (candidate, verdict(candidate, decisions.get(name)))
        for name, candidate in read_candidates(lake, month).items()
    }


def write_texts(
    lake: Lake, table: Table, month: str, texts: Mapping[str, str], inputs: Mapping[str, str]
) -> Manifest:
    """Write a month's JSON files, one a segmentation, take away those of others, the manifest last."""
    folder = lake.partition(table.name, {"month": month})
    for name, text in texts.items():
        replace_file(lake, folder / f"{name}.json", text.encode())
    for path in set(folder.glob("[!_]*.json")) - {folder / f"{name}.json" for name in texts}:
        path.unlink()
    manifest = Manifest(
        table=table.name,
        partition={"month": month},
        rows=len(texts),
        content=fingerprint(texts),
        inputs=dict(inputs),
        code_version=table.code_version,
        schema_fingerprint=schema_fingerprint(table.arrow),
    )
    write_manifest(lake, manifest)
    return manifest


def _model(path: Path) -> FittedSegmentation:
    with _errors_of(path):
        return from_json(path.read_text(encoding="utf-8"))


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise LakeError(f"{path}: {error}") from error
