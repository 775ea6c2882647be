"""How a model is laid out on a machine: engine, quantisation, parallelism, what lives on GPU and what on CPU."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from functools import lru_cache

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import sentence


class Engine(StrEnum):
    """Inference engines wellfed plans for."""

    LLAMA_CPP = "llama.cpp"
    IK_LLAMA_CPP = "ik_llama.cpp"
    VLLM = "vllm"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt-llm"
    KTRANSFORMERS = "ktransformers"
    EXLLAMAV3 = "exllamav3"
    MLX = "mlx"
    LMDEPLOY = "lmdeploy"
    DS4 = "ds4"

    @property
    def is_local(self) -> bool:
        """Whether it runs device by device for few users; the others batch continuously."""
        return self in (
            Engine.LLAMA_CPP,
            Engine.IK_LLAMA_CPP,
            Engine.KTRANSFORMERS,
            Engine.EXLLAMAV3,
            Engine.MLX,
            Engine.DS4,
        )

    @property
    def has_own_files(self) -> bool:
        """Whether the engine loads only files that were made for it (EXL3, MLX)."""
        return self in (Engine.EXLLAMAV3, Engine.MLX)


class BackEnd(StrEnum):
    """What a local engine's build computes with on GPUs."""

    CUDA = "cuda"
    ROCM = "rocm"
    VULKAN = "vulkan"
    SYCL = "sycl"
    METAL = "metal"
    CANN = "cann"

    def runs_on(self, vendor: str) -> bool:
        """Whether the back end computes on a vendor's cards."""
        only = {BackEnd.CUDA: "nvidia", BackEnd.ROCM: "amd", BackEnd.METAL: "apple", BackEnd.CANN: "huawei"}
        return only.get(self, vendor) == vendor

    @classmethod
    def usual(cls, vendor: str) -> BackEnd:
        """The back end that people usually install for a vendor's cards."""
        return {"nvidia": cls.CUDA, "amd": cls.ROCM, "intel": cls.SYCL, "apple": cls.METAL, "huawei": cls.CANN}.get(
            vendor, cls.VULKAN
        )


class NumaPolicy(StrEnum):
    """Where threads and weights go on a machine of several sockets."""

    ONE_SOCKET = "one socket"  # threads and memory bound to one socket
    INTERLEAVE = "interleave"  # pages spread, threads on all sockets
    DUPLICATE = "duplicate"  # a copy of the weights per socket
    UNBOUND_MEMORY = "unbound memory"  # threads bound or spread, pages wherever first touched


@dataclass(frozen=True, slots=True)
class Offload:
    """What of a model the GPUs hold. `gpu_layers` None = all layers; 0 = CPU only.

    `cpu_expert_layers`: of the layers on the GPU that have routed experts, how many (the first ones) keep them in CPU
    memory; None = all. Layers without routed experts do not count.
    """

    gpu_layers: int | None = None
    cpu_expert_layers: int | None = 0
    head_first: bool = False  # the output head is the first of `gpu_layers`, not one beyond all layers

    def layers_on_gpu(self, layers: int) -> int:
        """How many of `layers` run on the GPU."""
        if self.gpu_layers is None:
            return layers
        return min(max(0, self.gpu_layers - self.head_first), layers)

    def holds_head(self, layers: int) -> bool:
        """Whether the GPU holds the output head."""
        if self.gpu_layers is None or (self.head_first and self.gpu_layers > 0):
            return True
        return self.gpu_layers >= layers

    def expert_layers_on_cpu(self, layers: int) -> int:
        """How many of the GPU's layers leave their routed experts to the CPU."""
        on_gpu = self.layers_on_gpu(layers)
        return on_gpu if self.cpu_expert_layers is None else min(self.cpu_expert_layers, on_gpu)

    @property
    def cpu_only(self) -> bool:
        """Whether the GPUs hold nothing."""
        return self.gpu_layers == 0

    def with_gpu_layers(self, layers: int | None) -> Offload:
        """The same with so many layers on the GPUs; None: all."""
        return Offload(layers, self.cpu_expert_layers)

    def with_cpu_expert_layers(self, layers: int | None) -> Offload:
        """The same with the experts of so many layers in CPU memory; None: of all."""
        return Offload(self.gpu_layers, layers)


@dataclass(frozen=True, slots=True)
class AsManyAsFit(Offload):
    """An offload whose number is not decided: as many layers on the GPUs as they hold, or, with `experts`, routed
    experts of as few layers as possible in CPU memory. `planner.offloads` settles it before anything is estimated.
    """

    experts: bool = False

    def with_gpu_layers(self, layers: int | None) -> Offload:
        """Decided, but where all layers are on the GPUs and their experts are still to be divided."""
        return self if self.experts and layers is None else Offload(layers)

    def with_cpu_expert_layers(self, layers: int | None) -> Offload:
        """Decided: all layers on the GPUs but for these experts."""
        return Offload(cpu_expert_layers=layers)


ALL_GPU = Offload()
CPU_ONLY = Offload(gpu_layers=0)
EXPERTS_ON_CPU = Offload(cpu_expert_layers=None)
SOME_LAYERS, SOME_EXPERTS = AsManyAsFit(), AsManyAsFit(experts=True)
MOST_SLOTS = 64  # that llama.cpp's server and its kin are started with; further users queue


@lru_cache(maxsize=256)
def _day(text: str) -> date | None:
    """An ISO day; None for an empty text."""
    return date.fromisoformat(text) if text else None


class DraftKind(StrEnum):
    """Where drafted tokens come from."""

    MTP = "mtp"  # the model's own prediction layers
    EAGLE = "eagle"  # a head of one layer, trained on the model
    DRAFT = "draft"  # a smaller model with the same vocabulary
    NGRAM = "ngram"  # what the text says again


@dataclass(frozen=True, slots=True)
class Speculation:
    """Speculative decoding: `tokens` are drafted for every sequence and verified in one pass.

    `acceptance_length`: tokens that a pass yields on average, the verified model's own included: 1 (nothing drafted is
    ever right) up to tokens + 1. It depends on the text and is an input. `draft_share`: what one drafted token costs to
    draft, as a share of a pass over the model's active weights (n-grams and suffixes 0, a model's own prediction layer
    about 1 / layers, a draft model its size over the model's). `draft_bytes`: memory of the draft's weights;
    `cache_elements`: what it caches of a token (prediction layers: 0, their model tells both). `low` and `high`:
    80 % interval of the acceptance length; 0: as the length itself. `draft`: the draft model's or head's name.
    """

    tokens: int
    acceptance_length: float
    draft_share: float = 0.0
    draft_bytes: int = 0
    kind: DraftKind | None = None
    cache_elements: float = 0.0
    low: float = 0.0
    high: float = 0.0
    draft: str = ""

    def __post_init__(self) -> None:
        """Raises BadInput for lengths that no drafting yields."""
        if self.tokens < 0 or not 1 <= self.acceptance_length <= self.tokens + 1:
            hint = sentence(
                "layout.acceptance-length",
                "the acceptance length counts the verified token too: from 1 to drafted tokens + 1",
            )
            raise BadInput(
                sentence(
                    "layout.accepted-drafted",
                    "{acceptance_length:g} accepted of {tokens} drafted tokens",
                    acceptance_length=self.acceptance_length,
                    tokens=self.tokens,
                ),
                hint,
            )


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to run a model. Parallel degrees multiply to the GPUs used: tensor x pipeline x data.

    `attention_data_parallel`: data-parallel attention inside the tensor-parallel group (SGLang, TensorRT-LLM, vLLM
    with expert parallelism): each group of tensor/attention_data_parallel ranks serves its own sequences.

    `overrides` place single tensors; `offload` says then what that amounts to in whole layers.
    `split`: how many layers each GPU holds, the output head counted as one more on the GPU it is on (llama.cpp's
    `--tensor-split`); empty: as the engine divides them by itself, by memory.
    """

    engine: Engine
    quantisation: str
    kv_type: str = "f16"
    gpus: int = 1
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    attention_data_parallel: int = 1
    offload: Offload = ALL_GPU
    split: tuple[int, ...] = ()
    devices: tuple[int, ...] = ()  # numbers of the GPUs used on each machine; empty: the first ones
    overrides: tuple[tuple[str, str], ...] = ()  # llama.cpp's --override-tensor: (pattern, CPU or a GPU's name)
    numa: NumaPolicy = NumaPolicy.ONE_SOCKET
    threads: int | None = None  # None: the physical cores of the sockets used
    batch_tokens: int = 2048  # llama.cpp -b, vLLM --max-num-batched-tokens, SGLang --chunked-prefill-size
    ubatch_tokens: int = 512  # llama.cpp -ub
    max_sequences: int = 1  # slots, --max-num-seqs
    flash_attention: bool = True
    latent_cache: bool = True  # MLA models cache latents (False: old engines cache expanded keys and values)
    cuda_graphs: bool = True
    huge_pages: bool = False
    prompt_cache_bytes: int | None = None  # llama.cpp --cache-ram: prompts kept in RAM, at most; None: not decided
    active_experts: int | None = None  # fewer than the model's own (KTransformers' 6-expert runs)
    prefill_gpus: int = 0  # > 0: prefill/decode disaggregated, this many GPUs prefill
    options: tuple[tuple[str, str], ...] = ()  # engine switches that matter to speed, e.g. ("rtr", "1")
    back_end: BackEnd | None = None  # of a local engine's build; None: what is usual for the cards
    async_scheduling: bool | None = None  # the next step is prepared while GPUs work; None: as the engine does now
    speculation: Speculation | None = None
    version: str | None = None  # of the engine, as it was named; None: the one its room was written from

    def is_built_before(self, day: date) -> bool:
        """Whether the engine's build (option `built`) is older than `day`; one that is not told is the current one."""
        built = next((_day(value) for name, value in self.options if name == "built"), None)
        return built is not None and built < day

    def slots(self, users: int) -> int:
        """How many sequences a local engine keeps room for: as said, or one for each user up to `MOST_SLOTS`."""
        return self.max_sequences if self.max_sequences > 1 else max(1, min(users, MOST_SLOTS))
