"""Telling people of problems: gathering the facts, and sending what was not told yet.

Addresses hold passwords. They are read at the moment of sending and go nowhere else: messages, logs and
records name a target by its number and service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg

from retail_pipeline.defs.assets.freshness import deadline
from retail_pipeline.defs.instance import namesakes
from retail_pipeline.defs.jobs import DAMAGE, DELIVERIES, WHOLE
from retail_pipeline.defs.requests import ask_for_days, ask_for_files, why_failed
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.schedules import TIME_TO_MAKE, last_due
from retail_pipeline.ingest.listing import LandingError
from retail_pipeline.lake.alerts_sent import Told, forget_told, read_told, write_told
from retail_pipeline.lake.models import judged
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline.lake.suppression import SuppressionError, read_suppressed
from retail_pipeline.planning.alerts import (
    FailedWork,
    Message,
    Problem,
    messages,
    of_days,
    of_files,
    of_ids,
    of_lists,
    of_models,
    of_work,
    of_yesterday,
    resolved,
)
from retail_pipeline.planning.freshness import yesterday_verdict
from retail_pipeline.planning.manifests import fingerprint
from retail_pipeline.planning.pieces import is_silent
from retail_pipeline.planning.plan import files_to_land
from retail_pipeline.planning.state import State
from retail_pipeline.settings import ALERT_URLS, Settings

# of hashing new files; the rest is looked at by the next tick
MOST_SECONDS = 20
# of the nightly look, to find the last that ended
MOST_LOOKS = 10
TRY_OUT = Message(
    "success", "A test of the retail pipeline's alerts", "If you can read this, alerts reach you.", ()
)


class AlertError(Exception):
    """An address cannot be used; the message says which, never the address."""


@dataclass(frozen=True)
class Target:
    """Where alerts go: a lasting name without secrets, how people know it, and how to send."""

    name: str
    shown: str
    send: Callable[[Message], bool]


@dataclass(frozen=True)
class Standing:
    """The problems that stand; not ``complete`` when some could not be looked for: none is gone yet."""

    problems: list[Problem]
    complete: bool = True


def standing(pipeline: Pipeline, instance: dg.DagsterInstance, now: datetime, busy: bool) -> Standing:
    """What stands at a time in the business time zone; ``busy``: a run is under way and may change it."""
    unseen = []
    try:
        seen = tuple(pipeline.listing(MOST_SECONDS).files)
    except LandingError as error:
        seen, unseen = (), [Problem("landing_unreadable", "landing_unreadable", str(error))]
    try:
        state = pipeline.state(seen)
        found = unseen or [*of_files(state)]
        found += [*of_days(state), *of_lists(state), *of_ids(state, pipeline.recipe)]
        if month := max(state["model_candidates"], default=""):
            candidates = judged(pipeline.lake, month).items()
            waits = {name: (one.content, said.why) for name, (one, said) in candidates if said.needs_person}
            found += of_models(month, waits)
        waiting = files_to_land(state, pipeline.recipe)
        known = instance.get_dynamic_partitions(pipeline.source_files)
        failed = ask_for_files(instance, pipeline, state, waiting, known, now).failed
        if state.first_day:
            last = last_due(pipeline.settings, state.last_day, now)
            failed += ask_for_days(instance, pipeline, state, last, now).failed
            said = _suppression(pipeline, last)
            found += [Problem("suppression_unusable", "suppression_unusable", why) for why in said]
            failed = [one for one in failed if not any(why in one.why for why in said)]
    except LakeError as error:
        found = [Problem("lake_unreadable", "lake_unreadable", str(error))]
        return Standing([*found, *_of_damage(pipeline, instance)], complete=False)
    found += [*of_work(failed), *_of_damage(pipeline, instance)]
    if shared := namesakes(instance, pipeline):
        found.append(Problem("keys_shared", "keys_shared", shared))
    found += _of_yesterday(pipeline, state, now, may_come=bool(waiting))
    return Standing(found, complete=not (busy or unseen))


def _suppression(pipeline: Pipeline, day: date) -> list[str]:
    """Why the suppression file may not be used for the lists of a day; nothing when it may."""
    try:
        read_suppressed(pipeline.settings.suppression, day)
    except SuppressionError as error:
        return [str(error)]
    return []


def _of_damage(pipeline: Pipeline, instance: dg.DagsterInstance) -> Iterator[Problem]:
    """What the last look at every file of the lake found, and that the one after it failed."""
    key = dg.AssetCheckKey(pipeline.key(DELIVERIES), WHOLE)
    looks = instance.event_log_storage.get_asset_check_execution_history(key, limit=MOST_LOOKS)
    # one that is under way, or broke off, has found nothing
    ended = [look.evaluation for look in looks if isinstance(look.evaluation, dg.AssetCheckEvaluation)]
    if looks and looks[0].evaluation not in ended:
        run = instance.get_run_by_id(looks[0].run_id)
        if run and run.status == dg.DagsterRunStatus.FAILURE:
            why = f"the look at every file of the lake failed: {why_failed(instance, run.run_id)[1]}"
            yield from of_work([FailedWork(DAMAGE, DAMAGE, why, run.run_id)])
    if ended and not ended[0].passed:
        says, page = ended[0].description or "", f"/assets/{DELIVERIES}?view=checks"
        yield Problem("lake_damaged", f"lake_damaged.{fingerprint(says)}", says, page=page)


def _of_yesterday(pipeline: Pipeline, state: State, now: datetime, may_come: bool) -> Iterator[Problem]:
    yesterday = now.date() - timedelta(days=1)
    due = datetime.combine(now.date(), deadline(pipeline.settings), now.tzinfo) + TIME_TO_MAKE
    is_held = state.is_held(yesterday) and not state.is_awaited(yesterday)
    is_followed = state.last_day and not is_silent(state.last_day, yesterday)
    recipe = pipeline.recipe
    is_ours = recipe.first_day <= yesterday <= (recipe.last_day or yesterday)
    if now < due or is_held or not (is_followed and is_ours):
        return
    late = "; ".join(
        finding.says
        for finding in yesterday_verdict(state, recipe, yesterday, now_is_past_deadline=True)
        if finding.holds and finding.kind in ("late", "missing", "odd") and not may_come
    )
    # whatever is under way: by now it should be there
    unmade = "" if yesterday in state["rfm_features"] else f"{yesterday} has no snapshot, segments or lists"
    yield from of_yesterday(yesterday, state.last_day, late, unmade)


def tell(pipeline: Pipeline, stands: Standing, to: Sequence[Target]) -> list[str]:
    """Send what was not told yet, once to each target; return what was done, in words.

    What was sent is recorded at once. A target that cannot be reached is tried again at the next call, with
    all that it was not told.

    Raises:
        LakeError: what was told cannot be recorded.
    """
    lake, ui = pipeline.lake, pipeline.settings.alerts.ui or ""
    told = dict(read_told(lake))
    current = {problem.key: problem for problem in stands.problems}
    gone = {key: one for key, one in told.items() if stands.complete and key not in current}
    sent, unreached = 0, list[str]()
    for target in to:
        fresh = [p for p in current.values() if p.key not in told or target.name not in told[p.key].to]
        for message in messages(fresh, ui, pipeline.settings.shop):
            if not target.send(message):
                unreached.append(target.shown)
                break
            sent += 1
            for key in message.keys:
                names = {*(told[key].to if key in told else ()), target.name}
                told[key] = Told(key=key, what=current[key].what, to=tuple(sorted(names)))
                write_told(lake, told[key])
    if pipeline.settings.alerts.resolved:
        unreached += [t.shown for t in to if t.shown not in unreached and not _tell_gone(pipeline, t, gone)]
        names = {target.name for target in to}
        gone = {key: one for key, one in gone.items() if not names & {*one.to}}
    forget_told(lake, gone)
    said = [f"{sent:,} messages sent"] if sent else []
    said += [f"{len(gone):,} problems are gone"] if gone else []
    return said + [f"{shown} could not be reached: tried again at the next tick" for shown in unreached]


def _tell_gone(pipeline: Pipeline, target: Target, gone: dict[str, Told]) -> bool:
    """Tell a target of those problems gone that it was told of, and strike it off; True when that is done."""
    mine = {key: one.what for key, one in gone.items() if target.name in one.to}
    if not all(map(target.send, resolved(mine, pipeline.settings.shop))):
        return False
    for key in mine:
        gone[key] = gone[key].model_copy(update={"to": tuple(n for n in gone[key].to if n != target.name)})
        write_told(pipeline.lake, gone[key])
    return True


def targets(settings: Settings) -> list[Target]:
    """Where alerts go now: the dry-run file if one is set, else the addresses in the environment.

    Raises:
        AlertError: an address is none that apprise knows.
    """
    if path := settings.alerts.dry_run:

        def append(message: Message) -> bool:
            line = {"severity": message.severity, "title": message.title, "body": message.body}
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
            return True

        return [Target("dry_run", f"the file {path}", append)]
    split = re.split(r"[\s,]+(?=[a-z][a-z0-9]*://)", (dg.EnvVar(ALERT_URLS).get_value() or "").strip())
    if not (urls := [url.rstrip(",") for url in split if url]):
        return []
    import apprise

    def send(server: Any, message: Message) -> bool:
        desk = apprise.Apprise()
        desk.add(server)
        form = apprise.NotifyFormat.TEXT
        return bool(desk.notify(message.body, message.title, message.severity, body_format=form))

    found: list[Target] = []
    for number, url in enumerate(urls, start=1):
        server: Any = apprise.Apprise.instantiate(url)
        if not server:
            raise AlertError(
                f"address {number} of {len(urls)} in {ALERT_URLS} is none that apprise knows; try it "
                "with `retail-pipeline alerts test`"
            )
        # by what is no secret; two addresses that are alike but for their secrets by their order
        private = fingerprint(server.url(privacy=True))
        alike = sum(target.name.startswith(private) for target in found)
        shown = f"address {number} ({server.service_name})"
        found.append(Target(f"{private}.{alike}", shown, partial(send, server)))
    return found
