"""Compares two lakes byte by byte: ``python -m retail_pipeline_tests.benchmarks.compare_lakes ONE OTHER``.

Run it over the lakes that two versions made from the same deliveries: each difference is to be intended. It
ends with exit code 1 when there is any. Manifests count apart from data, for they name what a partition was
made from by fingerprint.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from retail_pipeline.lake.partitions import MANIFEST_FILE
from retail_pipeline_tests.command import tree


def differences(one: Path, other: Path) -> Counter[tuple[str, str, str]]:
    """How many files differ, by table, by whether they are data or manifests, and by how."""
    first, second = tree(one), tree(other)
    found: Counter[tuple[str, str, str]] = Counter()
    for path in sorted({*first, *second}):
        table, kind = path.split("/")[0], "manifest" if path.endswith(MANIFEST_FILE) else "data"
        if path not in second:
            found[table, kind, "only in the first"] += 1
        elif path not in first:
            found[table, kind, "only in the second"] += 1
        elif first[path] != second[path]:
            found[table, kind, "other bytes"] += 1
        else:
            found[table, kind, "equal"] += 1
    return found


def main() -> None:
    """Print a line for each table, kind and outcome."""
    found = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    for (table, kind, how), count in sorted(found.items()):
        print(f"{table:22} {kind:9} {how:18} {count:6,}")
    raise SystemExit(any(how != "equal" for _, _, how in found))


if __name__ == "__main__":
    main()
