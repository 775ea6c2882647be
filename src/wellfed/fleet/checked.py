"""A fleet as it was checked: nodes, builds, faults."""

from __future__ import annotations

from dataclasses import field

from wellfed.fleet.kinds import Build, Member
from wellfed.fleet.network import Network
from wellfed.frozen import dataclass
from wellfed.message import Message
from wellfed.nouns.finding import Cost, Finding, Verdict

FAULTS = (Verdict.FAIL, Verdict.WARN)
_SLOWER = 0.99  # of the usual speed: what is below is told


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of a fleet as it was read: its traits and findings; `why` it could not be read."""

    label: str
    member: Member | None = None
    findings: tuple[Finding, ...] = ()
    why: Message | None = None
    notes: tuple[str, ...] = ()  # what is missing of its snapshot
    decode_tok_s: float | None = None  # of the fleet's model on it, or a group like it; None: not priced, or unfit
    best_tok_s: float | None = None  # the same with its faults mended


@dataclass(frozen=True, slots=True)
class Fault:
    """One check's complaint over the fleet: on how many machines, and what it costs each for the model."""

    id: str
    verdict: Verdict
    why: str
    labels: tuple[str, ...]
    cost: Cost | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """So many nodes that one copy of the model spans, and the network between them (None: as the nodes' ports are)."""

    nodes: int
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class Slow:
    """A machine that is slower than its build: a group that it is in waits for it at each step."""

    node: Node
    usual_tok_s: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet as it was checked. `group`: speeds are of so many nodes like each, not of each alone."""

    nodes: tuple[Node, ...]
    builds: tuple[Build, ...]
    faults: tuple[Fault, ...]
    model: str | None = None
    names: dict[str, str] = field(default_factory=dict)  # label -> the node's own name, where it is known here
    group: Group | None = None

    @property
    def unread(self) -> tuple[Node, ...]:
        """Nodes without a snapshot that could be read."""
        return tuple(node for node in self.nodes if node.member is None)

    @property
    def slow(self) -> tuple[Slow, ...]:
        """Machines slower than their build usually is, the slowest first; none where speeds are not told."""
        rates = {node.label: node for node in self.nodes if node.decode_tok_s is not None}
        slow_nodes = []
        for build in self.builds:
            rated = sorted((rates[label] for label in build.labels if label in rates), key=_rate)
            usual = _rate(rated[len(rated) // 2]) if len(rated) > 1 else 0.0
            slow_nodes += [Slow(node, usual) for node in rated if _rate(node) < _SLOWER * usual]
        return tuple(sorted(slow_nodes, key=lambda slow: _rate(slow.node) / slow.usual_tok_s))


def _rate(node: Node) -> float:
    return node.decode_tok_s or 0.0
