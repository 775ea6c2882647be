"""Equal replicas of a plan as a value: what the exports of a fleet write down."""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.engines.exports.images import dns_label
from wellfed.engines.spec import LaunchSpec
from wellfed.fleet.replicas import Share
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """Replicas of one kind of node. `most`: as many as the nodes that there are could hold; `model`: as clients name
    it; `repository`: where its files are; `prefill`: workers that read the prompts of these, where they are apart.
    """

    name: str
    share: Share
    spec: LaunchSpec
    model: str
    repository: str
    prefill: ReplicaSet | None = None

    @property
    def replicas(self) -> int:
        """How many replicas the set has."""
        return self.share.replicas

    @property
    def most(self) -> int:
        """How many its nodes could hold."""
        return max(self.replicas, self.share.stock.count // self.share.capacity.nodes)

    @property
    def nodes(self) -> int:
        """Nodes of one replica."""
        return self.share.capacity.nodes

    @property
    def gpus_a_node(self) -> int:
        """GPUs of a replica on one of its nodes."""
        return -(-self.share.capacity.plan.layout.gpus // self.nodes)

    @property
    def gpus(self) -> Sequence[Gpu]:
        """The cards of one node."""
        return self.share.capacity.plan.machine.gpus

    @property
    def in_system(self) -> float:
        """Requests that one replica has at a time, running or waiting, at the rate that is its capacity (Little's law
        gives both from one estimate).
        """
        return self.share.capacity.plan.estimate.running


def named(model: str, number: int, count: int) -> str:
    """`qwen3-32b`, or `qwen3-32b-1` where there are several sets."""
    label = dns_label(model)[:55].rstrip("-")
    return label if count == 1 else f"{label}-{number}"
