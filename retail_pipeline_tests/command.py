"""The real ``retail-pipeline`` command, and the lake as bytes.

Importing Dagster and Great Expectations takes longer than most of the runs that the tests need. So ``begin``
forks each process from one that has imported them (``loaded.py``); the project's own modules are imported
anew, under the environment and in the folder of the call. ``start`` takes the installed script.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock

from retail_pipeline.ingest.listing import MEMORY_FILE
from retail_pipeline.lake.instance_owner import OWNER_FILE
from retail_pipeline_tests.conftest import SETTINGS

LAST_DAY = date(2011, 12, 9)  # of UCI Online Retail
COMMAND = Path(sys.executable).with_name("retail-pipeline")
# when it is set, a forked command reads files in a process of their own, as the installed one does
READ_APART = "RETAIL_PIPELINE_TESTS_READ_APART"
CHANGED = re.compile(rb',\s*"modified_ns": \d+')
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["retail_pipeline_tests.loaded"])


def start(
    *arguments: object, cwd: Path, start_new_session: bool = False, **environment: str
) -> subprocess.Popen[str]:
    """Start the command, its output going to pipes."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "300", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    )


def begin(*arguments: object, cwd: Path, out: Path, err: Path, **environment: str) -> ForkServerProcess:
    """Begin the command in a forked process; its output goes to two files."""
    process = _FORKS.Process(
        target=_be_the_command,
        args=([*map(str, arguments)], cwd, {**os.environ, "COLUMNS": "300", **environment}, (out, err)),
    )
    process.start()
    return process


def _be_the_command(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], streams: Sequence[Path]
) -> None:
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(COMMAND), *arguments]

    if not os.environ.pop(READ_APART, None):
        from retail_pipeline_tests.near import read_near

        read_near()
    from retail_pipeline.cli.main import main

    main()


def retail_pipeline(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = begin(*arguments, cwd=cwd, out=out, err=err, **environment)
        process.join()
        assert process.exitcode is not None
        called = [*map(str, arguments)]
        return subprocess.CompletedProcess(called, process.exitcode, out.read_text(), err.read_text())


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path, but what is no data.

    That is what a lake remembers of landing (times), and which Dagster instance it belongs to; and when a
    delivery was last changed, which is not ours to say.
    """
    return {
        path.relative_to(folder).as_posix(): CHANGED.sub(b"", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (MEMORY_FILE, OWNER_FILE)
    }


def touched(folder: Path) -> dict[str, int]:
    """When each file below a folder was written, in nanoseconds."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that ``make`` fills once for all the processes that share the tests."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(shared / f"{name}.lock"):
        if not (shared / name / "made").exists():
            shutil.rmtree(shared / name, ignore_errors=True)
            (shared / name).mkdir()
            make(shared / name)
            (shared / name / "made").touch()
    return shared / name


def bring_up_to_date(
    folder: Path, settings: str, landing: Path, through: date = LAST_DAY
) -> subprocess.CompletedProcess[str]:
    """Bring the lake in a folder up to date."""
    return retail_pipeline(*run_arguments(folder, settings, landing, through), cwd=folder)


def run_arguments(folder: Path, settings: str, landing: Path, through: date) -> list[object]:
    """The call that brings the lake in a folder up to date."""
    file = SETTINGS / f"{settings}.yaml"
    return ["run", "--landing", landing, "--lake", folder / "lake", "--through", through, "--settings", file]
