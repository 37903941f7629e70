"""How long the main job takes: in seconds, and as a multiple of a plain script over the same files.

``make benchmark``. The two run in turn, so that a machine whose speed drifts slows both; quote the ratio.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SETTINGS = HERE.parent / "settings" / "behaviour.yaml"
THROUGH = "2011-12-09"
LANDING = os.environ.get(
    "RETAIL_PIPELINE_UCI_DIR", str(HERE.parents[2] / "shared" / "data" / "online_retail" / "by-day")
)
ROUNDS = int(os.environ.get("ROUNDS", "3"))


def timed(command: list[str], folder: Path) -> tuple[float, str, float]:
    """Wall seconds, standard output and peak memory in MB of a command."""
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(folder / "dagster_home"),
        "RETAIL_PIPELINE_SETTINGS": str(SETTINGS),
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed: {output}")
    return time.perf_counter() - began, output, usage.ru_maxrss / 1024


def main() -> None:
    """Run both in turn and print seconds, ratios, peaks and the pipeline's split."""
    ratios, splits = [], []
    for number in range(1, ROUNDS + 1):
        folder = Path(tempfile.mkdtemp())
        try:
            words = [LANDING, str(folder / "plain"), "--through", THROUGH]
            plain = [sys.executable, str(HERE / "plain_script.py"), *words]
            run = ["run", "--landing", LANDING, "--lake", str(folder / "lake"), "--through", THROUGH]
            script, _, script_peak = timed(plain, folder)
            console = str(Path(sys.executable).with_name("retail-pipeline"))
            command, _, peak = timed([console, *run], folder)
            again, _, _ = timed([console, *run], folder)
            shutil.rmtree(folder)
            folder.mkdir()
            _, output, _ = timed([sys.executable, str(HERE / "split.py"), *run], folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        ratios.append(command / script)
        splits.append(json.loads(output.splitlines()[-1])["seconds"])
        print(
            f"round {number}: script {script:.1f} s ({script_peak:.0f} MB), "
            f"pipeline {command:.1f} s ({peak:.0f} MB), ratio {ratios[-1]:.1f}, again {again:.1f} s",
            flush=True,
        )
    print(f"ratio: median {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}")
    print("the pipeline's seconds by kind of work, median of the rounds:")
    for kind in splits[0]:
        print(f"  {statistics.median(split.get(kind, 0.0) for split in splits):6.1f}  {kind}")


if __name__ == "__main__":
    main()
