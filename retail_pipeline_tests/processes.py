"""Long-running processes, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

Found = TypeVar("Found")
Process = subprocess.Popen[bytes]
# generous: the machine may be busy with other tests
START_SECONDS = 120
_LOOK_EVERY_SECONDS = 0.2
_SECONDS_TO_END = 20


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[Process]:
    """A process in a group of its own, its output in a file; it and all that it started are ended."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end_group(process)


def _end_group(process: Process) -> None:
    """End a process and all that it started: asked first, so that Dagster ends its own, then forced."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    group = [other for other in psutil.process_iter() if _group(other.pid) == process.pid]
    deadline = time.monotonic() + _SECONDS_TO_END
    while any(map(_lives, group)) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _group(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        # one that ended stays on the list until its parent asks after it, in a container perhaps for ever
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_until_served(process: Process, port: int, log: Path) -> None:
    """Wait until a process listens on a port of this machine; fail the test with its log if it ends."""

    def listens() -> bool:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    until(lambda: listens() or process.poll() is not None, START_SECONDS, "nothing listens", log)
    if not listens():
        pytest.fail(f"it ended; its log:\n{log.read_text()}")


def until(
    condition: Callable[[], Found | None], seconds: float, otherwise: str, log: Path | None = None
) -> Found:
    """What a condition gives once it gives anything true; fail the test when it does not within seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{otherwise} within {seconds:.0f} s{_tail(log)}")
        time.sleep(_LOOK_EVERY_SECONDS)
    return found


def _tail(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "; the end of its log:\n" + "\n".join(lines[-40:])
