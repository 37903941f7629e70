"""Untrusted files are parsed apart: in a child process with limits, so that no file takes its reader down.

One child (``isolated.py``) lands all files in the ordinary case. When it dies, raises or exceeds a limit, the
files it was at are tried in smaller groups, in the end alone; a file which does it alone is refused by name.
A child lives no longer than its parent, holds the lake's lock with it, and may be killed at any moment: what
it had not committed counts for nothing.
"""

from __future__ import annotations

import logging
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Protocol

import psutil

from retail_pipeline.ingest.files.unpacked import RETRY
from retail_pipeline.ingest.landing import FILES, RAW, SPILL, Landed, Refused
from retail_pipeline.ingest.listing import identity
from retail_pipeline.ingest.profiles.reading import Reading
from retail_pipeline.ingest.trial import Look, Preview, Unread
from retail_pipeline.lake.partitions import STAGING, Lake, LakeError, remove_partition
from retail_pipeline.lake.set_aside import home_of
from retail_pipeline.planning.arrivals import FileSeen
from retail_pipeline.planning.manifests import Frozen, Manifest
from retail_pipeline.planning.masking import plain

# what Python, Arrow and a whole worksheet take beside DuckDB's memory
BASE_BYTES = 1 << 30
# a file may take the seconds of the setting again for each so many bytes
SECONDS_FOR_BYTES = 8 << 20
# a child that waits for a disk uses no seconds of its own; it is given up after so many times as long
PATIENCE = 20
START_SECONDS = 60.0
LOOK_EVERY = 0.05
_LOOKS = 4
_UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 1 << 20, "GiB": 1 << 30}
_MEMORY = ("MemoryError", "OutOfMemoryException", "ArrowMemoryError")
_FRAME = re.compile(rb'^(?:  File ".*", line \d+ in .*|Fatal Python error: \w+.*)$', re.MULTILINE)

log = logging.getLogger(__name__)


class Arrival(Protocol):
    """The settings ``arrival.max_memory`` (None: DuckDB's limit and 1 GiB) and ``max_seconds`` of CPU."""

    @property
    def max_memory(self) -> str | None: ...

    @property
    def max_seconds(self) -> int: ...


@dataclass(frozen=True)
class Allowance:
    """What reading may take: bytes of memory, and CPU seconds of a file of no size."""

    memory: int
    seconds: float

    def seconds_for(self, size_bytes: int) -> float:
        """CPU seconds that files of this size may take together."""
        return self.seconds * (1 + size_bytes / SECONDS_FOR_BYTES)


def allowance_of(arrival: Arrival, memory_limit: str) -> Allowance:
    """What the settings allow; ``memory_limit`` is DuckDB's."""
    given = arrival.max_memory
    return Allowance(_bytes(given) if given else _bytes(memory_limit) + BASE_BYTES, arrival.max_seconds)


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)\s?(\w+)", text).groups()  # type: ignore[union-attr]  # the setting's pattern
    return int(float(number) * _UNITS[unit])


class Land(Frozen):
    """Files to land into the lake beside those that have ``landed``."""

    reading: Reading
    landing: Path
    lake: Path
    files: list[FileSeen]
    landed: dict[str, Manifest]


class Job(Frozen):
    """What a child is to do: one of two things."""

    land: Land | None = None
    look: Look | None = None

    def line(self) -> bytes:
        """What the child reads of it; what nobody has set stays so, for a profile's rules count before it."""
        return self.model_dump_json(exclude_unset=True).encode() + b"\n"

    def seconds(self, begins: Sequence[str], allowance: Allowance) -> float:
        """CPU seconds that the files may take with which the child begins."""
        if self.look:
            # it is read for its shape, for its rows, and for a draft
            return _LOOKS * allowance.seconds_for(self.look.file.stat().st_size)
        sizes = {file.path: file.size_bytes for file in self.land.files} if self.land else {}
        return allowance.seconds_for(sum(sizes[path] for path in begins))


class Said(Frozen):
    """A line of a child: one of its fields is set.

    Paths of the files it begins with; a landed file's manifest, or why the file of this path is refused; what
    a file looked at would become, or why it is not read; why the lake cannot be written; the type of an error
    that nobody expected, and where it came up; that all is done.
    """

    begins: list[str] | None = None
    manifest: Manifest | None = None
    path: str | None = None
    refused: str | None = None
    lasting: bool = True
    seen: Preview | None = None
    unread: Unread | None = None
    lake_error: str | None = None
    failed: str | None = None
    where: str = ""
    done: bool = False


@dataclass(frozen=True)
class _End:
    """Why a child ended before its work did, in words after a file's name; and the trace for the log."""

    why: str
    lasting: bool
    trace: str = ""


def land_apart(
    files: Sequence[FileSeen],
    landing: Path,
    lake: Lake,
    reading: Reading,
    *,
    landed: Mapping[str, Manifest],
    allowance: Allowance,
    hold: int | None = None,
) -> Iterator[Landed | Refused]:
    """Land files as ``landing.land`` does, in a child process: whatever a file does, it is that file's.

    Call it with the lake's lock held; ``hold`` is the descriptor of ``lock.shared_hold``.

    Raises:
        LakeError: the lake cannot be written; files already yielded as landed stay so.
        RuntimeError: a child ended before it began with any file.
    """
    known = dict(landed)
    waiting = deque([list(files)])
    while waiting:
        batch = waiting.popleft()
        left = {file.path: file for file in batch}
        at: list[str] = []
        end: _End | None = None
        job = Land(reading=reading, landing=landing, lake=lake.root, files=batch, landed=known)
        for said in _work(Job(land=job), allowance, hold) if batch else ():
            if isinstance(said, _End):
                end = said
            elif said.lake_error is not None:
                raise LakeError(said.lake_error)
            elif said.begins is not None:
                at = said.begins
            elif said.manifest is not None:
                file = left.pop(said.path or "")
                known[file.source_id] = said.manifest
                yield Landed(file, said.manifest)
            else:
                yield Refused(left.pop(said.path or ""), plain(said.refused or ""), said.lasting)
        if not left:
            continue
        if end is None:
            raise RuntimeError(f"the process that reads the files said nothing of {sorted(left)[0]}")
        suspects = [left.pop(path) for path in at if path in left]
        if not suspects:
            raise RuntimeError(f"the process that reads the files {end.why}\n{end.trace}")
        shutil.rmtree(lake.root / STAGING / SPILL, ignore_errors=True)
        if len(batch) > 1:
            half = len(suspects) // 2
            waiting.extendleft([list(left.values()), suspects[half:], suspects[:half]])
            continue
        (file,) = suspects
        if end.trace:
            log.error("%s %s\n%s", ascii(file.path), end.why, end.trace)
        _forget_half(lake, file, known)
        yield Refused(file, end.why, end.lasting)


def _forget_half(lake: Lake, file: FileSeen, landed: dict[str, Manifest]) -> None:
    """Take away what a refused file left of its rows, and its earlier landing if that is no longer whole."""
    manifest = landed.get(file.source_id)
    changed = False
    for path in (lake.root / RAW.name).glob(f"*/{file.source_id}.parquet"):
        day = date.fromisoformat(path.parent.name.partition("=")[2])
        part = manifest.parts.get(day) if manifest else None
        if part is None or identity(path)[1] != part.content:
            path.unlink()
            changed = True
    if manifest and changed:
        keys = manifest.partition
        remove_partition(home_of(lake, FILES.name, keys), FILES.name, keys)
        del landed[file.source_id]


def look_apart(look: Look, allowance: Allowance) -> Preview | Unread:
    """Look at a file as ``trial.look`` does, in a child process.

    Raises:
        LakeError: the disk is full.
    """
    for said in _work(Job(look=look), allowance, None):
        if isinstance(said, _End):
            if said.trace:
                log.error("%s %s\n%s", ascii(look.name), said.why, said.trace)
            return Unread(reason=said.why)
        if said.lake_error is not None:
            raise LakeError(said.lake_error)
        if found := said.seen or said.unread:
            return found
    raise RuntimeError("the process that looks at the file said nothing of it")


# the child


def _work(job: Job, allowance: Allowance, hold: int | None) -> Iterator[Said | _End]:
    """What a child says while it does its job; last of all why it ended, if its work was not done."""
    home = str(Path(__file__).parents[2])
    # the environment's secrets are none of a parser's business
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RETAIL_PIPELINE_")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    with TemporaryFile() as errors:
        # -P: nothing that lies in the working folder is imported
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "retail_pipeline.ingest.isolated"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            pass_fds=() if hold is None else (hold,),
        )
        heard: SimpleQueue[Said | _End | None] = SimpleQueue()
        watcher = Thread(target=_watch, args=(child, job, allowance, errors, heard.put), daemon=True)
        try:
            watcher.start()
            assert child.stdin
            with suppress(BrokenPipeError):
                # it stays open: its end tells the child that nobody listens any more
                child.stdin.write(job.line())
                child.stdin.flush()
            while (said := heard.get()) is not None:
                yield said
        finally:
            child.kill()
            watcher.join()
            child.wait()
            with suppress(BrokenPipeError):
                child.__exit__(None, None, None)


def _watch(
    child: subprocess.Popen[bytes],
    job: Job,
    allowance: Allowance,
    errors: IO[bytes],
    hear: Callable[[Said | _End | None], None],
) -> None:
    """Pass on what a child says, and end it when it takes more than it may."""
    try:
        end = _listen(child, job, allowance, hear)
        if end is not None:
            hear(replace(end, trace=end.trace or _trace(errors)))
    finally:
        child.kill()
        hear(None)


def _listen(
    child: subprocess.Popen[bytes], job: Job, allowance: Allowance, hear: Callable[[Said], None]
) -> _End | None:
    assert child.stdout
    process, held, failed, end, done = psutil.Process(child.pid), b"", None, None, False
    allowed, used, since = START_SECONDS, 0.0, time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while (
            block := os.read(child.stdout.fileno(), 1 << 16) if selector.select(LOOK_EVERY) else None
        ) != b"":
            *lines, held = (held + (block or b"")).split(b"\n")
            for said in map(Said.model_validate_json, lines):
                if said.begins is not None:
                    allowed = job.seconds(said.begins, allowance)
                    used, since = _seconds(process), time.monotonic()
                if said.failed:
                    failed = said
                elif said.done:
                    done = True
                else:
                    hear(said)
            with suppress(psutil.NoSuchProcess):
                spent, waited = _seconds(process) - used, time.monotonic() - since
                if end is None and (end := _excess(process, allowance, spent, waited, allowed)):
                    child.kill()
    code = child.wait()
    if done:
        return None
    return end or (_of_failure(failed) if failed else _of_code(code))


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _excess(
    process: psutil.Process, allowance: Allowance, seconds: float, waited: float, allowed: float
) -> _End | None:
    if process.memory_info().rss > allowance.memory:
        return _too_much_memory(f"more than {allowance.memory / 1e9:.1f} GB of memory")
    if seconds > allowed:
        return _End(
            f"takes more than {allowed:,.0f} seconds of computing to be read: deliver it in smaller parts, "
            f"or raise arrival.max_seconds; {RETRY}",
            True,
        )
    if waited > PATIENCE * allowed:
        why = f"was not read within {waited:,.0f} seconds, most of them waiting: see to the disk it lies on"
        return _End(why, False)
    return None


def _too_much_memory(needs: str) -> _End:
    remedy = f"deliver it in smaller parts, or raise engine.memory_limit or arrival.max_memory; {RETRY}"
    return _End(f"needs {needs} to be read: {remedy}", True)


def _of_failure(said: Said) -> _End:
    if said.failed in _MEMORY:
        return _too_much_memory("more memory than there is")
    why = f"ends its reader with an error that nobody expected ({said.failed}): have it delivered again"
    return _End(f"{why}, or report this with what the log says", True, said.where)


def _of_code(code: int) -> _End:
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    if code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGFPE, -signal.SIGILL):
        why = "as one does that is damaged or needs far more memory than there is: have it delivered again"
        return _End(f"crashes its reader ({name}), {why}", True)
    why = f"was being read when its reader was ended from outside ({name})"
    return _End(f"{why}, perhaps because the machine is short of memory: the next run tries it again", False)


def _trace(errors: IO[bytes]) -> str:
    """Where a child crashed; nothing else of what it wrote, for that may show what a file holds."""
    errors.seek(0)
    return b"\n".join(_FRAME.findall(errors.read(1 << 20))).decode(errors="replace")
