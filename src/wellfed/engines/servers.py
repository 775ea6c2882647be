"""Copies of a model over machines: equal servers that share no machine, each with its copies.

SGLang refuses data-parallel copies over several machines ("multi-node data parallel is not supported unless dp
attention", srt/server_args.py), and vLLM's divide the experts of a mixture among themselves (vLLM documentation, data
parallel deployment: expert layers form a group of DP x TP): whole copies are servers of their own.
"""

from __future__ import annotations

from wellfed.engines.capabilities import CAPABILITIES
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Machine
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.nouns.layout import Layout


@dataclass(frozen=True, slots=True)
class Servers:
    """`count` equal servers, each over `nodes` machines, each with `copies` of the model."""

    count: int = 1
    nodes: int = 1
    copies: int = 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever starts them must know."""
        if self.count == 1:
            return ()
        if self.nodes == 1:
            text = "{count} equal servers, each on a machine of its own: put a load balancer before them"
            return (sentence("servers.balancer", text, count=self.count),)
        text = "{count} equal servers, each on {nodes} machines of its own: put a load balancer before them"
        return (sentence("servers.balancer-groups", text, count=self.count, nodes=self.nodes),)


def servers(machine: Machine, layout: Layout) -> Servers:
    """The servers that a layout is started as: one for as many whole machines as a copy takes."""
    copy = layout.tensor_parallel * layout.pipeline_parallel
    per_node = max(1, len(machine.gpus))
    if machine.count == 1 or layout.gpus <= per_node:
        return Servers(copies=layout.data_parallel)
    used = -(-layout.gpus // per_node)
    nodes = -(-copy // per_node)
    if used % nodes or layout.data_parallel % (used // nodes):
        return Servers(nodes=used, copies=layout.data_parallel)
    return Servers(used // nodes, nodes, layout.data_parallel // (used // nodes))


def shares_experts(layout: Layout, model: Model) -> bool:
    """Whether copies inside a server are none: they divide the experts, and each attends for users of its own."""
    return model.is_moe and CAPABILITIES[layout.engine].copies_share_experts


def as_served(layout: Layout, machine: Machine, model: Model) -> Layout:
    """The layout as its engine runs it: copies that share experts are groups of attention in one tensor group."""
    server_set = servers(machine, layout)
    if server_set.copies == 1 or layout.attention_data_parallel > 1 or not shares_experts(layout, model):
        return layout
    ranks = layout.tensor_parallel * server_set.copies
    return replace(
        layout,
        tensor_parallel=ranks,
        data_parallel=server_set.count,
        attention_data_parallel=server_set.copies,
        expert_parallel=ranks if layout.expert_parallel > 1 else 1,
    )
