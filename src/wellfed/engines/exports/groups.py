"""How an engine's own distribution spans machines: what the first one runs, and what the others run.

vLLM forms a Ray cluster first; SGLang's ranks find each other at the first one's address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wellfed.engines.spec import LaunchSpec
from wellfed.errors import Unsupported
from wellfed.frozen import dataclass
from wellfed.nouns.layout import Engine

# Ray's head listens there by default; SGLang's documentation uses 20000 for --dist-init-addr.
_RAY_PORT, _DIST_PORT = 6379, 20000


@dataclass(frozen=True, slots=True)
class Group:
    """Shell words for the first machine's address, the number of machines, and this one's number."""

    head: str
    size: str
    rank: str


@dataclass(frozen=True, slots=True)
class Spanning:
    """Shell commands, from the words that serve the model."""

    first: Callable[[str, Group], str]
    other: Callable[[str, Group], str]


def _ray_head(words: str, group: Group) -> str:
    joined = f'until [ "$(ray status 2>/dev/null | grep -c \' node_\')" -ge "{group.size}" ]; do sleep 2; done'
    return f"ray start --head --port={_RAY_PORT} && {joined} && exec {words}"


def _ray_worker(_: str, group: Group) -> str:
    return f'until ray start --block --address="{group.head}:{_RAY_PORT}"; do sleep 2; done'


def _rank(words: str, group: Group) -> str:
    return f'exec {words} --node-rank "{group.rank}" --dist-init-addr "{group.head}:{_DIST_PORT}"'


_RAY, _RANKS = Spanning(_ray_head, _ray_worker), Spanning(_rank, _rank)
LAUNCHES: Mapping[Engine, Spanning] = {Engine.VLLM: _RAY, Engine.SGLANG: _RANKS, Engine.KTRANSFORMERS: _RANKS}


def spanning(spec: LaunchSpec) -> Spanning:
    """How this engine spans machines. Raises Unsupported for one that cannot."""
    if spec.engine not in LAUNCHES:
        raise Unsupported(f"{spec.engine} does not span machines", "plan for one, or with vllm or sglang")
    return LAUNCHES[spec.engine]
