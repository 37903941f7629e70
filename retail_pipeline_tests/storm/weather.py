"""A seeded storm of deliveries, and what of them counts in the end.

Belongs here: which file comes when, how, under which name, and the model of what counts, kept without the
project's code. Pure: the same seed, the same storm. Does not belong here: carrying it out (``run.py``).

The model is exact because an event that destroys what only the landing folder knew (a file removed, renamed,
or written over by a bad one) names what must have landed before it.
"""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from retail_pipeline_tests.shop import CUSTOMERS

COLUMNS = ("invoice_id", "product_id", "quantity", "unit_price", "sold_at", "customer_id", "currency")
SECOND = 1_000_000_000
IN_TIME = 1_711_929_600 * SECOND  # 2024-04-01: what was written in time, however late it comes
LATER = IN_TIME + 365 * 24 * 3600 * SECOND

Row = tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A source system: its header, what its files replace, how its invoices begin, who buys there."""

    header: tuple[str, ...]
    replaces: Literal["same_name", "same_days"] | None
    prefix: str
    buyers: Sequence[str]


SOURCES = {
    "till": Source(("order", "product", "units", "price", "at", "customer", "currency"), "same_name", "T",
                   CUSTOMERS),
    "web": Source(("bill", "article", "pieces", "each", "moment", "client", "money"), "same_days", "W",
                  CUSTOMERS[::2]),
    "wholesale": Source(("invoice", "sku", "qty", "net", "day", "firm", "cur"), None, "H", CUSTOMERS[1::2]),
}  # fmt: skip


@dataclass(frozen=True)
class File:
    """A file's content; the rows of each day that it gives if it is sound."""

    source: str
    content: bytes
    rows: Mapping[date, int]
    sound: bool = True

    @property
    def source_id(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


@dataclass(frozen=True)
class Event:
    """Something that happens to the landing folder, or that a person says.

    ``deliver`` renames a whole file into its place, ``write`` writes it there slowly, resting after each of
    ``pieces`` bytes. ``stamp`` is the time of last change it has then (None: as the file it is a copy of).
    ``before`` is what must have landed: contents, and where they must be known to lie.
    """

    does: Literal["deliver", "write", "copy", "move", "remove", "accept", "replace", "reject"]
    path: str = ""
    to: str = ""
    file: File | None = None
    stamp: int | None = None
    pieces: tuple[int, ...] = ()
    before: tuple[tuple[str, str | None], ...] = ()


@dataclass
class Weather:
    """The storm of a seed over some days. It knows at all times what lies in landing and what counts."""

    seed: int
    days: Sequence[date]
    chance: random.Random = field(init=False)
    outstanding: list[tuple[str, date]] = field(init=False)
    lying: dict[str, File] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)  # copy -> what it is a copy of
    doubtful: set[str] = field(default_factory=set)  # paths that the lake may know under another name
    bad: dict[str, File] = field(default_factory=dict)  # the bad file that came last under a name
    to_mend: list[str] = field(default_factory=list)
    of_day: dict[str, tuple[date, ...]] = field(default_factory=dict)
    earlier: dict[str, list[File]] = field(
        default_factory=dict
    )  # the good ones under a name that came before
    free: list[str] = field(default_factory=list)  # names of till files that were moved away
    till: dict[str, File] = field(default_factory=dict)  # by name: the last good one
    web: dict[str, File] = field(default_factory=dict)  # by name; of each day the latest stamp counts
    wholesale: dict[str, File] = field(default_factory=dict)
    weeks: dict[str, File] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, set[date]] = field(default_factory=dict)  # of a week: the days somebody rejected
    names: int = 0
    ticks: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        late = self.chance.gauss
        self.outstanding = sorted(
            ((source, day) for source in SOURCES for day in self.days),
            key=lambda one: one[1].toordinal() + abs(late(0, 12 if self.chance.random() < 0.3 else 1)),
        )

    # what happens

    def blow(self) -> Iterator[Event]:
        while True:
            yield self._next()

    def clear(self) -> Iterator[Event]:
        while self.outstanding:
            yield self._deliver()

    def _next(self) -> Event:
        kinds: list[tuple[int, Callable[[], Event | None]]] = [
            (30 if self.outstanding else 0, self._deliver),
            (8, self._mend),
            (12, self._correct_name),
            (12, self._correct_days),
            (7, self._copy),
            (5, self._remove_copy),
            (5, self._move),
            (4, self._remove),
            (3, self._deliver_week),
            (5, self._decide_week),
            (1, self._reject),
        ]
        while True:
            (act,) = self.chance.choices([act for _, act in kinds], [weight for weight, _ in kinds])
            if event := act():
                return event

    def _deliver(self) -> Event:
        source, day = self.outstanding.pop(0)
        path = self._name(source, f"{day}")
        stamp = IN_TIME + (day - self.days[0]).days * 60 * SECOND
        if source == "till" or (source == "web" and self.chance.random() < 0.4):
            stamp = self._now()
        return self._arrive(path, self._file(source, (day,), path, bad=0.12), stamp)

    def _mend(self) -> Event | None:
        if not self.to_mend:
            return None
        path = self.to_mend.pop(self.chance.randrange(len(self.to_mend)))
        source = self.bad[path].source
        stamp = self.stamps[path] + SECOND if source == "wholesale" else self._now()
        return self._arrive(path, self._file(source, self.of_day[path], path), stamp)

    def _correct_name(self) -> Event | None:
        path = self._pick(p for p, f in self.till.items() if self.lying.get(p, f) == f and self._alone(p))
        if path is None:
            return None
        before = self._known(path) if path in self.doubtful else ()
        file = self._file("till", self.of_day[path], path, bad=0.2)
        return self._arrive(path, file, self._now(), before if file.sound else self._known(path))

    def _correct_days(self) -> Event | None:
        start = self.chance.randrange(len(self.days))
        days = tuple(self.days[start : start + self.chance.randint(1, 4)])
        path = self._pick(
            p
            for p, f in self.web.items()
            if self.lying.get(p) == f and self._alone(p) and f.rows.keys() <= {*days}
        )
        if path is None or self.chance.random() < 0.6:
            path = self._name("web", f"korrektur {days[0]}")
        before = self._known(path) if path in self.doubtful else ()
        file = self._file("web", days, path, bad=0.15)
        return self._arrive(path, file, self._now(), before if file.sound else self._known(path))

    def _copy(self) -> Event | None:
        path = self._pick(p for p in self.lying if self._in_force(p))
        if path is None:
            return None
        file = self.lying[path]
        stamp = self.chance.choice((None, self._now()))
        if file.source == "wholesale" and self.chance.random() < 0.3:
            stamp = IN_TIME - 3600 * SECOND
        to = self._name(file.source, f"Kopie von {path.rpartition('/')[2].partition('.')[0]}", like=path)
        self.copies[to], self.lying[to] = path, file
        self.doubtful.add(path)
        return Event("copy", path, to=to, stamp=stamp)

    def _remove_copy(self) -> Event | None:
        path = self._pick(self.copies)
        if path is None:
            return None
        del self.copies[path], self.lying[path]
        return Event("remove", path)

    def _move(self) -> Event | None:
        path = self._pick(p for p in self.lying if self._in_force(p) and self._alone(p))
        if path is None:
            return None
        before = self._known(path)
        to = self._name(self.lying[path].source, "umbenannt", like=path)
        kept: tuple[dict[str, Any], ...] = (self.lying, self.stamps, self.of_day)
        for of_path in (*kept, self.till, self.web, self.wholesale):
            if path in of_path:
                of_path[to] = of_path.pop(path)
        self.earlier.pop(path, None)
        self.doubtful.add(to)
        if to in self.till and self.chance.random() < 0.5:
            self.free.append(path)
        return Event("move", path, to=to, before=before)

    def _remove(self) -> Event | None:
        path = self._pick(p for p in self.lying if self._in_force(p) and self._alone(p))
        if path is None:
            return None
        before = self._known(path)
        del self.lying[path]
        return Event("remove", path, before=before)

    def _deliver_week(self) -> Event | None:
        start = 7 * self.chance.randrange(len(self.days) // 7)
        days = tuple(self.days[start : start + 7])
        if any(set(days) & file.rows.keys() for file in self.weeks.values()):
            return None
        path = self._name("wholesale", f"week {start // 7}")
        file = self._file("wholesale", days, path)
        self.weeks[path] = self.lying[path] = file
        self.stamps[path] = self._now()
        return Event("deliver", path, file=file, stamp=self.stamps[path])

    def _decide_week(self) -> Event | None:
        path = self._pick(p for p in self.weeks if self._waits(p))
        if path is None:
            return None
        week = self.weeks[path]
        verdict: Literal["accept", "replace", "reject"] = self.chance.choice(("accept", "replace", "reject"))
        self.verdicts[path] = verdict
        self.left_out[path] = {*self._twins(week)} if verdict == "reject" else set()
        # it is said of the days that wait by then, so all that they wait for must be known
        first = (week.source_id, *(twin.source_id for twin in self._twins(week).values()))
        return Event(verdict, path, file=week, before=tuple((source_id, None) for source_id in first))

    def _reject(self) -> Event | None:
        path = self._pick(p for p in self.bad if p not in self.verdicts)
        if path is None:
            return None
        self.verdicts[path] = "reject"
        self.to_mend = [other for other in self.to_mend if other != path]
        return Event("reject", path, file=self.bad[path], before=((self.bad[path].source_id, None),))

    def _arrive(
        self, path: str, file: File, stamp: int, before: tuple[tuple[str, str | None], ...] = ()
    ) -> Event:
        in_force = {"till": self.till, "web": self.web, "wholesale": self.wholesale}[file.source]
        self.lying[path] = file
        self.of_day[path] = tuple(file.rows)
        self.verdicts.pop(path, None)
        if file.sound:
            self.bad.pop(path, None)
            self.stamps[path] = stamp
            if path in in_force:
                self.earlier.setdefault(path, []).append(in_force[path])
            in_force[path] = file
            self.doubtful.discard(path)
        else:
            self.bad[path] = file
            self.stamps.setdefault(path, stamp)
            if self.chance.random() < 0.7:
                self.to_mend.append(path)
        if file.source == "till" and self.chance.random() < 0.3:
            return Event("write", path, file=file, stamp=stamp, pieces=self._pieces(file), before=before)
        return Event("deliver", path, file=file, stamp=stamp, before=before)

    # what counts

    def counting(self) -> Mapping[tuple[str, date], int]:
        return {
            (file.source_id, day): file.rows[day]
            for _, file, _, days in self.counting_files()
            for day in days
        }

    def counting_files(self) -> Iterator[tuple[str, File, int, set[date]]]:
        """The files that count on any day: the name each has, what is in it, its time, its days."""
        for path, file in self.till.items():
            yield path, file, self.stamps[path], set(file.rows)
        latest: dict[date, str] = {}
        for path in sorted(self.web, key=lambda path: self.stamps[path]):
            latest.update(dict.fromkeys(self.web[path].rows, path))
        for path in dict.fromkeys(latest.values()):
            days = {day for day, of in latest.items() if of == path}
            yield path, self.web[path], self.stamps[path], days
        replaced = {
            day
            for path, week in self.weeks.items()
            if self.verdicts.get(path) == "replace"
            for day in week.rows
        }
        for path, file in self.wholesale.items():
            if days := file.rows.keys() - replaced:
                yield path, file, self.stamps[path], days
        for path, file in self.weeks.items():
            if days := file.rows.keys() - self._waits(path) - self.left_out.get(path, set()):
                yield path, file, self.stamps[path], days

    def waiting(self) -> Mapping[str, str]:
        """The files of which all or some days wait for a person, by source_id: their names."""
        undecided = {p: f for p, f in self.bad.items() if p not in self.verdicts}
        undecided |= {p: f for p, f in self.weeks.items() if self._waits(p)}
        return {file.source_id: path for path, file in undecided.items()}

    def _twins(self, week: File) -> dict[date, File]:
        return {day: file for file in self.wholesale.values() for day in file.rows if day in week.rows}

    def _waits(self, path: str) -> set[date]:
        """The days of a week that wait: a daily file has them, too, and nobody said what shall count.

        Days that somebody rejected are decided; those of daily files that came afterwards wait anew.
        """
        if self.verdicts.get(path) in ("accept", "replace"):
            return set()
        return self._twins(self.weeks[path]).keys() - self.left_out.get(path, set())

    # help

    def _in_force(self, path: str) -> bool:
        file = self.lying[path]
        ours = self.till.get(path) or self.web.get(path) or self.wholesale.get(path)
        return ours == file and path not in self.copies

    def _alone(self, path: str) -> bool:
        return path not in self.copies.values() and path not in self.copies

    def _known(self, path: str) -> tuple[tuple[str, str | None], ...]:
        if path not in self.lying or not self.lying[path].sound:
            return ()
        file = self.lying[path]
        return ((file.source_id, path if SOURCES[file.source].replaces else None),)

    def _pick(self, paths: Iterable[str]) -> str | None:
        found = sorted(paths)
        return self.chance.choice(found) if found else None

    def _now(self) -> int:
        self.ticks += 1
        return LATER + self.ticks * SECOND

    def _name(self, source: str, stem: str, like: str = "") -> str:
        """A name that was never used: plain, nested, or odd; packed as what it is a copy of."""
        if source == "till" and self.free and not like:
            return self.free.pop()
        self.names += 1
        folder = self.chance.choice(("", f"{source}/", f"{source}/2024/x y/", "-rf/", "Größe/ö/"))
        odd = self.chance.choice(
            ("{}", "{}", "-{}", " {} ", '{}\'s "best"', "{};drop table", "ζ{}…", "{}%20$A")
        )
        suffix = self.chance.choice((".csv", ".csv", ".CSV", ".csv.gz"))
        if like:
            suffix = ".csv.gz" if like.endswith(".gz") else ".csv"
        return f"{folder}{odd.format(f'{source} {stem} {self.names}')}{suffix}"

    def _file(self, source: str, days: Sequence[date], path: str, bad: float = 0) -> File:
        """A file of some days: sound, sometimes just as one that came before it under its name, or bad."""
        same_days = [f for f in self.earlier.get(path, ()) if f.rows.keys() == set(days)]
        if same_days and self.chance.random() < 0.25:
            return self.chance.choice(same_days)
        self.ticks += 1
        version = self.ticks if SOURCES[source].replaces else 0
        rows = {day: self._rows(source, day, version) for day in days}
        text = _csv(SOURCES[source].header, [row for of_day in rows.values() for row in of_day])
        content = gzip.compress(text, mtime=0) if path.endswith(".gz") else text
        counts = {day: len(of_day) for day, of_day in rows.items()}
        if self.chance.random() >= bad:
            return File(source, content, counts)
        if self.chance.random() < 0.4:
            kind = self.chance.choice((b"\x00\x01 rubbish %d", b"<html>502 bad gateway %d</html>\n"))
            return File(source, kind % self.ticks, counts, sound=False)
        if path.endswith(".gz"):
            return File(source, content[: len(content) // 2] + b"%d" % self.ticks, counts, sound=False)
        return File(source, self._cut(text), counts, sound=False)

    def _rows(self, source: str, day: date, version: int) -> list[Row]:
        """A day's lines; of each version at least one is another."""
        of, chance = SOURCES[source], random.Random(f"{self.seed} {source} {day}")
        buyers = [buyer for buyer in of.buyers if chance.random() < 0.6] or [of.buyers[0]]
        lines = [(buyer, product) for buyer in buyers for product in range(chance.randint(1, 3))]
        dearer = {0, *(self.chance.choices(range(len(lines)), k=2))} if version else set()
        return [
            (
                f"{of.prefix}{day:%m%d}-{buyer}",
                f"P{product}",
                f"{chance.choice((1, 2, 3, 5, 8))}",
                f"{chance.randint(1, 80)}.{version % 10_000 if n in dearer else 0:04d}",
                f"{day} {9 + product:02d}:15:00",
                buyer,
                "EUR",
            )
            for n, (buyer, product) in enumerate(lines)
        ]

    def _cut(self, text: bytes) -> bytes:
        """Cut in the midst of a line, behind its first field."""
        return text[: self.chance.choice(self._in_lines(text))]

    def _pieces(self, file: File) -> tuple[int, ...]:
        """Where the writer of a file rests: in the midst of lines, so that no piece looks whole."""
        places = self._in_lines(file.content)
        return tuple(sorted(self.chance.sample(places, min(3, len(places)))))

    def _in_lines(self, text: bytes) -> list[int]:
        starts = [n + 1 for n, byte in enumerate(text[:-1]) if byte == ord("\n")]
        return [found + 2 for start in starts if (found := text.find(b",", start)) > 0]


def _csv(header: Sequence[str], rows: Sequence[Row]) -> bytes:
    return "".join(",".join(row) + "\n" for row in (header, *rows)).encode()


def profiles() -> dict[str, object]:
    return {
        name: {
            "source_system": name,
            "columns": dict(zip(COLUMNS, source.header, strict=True)),
            "replaces": source.replaces,
        }
        for name, source in SOURCES.items()
    }
