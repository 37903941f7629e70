"""What is damaged in the lake: every file against its manifest, and what each can be made from again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retail_pipeline.lake.lock import is_held
from retail_pipeline.lake.partitions import MANIFEST_FILE, Lake, each_readable, entries, folders
from retail_pipeline.lake.records import KINDS, paths_of, reader
from retail_pipeline.lake.set_aside import FILES, RAW, apart, raw_path
from retail_pipeline.lake.state import RELEASED_FILE
from retail_pipeline.planning.decisions import ListRelease
from retail_pipeline.planning.manifests import Manifest, fingerprint
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Table


@dataclass
class _Look:
    """A look at a lake: the deliveries in landing by source_id, and what it came across.

    ``landed`` and ``unread``: the files whose record can be read, and cannot; ``lost``: the days that have
    rows that nothing can be read from again.
    """

    lake: Lake
    in_landing: Collection[str]
    found: list[str] = field(default_factory=list)
    landed: dict[str, Manifest] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    handed_over: set[tuple[str, str]] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)


def damage(lake: Lake, in_landing: Collection[str], is_ours: bool = False) -> list[str]:
    """Everything that is damaged or gone, a line each, with what to do; nothing when all is sound.

    ``in_landing`` are the source_ids of the files in landing: only what came of these can be read again.
    ``is_ours``: the caller holds the lake's lock, so that no run writes meanwhile.

    Raises:
        LakeError: a folder of the lake cannot be read.
    """
    look = _Look(lake, in_landing)
    for kind in KINDS:
        for _, made in each_readable(paths_of(lake, kind), reader(kind), look.found.append):
            if isinstance(made, ListRelease):
                look.handed_over.add((str(made.day), made.campaign))
    # what days are made from comes first
    for name in dict.fromkeys([FILES.name, *TABLES]):
        for home in (lake, apart(lake)):
            _of_table(look, home, TABLES[name])
    if is_ours or not is_held(lake):  # a run writes the rows of a file before its record
        _without_record(look)
    return look.found


def _of_table(look: _Look, home: Lake, table: Table) -> None:
    paths = [folder / MANIFEST_FILE for folder in folders(home, table)]
    made = set()
    for path, text in each_readable(paths, Path.read_bytes, look.found.append):
        keys = dict(part.split("=", 1) for part in path.parent.parts[-len(table.partition_keys) :])
        try:
            manifest = Manifest.model_validate_json(text)
        except ValueError:
            if table == FILES:
                look.unread.add(keys["file"])
            look.found.append(f"{path} is not a manifest: {_remedy(look, home, table, keys)}")
            continue
        made.add(tuple(keys.values()))
        if table == FILES:
            look.landed[keys["file"]] = manifest
        _of_partition(look, home, table, manifest)
    if table.name == "campaign_lists" and home == look.lake:
        for day, campaign in sorted(look.handed_over - made):
            folder = home.partition(table.name, {"snapshot_date": day, "campaign": campaign})
            if not (folder / MANIFEST_FILE).exists():
                look.found.append(f"{folder} is gone: {_HANDED_OVER}")


def _of_partition(look: _Look, home: Lake, table: Table, manifest: Manifest) -> None:
    keys, folder = manifest.partition, home.partition(table.name, manifest.partition)
    if table.file.endswith(".json"):
        paths = entries(folder, "[!_]*.json")
        read = each_readable(paths, Path.read_bytes, look.found.append)
        texts = {path.stem: text.decode("utf-8", "replace") for path, text in read}
        if fingerprint(texts) != manifest.content:
            look.found.append(f"{folder} is not what its manifest says: {_remedy(look, home, table, keys)}")
        return
    files = {folder / table.file: (manifest.content, "")}
    for of, part in manifest.parts.items():
        files[raw_path(look.lake, of, keys["file"])] = (part.content, str(of))
    for path, (content, day) in files.items():
        if why := _differs(look, path, content):
            if day and keys["file"] not in look.in_landing:
                look.lost.add(day)
            look.found.append(f"{path} {why}: {_remedy(look, home, table, keys)}")


def _differs(look: _Look, path: Path, content: str) -> str:
    said = len(look.found)
    for _, held in each_readable([path], Path.read_bytes, look.found.append):
        return "" if hashlib.sha256(held).hexdigest() == content else "is not what its manifest says"
    return "is missing" if len(look.found) == said else ""


_HANDED_OVER = (
    "the list was handed over, and one made anew may be another: restore it from a backup, or from those who "
    "have it"
)


def _remedy(look: _Look, home: Lake, table: Table, keys: Mapping[str, str]) -> str:
    folder = whole = home.partition(table.name, keys)
    if table.beside and not table.planned and TABLES[table.beside].partition_keys == table.partition_keys:
        # the manifest that the planner compares is that of the table it comes into being with
        whole = home.partition(table.beside, keys)
    again = f"remove {whole} and run again"
    if source_id := keys.get("file"):
        return (
            f"{again}, it is read anew from landing"
            if source_id in look.in_landing
            else _gone(look, source_id)
        )
    if keys.get("date") in look.lost and table.name in ("transactions", "rejected_rows"):
        return "restore it from a backup, and remove nothing: the rows that it was made from are damaged, too"
    is_list = table.name == "campaign_lists"
    if is_list and (tuple(keys.values()) in look.handed_over or (folder / RELEASED_FILE).exists()):
        return _HANDED_OVER
    if table.name == "model_candidates":
        return (
            f"{again}, it is fitted anew on the data as they are now; if these have changed since, it may be "
            "another, so restore it from a backup if you can"
        )
    return f"{again}, it is made anew from its inputs"


def _gone(look: _Look, source_id: str) -> str:
    landed = look.landed.get(source_id)
    named = landed.arrival.path if landed else "the delivery"
    record = look.lake.partition(FILES.name, {"file": source_id})
    return (
        f"remove nothing yet: {named} is no longer in landing, and nothing else holds its rows. Restore the "
        f"file from a backup; or put the same delivery (its sha256 begins with {source_id}) into landing "
        f"again, then remove {record} and run"
    )


def _without_record(look: _Look) -> None:
    """Rows of files of which nothing else is known: no table is made from them, and nothing misses them."""
    known = {(str(day), s) for s, manifest in look.landed.items() for day in manifest.parts}
    for home in (look.lake, apart(look.lake)):
        for folder in entries(home.root / RAW.name, "date=*"):
            for path in entries(folder, "*.parquet"):
                if path.stem in look.unread or (folder.name.partition("=")[2], path.stem) in known:
                    continue
                record = look.lake.partition(FILES.name, {"file": path.stem})
                remedy = (
                    "run again, and the file lands anew"
                    if path.stem in look.in_landing and path.stem not in look.landed
                    else f"restore {record} from a backup, or put the delivery (its sha256 begins with "
                    f"{path.stem}) into landing again and run"
                )
                look.found.append(
                    f"{path} belongs to no file that landed, so its rows do not count: {remedy}"
                )
