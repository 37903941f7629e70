"""HPI's Pollock benchmark: how much of each polluted file is read right, without any declaration.

``python -m retail_pipeline_tests.benchmarks.pollock FOLDER``, which holds ``csv/`` (2,290 polluted files of
one table) and ``clean/`` (what each should give). A file's simple score is success, and precision, recall
and F1 of its header, records and cells: at most 10.
"""

from __future__ import annotations

import csv
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from retail_pipeline.ingest.files.records import open_records
from retail_pipeline.ingest.files.shapes import generic_layout
from retail_pipeline.ingest.files.unpacked import RefusalError

Table = list[tuple[str, ...]]


def read(path: Path) -> tuple[Table, int]:
    """The header and the records of a file by our own detection and reader; and how many were refused."""
    with tempfile.TemporaryDirectory() as folder:
        layout, _ = generic_layout(path)
        with open_records(path, layout, Path(folder)) as (header, records):
            found = [record.fields for record in records]
    rows = [tuple((field or "").strip() for field in row) for row in found if row is not None]
    return [header, *rows], len(found) - len(rows)


def measures(expected: Sequence[object], found: Sequence[object]) -> float:
    """Precision, recall and F1, added up."""
    if not expected:
        return 3.0
    both = (Counter(expected) & Counter(found)).total()
    if not both:
        return 0.0
    precision, recall = both / len(found), both / len(expected)
    return precision + recall + 2 * precision * recall / (precision + recall)


def judged(expected: Table, path: Path) -> tuple[float, str]:
    """A file's score, and whether it is right, refused, refused in rows, or silently different."""
    try:
        found, refused = read(path)
    except RefusalError:
        return 0.0, "refused"
    score = 1 + measures(expected[0] if expected else (), found[0])
    score += measures(["".join(row) for row in expected[1:]], ["".join(row) for row in found[1:]])
    score += measures([cell for row in expected for cell in row], [cell for row in found for cell in row])
    if sorted(expected) == sorted(found):
        return score, "right"
    return score, "refused in rows" if refused else "silently different"


def main() -> None:
    """Print the score, and what became of the files of each pollution."""
    csv.field_size_limit(1 << 30)
    folder = Path(sys.argv[1])
    total, became = 0.0, defaultdict[str, Counter[str]](Counter)
    files = sorted((folder / "csv").iterdir())
    for path in files:
        with (folder / "clean" / path.name).open(encoding="utf-8-sig", newline="") as stream:
            expected = [tuple(cell.strip() for cell in row) for row in csv.reader(stream)]
        score, verdict = judged(expected, path)
        total += score
        became[re.sub(r"_?(row)?\d+_.*|(row)?_row\d.*", "", path.stem)][verdict] += 1
    everything: Counter[str] = sum(became.values(), Counter())
    print(f"simple score {total / len(files):.3f} of 10 over {len(files)} files: {dict(everything)}")
    for pollution, verdicts in sorted(became.items()):
        print(f"  {pollution}: {', '.join(f'{verdict} {n}' for verdict, n in verdicts.items())}")


if __name__ == "__main__":
    main()
