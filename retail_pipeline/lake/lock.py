"""The lake's lock: one writer at a time, released by the kernel when its process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from retail_pipeline.lake.partitions import Lake, not_writable

LOCK_FILE = ".lock"
# held beside the lock, and by the children that write under it: a parent that is killed frees the lock at
# once, its child perhaps a moment later
CHILDREN_FILE = ".lock.children"
_held: dict[Path, int] = {}


def _lock(lake: Lake) -> FileLock:
    # a singleton, so that a step inside a run that holds the lock may take it again
    return FileLock(lake.root.resolve() / LOCK_FILE, is_singleton=True, thread_local=False)


@contextmanager
def writing(lake: Lake, on_wait: Callable[[str], None] = lambda message: None) -> Iterator[None]:
    """Hold the lake's lock; say so once when another process holds it, and wait."""
    try:
        lake.root.mkdir(parents=True, exist_ok=True)
        lock = _lock(lake)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait(f"another process is writing to {lake.root}; waiting for it to finish")
            lock.acquire()
    except OSError as error:
        raise not_writable(lake, error) from error
    try:
        with _with_children(lake):
            yield
    finally:
        lock.release()


@contextmanager
def _with_children(lake: Lake) -> Iterator[None]:
    home = lake.root.resolve()
    if home in _held:
        yield
        return
    descriptor = os.open(home / CHILDREN_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        # where there are no such locks, one of another kind serves above, and a child ends with its parent
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _held[home] = descriptor
        yield
    finally:
        _held.pop(home, None)
        os.close(descriptor)


def shared_hold(lake: Lake) -> int | None:
    """A file descriptor for children to inherit, so that the lock is held until they are gone, too."""
    return _held.get(lake.root.resolve())


def is_held(lake: Lake) -> bool:
    """True while another process writes to the lake (a sensor then skips its tick)."""
    lock = _lock(lake)
    if not (lake.root / LOCK_FILE).exists() or lock.is_locked:
        return False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
