"""Second files that lie in the landing folder: which files are deliveries, and which belong to one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.planning.arrivals import FileSeen, is_named
from retail_pipeline.planning.manifests import fingerprint


def deliveries(
    files: Collection[FileSeen], profiles: Iterable[SourceProfile], fixed: Collection[str] = ()
) -> list[FileSeen]:
    """The files that are deliveries of their own, each with the content of the second files that it names.

    No deliveries are the files that a lookup's pattern names, and those of ``fixed`` (paths under landing).
    """
    patterned = [
        (profile, lookup) for profile in profiles for lookup in profile.lookups.values() if lookup.parts
    ]
    contents = {file.path: file.sha256 for file in files}

    def is_second(path: str) -> bool:
        return path in fixed or any(is_named(path, lookup.path) for _, lookup in patterned)

    def second(path: str) -> str:
        named = [
            contents[at]
            for profile, lookup in patterned
            if profile.is_for(path) and (at := profile.second_path(lookup, path)) in contents
        ]
        return fingerprint(named) if named else ""

    own = [file for file in files if not is_second(file.path)]
    if not patterned:
        return own
    return [file.model_copy(update={"second": second(file.path)}) for file in own]
