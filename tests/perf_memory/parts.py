"""Small models, machines and requests to ask memory questions with."""

from __future__ import annotations

from wellfed.hardware.machine import Gpu, Machine, Origin, Socket
from wellfed.hardware.parts import GpuSpec, PeakRates
from wellfed.models.attention import FullAttention, LatentAttention
from wellfed.models.ffn import DenseFfn, MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.units import GB, GIB

LLAMA_8B = Model(
    "llama-3-8b", "Llama 3 8B", "llama", 4096, 128256, 8192, (Layer(FullAttention(32, 8, 128), DenseFfn(14336)),) * 32
)
GEMMA_LIKE = Model(
    "windows",
    "Windows",
    "gemma",
    2048,
    32000,
    131072,
    (Layer(FullAttention(16, 8, 128, window=1024), DenseFfn(8192)),) * 5
    + (Layer(FullAttention(16, 8, 128), DenseFfn(8192)),),
    tied_embeddings=True,
)
_MLA = LatentAttention(128, 512, 128, 64, 128, 1536)
DEEPSEEK_R1 = Model(
    "r1",
    "DeepSeek R1",
    "deepseek",
    7168,
    129280,
    163840,
    (Layer(_MLA, DenseFfn(18432)),) * 3 + (Layer(_MLA, MoeFfn(256, 8, 2048, 1, router_bias=True)),) * 58,
)


def spec(memory_gib: float, units: int = 100, vendor: str = "nvidia", unified: bool = False) -> GpuSpec:
    """A card of so many GiB."""
    return GpuSpec(
        id="card",
        name="Card",
        vendor=vendor,
        architecture="ada",
        form="pcie",
        memory_bytes=round(memory_gib * GIB),
        memory_bandwidth_bytes_per_s=1000 * GB,
        memory_type="GDDR6X",
        peak=PeakRates(),
        pcie_generation=4,
        pcie_lanes=16,
        compute_units=units,
        unified_memory=unified,
    )


def machine(gpus: int, gpu_gib: float = 24, ram_gib: float | None = 512, sockets: int = 1) -> Machine:
    """Equal cards beside so much RAM."""
    cards = tuple(Gpu(index, spec(gpu_gib)) for index in range(gpus))
    ram = None if ram_gib is None else round(ram_gib * GIB)
    return Machine("box", Origin.PARTS, tuple(Socket(i) for i in range(sockets)), gpus=cards, memory_bytes=ram)


def request(model: Model, kind: str, where: Machine, layout: Layout, context: int = 8192, users: int = 1) -> Request:
    """A request for `users` sequences of `context` tokens."""
    load = Workload("test", concurrency=users, prompt_tokens=context // 2, output_tokens=16, context_tokens=context)
    return Request(where, model, weights(model, quantisation(kind)), layout, load)


def local(engine: Engine = Engine.LLAMA_CPP, **changes: object) -> Layout:
    """A layout of a local engine."""
    return Layout(engine, "q4_k_m", **changes)  # type: ignore[arg-type]


def served(tensor_parallel: int, engine: Engine = Engine.VLLM, **changes: object) -> Layout:
    """A tensor-parallel layout of a serving engine."""
    settings: dict[str, object] = {"gpus": tensor_parallel, "tensor_parallel": tensor_parallel, **changes}
    return Layout(engine, "bf16", **settings)  # type: ignore[arg-type]
