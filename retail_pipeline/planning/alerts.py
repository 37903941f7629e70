"""Standing problems that a person should know of, and the messages that tell of them.

A problem has a key that stays as long as it is the same problem, so that it is told once and not once a
retry. No message holds a customer's id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal

from retail_pipeline.planning.arrivals import partition_key
from retail_pipeline.planning.masking import plain
from retail_pipeline.planning.plan import difference, odd_ids
from retail_pipeline.planning.state import Recipe, State

MOST_LINES = 5
MOST_CHARACTERS = 400
# failures of work that is tried again by itself
TELL_AFTER = 3


@dataclass(frozen=True)
class Kind:
    """A sort of problem: its title, what it means, what to do about it, its title when there are many.

    ``remedy`` names with ``{it}`` what it is about.
    """

    severity: Literal["failure", "warning"]
    one: str
    means: str
    remedy: str
    many: str = ""


KINDS: Mapping[str, Kind] = {
    "lake_unreadable": Kind(
        "failure",
        "The lake cannot be read",
        "Nothing is made until it can be.",
        "Do what the message says; `retail-pipeline check` looks at every partition",
    ),
    "lake_damaged": Kind(
        "failure",
        "Files of the lake are damaged or gone",
        "Nothing is made from them; what else there is goes on.",
        "`retail-pipeline check` names all of them and what to do for each. It stands until damage_job, "
        "nightly or launched in the UI, finds the lake whole",
    ),
    "landing_unreadable": Kind(
        "failure",
        "The landing folder cannot be read",
        "No delivery lands until it can be; what has landed is unaffected.",
        "Mount it or mend its permissions; it heals by itself",
    ),
    "file_refused": Kind(
        "failure",
        "A file could not be read",
        "None of its rows count; the other files landed.",
        "Deliver it mended, and it heals by itself; `retail-pipeline quarantine show {it}` says more",
        "{count:,} files could not be read",
    ),
    "file_held": Kind(
        "failure",
        "A file is held back",
        "It was read, and its rows, or those of some of its days, do not count until somebody decides.",
        "`retail-pipeline quarantine show {it}`, then accept, replace or reject it, or deliver it mended",
        "{count:,} files are held back",
    ),
    "day_held": Kind(
        "failure",
        "A day is held",
        "Nothing is made from its rows, and no list for a day within a week of it.",
        "Mend the source and deliver again, or `retail-pipeline days release {it} --why …`",
        "{count:,} days are held",
    ),
    "delivery_late": Kind(
        "failure",
        "A delivery is late",
        "What should have come by the deadline has not; it lands and is made as soon as it comes.",
        "Ask the source; if none will come, `retail-pipeline days release {it} --why …` once the day is made",
        "{count:,} deliveries are late",
    ),
    "yesterday_unmade": Kind(
        "failure",
        "Yesterday is not made",
        "By now its snapshot, segments and lists should be there.",
        "`retail-pipeline status` says what is missing, `retail-pipeline run` makes it",
    ),
    "work_failed": Kind(
        "failure",
        "Work failed and is not tried again",
        "What rests on it is not made either. Other input is tried by itself, the same is not.",
        "Look at the run, mend what it says, then `retail-pipeline run`",
        "{count:,} pieces of work failed and are not tried again",
    ),
    "work_failing": Kind(
        "warning",
        "Work fails again and again",
        "It is tried again by itself, at most an hour later each time, for a day; what rests on it waits.",
        "Do what the message says, or look at the run; `retail-pipeline run` tries it at once",
        "{count:,} pieces of work fail again and again",
    ),
    "suppression_unusable": Kind(
        "failure",
        "The suppression file cannot be trusted",
        "No list is made, since nobody knows who objected.",
        "Do what the message says; the lists are then made by themselves, or by `retail-pipeline run`",
    ),
    "model_waits": Kind(
        "warning",
        "A model waits for a person",
        "A gate refused the month's candidate; the model before it stays in force.",
        "`retail-pipeline model show {it}`, then `model promote` or `model reject`",
        "{count:,} models wait for a person",
    ),
    "ids_hold": Kind(
        "failure",
        "Odd customer ids hold the lists back",
        "Segments and lists may be made for people who are none, or twice for one.",
        "Mend the profile or the settings; or `checks.ids: warn`",
    ),
    "ids_odd": Kind(
        "warning",
        "Customer ids look odd",
        "Segments and lists may be made for people who are none, or twice for one.",
        "See examples in the check customers_are_told_apart of rfm_features; write ids alike in the "
        "profile, or name a till's default card in cleaning.anonymous_ids",
    ),
    "keys_shared": Kind(
        "warning",
        "Two lakes have the same names in Dagster",
        "The tables of both are right; what the UI shows of one may be the other's.",
        "Do what the message says",
    ),
    "list_restated": Kind(
        "warning",
        "A list that was handed over would be another today",
        "The list stays as it was handed over; the restated one lies beside it with the difference.",
        "`retail-pipeline campaigns list {it}` shows the difference; tell who works with it, if it matters",
        "{count:,} lists that were handed over would be others today",
    ),
}


@dataclass(frozen=True)
class Problem:
    """A standing problem: its kind, lasting key, what is the matter, what it is about, a page of the UI."""

    kind: str
    key: str
    what: str
    it: str = ""
    page: str = ""

    @property
    def remedy(self) -> str:
        return KINDS[self.kind].remedy.format(it=self.it)


@dataclass(frozen=True)
class FailedWork:
    """Work that failed: its lasting name, for people what it is and why, its last run.

    ``pauses``: so many failures so far, and it is tried again by itself; 0: it is not.
    """

    work: str
    named: str
    why: str
    run_id: str
    pauses: int = 0


@dataclass(frozen=True)
class Message:
    """What is sent, and the keys of the problems that it tells of."""

    severity: Literal["failure", "warning", "success"]
    title: str
    body: str
    keys: tuple[str, ...]


def _page(table: str, partition: object) -> str:
    return f"/assets/{table}?view=partitions&partition={partition}"


def of_files(state: State) -> Iterator[Problem]:
    """The files in quarantine: those that could not be read, and those held back."""
    for source_id, why in sorted(state.quarantined.items()):
        refused = source_id not in state.landed
        kind = "file_refused" if refused else "file_held"
        path = state.refused[source_id].path if refused else state.landed[source_id].arrival.path
        key = partition_key(path, source_id)
        page = _page("raw_transactions", key)
        yield Problem(kind, f"{kind}.{source_id}", f"{path}: {why}", source_id, page)


def of_days(state: State) -> Iterator[Problem]:
    """The held days, but for those that merely wait for a delivery."""
    for day in state.held_days(date.min, date.max):
        if not state.is_awaited(day):
            key = f"day_held.{day}.{state['transactions'][day].content[:8]}"
            says = f"{day}: {state.why_held(day)}"
            yield Problem("day_held", key, says, str(day), _page("transactions", day))


def of_lists(state: State) -> Iterator[Problem]:
    for day, lists in sorted(state["restated_lists"].items()):
        for campaign, restated in sorted(lists.items()):
            key, what = f"list_restated.{day}.{campaign}", f"{campaign} of {day}: {difference(restated)}"
            yield Problem("list_restated", key, what, str(day), _page("campaign_lists", day))


def of_ids(state: State, recipe: Recipe) -> Iterator[Problem]:
    if day := max(state["rfm_features"], default=None):
        kind = "ids_hold" if recipe.ids == "hold" else "ids_odd"
        for name, says in odd_ids(state, recipe, day).items():
            yield Problem(kind, f"{kind}.{name}", f"{day}: {says}", str(day), _page("rfm_features", day))


def of_work(failed: Iterable[FailedWork]) -> Iterator[Problem]:
    for one in failed:
        if 0 < one.pauses < TELL_AFTER:
            continue
        kind, what = "work_failing" if one.pauses else "work_failed", f"{one.named}: {one.why}"
        yield Problem(kind, f"{kind}.{one.work}", what, one.named, f"/runs/{one.run_id}")


def of_models(month: str, waiting: Mapping[str, tuple[str, str]]) -> Iterator[Problem]:
    """The candidates of a month that wait for a person: for each segmentation its content and why."""
    for name, (content, why) in sorted(waiting.items()):
        key, it = f"model_waits.{month}.{name}.{content[:8]}", f"{month} --segmentation {name}"
        page = _page("model_candidates", f"{month}-01")
        yield Problem("model_waits", key, f"{name} of {month}: {why}", it, page)


def of_yesterday(yesterday: date, last: date | None, late: str, unmade: str) -> Iterator[Problem]:
    """What is wrong with yesterday: deliveries that are late (since the last), tables that are not made."""
    page = _page("campaign_lists", yesterday)
    if late:
        yield Problem("delivery_late", f"delivery_late.{last}", late, str(yesterday), page)
    elif unmade:
        yield Problem("yesterday_unmade", f"yesterday_unmade.{yesterday}", unmade, str(yesterday), page)


def messages(problems: Collection[Problem], ui: str = "", shop: str = "") -> list[Message]:
    """A message for each kind of problem, in the order of ``KINDS``; many of a kind are one message.

    ``ui`` is the address of the Dagster UI, for a link; ``shop`` what begins its assets' names there.
    """
    order = list(KINDS)
    ordered = sorted(problems, key=lambda problem: order.index(problem.kind))
    return [
        _message(KINDS[kind], list(of_kind), ui, shop)
        for kind, of_kind in groupby(ordered, key=lambda problem: problem.kind)
    ]


def _message(kind: Kind, problems: list[Problem], ui: str, shop: str) -> Message:
    first, many = problems[0], len(problems) > 1
    lines = [("- " if many else "") + _short(problem.what) for problem in problems[:MOST_LINES]]
    if rest := len(problems) - len(lines):
        lines.append(f"and {rest:,} more; `retail-pipeline alerts list` shows all")
    lines += [kind.means, "To do: " + (kind.remedy.format(it="…") if many else first.remedy)]
    if ui and first.page:
        page = first.page.replace("/assets/", f"/assets/{shop}/", 1) if shop else first.page
        lines.append(ui.rstrip("/") + page)
    title = _of(shop) + ((kind.many or kind.one).format(count=len(problems)) if many else kind.one)
    return Message(kind.severity, title, "\n".join(lines), tuple(problem.key for problem in problems))


def _of(shop: str) -> str:
    return f"{shop}: " if shop else ""


def resolved(told: Mapping[str, str], shop: str = "") -> list[Message]:
    """The message that problems are gone; ``told`` holds what was the matter by key."""
    if not told:
        return []
    lines = [f"- {_short(what)}" for what in list(told.values())[:MOST_LINES]]
    if rest := len(told) - len(lines):
        lines.append(f"and {rest:,} more")
    title = "A problem is gone" if len(told) == 1 else f"{len(told):,} problems are gone"
    return [Message("success", _of(shop) + title, "\n".join(lines), tuple(told))]


def _short(text: str) -> str:
    line = plain(" ".join(text.split()))
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"
