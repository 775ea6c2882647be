"""The verbs that measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import sentence

if TYPE_CHECKING:
    from wellfed.asking.address import Address
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
    timeout_s: float = 600.0  # of one request


def memory(machine: Machine, array_bytes: int, say: Told = lambda _: None) -> MemoryReport:
    """DRAM bandwidth of this machine."""
    from wellfed.bench.memory import measure

    return measure(machine, array_bytes, progress=say)


def link(machine: Machine, say: Told = lambda _: None) -> list[Copy]:
    """Host-device copies. Raises NoGpu with the reason when there is nothing to measure."""
    from wellfed.bench.link import measure

    return measure(machine, progress=say)


def engine(
    url: str,
    options: EngineOptions,
    say: Told = lambda _: None,
    step: Callable[[int, int], None] = lambda *_: None,
) -> list[Measurement]:
    """Each concurrency in turn against an OpenAI-compatible endpoint. Raises WellfedError when nothing answers."""
    from wellfed.asking.address import Address
    from wellfed.bench.load import Scenario, Target, measure
    from wellfed.launch.state import key_at

    base = url.rstrip("/").removesuffix("/v1")
    address = Address(base, options.api_key or key_at(base))
    target = Target(address, options.model or first_model(address))
    measurements = []
    for users in options.concurrency:
        scenario = Scenario(
            users, options.prompt, options.output, options.requests, seed=options.seed, timeout_s=options.timeout_s
        )
        say(
            sentence(
                "measuring.time-requests",
                "{target}: {users} at a time, {count} requests",
                target=target.model,
                users=users,
                count=scenario.count,
            )
        )
        measurements.append(measure(target, scenario, step, say))
    return measurements


def first_model(address: Address) -> str:
    """The first model an endpoint lists. Raises WellfedError when it lists none."""
    from wellfed.asking.address import AskingError, Trouble
    from wellfed.asking.document import served_models
    from wellfed.errors import WellfedError
    from wellfed.message import message

    try:
        return served_models(address)[0]
    except AskingError as error:
        hint = sentence("measuring.name-model-model", "name the model with --model, and check the address and the key")
        if error.trouble is Trouble.KEY:
            hint = sentence("measuring.give-key-variable", "give its key in the variable WELLFED_API_KEY")
        problem = message("bench.no-models", "{url} lists no models: {why}", url=address.root, why=str(error))
        raise WellfedError(problem, hint) from error
