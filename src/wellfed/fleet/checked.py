"""A fleet as it was checked: nodes, builds, faults."""

from __future__ import annotations

from dataclasses import field

from wellfed.fleet.kinds import Build, Member
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
    decode_tok_s: float | None = None  # of the fleet's model on this machine as it is; None: not priced, or unfit
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
class Fleet:
    """A fleet as it was checked."""

    nodes: tuple[Node, ...]
    builds: tuple[Build, ...]
    faults: tuple[Fault, ...]
    model: str | None = None
    names: dict[str, str] = field(default_factory=dict)  # label -> the node's own name, where it is known here

    @property
    def unread(self) -> tuple[Node, ...]:
        """Nodes without a snapshot that could be read."""
        return tuple(node for node in self.nodes if node.member is None)

    @property
    def slowest(self) -> Node | None:
        """The machine that a group over several machines waits for; None where speeds are not told or all equal."""
        rated = [node for node in self.nodes if node.decode_tok_s is not None]
        if len(rated) < 2:
            return None
        slow = min(rated, key=lambda node: node.decode_tok_s or 0.0)
        usual = sorted(node.decode_tok_s or 0.0 for node in rated)[len(rated) // 2]
        return slow if (slow.decode_tok_s or 0.0) < _SLOWER * usual else None
