"""Nodes of a fleet that are watched: real exporters in this process, whose figures a test writes round by round."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from wellfed.asking.address import Address
from wellfed.fleet.exporters import Exporter as Where
from wellfed.watching.diagnose import Cause, Diagnosis
from wellfed.watching.export import Exporter, listen
from wellfed.watching.facts import Fact
from wellfed.watching.registry import ALL
from wellfed.watching.rules.base import Sign
from wellfed.watching.trace import Promise
from wellfed.watching.view import EngineView, GpuView, View

RULES = {rule.id: rule for rule in ALL}
FACTS = (
    Fact("engine", "engine", "vllm"),
    Fact("engine", "model", "Qwen3-8B"),
    Fact("gpu0", "gpu", "A100 80GB"),
    Fact("gpu0", "link", "Gen4 x16"),
    Fact("system", "NVIDIA driver", "570.86"),
    Fact("system", "firmware", "2.7 03/05/2026"),
)


@dataclass
class Node:
    """One node: what its engine does for one user alone, and what its machine is."""

    exporter: Exporter
    name: str
    tok_s: float = 50.0
    running: float = 4.0
    facts: dict[tuple[str, str], str] = field(default_factory=lambda: {fact[:2]: fact[2] for fact in FACTS})
    causes: tuple[str, ...] = ()

    def tell(self, noise: random.Random) -> None:
        """The next page: each doubling of the requests costs a user a tenth."""
        running = self.running * noise.uniform(0.8, 1.25)
        user = self.tok_s * running**-0.15 * noise.gauss(1, 0.015)
        engine = EngineView("vllm", running=running, waiting=0.0, tok_s=user * running, idle=0.0)
        promised = Promise(50.0, 42.0, 58.0, "memory bandwidth")
        gpus = (GpuView(0, busy=0.9, clock_share=0.97),)
        seen = View(20.0, 20, 1.0, engine=engine, promise=promised, gpus=gpus)
        named = tuple(Cause(RULES[id], Sign(0.5, "gpu0", "as a test says", ())) for id in self.causes)
        self.exporter.facts = tuple(Fact(*key, value) for key, value in sorted(self.facts.items()))
        self.exporter.update("qwen", Diagnosis(seen, named))

    @property
    def where(self) -> Where:
        """As a list of nodes names it."""
        return Where(self.name, Address(self.exporter.url.removesuffix("/metrics")))


@contextmanager
def nodes(count: int) -> Iterator[Sequence[Node]]:
    """So many equal ones, each listening on a port of its own."""
    with ExitStack() as stack:
        yield [Node(stack.enter_context(listen(":0")), f"node{number}") for number in range(count)]


@dataclass
class Clock:
    """Time that passes when somebody sleeps."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """At once."""
        self.now += seconds
