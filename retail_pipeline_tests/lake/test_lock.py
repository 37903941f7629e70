"""One writer at a time, across processes; the kernel releases the lock of a process that dies."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retail_pipeline.lake.lock import is_held, writing
from retail_pipeline.lake.partitions import Lake, LakeError

HOLDER = """
import sys
from pathlib import Path
from retail_pipeline.lake.lock import writing
from retail_pipeline.lake.partitions import Lake
with writing(Lake(Path(sys.argv[1])), lambda message: print(message, flush=True)):
    print("holding", flush=True)
    sys.stdin.readline()
print("done", flush=True)
"""


@contextmanager
def another_process(lake: Lake) -> Iterator[subprocess.Popen[bytes]]:
    """A process that takes the lake's lock, says so, and keeps it until it is sent a line."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lake.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def says(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


def let_go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b"\n")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_a_second_process_says_that_it_waits_and_goes_on_when_the_first_is_done(lake: Lake):
    with another_process(lake) as first:
        assert says(first) == "holding"
        with another_process(lake) as second:
            assert says(second) == f"another process is writing to {lake.root}; waiting for it to finish"
            assert second.stdout
            assert not select.select([second.stdout], [], [], 0.3)[0], "it did not wait"
            let_go(first)
            assert says(second) == "holding"
            let_go(second)
            assert says(second) == "done"


def test_a_killed_holder_frees_the_lock(lake: Lake):
    waited: list[str] = []
    with another_process(lake) as holder:
        assert says(holder) == "holding"
        assert is_held(lake)
        holder.kill()
        holder.wait()
        assert not is_held(lake)
        with writing(lake, waited.append):
            pass
    assert not waited


def test_a_step_may_take_the_lock_that_its_own_run_holds(lake: Lake):
    waited: list[str] = []
    with writing(lake, waited.append):
        with writing(lake, waited.append):
            pass
        with another_process(lake) as other:
            assert "waiting" in says(other), "the inner release freed the outer lock"
    assert not waited


def test_the_lock_is_free_again_after_an_error(lake: Lake):
    with pytest.raises(ZeroDivisionError), writing(lake):
        raise ZeroDivisionError
    with another_process(lake) as other:
        assert says(other) == "holding"


def test_a_lake_that_nobody_writes_is_not_held_and_asking_makes_no_file(lake: Lake):
    assert not is_held(lake)
    assert not lake.root.exists()
    with writing(lake):
        assert not is_held(lake), "only another process keeps a sensor from its tick"
    assert not is_held(lake)


def test_two_names_of_one_lake_are_one_lock(lake: Lake):
    lake.root.mkdir()
    alias = lake.root.parent / "alias"
    alias.symlink_to(lake.root)
    with another_process(Lake(alias)) as holder:
        assert says(holder) == "holding"
        assert is_held(lake)


@pytest.mark.parametrize("below", ["lake", "."])
def test_a_lake_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path, below: str):
    file = tmp_path / "file"
    file.write_text("not a folder")
    with (
        pytest.raises(LakeError, match=r"cannot be written .*--lake or the setting `lake`"),
        writing(Lake(file / below)),
    ):
        pass
