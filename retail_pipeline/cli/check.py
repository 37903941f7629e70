"""What ``retail-pipeline check`` finds: settings, folders, every file of the lake against its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from retail_pipeline.ingest.listing import LandingError, list_files
from retail_pipeline.lake.partitions import Lake, LakeError, contents, entries, manifests
from retail_pipeline.lake.records import KINDS, records
from retail_pipeline.lake.set_aside import apart, raw_path
from retail_pipeline.lake.suppression import SuppressionError, read_suppressed
from retail_pipeline.planning.manifests import Manifest, fingerprint
from retail_pipeline.settings import Settings
from retail_pipeline.tables import TABLES


def problems(settings: Settings) -> Iterator[str]:
    """Everything that is wrong, a line each; nothing when all is sound."""
    try:
        for name, why in list_files(settings.landing, settings.arrival).ignored.items():
            yield f"landing: {name} is ignored: {why}"
    except LandingError as error:
        yield f"landing: {error}"
    if settings.suppression:
        try:
            read_suppressed(settings.suppression, date.min)
        except SuppressionError as error:
            yield f"suppression: {error}"
    lake = Lake(settings.lake)
    if not lake.root.exists():
        yield f"lake: {lake.root} does not exist yet; `retail-pipeline run` makes it"
        return
    try:
        for kind in KINDS:
            records(lake, kind)
        for table in TABLES.values():
            for home in (lake, apart(lake)):
                for manifest in manifests(home, table):
                    yield from _damaged(lake, home, manifest)
    except LakeError as error:
        yield f"lake: {error}"


def _damaged(lake: Lake, home: Lake, manifest: Manifest) -> Iterator[str]:
    table = TABLES[manifest.table]
    folder = whole = home.partition(table.name, manifest.partition)
    if table.beside and not table.planned and TABLES[table.beside].partition_keys == table.partition_keys:
        # the manifest that the planner compares is that of the table it comes into being with
        whole = home.partition(table.beside, manifest.partition)
    remedy = f"remove {whole} and run again, it is made anew from its inputs"
    if table.file.endswith(".json"):
        found = contents(entries(folder, "[!_]*.json"), Path.read_bytes)
        texts = {path.stem: text.decode("utf-8", "replace") for path, text in found}
        if fingerprint(texts) != manifest.content:
            yield f"lake: {folder} is not what its manifest says: {remedy}"
        return
    files = [(folder / table.file, manifest.content)]
    for day, part in manifest.parts.items():
        files.append((raw_path(lake, day, manifest.partition["file"]), part.content))
    for path, content in files:
        if why := _differs(path, content):
            yield f"lake: {path} {why}: {remedy}"


def _differs(path: Path, content: str) -> str:
    for _, held in contents([path], Path.read_bytes):
        return "" if hashlib.sha256(held).hexdigest() == content else "is not what its manifest says"
    return "is missing"
