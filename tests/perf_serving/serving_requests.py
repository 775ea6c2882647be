"""Requests to ask about: small sums of catalogue parts, so that a test says only what it varies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wellfed.accuracy.serving_machine import machine_of
from wellfed.catalog.calibration import bundled
from wellfed.catalog.hardware import gpu
from wellfed.catalog.model_names import model
from wellfed.hardware.machine import Machine
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload

CALIBRATION = bundled()


def request(
    name: str = "llama-3.1-70b",
    kind: str = "fp8",
    card: str = "H200 SXM",
    gpus: int = 8,
    engine: Engine = Engine.VLLM,
    clients: int = 16,
    prompt: int = 1024,
    output: int = 256,
    **layout: Any,
) -> Request:
    """One request; further keywords are the layout's. Tensor parallelism over all GPUs unless said otherwise."""
    built, quant = model(name), quantisation(kind)
    degrees = {"tensor_parallel": gpus, "gpus": gpus, "kv_type": "fp8", "batch_tokens": 8192, "max_sequences": 512}
    return Request(
        machine_of(gpu(card), gpus),
        built,
        weights(built, quant),
        Layout(engine, quant.id, **(degrees | layout)),
        Workload(concurrency=clients, prompt_tokens=prompt, output_tokens=output),
    )


def with_gpu(asked: Request, **changes: Any) -> Request:
    """The same request on cards whose data sheet reads otherwise."""
    cards = tuple(replace(card, spec=replace(card.spec, **changes)) for card in asked.machine.gpus if card.spec)
    machine: Machine = replace(asked.machine, gpus=cards)
    return replace(asked, machine=machine)
