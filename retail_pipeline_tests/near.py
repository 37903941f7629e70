"""Reading files in the process that asks, for tests that are not about the process in which they are read.

Starting that process takes a second, which is most of what a small test takes. ``ingest/test_isolation.py``
shows that both leave the same lake; it, the browser's tests and whatever runs the installed command read
apart, as users do.
"""

from __future__ import annotations

from collections.abc import Iterator

from retail_pipeline.ingest import isolated as child
from retail_pipeline.ingest import isolation as apart

_WORK = apart._work


def _work_here(
    job: apart.Job, allowance: apart.Allowance, hold: int | None
) -> Iterator[apart.Said | apart._End]:
    said: list[apart.Said] = []
    child.do(apart.Job.model_validate_json(job.line()), said.append)
    yield from (apart.Said.model_validate_json(one.model_dump_json()) for one in said)


def read_near() -> None:
    """Read files in this process from now on."""
    apart._work = _work_here


def read_apart() -> None:
    """Read files in a process of their own, as users do."""
    apart._work = _WORK
