"""A fleet's history compared: who changed its speed, when, what changed with it, and who is slower than its like.

Speeds are of one running sequence (where the engine does not tell, of a probe), as medians of equal stretches of time,
and compared at the same load (`fleet.level`). What is said to be why is what changed at that time or differs from the
others: a fact of the machine, or a cause that the node's own watch names. Nothing else is claimed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import field
from math import exp
from statistics import median

from wellfed.fleet.level import LEAST_POINTS, LOAD_STEP, Point, levels, shifts, slope
from wellfed.frozen import dataclass

_POINTS = 480  # of a replica at most
_LEAST_BUCKET_S = 60.0
_AROUND_S = 1800.0  # a fact is read again every ten minutes
_RECENT_S = 3600.0
_DAY_S = 86400.0
_LEAST_LIKE = 3
_USUAL = 0.6
SLOW, BELOW = 0.9, 0.7  # of its like; of its own promise
_DRIFT = 0.03
GONE = "-"


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact that has another value since `at`; None: it was not there, or is there no more."""

    at: float
    subject: str
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class CauseSpan:
    """A cause that a node's watch named; `until` None: it still does."""

    id: str
    kind: str
    since: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class FactDifference:
    """Where a replica's machine is not as those of its like usually are."""

    subject: str
    name: str
    here: str | None
    usual: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A replica whose speed changed at `at` by `ratio`, and what changed with it. `last`: the level still holds."""

    at: float
    ratio: float
    before_tok_s: float
    after_tok_s: float
    facts: tuple[FactChange, ...] = ()
    causes: tuple[str, ...] = ()
    last: bool = True

    @property
    def slower(self) -> bool:
        """Or faster."""
        return self.ratio < 1


@dataclass(frozen=True, slots=True)
class Replica:
    """One node's engine over the time asked for. None: too little was seen, or it served nobody."""

    node: str
    target: str
    model: str | None = None
    tok_s: float | None = None  # lately
    promised_tok_s: float | None = None
    of_like: float | None = None  # its speed over that of its like
    like: int = 0  # how many others there are
    changes: tuple[Change, ...] = ()
    differs: tuple[FactDifference, ...] = ()
    causes: tuple[str, ...] = ()  # faults named lately
    seen_s: float | None = None  # when it was last heard

    @property
    def slow(self) -> bool:
        """Slower than its like, or without like far below its own promise."""
        if self.of_like is not None:
            return self.of_like < SLOW
        return self.of_promise is not None and self.of_promise < BELOW

    @property
    def of_promise(self) -> float | None:
        """Its speed over the plan's for one user; only an engine that serves few at once can reach it."""
        return self.tok_s / self.promised_tok_s if self.tok_s is not None and self.promised_tok_s else None


@dataclass(frozen=True, slots=True)
class Drift:
    """A change of a fact on several replicas (a driver, a BIOS), and what their speeds did in the day after."""

    name: str
    before: str
    after: str
    replicas: int
    first: float
    ratio: float | None  # median of those that served before and after; None: none did
    compared: int = 0

    @property
    def counts(self) -> bool:
        """Whether the speeds differ."""
        return self.ratio is not None and abs(self.ratio - 1) >= _DRIFT


@dataclass(frozen=True, slots=True)
class Silence:
    """A node that did not answer; `until` None: it still does not."""

    node: str
    trouble: str
    why: str
    since: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What the store says of the time from `since` to `until`."""

    since: float
    until: float
    replicas: tuple[Replica, ...]
    drifts: tuple[Drift, ...]
    silences: tuple[Silence, ...]

    @property
    def silent(self) -> tuple[Silence, ...]:
        """Nodes that do not answer at its end."""
        return tuple(each for each in self.silences if each.until is None)

    @property
    def complaints(self) -> bool:
        """Whether anything is slower than it was or than its like, or silent."""
        slower = any(c.slower and c.last for replica in self.replicas for c in replica.changes)
        return slower or bool(self.silent) or any(replica.slow for replica in self.replicas)


@dataclass(slots=True)
class _Read:
    """A replica's rows."""

    node: str
    target: str
    points: list[Point] = field(default_factory=list)
    planned: float | None = None
    seen: float | None = None
    facts: dict[tuple[str, str], str] = field(default_factory=dict)  # as they are at the end
    changed: list[FactChange] = field(default_factory=list)
    causes: list[CauseSpan] = field(default_factory=list)
    by_load: float | None = None

    @property
    def kind(self) -> tuple[str, ...]:
        """Replicas of one kind should be equally fast."""
        facts = self.facts
        gpus = Counter(value for (_, name), value in facts.items() if name == "gpu")
        engine = (facts.get(("engine", "model"), self.target), facts.get(("engine", "engine"), "?"))
        cpus = sorted(value for (_, name), value in facts.items() if name == "cpu")
        return (*engine, gpus.most_common(1)[0][0] if gpus else GONE, *cpus)


def compare(store: sqlite3.Connection, since: float, until: float, nodes: Sequence[str] = ()) -> History:
    """Replicas of those nodes (none named: all) from `since` to `until`."""
    read = _all(store, since, until)
    for each in read:
        each.by_load = slope(each.points)
    groups: dict[tuple[str, ...], list[_Read]] = defaultdict(list)
    for each in read:
        groups[each.kind].append(each)
    like = {kind: _Like.of(members, until) for kind, members in groups.items()}
    replicas = tuple(_replica(each, like[each.kind], until) for each in read if not nodes or each.node in nodes)
    silences = tuple(each for each in _silences(store, since) if not nodes or each.node in nodes)
    return History(since, until, replicas, _drifts(read), silences)


def _all(store: sqlite3.Connection, since: float, until: float) -> list[_Read]:
    """Every replica that was heard since."""
    bucket_s = max(_LEAST_BUCKET_S, (until - since) / _POINTS)
    found = []
    for id, node, target in store.execute("SELECT id, node, target FROM replica ORDER BY node, target").fetchall():
        each = _Read(node, target)
        _figures(store, id, each, since, until, bucket_s)
        _facts(store, id, each, since, until)
        each.causes = [
            CauseSpan(*row)
            for row in store.execute(
                "SELECT id, kind, since, until FROM cause WHERE replica = ? AND since <= ? "
                "AND (until IS NULL OR until >= ?) ORDER BY since",
                (id, until, since),
            )
        ]
        if each.seen is not None:
            found.append(each)
    return found


def _figures(store: sqlite3.Connection, id: int, each: _Read, since: float, until: float, bucket_s: float) -> None:
    rows = store.execute(
        "SELECT at, user_tok_s, running, probe_tok_s, planned_tok_s FROM sample "
        "WHERE replica = ? AND at >= ? AND at <= ? ORDER BY at",
        (id, since, until),
    ).fetchall()
    if not rows:
        return
    each.seen = rows[-1][0]
    each.planned = next((row[4] for row in reversed(rows) if row[4]), None)
    told = any(row[1] for row in rows)
    held: dict[int, list[tuple[float, float | None]]] = defaultdict(list)
    for at, user, running, probe, _ in rows:
        speed = user if told else probe
        if speed and speed > 0:
            held[int(at // bucket_s)].append((speed, running if told else None))
    for bucket, pairs in sorted(held.items()):
        running = [count for _, count in pairs if count is not None]
        middle = median(running) if running else None
        each.points.append(Point(bucket * bucket_s, median(speed for speed, _ in pairs), middle))


def _facts(store: sqlite3.Connection, id: int, each: _Read, since: float, until: float) -> None:
    before: dict[tuple[str, str], tuple[str, float | None]] = {}
    rows = store.execute(
        "SELECT subject, name, value, since, until FROM fact WHERE replica = ? AND since <= ? ORDER BY since",
        (id, until),
    ).fetchall()
    first = rows[0][3] if rows else 0.0
    for subject, name, value, begun, ended in rows:
        key = (subject, name)
        earlier = before.get(key)
        if begun >= since and begun > first and (earlier is None or earlier[0] != value):
            each.changed.append(FactChange(begun, subject, name, earlier[0] if earlier else None, value))
        before[key] = (value, ended)
    for key, (value, ended) in before.items():
        if ended is None or ended > until:
            each.facts[key] = value
        elif ended >= since:
            each.changed.append(FactChange(ended, *key, value, None))
    each.changed.sort(key=lambda change: change.at)


def _silences(store: sqlite3.Connection, since: float) -> list[Silence]:
    rows = store.execute(
        "SELECT node, trouble, why, since, until FROM silence WHERE until IS NULL OR until >= ? ORDER BY since",
        (since,),
    )
    return [Silence(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Like:
    """Replicas of one kind: their levels lately with their loads, and the facts that most of them share."""

    by_load: float | None
    lately: dict[int, tuple[float, float]]  # id of what was read -> log speed, load
    usual: dict[tuple[str, str], str | None]

    @classmethod
    def of(cls, members: Sequence[_Read], until: float) -> _Like:
        slopes = [one.by_load for one in members if one.by_load is not None]
        by_load = median(slopes) if slopes else None
        lately = {id(one): level for one in members if (level := _lately(one, by_load, until)) is not None}
        return cls(by_load, lately, _usual([one.facts for one in members if one.facts]))

    def against(self, each: _Read) -> tuple[float | None, int]:
        """A replica's speed over the median of the others', at the same load, and how many those are; None where they
        are too few, or their loads cannot be compared.
        """
        own = self.lately.get(id(each))
        others = [level for key, level in self.lately.items() if key != id(each)]
        if own is None or len(others) < _LEAST_LIKE - 1:
            return None, len(others)
        if self.by_load is None and abs(own[1] - median(load for _, load in others)) > LOAD_STEP:
            return None, len(others)
        return exp(own[0] - median(level for level, _ in others)), len(others)

    def differences(self, facts: dict[tuple[str, str], str]) -> tuple[FactDifference, ...]:
        """Where a machine's facts are not the usual ones."""
        pairs = ((key, facts.get(key), usual) for key, usual in sorted(self.usual.items())) if facts else ()
        return tuple(FactDifference(*key, here, usual) for key, here, usual in pairs if here != usual)


def _usual(facts: Sequence[dict[tuple[str, str], str]]) -> dict[tuple[str, str], str | None]:
    """Of each fact the value that most have, where most have one; None: most do not have it."""
    found: dict[tuple[str, str], str | None] = {}
    for key in {key for one in facts for key in one}:
        value, most = Counter(one.get(key) for one in facts).most_common(1)[0]
        if most >= _USUAL * len(facts):
            found[key] = value
    return found


def _replica(each: _Read, like: _Like, until: float) -> Replica:
    recent = [point.speed for point in each.points if point.at > until - _RECENT_S]
    of_like, others = like.against(each)
    lately = {c.id for c in each.causes if c.kind == "ill" and (c.until is None or c.until > until - _RECENT_S)}
    return Replica(
        each.node,
        each.target,
        each.facts.get(("engine", "model")),
        median(recent) if recent else None,
        each.planned,
        of_like,
        others,
        _changes(each),
        like.differences(each.facts) if others >= _LEAST_LIKE - 1 else (),
        tuple(sorted(lately)),
        each.seen,
    )


def _changes(each: _Read) -> tuple[Change, ...]:
    found = shifts(each.points, each.by_load)
    changes = []
    for number, shift in enumerate(found):
        begin = found[number - 1].at if number else float("-inf")
        end = found[number + 1].at if number + 1 < len(found) else float("inf")
        before = median(point.speed for point in each.points if begin <= point.at < shift.at)
        first, last = shift.last - _AROUND_S, shift.at + _AROUND_S
        facts = tuple(change for change in each.changed if first <= change.at <= last)
        causes = {c.id for c in each.causes if c.kind == "ill" and first <= c.since <= last and _lasts(c, shift.at)}
        is_last = end == float("inf")
        changes.append(
            Change(shift.at, shift.ratio, before, before * shift.ratio, facts, tuple(sorted(causes)), is_last)
        )
    return tuple(changes)


def _lasts(cause: CauseSpan, at: float) -> bool:
    """Longer than a passing wave of load."""
    return cause.until is None or cause.until - max(cause.since, at) >= _AROUND_S / 3


def _lately(one: _Read, by_load: float | None, until: float) -> tuple[float, float] | None:
    recent = [point for point in one.points if point.at > until - _RECENT_S]
    if len(recent) < LEAST_POINTS:
        return None
    return median(levels(recent, by_load)), median(point.load for point in recent)


def _drifts(read: Iterable[_Read]) -> tuple[Drift, ...]:
    """Changes of one fact from one value to another, over all replicas that made them."""
    groups: dict[tuple[str, str, str], dict[int, tuple[_Read, float]]] = defaultdict(dict)
    for each in read:
        for change in each.changed:
            if change.before is not None and change.after is not None:
                key = (change.name, change.before, change.after)
                groups[key].setdefault(id(each), (each, change.at))
    found = []
    for (name, before, after), members in groups.items():
        ratios = [ratio for each, at in members.values() if (ratio := _around(each, at)) is not None]
        first = min(at for _, at in members.values())
        middle = median(ratios) if ratios else None
        found.append(Drift(name, before, after, len(members), first, middle, len(ratios)))
    return tuple(sorted(found, key=lambda drift: (-drift.replicas, drift.first)))


def _around(each: _Read, at: float) -> float | None:
    """The day after a change over the day before, at the same load; None where one of them is too thin."""
    before = [point for point in each.points if at - _DAY_S <= point.at < at - _LEAST_BUCKET_S]
    after = [point for point in each.points if at <= point.at <= at + _DAY_S]
    if min(len(before), len(after)) < LEAST_POINTS:
        return None
    loads = [median(point.load for point in side) for side in (before, after)]
    if each.by_load is None and abs(loads[1] - loads[0]) > LOAD_STEP:
        return None
    return exp(median(levels(after, each.by_load)) - median(levels(before, each.by_load)))
