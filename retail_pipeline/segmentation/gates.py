"""A month's candidate: what its gates measure, and whether it or the champion is in force.

The champion is the model that was in force the month before. A candidate that fails a blocking gate is kept,
and the champion stays in force until a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat, ValidationInfo, field_validator

from retail_pipeline.planning.manifests import Frozen, fingerprint
from retail_pipeline.segmentation import SCHEMA_VERSION, FittedSegmentation, assign
from retail_pipeline.segmentation.clusters import FittedClusters
from retail_pipeline.segmentation.fitted import FEATURES, Array, Names, Snapshot, rounded, sealed, unsealed

REFITS = 10
SAMPLE = 5_000  # customers that a refit draws and is judged by, at most: a large shop must not wait for it
MATERIAL_SHARE = 0.1  # a smaller segment may be empty one month: a small shop's is a handful of customers
FLOOR = 1e-4  # the least share that drift reckons with: the logarithm of nothing has no value

_AT_LEAST = ("silhouette", "smallest_share", "stability", "segment_stability")
_RANGES = {
    "silhouette": (-1.0, 1.0),
    "feature_drift": (0.0, np.inf),
    "share_drift": (0.0, np.inf),
    "odd_days": (0.0, 31.0),
}


class Gate(Frozen):
    """One gate: how far its figure may go, and what follows when it goes farther."""

    limit: FiniteFloat = Field(description="The lowest or highest value that passes")
    blocks: bool = Field(description="A candidate that fails is not put in force; false: the check is amber")


class Gates(Frozen):
    """What a candidate is measured by; null switches a gate off, and a part of one keeps the other part."""

    silhouette: Gate | None = Field(
        Gate(limit=0.2, blocks=True),
        description="Lowest mean silhouette of the clusters",
    )
    smallest_share: Gate | None = Field(
        Gate(limit=0.00001, blocks=True),
        description="Lowest share of a segment that has customers",
    )
    stability: Gate | None = Field(
        Gate(limit=0.3, blocks=True),
        description="Lowest mean adjusted Rand index of ten refits",
    )
    segment_stability: Gate | None = Field(
        Gate(limit=0.6, blocks=True),
        description="Lowest mean Jaccard similarity of a segment to the likest of each of ten refits",
    )
    feature_drift: Gate | None = Field(
        Gate(limit=0.25, blocks=False),
        description="Highest population stability index of a feature",
    )
    share_drift: Gate | None = Field(
        Gate(limit=0.25, blocks=False),
        description="Highest population stability index of the segments' shares",
    )
    changed: Gate | None = Field(
        Gate(limit=0.3, blocks=True),
        description="Highest share of customers whom the champion put elsewhere",
    )
    odd_days: Gate | None = Field(
        Gate(limit=0, blocks=True),
        description="Most days of the month that has ended whose customers or invoices are odd",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _keeps_what_is_not_said(cls, given: Any, info: ValidationInfo) -> Any:
        default = cls.model_fields[str(info.field_name)].default
        return {**default.model_dump(), **given} if isinstance(given, Mapping) else given

    @field_validator("*")
    @classmethod
    def _can_be_reached(cls, gate: Gate | None, info: ValidationInfo) -> Gate | None:
        low, high = _RANGES.get(str(info.field_name), (0.0, 1.0))
        if gate and not low <= gate.limit <= high:
            raise ValueError(
                f"the limit {gate.limit:g} of {info.field_name} must lie between {low:g} and {high:g}"
            )
        return gate


class Measured(Frozen):
    """What a gate found: of a feature, where ``of`` names one."""

    gate: str
    of: str = ""
    value: FiniteFloat
    limit: FiniteFloat
    blocks: bool

    @property
    def passed(self) -> bool:
        """True when the value keeps the limit; on it is within."""
        return self.value >= self.limit if self.gate in _AT_LEAST else self.value <= self.limit

    @property
    def words(self) -> str:
        """The figure and its limit, as a part of a sentence."""
        name = f"{self.gate} of {self.of}" if self.of else self.gate
        wanted = "at least" if self.gate in _AT_LEAST else "at most"
        return f"{name} {self.value:.3g} ({wanted} {self.limit:g})"


class Candidate(Frozen):
    """What was fitted for a month, and what its gates measured.

    ``champion_month`` and ``agreement`` are None where there was no champion to compare it with.
    """

    schema_version: int = SCHEMA_VERSION
    month: str
    segmentation: str
    trained_through: date
    model: FittedSegmentation
    champion_month: str | None
    measured: tuple[Measured, ...]
    agreement: FiniteFloat | None = Field(
        description="Adjusted Rand index of candidate and champion on the candidate's customers"
    )
    notes: tuple[str, ...] = Field(default=(), description="What could not be measured, and why")

    @property
    def content(self) -> str:
        """Names what a decision is about: this model, for this month, under this name."""
        return fingerprint(self.month, self.segmentation, self.model.model_dump(mode="json"))


class ModelDecision(Frozen):
    """Somebody promoted or rejected a candidate. It holds for this candidate: another is judged anew."""

    month: str
    segmentation: str
    verdict: Literal["promote", "reject"]
    content: str = Field(description="content of the candidate when it was decided about")
    why: str = Field(min_length=1)
    by: str = Field(min_length=1)


class Verdict(Frozen):
    """Who is in force in a month, and why."""

    in_force: Literal["candidate", "champion"]
    why: str = Field(description="One sentence for a person")
    needs_person: bool = Field(description="The candidate waits: a promote or a reject would settle it")
    failed: tuple[str, ...] = Field(description="The gates that it failed, those that only warn included")


def assess(
    month: str,
    segmentation: str,
    trained_through: date,
    candidate: FittedSegmentation,
    champion: FittedSegmentation | None,
    champion_month: str | None,
    customers: Snapshot,
    gates: Gates,
    earlier: Snapshot | None = None,
    odd_days: Sequence[date] = (),
) -> Candidate:
    """Measure a candidate that was fitted on ``customers`` against itself and the model in force before it.

    ``earlier`` are the customers of the month close before, as the champion knew them. A champion that cannot
    stay in force, because it knows no customers or gives names that the settings no longer have, counts as
    none; a note says so. On ``odd_days`` of the month that has ended customers may not be who they were.
    Raises ValueError when the candidate was fitted on others.
    """
    if len(customers.values) != candidate.card.customers:
        raise ValueError(
            f"the candidate was fitted on {candidate.card.customers} customers, these are "
            f"{len(customers.values)}; measure it on the snapshot that it was fitted on"
        )
    notes = []
    if champion and (obstacle := _obstacle(champion, candidate)):
        notes.append(f"not compared with the model of {champion_month}: {obstacle}")
        champion = None
    agreement = None
    figures: list[tuple[str, str, float | None]] = []
    if len(customers.values):
        own = assign(candidate, customers)
        figures.append(("odd_days", "", float(len(odd_days))))
        notes += [f"customers or invoices of {day} are odd: see deliveries_are_complete" for day in odd_days]
        figures.append(("silhouette", "", candidate.card.silhouette))
        figures.append(("smallest_share", "", _smallest_share(candidate, champion)))
        if (gates.stability or gates.segment_stability) and not candidate.knows_too_few:
            refits, likeness = _refits(candidate, customers)
            figures.append(("stability", "", float(np.mean(refits))))
            notes.append(f"{REFITS} refits on resampled customers agree with it by {min(refits):.3g} or more")
            figures += [("segment_stability", name, value) for name, value in likeness.items()]
            card = candidate.card.model_copy(update={"stability": likeness})
            candidate = candidate.model_copy(update={"card": card})
        if champion:
            before, deciles = assign(champion, customers), champion.card.deciles
            agreement = rounded(_agreement(own, before))
            for name in FEATURES:
                # what was the same for all of the champion's customers cannot drift
                if deciles[name][0] < deciles[name][-1]:
                    figures.append(("feature_drift", name, drift(deciles[name], customers.feature(name))))
            figures.append(("share_drift", "", _share_drift(champion, candidate)))
            figures.append(("changed", "", _changed(own, before, customers, champion, earlier)))
    return Candidate(
        month=month,
        segmentation=segmentation,
        trained_through=trained_through,
        model=candidate,
        champion_month=champion_month if champion else None,
        measured=tuple(
            Measured(gate=name, of=of, value=rounded(value), limit=gate.limit, blocks=gate.blocks)
            for name, of, value in figures
            if value is not None and (gate := getattr(gates, name))
        ),
        agreement=agreement,
        notes=tuple(notes),
    )


def verdict(candidate: Candidate, decision: ModelDecision | None) -> Verdict:
    """What a person decided about this candidate holds; else it is in force unless a gate blocks it.

    Without a champion the candidate is in force in any case.
    """
    failed = [m for m in candidate.measured if not m.passed]
    *most, last = [m.words for m in failed] or ["passes every gate"]
    fails = f"{'fails ' if failed else ''}{', '.join(most)}{' and ' if most else ''}{last}"
    if not candidate.model.card.customers:
        fails = "was fitted on nobody and passes no gate"
    elif candidate.model.knows_too_few:
        fails = f"was fitted on {candidate.model.card.customers} customers, too few to draw lines between"
    stays = f"the model of {candidate.champion_month} stays in force"
    elsewhere, waits = "", False
    if decision and decision.content != candidate.content:
        elsewhere, decision = f"; what {decision.by} decided was about another candidate", None
    in_force: Literal["candidate", "champion"] = "champion"
    if decision and decision.verdict == "promote":
        in_force, why = "candidate", f"{decision.by} promoted it ({decision.why}); it {fails}"
    elif candidate.champion_month is None:
        rejected = f"{decision.by} rejected it ({decision.why}), but it is " if decision else ""
        in_force, why = "candidate", f"{rejected}in force for want of another; it {fails}"
    elif decision:
        why = f"{decision.by} rejected it ({decision.why}); {stays}"
    elif not candidate.model.card.customers:
        why = f"it was fitted on nobody; {stays}"
    elif candidate.model.knows_too_few:
        why = f"it {fails}; {stays}"
    elif any(m.blocks for m in failed):
        why, waits = f"it {fails}; {stays} until a person decides", True
    else:
        in_force, why = "candidate", f"it {fails}" + (", which only warns" if failed else "")
    return Verdict(
        in_force=in_force,
        why=why + elsewhere,
        needs_person=waits,
        failed=tuple(dict.fromkeys(m.gate for m in failed)),
    )


def candidate_to_json(candidate: Candidate) -> str:
    """The candidate as JSON: the same bytes for the same candidate, sealed with a checksum."""
    return sealed(candidate.model_dump(mode="json"))


def candidate_from_json(text: str) -> Candidate:
    """The candidate that ``candidate_to_json`` wrote.

    Raises ValueError when the text is no JSON object, of another version, changed since it was written, or no
    candidate.
    """
    return unsealed(text, Candidate.model_validate, "candidate")


def stability_index(expected: Array, actual: Array) -> float:
    """The population stability index of two distributions over the same bins, given as shares.

    The sum over the bins of (actual - expected) * ln(actual / expected), where no share counts as less than
    1e-4 (Siddiqi, Credit Risk Scorecards, 2006; as a rule of thumb 0.1 is some drift and 0.25 is much).
    """
    e, a = np.maximum(expected, FLOOR), np.maximum(actual, FLOOR)
    return float(((a - e) * np.log(a / e)).sum())


def drift(deciles: Sequence[float], values: Array) -> float:
    """The population stability index of values against a distribution of which the deciles are known.

    ``deciles`` has the minimum, nine deciles and the maximum. The outer bins are open, and equal deciles make
    one bin. Whoever stands exactly on a decile counts on the side that makes the difference smaller: of equal
    customers (a third may have one order) the deciles tell only roughly how many there were.
    """
    edges, levels = np.array(deciles), np.linspace(0, 1, len(deciles))
    ordered = np.sort(values)
    below, up_to = (np.searchsorted(ordered, edges, side) / len(ordered) for side in ("left", "right"))
    reached = np.clip(levels, below, up_to)
    reached[0], reached[-1] = 0, 1
    inside_a_tie = (edges[1:-1] == edges[:-2]) & (edges[1:-1] == edges[2:])
    kept = np.flatnonzero(np.concatenate(([True], ~inside_a_tie, [True])))
    return stability_index(np.diff(levels[kept]), np.diff(reached[kept]))


def _obstacle(champion: FittedSegmentation, candidate: FittedSegmentation) -> str | None:
    """Why a champion could not stay in force in the candidate's stead."""
    if not champion.card.customers:
        return "it was fitted on nobody"
    if champion.knows_too_few:
        return f"it knew {champion.card.customers} customers, too few to draw lines between"
    if champion.method != candidate.method:
        return f"its method is {champion.method}, that of the settings {candidate.method}"
    if foreign := set(champion.card.segments) - set(candidate.parameters.segments):
        return f"it gives segments that the settings do not: {', '.join(sorted(foreign))}"
    return None


def _smallest_share(candidate: FittedSegmentation, champion: FittedSegmentation | None) -> float:
    """The smallest share among the segments that have customers, or had MATERIAL_SHARE of the champion's."""
    shares = {name: share for name, share in _shares(candidate).items() if share > 0}
    promised = _shares(champion) if champion else {}
    lost = any(share >= MATERIAL_SHARE and name not in shares for name, share in promised.items())
    return 0.0 if lost else min(shares.values())


def _shares(fitted: FittedSegmentation) -> Mapping[str, float]:
    return {name: size / fitted.card.customers for name, size in fitted.card.segments.items()}


def _refits(candidate: FittedSegmentation, customers: Snapshot) -> tuple[Sequence[float], dict[str, float]]:
    """How far refits on customers drawn with replacement agree with the candidate.

    The adjusted Rand index of each; and of each segment the mean Jaccard similarity to the likest segment of
    each refit (Hennig, Cluster-wise assessment of cluster stability, 2007). Of more than SAMPLE customers
    that many are drawn, and as many, evenly spread, are judged.
    """
    count = len(customers.values)
    size = min(count, SAMPLE)
    parameters = candidate.parameters
    if isinstance(candidate, FittedClusters):
        # whether `auto` would choose as many clusters again is not the question, and dear to answer
        parameters = parameters.model_copy(update={"clusters": len(candidate.clusters.names)})
    judged = _rows(customers, np.linspace(0, count - 1, size).round().astype(np.int64))
    own = assign(candidate, judged)
    found, likest = [], []
    for refit in range(REFITS):
        drawn = np.sort(np.random.default_rng([0, refit]).integers(count, size=size))
        again = parameters.fit(_rows(customers, drawn), 0, None, False)  # whose card nobody reads
        again = again.model_copy(update={"rhythm": candidate.rhythm})
        names = assign(again, judged)
        found.append(_agreement(own, names))
        likest.append(_likest(own, names))
    means = {name: rounded(float(np.mean([of[name] for of in likest]))) for name in likest[0]}
    return found, means


def _likest(own: Names, other: Names) -> dict[str, float]:
    """Of each own group the Jaccard similarity, shared / together, to the likest of the other groups."""
    ours, i = np.unique(own.astype(str), return_inverse=True)
    theirs, j = np.unique(other.astype(str), return_inverse=True)
    shared = np.zeros((len(ours), len(theirs)))
    np.add.at(shared, (i, j), 1)
    together = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    return dict(zip(ours.tolist(), (shared / together).max(axis=1).tolist(), strict=True))


def _changed(
    own: Names, before: Names, customers: Snapshot, champion: FittedSegmentation, earlier: Snapshot | None
) -> float:
    """The share of customers whom the champion puts where the candidate does neither now nor a month ago.

    A shop whose history is short grows in all features: last month's lines put everybody into the best
    segments, and a candidate that draws them anew leaves people where they stood.
    """
    moved = own != before
    if earlier is not None:
        then = dict(zip(earlier.ids, assign(champion, earlier), strict=True))
        moved &= np.array([then.get(who) != name for who, name in zip(customers.ids, own, strict=True)])
    return float(np.mean(moved))


def _rows(customers: Snapshot, positions: npt.NDArray[np.int64]) -> Snapshot:
    return Snapshot(values=customers.values[positions], lapsed=0, ids=customers.ids[positions])


def _agreement(one: Names, other: Names) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985): 1 for the same groups, about 0 for unrelated ones."""
    import pandas as pd
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(pd.factorize(one)[0], pd.factorize(other)[0]))


def _share_drift(champion: FittedSegmentation, candidate: FittedSegmentation) -> float:
    before, after = _shares(champion), _shares(candidate)
    names = sorted({*before, *after})
    return stability_index(*(np.array([shares.get(name, 0) for name in names]) for shares in (before, after)))
