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

from wellfed.fleet.history import CauseSpan, Change, Drift, FactChange, FactDifference, History, Replica, Silence
from wellfed.fleet.level import LEAST_POINTS, LOAD_STEP, Point, levels, shifts, slope
from wellfed.frozen import dataclass

_POINTS = 480  # of a replica at most
_LEAST_BUCKET_S = 60.0
_AROUND_S = 1800.0  # a fact is read again every ten minutes
_RECENT_S = 3600.0  # "lately"
_DAY_S = 86400.0
_LEAST_LIKE = 3  # replicas of one kind, below which none is called slower than its like (assumed)
_USUAL = 0.6  # share of a kind's replicas that make a fact's value the usual one (assumed)
GONE = "-"


@dataclass(slots=True)
class _ReplicaRows:
    """What the store holds of one replica in the span of time that is compared."""

    node: str
    target: str
    points: list[Point] = field(default_factory=list)
    planned: float | None = None
    last_at: float | None = None  # when it was heard last
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
    replicas_read = _every_replica(store, since, until)
    for replica in replicas_read:
        replica.by_load = slope(replica.points)
    groups: dict[tuple[str, ...], list[_ReplicaRows]] = defaultdict(list)
    for replica in replicas_read:
        groups[replica.kind].append(replica)
    like = {kind: _Like.of(members, until) for kind, members in groups.items()}
    replicas = tuple(
        _replica(replica, like[replica.kind], until) for replica in replicas_read if not nodes or replica.node in nodes
    )
    silences = tuple(replica for replica in _silences(store, since) if not nodes or replica.node in nodes)
    return History(since, until, replicas, _drifts(replicas_read), silences)


def _every_replica(store: sqlite3.Connection, since: float, until: float) -> list[_ReplicaRows]:
    """Every replica that was heard since."""
    bucket_s = max(_LEAST_BUCKET_S, (until - since) / _POINTS)
    replicas = []
    for id, node, target in store.execute("SELECT id, node, target FROM replica ORDER BY node, target").fetchall():
        replica = _ReplicaRows(node, target)
        _figures(store, id, replica, since, until, bucket_s)
        _facts(store, id, replica, since, until)
        replica.causes = [
            CauseSpan(*row)
            for row in store.execute(
                "SELECT id, kind, since, until FROM cause WHERE replica = ? AND since <= ? "
                "AND (until IS NULL OR until >= ?) ORDER BY since",
                (id, until, since),
            )
        ]
        if replica.last_at is not None:
            replicas.append(replica)
    return replicas


def _figures(
    store: sqlite3.Connection, id: int, replica: _ReplicaRows, since: float, until: float, bucket_s: float
) -> None:
    rows = store.execute(
        "SELECT at, user_tok_s, running, probe_tok_s, planned_tok_s FROM sample "
        "WHERE replica = ? AND at >= ? AND at <= ? ORDER BY at",
        (id, since, until),
    ).fetchall()
    if not rows:
        return
    replica.last_at = rows[-1][0]
    replica.planned = next((row[4] for row in reversed(rows) if row[4]), None)
    engine_tells = any(row[1] for row in rows)
    by_bucket: dict[int, list[tuple[float, float | None]]] = defaultdict(list)
    for at, user, running, probe, _ in rows:
        speed = user if engine_tells else probe
        if speed and speed > 0:
            by_bucket[int(at // bucket_s)].append((speed, running if engine_tells else None))
    for bucket, pairs in sorted(by_bucket.items()):
        running = [count for _, count in pairs if count is not None]
        middle = median(running) if running else None
        replica.points.append(Point(bucket * bucket_s, median(speed for speed, _ in pairs), middle))


def _facts(store: sqlite3.Connection, id: int, replica: _ReplicaRows, since: float, until: float) -> None:
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
            replica.changed.append(FactChange(begun, subject, name, earlier[0] if earlier else None, value))
        before[key] = (value, ended)
    for key, (value, ended) in before.items():
        if ended is None or ended > until:
            replica.facts[key] = value
        elif ended >= since:
            replica.changed.append(FactChange(ended, *key, value, None))
    replica.changed.sort(key=lambda change: change.at)


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
    def of(cls, members: Sequence[_ReplicaRows], until: float) -> _Like:
        slopes = [member.by_load for member in members if member.by_load is not None]
        by_load = median(slopes) if slopes else None
        lately = {id(member): level for member in members if (level := _lately(member, by_load, until)) is not None}
        return cls(by_load, lately, _usual([member.facts for member in members if member.facts]))

    def against(self, replica: _ReplicaRows) -> tuple[float | None, int]:
        """A replica's speed over the median of the others', at the same load, and how many those are; None where they
        are too few, or their loads cannot be compared.
        """
        own_level = self.lately.get(id(replica))
        peer_levels = [level for key, level in self.lately.items() if key != id(replica)]
        if own_level is None or len(peer_levels) < _LEAST_LIKE - 1:
            return None, len(peer_levels)
        if self.by_load is None and abs(own_level[1] - median(load for _, load in peer_levels)) > LOAD_STEP:
            return None, len(peer_levels)
        return exp(own_level[0] - median(level for level, _ in peer_levels)), len(peer_levels)

    def differences(self, facts: dict[tuple[str, str], str]) -> tuple[FactDifference, ...]:
        """Where a machine's facts are not the usual ones."""
        pairs = ((key, facts.get(key), usual) for key, usual in sorted(self.usual.items())) if facts else ()
        return tuple(FactDifference(*key, here, usual) for key, here, usual in pairs if here != usual)


def _usual(facts: Sequence[dict[tuple[str, str], str]]) -> dict[tuple[str, str], str | None]:
    """Of each fact the value that most have, where most have one; None: most do not have it."""
    usual_values: dict[tuple[str, str], str | None] = {}
    for key in {key for replica_facts in facts for key in replica_facts}:
        value, most = Counter(replica_facts.get(key) for replica_facts in facts).most_common(1)[0]
        if most >= _USUAL * len(facts):
            usual_values[key] = value
    return usual_values


def _replica(rows: _ReplicaRows, like: _Like, until: float) -> Replica:
    recent = [point.speed for point in rows.points if point.at > until - _RECENT_S]
    of_like, peers = like.against(rows)
    lately = {c.id for c in rows.causes if c.kind == "ill" and (c.until is None or c.until > until - _RECENT_S)}
    return Replica(
        rows.node,
        rows.target,
        rows.facts.get(("engine", "model")),
        median(recent) if recent else None,
        rows.planned,
        of_like,
        peers,
        _changes(rows),
        like.differences(rows.facts) if peers >= _LEAST_LIKE - 1 else (),
        tuple(sorted(lately)),
        rows.last_at,
    )


def _changes(rows: _ReplicaRows) -> tuple[Change, ...]:
    level_shifts = shifts(rows.points, rows.by_load)
    changes = []
    for number, shift in enumerate(level_shifts):
        begin = level_shifts[number - 1].at if number else float("-inf")
        end = level_shifts[number + 1].at if number + 1 < len(level_shifts) else float("inf")
        before = median(point.speed for point in rows.points if begin <= point.at < shift.at)
        first, last = shift.last - _AROUND_S, shift.at + _AROUND_S
        facts = tuple(change for change in rows.changed if first <= change.at <= last)
        causes = {c.id for c in rows.causes if c.kind == "ill" and first <= c.since <= last and _lasts(c, shift.at)}
        is_last = end == float("inf")
        changes.append(
            Change(shift.at, shift.ratio, before, before * shift.ratio, facts, tuple(sorted(causes)), is_last)
        )
    return tuple(changes)


def _lasts(cause: CauseSpan, at: float) -> bool:
    """Longer than a passing wave of load."""
    return cause.until is None or cause.until - max(cause.since, at) >= _AROUND_S / 3


def _lately(rows: _ReplicaRows, by_load: float | None, until: float) -> tuple[float, float] | None:
    recent = [point for point in rows.points if point.at > until - _RECENT_S]
    if len(recent) < LEAST_POINTS:
        return None
    return median(levels(recent, by_load)), median(point.load for point in recent)


def _drifts(read: Iterable[_ReplicaRows]) -> tuple[Drift, ...]:
    """Changes of one fact from one value to another, over all replicas that made them."""
    groups: dict[tuple[str, str, str], dict[int, tuple[_ReplicaRows, float]]] = defaultdict(dict)
    for replica in read:
        for change in replica.changed:
            if change.before is not None and change.after is not None:
                key = (change.name, change.before, change.after)
                groups[key].setdefault(id(replica), (replica, change.at))
    drifts = []
    for (name, before, after), members in groups.items():
        ratios = [ratio for replica, at in members.values() if (ratio := _around(replica, at)) is not None]
        first = min(at for _, at in members.values())
        middle = median(ratios) if ratios else None
        drifts.append(Drift(name, before, after, len(members), first, middle, len(ratios)))
    return tuple(sorted(drifts, key=lambda drift: (-drift.replicas, drift.first)))


def _around(rows: _ReplicaRows, at: float) -> float | None:
    """The day after a change over the day before, at the same load; None where one of them is too thin."""
    before = [point for point in rows.points if at - _DAY_S <= point.at < at - _LEAST_BUCKET_S]
    after = [point for point in rows.points if at <= point.at <= at + _DAY_S]
    if min(len(before), len(after)) < LEAST_POINTS:
        return None
    loads = [median(point.load for point in side) for side in (before, after)]
    if rows.by_load is None and abs(loads[1] - loads[0]) > LOAD_STEP:
        return None
    return exp(median(levels(after, rows.by_load)) - median(levels(before, rows.by_load)))
