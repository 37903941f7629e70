"""What commands print cannot steer the terminal."""

from __future__ import annotations

import io

import pytest
from rich.markup import escape
from rich.table import Table

from retail_pipeline.cli import console


def test_a_files_name_steers_no_terminal(monkeypatch: pytest.MonkeyPatch):
    printed = io.StringIO()
    # the attribute behind `file`, which would keep the stream of this test when it is given back
    monkeypatch.setattr(console.out, "_file", printed)
    name = "\x1b[31mred\x1b]0;title\x07.csv"
    console.out.print(f"[red]quarantine[/red] {escape(name)}")
    grid = Table("file")
    grid.add_row(escape(name))
    console.out.print(grid)
    assert "\x1b" not in printed.getvalue()
    assert "\x07" not in printed.getvalue()
    assert "red" in printed.getvalue()
