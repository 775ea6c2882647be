"""The network between nodes: rails of a node, and what is left of them above a leaf switch.

`400g x8 rails, 2:1, 16 a leaf`: each node has eight ports of 400 Gb/s; sixteen nodes share a leaf (or, with rails, a
group of rail switches), where all of it can be used; above, half of it. How many nodes a leaf has is often not known:
then a group of several nodes is taken to cross leaves, which is said.
"""

from __future__ import annotations

import re

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import Message, message
from wellfed.written.settings import network_bytes_per_s

_RAILS = re.compile(r"(.*?)\s*[x×]\s*(\d{1,2})(?:\s*rails?)?", re.IGNORECASE)
_LEADING = re.compile(r"(\d{1,2})\s*rails?\s*(?:of|x|×)?\s*(.*)", re.IGNORECASE)
_SUBSCRIBED = re.compile(r"(\d{1,2}(?:\.\d+)?)\s*:\s*1(?:\s*oversubscri\w+)?", re.IGNORECASE)
_LEAF = re.compile(r"(?:leaf\s*(?:of\s*)?(\d{1,4})|(\d{1,4})\s*(?:nodes?\s*)?(?:a|per)\s*leaf)", re.IGNORECASE)
_MOST_RAILS = 32


@dataclass(frozen=True, slots=True)
class Network:
    """`bytes_per_s` of a node's ports together, one direction; `subscribed` 2.0: half of it above a leaf."""

    bytes_per_s: float
    rails: int = 1
    subscribed: float = 1.0
    leaf_nodes: int | None = None

    def between(self, nodes: int) -> float:
        """What one node can send to the others of a group of so many."""
        inside = self.leaf_nodes is not None and nodes <= self.leaf_nodes
        return self.bytes_per_s if inside else self.bytes_per_s / self.subscribed

    @property
    def assumed(self) -> Message | None:
        """What is taken for granted where a leaf's size is not told."""
        if self.subscribed <= 1 or self.leaf_nodes is not None:
            return None
        return message("rails.assumed", "how many nodes a leaf switch has is not told: groups of nodes are taken to "
                       "cross leaves, with a {share} of their ports", share=f"1/{self.subscribed:g}")  # fmt: skip


def network(text: str) -> Network:
    """Of what was written: a rate as `400Gb`, `8x400Gb` or `400g x8 rails`, then `2:1` and `16 a leaf` in any order.

    Raises BadInput for anything else.
    """
    first, *parts = [part.strip() for part in text.split(",")]
    parsed = _rate(first)
    for part in parts:
        subscribed, leaf = _SUBSCRIBED.fullmatch(part), _LEAF.fullmatch(part)
        if subscribed and float(subscribed[1]) >= 1:
            parsed = Network(parsed.bytes_per_s, parsed.rails, float(subscribed[1]), parsed.leaf_nodes)
        elif leaf and int(leaf[1] or leaf[2]) >= 1:
            parsed = Network(parsed.bytes_per_s, parsed.rails, parsed.subscribed, int(leaf[1] or leaf[2]))
        else:
            raise BadInput(
                message("rails.bad", "{part} is nothing that a network has", part=repr(part)),
                message("rails.bad.hint", "such as --network '400g x8 rails, 2:1, 16 a leaf'"),
            )
    return parsed


def _rate(text: str) -> Network:
    match = _LEADING.fullmatch(text)
    count, rate = (match[1], match[2]) if match else ("1", text)
    trailing = None if match else _RAILS.fullmatch(text)
    if trailing and re.search(r"[a-z]", trailing[1], re.IGNORECASE):
        count, rate = trailing[2], trailing[1]
    rails = int(count)
    if not 1 <= rails <= _MOST_RAILS:
        raise BadInput(message("rails.count", "{count} rails: from 1 to {most}", count=rails, most=_MOST_RAILS))
    return Network(rails * network_bytes_per_s(rate), rails)
