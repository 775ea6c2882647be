"""Requests for local engines on GPUs, from catalogue parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from wellfed.catalog.hardware import gpu as gpu_spec
from wellfed.catalog.model_names import model
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.parts import GpuSpec
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload

MakeRequest = Callable[..., Request]


@pytest.fixture(scope="session")
def make_request() -> MakeRequest:
    """A request from names: model, quantisation, GPU (name or spec), count, workload and layout fields."""

    def make(
        model_name: str = "llama-3-8b",
        kind: str = "q4_k_m",
        gpu: str | GpuSpec = "RTX 4090",
        count: int = 1,
        workload: Workload | None = None,
        **layout: object,
    ) -> Request:
        spec = gpu_spec(gpu) if isinstance(gpu, str) else gpu
        found, quant = model(model_name), quantisation(kind)
        machine = Machine("test", Origin.PARTS, gpus=tuple(Gpu(i, spec, spec.name) for i in range(count)))
        asked = replace(Layout(Engine.LLAMA_CPP, quant.id, gpus=count), **layout)  # type: ignore[arg-type]
        load = workload or Workload(prompt_tokens=1024, output_tokens=256)
        return Request(machine, found, weights(found, quant), asked, load)

    return make
