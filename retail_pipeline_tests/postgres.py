"""A Postgres server of one's own: Debian's package, started for a test and stopped after it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from retail_pipeline_tests.processes import free_port

BINARIES = max(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), default=None
)
NEEDS_POSTGRES = pytest.mark.skipif(
    BINARIES is None or int(BINARIES.parent.name) < 15 or find_spec("psycopg2") is None,
    reason="needs PostgreSQL 15 or newer (apt install postgresql) and psycopg2 (retail-pipeline[postgres])",
)


@dataclass(frozen=True)
class Server:
    """Where a server is reached: the arguments of ``psycopg2.connect``."""

    host: str
    port: int
    user: str
    password: str
    dbname: str


@contextmanager
def running_postgres() -> Iterator[Server]:
    """A new server on this machine, which asks for its password and whose texts sort as English does."""
    assert BINARIES is not None
    # Postgres refuses to run as root, and whom it runs as instead may not enter root's temporary folders.
    nobody: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    owner = nobody if os.geteuid() == 0 else {}
    server = Server("127.0.0.1", free_port(), "tester", "a/p@ss: word", "postgres")
    with tempfile.TemporaryDirectory(prefix="postgres") as name:
        folder = Path(name)
        (folder / "password").write_text(server.password)
        if owner:
            shutil.chown(folder, nobody["user"], nobody["group"])

        def command(program: str, *arguments: str) -> None:
            called = [str(BINARIES / program), "-D", str(folder / "data"), *arguments]
            done = subprocess.run(called, cwd=folder, capture_output=True, text=True, check=False, **owner)
            assert done.returncode == 0, done.stdout + done.stderr

        command("initdb", f"--username={server.user}", f"--pwfile={folder / 'password'}", "--no-sync",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=icu",
                "--icu-locale=en")  # fmt: skip
        listen = f"-c listen_addresses={server.host} -c port={server.port} -c unix_socket_directories="
        command("pg_ctl", "start", "--wait", "--log", str(folder / "log"),
                "--options", f"{listen} -c fsync=off")  # fmt: skip
        try:
            yield server
        finally:
            command("pg_ctl", "stop", "--mode", "immediate")
