"""The real ``retail-pipeline`` command, and the lake as bytes.

Belongs here: running it in a process of its own and looking at what it left. Does not belong here: what it
should have left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

from retail_pipeline_tests.conftest import SETTINGS

LAST_DAY = date(2011, 12, 9)  # of UCI Online Retail
COMMAND = Path(sys.executable).with_name("retail-pipeline")


def start(*arguments: object, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the command, its output going to pipes."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "300", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def retail_pipeline(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    process = start(*arguments, cwd=cwd, **environment)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
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
