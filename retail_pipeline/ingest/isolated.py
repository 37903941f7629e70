"""The process in which untrusted files are parsed: ``python -m retail_pipeline.ingest.isolated``.

Belongs here: taking the job from standard input, saying what comes of it, and not outliving the parent. Does
not belong here: the limits, which the parent keeps (``isolation.py``), or landing (``landing.py``).
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType

from retail_pipeline.ingest.isolation import Job, Land, Said
from retail_pipeline.ingest.landing import Landed, land
from retail_pipeline.ingest.trial import Preview, look
from retail_pipeline.lake.partitions import Lake, LakeError, disk_is_full

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do one job."""
    _end_with(os.getppid())
    # nobody but `say` writes to where the parent listens
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(said: Said) -> None:
        out.write(said.model_dump_json(exclude_defaults=True).encode() + b"\n")
        out.flush()

    def failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Say what nobody expected: its type and place, never its words, which may show what a file holds."""
        if disk_is_full(error):
            say(Said(lake_error="the disk is full: make room, then run again"))
            return
        frames = "".join(traceback.format_tb(trace))
        say(Said(failed=kind.__name__, where=f"{frames}{kind.__module__}.{kind.__qualname__}"))

    sys.excepthook = failed
    job = Job.model_validate_json(sys.stdin.buffer.readline())
    Thread(target=_until_nobody_listens, daemon=True).start()
    do(job, say)
    say(Said(done=True))


def do(job: Job, say: Callable[[Said], None]) -> None:
    """Land files, or look at one, and say what comes of it."""
    try:
        if job.land:
            _land(job.land, say)
        if job.look:
            say(Said(begins=[job.look.name]))
            seen = look(job.look)
            say(Said(seen=seen) if isinstance(seen, Preview) else Said(unread=seen))
    except LakeError as error:
        say(Said(lake_error=str(error)))


def _land(job: Land, say: Callable[[Said], None]) -> None:
    for outcome in land(
        job.files,
        job.landing,
        Lake(job.lake),
        job.reading,
        landed=job.landed,
        on_begin=lambda files: say(Said(begins=[file.path for file in files])),
    ):
        path = outcome.file.path
        if isinstance(outcome, Landed):
            say(Said(path=path, manifest=outcome.manifest))
        else:
            say(Said(path=path, refused=outcome.reason, lasting=outcome.lasting))


def _end_with(parent: int) -> None:
    """Make this process one that ends with its parent and leaves no core."""
    faulthandler.enable()
    # Ctrl-C reaches all of a terminal's processes; the parent decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # a core would hold what the file holds
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # of all processes the kernel ends this one first when memory runs out
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != parent:
        os._exit(1)


def _until_nobody_listens() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
