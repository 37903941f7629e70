"""Carries a storm out against the real daemon and command, and compares what is left with a clean run."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from itertools import islice
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pyarrow.parquet as pq
import yaml

from retail_pipeline.defs.instance import runs_under_way
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.lake.lock import is_held
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.planning.plan import plan
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.command import begin, retail_pipeline
from retail_pipeline_tests.shop import settings_of
from retail_pipeline_tests.storm.weather import Event, Weather, profiles

REPOSITORY = Path(__file__).resolve().parents[2]
DAEMON = Path(sys.executable).with_name("dagster-daemon")
# what lies in the lake and is no table: locks and memories, decisions (an input), what does not count
NO_TABLES = (".lock", ".landing.json", ".instance.json", ".alerts", ".staging", "decisions/", "set_aside/",
             "quarantine/", "restated_lists/")  # fmt: skip
PATIENCE = 600


class StormError(AssertionError):
    """Something is not as it must be."""


@dataclass
class Command:
    """A command under way, and when it will be killed."""

    process: ForkServerProcess
    dies: float
    called: tuple[str, ...]


@dataclass
class Storm:
    """A storm under way: where, which processes run, and what has happened so far."""

    folder: Path
    weather: Weather
    chance: random.Random
    between_kills: float
    daemon: subprocess.Popen[bytes] | None = None
    daemons: list[int] = field(default_factory=list)
    commands: dict[int, Command] = field(default_factory=dict)
    ended: dict[int, int | None] = field(default_factory=dict)
    next_kill: float = 0
    log_read: int = 0
    is_awake: bool = False
    into_writing: bool = False
    tally: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.folder)

    def note(self, text: str) -> None:
        self.said.append(f"{time.strftime('%H:%M:%S')} {text}")
        with (self.folder / "storm.log").open("a") as log:
            log.write(self.said[-1] + "\n")


def environment(folder: Path) -> dict[str, str]:
    return {
        "DAGSTER_HOME": str(folder / "dagster_home"),
        "RETAIL_PIPELINE_SETTINGS": str(folder / "settings.yaml"),
        "RETAIL_PIPELINE_ARRIVAL__SETTLE_SECONDS": "1",
        "USER": "storm",
    }


def prepare(folder: Path, days: list[date]) -> None:
    (folder / "landing").mkdir(parents=True)
    (folder / "dagster_home").mkdir()
    settings = settings_of(
        sources=profiles(),
        first_day=str(days[0]),
        last_day=str(days[-1]),
        landing="landing",
        lake="lake",
        restate="everything",
        models={"late_data": "retrain"},
        checks={"max_unreadable_share": 0},
        sensors={"every_seconds": 1},
        alerts={"dry_run": "alerts.jsonl"},
    )
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    packaged = (resources.files("retail_pipeline") / "dagster.yaml").read_text()
    # five minutes of waiting for each run that was killed before it began would be most of the storm
    quick = packaged.replace(
        "start_timeout_seconds: 300", "start_timeout_seconds: 45\n  poll_interval_seconds: 3"
    )
    if quick == packaged:
        raise StormError("dagster.yaml no longer sets start_timeout_seconds: 300")
    (folder / "dagster_home" / "dagster.yaml").write_text(quick)


# files and people


def carry_out(storm: Storm, event: Event) -> None:
    """Do what the event says, once what it needs has landed."""
    wait_for(
        storm, f"{event.before} to land before {event.does} {event.path!r}", lambda: landed(storm, event)
    )
    path, to = storm.landing / event.path, storm.landing / event.to
    match event.does:
        case "deliver":
            assert event.file
            put(storm, path, event.file.content, event.stamp)
        case "write":
            assert event.file
            write_slowly(storm, path, event)
        case "copy":
            put(storm, to, path.read_bytes(), event.stamp or path.stat().st_mtime_ns)
        case "move":
            to.parent.mkdir(parents=True, exist_ok=True)
            path.rename(to)
        case "remove":
            path.unlink()
        case "accept" | "replace" | "reject":
            decide(storm, event)
    storm.tally[event.does] += 1
    storm.note(f"{event.does} {event.path!r} {event.to!r} {event.file.source_id if event.file else ''}")


def put(storm: Storm, path: Path, content: bytes, stamp: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = storm.landing / ".incoming"
    hidden.write_bytes(content)
    if stamp:
        os.utime(hidden, ns=(stamp, stamp))
    hidden.rename(path)


def write_slowly(storm: Storm, path: Path, event: Event) -> None:
    """Write a file in its place, resting now and then, be it so long that it seems whole."""
    assert event.file
    assert event.stamp
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for start, end in zip((0, *event.pieces), (*event.pieces, None), strict=True):
            stream.write(event.file.content[start:end])
            stream.flush()
            time.sleep(storm.chance.choice((0, 0.1, 0.1, 1.5)))
    os.utime(path, ns=(event.stamp, event.stamp))


def landed(storm: Storm, event: Event) -> bool:
    """True when the lake knows what the event needs: contents, and where they lie."""
    return all(_knows(storm.lake, source_id, path) for source_id, path in event.before)


def _knows(lake: Path, source_id: str, path: str | None) -> bool:
    if path is None and (lake / "quarantine" / f"{source_id}.json").exists():
        return True
    for home in (lake, lake / "set_aside"):
        with suppress(FileNotFoundError):
            manifest = json.loads(
                (home / "landed_files" / f"file={source_id}" / "_manifest.json").read_bytes()
            )
            return path is None or manifest["arrival"]["path"] == path
    return False


def decide(storm: Storm, event: Event) -> None:
    """Say with the command what shall become of a file; if the command is killed, say it again."""
    assert event.file
    called = ("quarantine", event.does, event.file.source_id, "--why", "the storm")
    number = 0

    def has_ended() -> bool:
        return number not in storm.commands

    while storm.ended.get(number) != 0:
        if storm.ended.get(number) == 2:
            refusal = (storm.folder / "commands" / f"{number}.err").read_text()
            raise StormError(f"{event.does} {event.path!r} {event.file.source_id}: {refusal}")
        number = start_command(storm, *called)
        wait_for(storm, f"command {number} to end", has_ended)


def hand_over(storm: Storm) -> None:
    if days := sorted({p.parent.name for p in storm.lake.glob("campaign_lists/snapshot_date=*/campaign=*")}):
        day = storm.chance.choice(days).removeprefix("snapshot_date=")
        start_command(storm, "campaigns", "release", day, "--why", "the storm")


# processes


def start_daemon(storm: Storm) -> None:
    """Start the daemon as ``make ui`` does, its children in its process group."""
    with (storm.folder / "daemon.log").open("ab") as log:
        storm.log_read = log.tell()
        storm.is_awake = storm.chance.random() < 0.2  # or it is killed before it is
        storm.daemon = subprocess.Popen(
            [DAEMON, "run", "-w", REPOSITORY / "workspace.yaml"],
            cwd=storm.folder,
            env={**os.environ, **storm.environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    storm.daemons.append(storm.daemon.pid)
    storm.tally["daemons"] += 1


def kill(storm: Storm) -> None:
    """Kill the daemon with all it started, or it alone, or one of its children."""
    assert storm.daemon
    of_group = [p for p in psutil.process_iter() if _group(p.pid) == storm.daemon.pid]
    children = [p for p in of_group if p.pid != storm.daemon.pid]
    kind = storm.chance.choices(("all", "alone", "child"), (6, 1, 3))[0]
    if kind == "child" and children:
        with suppress(psutil.NoSuchProcess):
            storm.chance.choice(children).kill()
    elif kind == "alone":
        storm.daemon.kill()
    else:
        kind = "all"
        os.killpg(storm.daemon.pid, signal.SIGKILL)
    if kind != "child":
        storm.daemon.wait()
        storm.daemon = None
    storm.tally["kills"] += 1
    storm.tally["kills while writing"] += storm.into_writing
    storm.note(f"kill -9: {kind}{', while a run writes' if storm.into_writing else ''}")


def _group(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def start_command(storm: Storm, *called: str) -> int:
    """Start the command, which may be killed soon."""
    number = storm.tally["commands"] = storm.tally["commands"] + 1
    out, err = (storm.folder / "commands" / f"{number}.{stream}" for stream in ("out", "err"))
    out.parent.mkdir(exist_ok=True)
    process = begin(*called, cwd=storm.folder, out=out, err=err, **storm.environment)
    dies = time.monotonic() + storm.chance.uniform(0.5, 8) if storm.chance.random() < 0.5 else float("inf")
    storm.commands[number] = Command(process, dies, called)
    storm.note(f"command {number}: {' '.join(called)}")
    return number


def run_or_backfill(storm: Storm) -> None:
    if storm.chance.random() < 0.75:
        start_command(storm, "run")
    else:
        start_command(storm, "backfill", *map(str, sorted(storm.chance.sample(storm.weather.days, 2))))


def meddle(storm: Storm) -> None:
    now = time.monotonic()
    if storm.daemon and storm.daemon.poll() is not None:
        said = (storm.folder / "daemon.log").read_text(errors="replace")
        raise StormError(f"the daemon ended by itself:\n{said[-4000:]}")
    if storm.daemon is None:
        if now > storm.next_kill:
            start_daemon(storm)
            storm.next_kill = now + storm.chance.expovariate(1 / storm.between_kills)
    elif not storm.is_awake:
        if _looks_about(storm):
            storm.is_awake = True
            storm.next_kill = now + storm.chance.expovariate(1 / storm.between_kills)
            storm.into_writing = storm.chance.random() < 0.6
    elif now > storm.next_kill + (30 if storm.into_writing and not is_held(Lake(storm.lake)) else 0):
        if storm.into_writing:
            time.sleep(storm.chance.expovariate(1 / 0.5))
        kill(storm)
        storm.next_kill = now + storm.chance.uniform(0, 3)
    if len(storm.commands) < 2 and storm.chance.random() < 0.02:
        run_or_backfill(storm)
    if storm.chance.random() < 0.004:
        hand_over(storm)
    reap(storm, now)


def _looks_about(storm: Storm) -> bool:
    """True once a sensor of the daemon has looked: starting takes it many seconds on a busy machine."""
    with (storm.folder / "daemon.log").open("rb") as log:
        log.seek(storm.log_read)
        return b"Checking for new runs" in log.read()


def reap(storm: Storm, now: float) -> None:
    """Kill the commands whose hour has come; those that end by themselves must end well."""
    for number, command in list(storm.commands.items()):
        process = command.process
        if process.is_alive() and now > command.dies:
            process.kill()
            process.join()
            storm.tally["kills"] += 1
            storm.tally["kills of commands"] += 1
        process.join(0)
        if not process.is_alive():
            del storm.commands[number]
            storm.ended[number] = process.exitcode
            ended_well(storm, process.exitcode, number, command)


def ended_well(storm: Storm, code: int | None, number: int, command: Command) -> None:
    """A command ends with 0 or 1 (something waits for a person), or is killed.

    What a person says may be refused (2): what it is about may be gone by then.
    """
    storm.note(f"command {number} ended: {code}")
    if code == -signal.SIGKILL:
        return
    err = (storm.folder / "commands" / f"{number}.err").read_text()
    allowed = (0, 1) if command.called[0] in ("run", "backfill") else (0, 2)
    if code not in allowed or "Traceback" in err:
        raise StormError(f"{command.called} ({number}) ended with {code}:\n{err[-6000:]}")


def end_all(storm: Storm) -> None:
    for one in storm.commands.values():
        one.process.kill()
        one.process.join()
    storm.commands.clear()
    for process in psutil.process_iter():
        # a number may be another's by now
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if _group(process.pid) in storm.daemons and Path(process.cwd()) == storm.folder.resolve():
                process.kill()
    if storm.daemon:
        storm.daemon.wait()
        storm.daemon = None


# waiting


def wait_for(storm: Storm, what: str, is_so: Callable[[], bool], calm: bool = False) -> None:
    """Wait until something is so, while the storm goes on unless it is ``calm``.

    Raises:
        StormError: it does not come about; says what stands.
    """
    until, grown_calm = time.monotonic() + PATIENCE, calm
    while not is_so():
        now = time.monotonic()
        if now > until and grown_calm:
            raise StormError(f"waited in vain for {what}\n{standing(storm)}")
        if now > until:
            # a storm without a lull lets nothing get done, and should not
            grown_calm, until = True, now + PATIENCE
            storm.note(f"a lull, waiting for {what}")
        if grown_calm:
            if storm.daemon is None:
                start_daemon(storm)
            reap(storm, now)
        else:
            meddle(storm)
        time.sleep(1 if calm else 0.1)


def is_at_rest(storm: Storm) -> bool:
    """True when the daemon has done everything, but for what was killed as often as it is tried."""
    if nothing_to_do(storm):
        return True
    with instance_of(storm.folder) as instance:
        states = [s for s in instance.all_instigator_state() if s.instigator_name == "stale_days_sensor"]
        ticks = [
            t for s in states for t in instance.get_ticks(s.instigator_origin_id, s.selector_id, limit=1)
        ]
        return any("not tried again" in (tick.skip_reason or "") for tick in ticks)


def nothing_to_do(storm: Storm) -> bool:
    with instance_of(storm.folder) as instance:
        if runs_under_way(instance, pipeline_of(storm.folder)):
            return False
    return not work_of(storm.folder)


def pipeline_of(folder: Path) -> Pipeline:
    return Pipeline(load_settings(folder / "settings.yaml"))


def work_of(folder: Path) -> Any:
    pipeline = pipeline_of(folder)
    assert pipeline.settings.last_day
    state = pipeline.state(tuple(pipeline.listing().files))
    return plan(state, pipeline.recipe, pipeline.settings.last_day)


def instance_of(folder: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(folder / "dagster_home"))


def standing(storm: Storm) -> str:
    """What stands in the way: the work that is left, the runs, what the sensors say, the last events."""
    work = work_of(storm.folder)
    said = [f"planned: {[f.path for f in work.files]} {work.days} {work.months} {work.snapshots}"]
    with instance_of(storm.folder) as instance:
        said += [f"{r.job_name} {r.run_id[:8]} {r.status.value} {r.tags}" for r in instance.get_runs(limit=8)]
        for state in instance.all_instigator_state():
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
            said += [f"{state.instigator_name}: {t.status.value} {t.skip_reason} {t.error}" for t in ticks]
    return "\n".join([*said, *storm.said[-12:], f"see {storm.folder}"])


# the storm


def weather_the_storm(
    folder: Path, seed: int, days: list[date], events: int = 0, minutes: float = 0, between_kills: float = 12
) -> Storm:
    """Carry out a storm of so many events, or minutes; compare; return it with its tally.

    Raises:
        StormError: the lake is not what a clean run makes of the files that count, or else is amiss.
    """
    begun, patiently = time.monotonic(), not events
    prepare(folder, days)
    storm = Storm(folder, Weather(seed, days), random.Random(f"{seed} processes"), between_kills)
    try:
        start_daemon(storm)
        going_on = storm.weather.blow()
        for event in islice(going_on, events) if events else going_on:
            carry_out(storm, event)
            pause(storm, storm.chance.expovariate(1 / 0.4))
            if not events and time.monotonic() - begun > minutes * 60:
                break
        for event in storm.weather.clear():
            carry_out(storm, event)
            meddle(storm)
        come_to_rest(storm, patiently)
    finally:
        end_all(storm)
    settle_and_compare(storm, patiently)
    storm.tally["seconds"] = round(time.monotonic() - begun)
    return storm


def pause(storm: Storm, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        meddle(storm)
        if time.monotonic() > until:
            return
        time.sleep(0.1)


def come_to_rest(storm: Storm, patiently: bool) -> None:
    """No more kills: wait until there is nothing to do, for the daemon alone if there is time."""
    for one in storm.commands.values():
        one.process.join(PATIENCE)
    reap(storm, 0)
    if patiently:
        wait_for(storm, "the daemon to have nothing more to do", lambda: is_at_rest(storm), calm=True)
        storm.tally["left to the command"] = not nothing_to_do(storm)


def settle_and_compare(storm: Storm, patiently: bool) -> None:
    """Decide what is left to people, run once more, and compare with a clean run."""
    command(storm.folder, "run", may_fail=True)
    check_quarantine(storm)
    decide_the_rest(storm.folder)
    first, last = storm.weather.days[0], storm.weather.days[-1]
    command(storm.folder, "backfill", first, last)
    look_at_runs(storm, patiently)
    command(storm.folder, "status")
    command(storm.folder, "check")
    clean = clean_run(storm)
    check_rows(storm)
    check_handed_over(storm)
    if differences := list(compare(storm, clean)):
        raise StormError(
            f"{len(differences)} differences between {storm.folder} and {clean}:\n"
            + "\n".join(differences[:40])
        )


def command(folder: Path, *arguments: object, may_fail: bool = False) -> str:
    """Run the command to its end; what it says."""
    done = retail_pipeline(*arguments, cwd=folder, **environment(folder))
    if done.returncode not in (0, 1) or "Traceback" in done.stderr or (done.returncode and not may_fail):
        raise StormError(
            f"{arguments} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done.stdout


def check_quarantine(storm: Storm) -> None:
    """Those files wait for a person that the model knows of, and no others."""
    found = {*re.findall(r"│ ([0-9a-f]{16}) ", command(storm.folder, "quarantine", "list"))}
    expected = storm.weather.waiting()
    if found != expected.keys():
        unexpected = {s: command(storm.folder, "quarantine", "show", s) for s in found - expected.keys()}
        missing = {s: path for s, path in expected.items() if s not in found}
        raise StormError(f"in quarantine, but should not be: {unexpected}; should be, but are not: {missing}")
    storm.tally["left in quarantine"] = len(found)


def decide_the_rest(folder: Path) -> None:
    """Say of everything that waits what shall become of it, until nothing waits."""
    if waiting := re.findall(r"│ ([0-9a-f]{16}) ", command(folder, "quarantine", "list")):
        command(folder, "quarantine", "reject", *waiting, "--why", "the storm is over")
    for _ in range(20):
        command(folder, "run", may_fail=True)
        said = " ".join(command(folder, "status", may_fail=True).split())
        held = re.findall(r"held (\d{4}-\d{2}-\d{2}):", said)
        models = re.findall(r"waits the candidate of (\S+) for (\S+):", said)
        for day in held:
            command(folder, "days", "release", day, "--why", "the storm is over")
        for month, name in models:
            command(folder, "model", "promote", month, "--segmentation", name, "--why", "the storm is over")
        if not held and not models:
            return
    raise StormError(f"something waits for ever: {said}")


def look_at_runs(storm: Storm, patiently: bool) -> None:
    """No run stays under way; count what was done more than once."""
    with instance_of(storm.folder) as instance:
        runs = instance.get_runs()
        left = [r for r in runs if not r.is_finished]
        if not patiently:
            # what was never begun waits for a daemon
            left = [
                r for r in left if r.status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
            ]
        if left:
            raise StormError(f"runs that never end: {[(r.job_name, r.run_id, r.status.value) for r in left]}")
        storm.tally["runs"] = len(runs)
        storm.tally["failed runs"] = sum(r.status == dg.DagsterRunStatus.FAILURE for r in runs)
        for table, name in (("transactions", "days"), ("rfm_features", "snapshots")):
            made = Counter(_made(instance, table))
            storm.tally[f"{name} made"] = sum(made.values())
            storm.tally[f"{name} redone"] = sum(made.values()) - len(made)
        errors = Counter(
            f"{state.instigator_name}: {tick.error.message.strip().splitlines()[-1][:300]}"
            for state in instance.all_instigator_state()
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
            if tick.error
        )
        for error, count in errors.items():
            storm.tally["failed ticks"] += count
            storm.note(f"failed ticks: {count} x {error}")


def _made(instance: dg.DagsterInstance, table: str) -> Iterator[str | None]:
    cursor = None
    while True:
        found = instance.fetch_materializations(dg.AssetKey(table), limit=1000, cursor=cursor)
        yield from (record.partition_key for record in found.records)
        if not found.has_more:
            return
        cursor = found.cursor


def clean_run(storm: Storm) -> Path:
    """One run over the files that count and people's decisions, from nothing."""
    clean = storm.folder / "clean"
    prepare(clean, [*storm.weather.days])
    for path, file, stamp, _ in storm.weather.counting_files():
        target = clean / "landing" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        os.utime(target, ns=(stamp, stamp))
        storm.tally["files that count"] += 1
    shutil.copytree(storm.lake / "decisions", clean / "lake" / "decisions")
    command(clean, "run")
    command(clean, "backfill", storm.weather.days[0], storm.weather.days[-1])
    return clean


# comparing


def check_rows(storm: Storm) -> None:
    """Nothing is doubled, nothing lost: the rows of the files that count, on the days on which they do."""
    found = {
        (path.stem, date.fromisoformat(path.parent.name.removeprefix("date="))): pq.read_metadata(
            path
        ).num_rows
        for path in storm.lake.glob("raw_transactions/date=*/*.parquet")
    }
    due = storm.weather.counting()
    wrong = [
        f"{source_id} {day}: {found.get((source_id, day), 0)} rows, not {due.get((source_id, day), 0)}"
        for source_id, day in sorted(found.keys() | due.keys())
        if found.get((source_id, day)) != due.get((source_id, day))
    ]
    if wrong:
        raise StormError(f"{len(wrong)} parts of raw_transactions are wrong:\n" + "\n".join(wrong[:20]))
    storm.tally["rows"] = sum(found.values())


def check_handed_over(storm: Storm) -> None:
    for path in (storm.lake / "decisions" / "released_lists").glob("*.json"):
        said = json.loads(path.read_bytes())
        keys = {"snapshot_date": said["day"], "campaign": said["campaign"]}
        content = Lake(storm.lake).data("campaign_lists", keys).read_bytes()
        if hashlib.sha256(content).hexdigest() != said["content"]:
            raise StormError(f"the released list {keys} was changed")
        storm.tally["lists handed over"] += 1


def compare(storm: Storm, clean: Path) -> Iterator[str]:
    """What differs between the tables of two lakes, file by file: data, models, manifests."""
    ours, theirs = tables(storm.lake), tables(clean / "lake")
    storm.tally["files compared"] = len(theirs)
    restated = {path.parent.relative_to(storm.lake / "restated_lists").as_posix(): path
                for path in storm.lake.glob("restated_lists/*/*/part-0.parquet")}  # fmt: skip
    storm.tally["lists restated"] = len(restated)
    handed_over = set()
    for path in storm.lake.glob("decisions/released_lists/*.json"):
        day, _, campaign = path.stem.partition(".")
        handed_over.add(f"snapshot_date={day}/campaign={campaign}")
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            yield f"{name}: only in {'the clean lake' if name in theirs else 'the lake'}"
            continue
        table, _, key = name.rpartition("/")[0].partition("/")
        if table == "campaign_lists" and key in restated:
            if name.endswith(".parquet") and not _restated(restated[key], theirs[name]):
                yield f"{name}: restated as another list than the clean one"
        elif table == "campaign_lists" and key in handed_over:
            if _but_reasons(ours[name]) != _but_reasons(theirs[name]):
                yield f"{name}: would be another today, and is not restated"
        elif _what(ours[name]) != _what(theirs[name]):
            yield f"{name}: differs"


def tables(lake: Path) -> dict[str, Path]:
    found = {path.relative_to(lake).as_posix(): path for path in lake.rglob("*") if path.is_file()}
    return {name: path for name, path in found.items() if not name.startswith(NO_TABLES)}


def _what(path: Path) -> object:
    """What must be equal of a file: its bytes, but for what says where and when a file arrived."""
    if "/landed_files/" not in path.as_posix():
        return path.read_bytes()
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None).drop_columns(["path"]).to_pylist()
    manifest = json.loads(path.read_bytes())
    return {name: value for name, value in manifest.items() if name not in ("arrival", "content")}


def _but_reasons(path: Path) -> object:
    """A handed over list without its reasons: it stays when only the figures in their words move."""
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None).drop_columns(["reason"]).to_pylist()
    return {name: value for name, value in json.loads(path.read_bytes()).items() if name != "content"}


def _restated(path: Path, like: Path) -> bool:
    """True when a restatement says that today's list would be the one at ``like``."""
    wanted = pq.read_table(like, partitioning=None)
    rows = pq.read_table(path, partitioning=None)
    named = [(row.pop("change"), row) for row in rows.select(["change", *wanted.column_names]).to_pylist()]
    today = [row for change, row in named if change != "removed"]
    return sorted(today, key=lambda row: row["customer_id"]) == sorted(
        wanted.to_pylist(), key=lambda row: row["customer_id"]
    )


def survived(storm: Storm) -> str:
    tally = ", ".join(f"{what} {count:,}" for what, count in sorted(storm.tally.items()))
    return f"seed {storm.weather.seed}: {tally}"
