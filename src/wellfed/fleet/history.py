"""What comes out when a fleet's history is compared: values, for `fleet.comparison` to fill and doors to render.

Times are seconds since the epoch, speeds tokens/s of one running sequence.
"""

from __future__ import annotations

from wellfed.frozen import dataclass

# From which a speed is complained of (assumed): as a share of that of its like, and of its own plan
SLOW, BELOW = 0.9, 0.7
_DRIFT = 0.03  # relative change of speed that a drifted fact must go with to be told (assumed)


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
        """Whether the speed fell; else it rose."""
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
        """Whether the speed changed by a share that is worth telling (`_DRIFT`)."""
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
        return tuple(silence for silence in self.silences if silence.until is None)

    @property
    def complaints(self) -> bool:
        """Whether anything is slower than it was or than its like, or silent."""
        slower = any(c.slower and c.last for replica in self.replicas for c in replica.changes)
        return slower or bool(self.silent) or any(replica.slow for replica in self.replicas)
