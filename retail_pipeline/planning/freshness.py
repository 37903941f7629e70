"""What to say of yesterday this morning: delivered as expected, made, not held, its lists made."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from retail_pipeline.planning.pieces import is_silent
from retail_pipeline.planning.plan import plan
from retail_pipeline.planning.readiness import Finding
from retail_pipeline.planning.state import Recipe, State


def yesterday_verdict(
    state: State, recipe: Recipe, yesterday: date, now_is_past_deadline: bool
) -> list[Finding]:
    """What is wrong with yesterday; nothing when a person on call can go on sleeping.

    A finding that ``holds`` is an alert, another a warning. What may still come in time is a warning until
    the deadline. A day outside ``first_day`` and ``last_day`` of the settings is never wrong.
    """
    if yesterday < recipe.first_day or (recipe.last_day and yesterday > recipe.last_day):
        return []
    if state.first_day is None or state.first_day > yesterday:
        return [Finding("late", f"nothing was delivered of {yesterday} or any day before it", holds=False)]
    if is_silent(state.last_day, yesterday):
        says = (
            f"nothing was delivered of any day after {state.last_day}; if that is all there is, set last_day"
        )
        return [Finding("late", says, holds=False)]
    work = plan(state, recipe, yesterday)
    # what a person released is no news
    found = [] if state.is_released(yesterday) else list(state.readiness.of(yesterday))
    found = [replace(f, holds=f.holds and (now_is_past_deadline or not f.waits), waits=False) for f in found]
    if work.files:
        found.append(Finding("unmade", f"{len(work.files):,} files wait to be landed", holds=False))
    if yesterday in work.days:
        says = f"{yesterday} is not made, or not from what is delivered by now"
        found.append(Finding("unmade", says, holds=True))
    elif (failed := state["transactions"][yesterday].said_blocking) and not state.is_released(yesterday):
        found.append(Finding("held", f"{yesterday} is held: {failed}", holds=True))
    if earlier := [day for day in state.held_lately(yesterday) if day < yesterday]:
        days = ", ".join(map(str, earlier))
        found.append(Finding("held", f"no lists: {days} held or not made", holds=True))
    if yesterday in work.snapshots and not any(finding.holds for finding in found):
        found.append(Finding("unmade", f"the lists of {yesterday} are not made", holds=True))
    return found
