"""Points to hold laws at: a machine as people write it, a model, a layout; and parts of an estimate by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from wellfed.catalog.calibration import bundled
from wellfed.catalog.model_names import model
from wellfed.hardware.machine import Machine
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.estimate import Estimate, Term
from wellfed.nouns.layout import CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.verbs import inputs

CARD = "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5200"
TWO_SOCKETS = "2x xeon platinum 8480+, 16x64GB ddr5-4800"
CHAT = Workload("chat", prompt_tokens=1024, output_tokens=256)


def request(
    on: str | Machine, name: str = "llama-3.1-8b", kind: str = "q4_k_m", load: Workload = CHAT, **layout: Any
) -> Request:
    """A model on a machine; keywords are the layout's, llama.cpp's unless they say otherwise."""
    built, quant = model(name), quantisation(kind)
    laid = Layout(**({"engine": Engine.LLAMA_CPP, "quantisation": quant.id} | layout))
    return Request(inputs.machine(on) if isinstance(on, str) else on, built, weights(built, quant), laid, load)


def on_cpu(on: str, name: str = "llama-3.1-8b", kind: str = "q4_k_m", load: Workload = CHAT, **layout: Any) -> Request:
    """The same without GPUs."""
    return request(on, name, kind, load, **({"gpus": 0, "offload": CPU_ONLY} | layout))


def hybrid(on: str, name: str = "deepseek-r1", kind: str = "q4_k_m", load: Workload = CHAT, **layout: Any) -> Request:
    """The same with the routed experts in RAM."""
    return request(on, name, kind, load, **({"offload": EXPERTS_ON_CPU} | layout))


def estimated(asked: Request) -> Estimate:
    """Under the bundled calibration."""
    return estimate(asked, bundled())


def planned(asked: Request) -> Plan:
    """The request as a plan, to be launched."""
    return Plan(asked.machine, asked.model, asked.weights, asked.layout, asked.workload, estimated(asked))


def part(terms: Iterable[Term], *names: str) -> float:
    """Seconds of the terms of these names; there must be some."""
    chosen = [term.seconds for term in terms if term.name in names]
    assert chosen, names
    return sum(chosen)


def decode_s(asked: Request) -> float:
    """Seconds of an answer's token."""
    return estimated(asked).tpot_s.value


def prefill_s(asked: Request) -> float:
    """Seconds of a whole prompt."""
    return sum(term.seconds for term in estimated(asked).prefill)


def with_load(asked: Request, **changes: Any) -> Request:
    """Another workload."""
    return replace(asked, workload=replace(asked.workload, **changes))


def with_layout(asked: Request, **changes: Any) -> Request:
    """Another layout."""
    return replace(asked, layout=replace(asked.layout, **changes))
