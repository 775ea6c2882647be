"""The verbs that measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellfed.hardware.machine import Machine

if TYPE_CHECKING:
    from wellfed.bench.link import Copy
    from wellfed.bench.load import Measurement
    from wellfed.bench.memory import MemoryReport

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What to send to an endpoint, at each of several concurrencies."""

    model: str | None = None  # None: the first that the endpoint lists
    concurrency: tuple[int, ...] = (1,)
    prompt: int = 512
    output: int = 128
    requests: int | None = None
    seed: int = 0
    api_key: str | None = None


def memory(machine: Machine, array_bytes: int, told: Told = lambda _: None) -> MemoryReport:
    """DRAM bandwidth of this machine."""
    from wellfed.bench.memory import measure

    return measure(machine, array_bytes, progress=told)


def link(machine: Machine, told: Told = lambda _: None) -> list[Copy]:
    """Host-device copies. Raises NoGpu with the reason when there is nothing to measure."""
    from wellfed.bench.link import measure

    return measure(machine, progress=told)


def engine(
    url: str,
    options: EngineOptions,
    told: Told = lambda _: None,
    step: Callable[[int, int], None] = lambda *_: None,
) -> list[Measurement]:
    """Each concurrency in turn against an OpenAI-compatible endpoint. Raises WellfedError when nothing answers."""
    from wellfed.bench.client import Target, first_model
    from wellfed.bench.load import Scenario, measure
    from wellfed.launch.state import key_at

    base = url.rstrip("/").removesuffix("/v1")
    key = options.api_key or key_at(base)
    model = options.model or first_model(base, key)
    target = Target(base, model, key)
    found = []
    for users in options.concurrency:
        scenario = Scenario(users, options.prompt, options.output, options.requests, seed=options.seed)
        told(f"{model}: {users} at a time, {scenario.count} requests")
        found.append(measure(target, scenario, step))
    return found
