"""What each engine can and cannot do, as far as planning needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from wellfed.engines import ds4
from wellfed.engines.models_run import why_not_on
from wellfed.engines.versions import Version, least_capability, least_widening
from wellfed.frozen import dataclass
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.checkpoint_formats import why_not_loaded
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine

# Compute capability of the first NVIDIA GPUs whose matrix units know a format (CUDA C++ programming guide).
_FP8_CAPABILITY, _FP4_CAPABILITY = 8.9, 10.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One engine. `vendors` maps a GPU vendor to the least compute capability (0 where it has no such number)."""

    engine: Engine
    label: str
    vendors: Mapping[str, float]
    quantisations: tuple[str, ...]  # best quality first
    kv_types: tuple[str, ...]  # of its KV cache: its own default first, then those that a search tries, finest first
    kv_on_request: tuple[str, ...] = ()  # read, too, but only when named
    tensor_parallel: bool = False
    expert_parallel: bool = False
    attention_data_parallel: bool = False
    copies_share_experts: bool = False  # data-parallel copies of a mixture of experts divide its experts
    layer_split: bool = False  # a model's layers divided over GPUs that work in turn
    cpu_only: bool = False
    cpu_on_request: tuple[str, ...] = ()  # formats of a build for CPUs, offered to those who name the engine
    cpu_layers: bool = False  # some layers on the CPU
    cpu_experts: bool = False  # routed experts on the CPU
    moe_only: bool = False
    adapters: bool = False  # LoRA adapters are served beside the model
    pictures: bool = False  # towers for pictures are run
    widens: bool = False  # FP8 and FP4 weights run on NVIDIA cards that do not know them: see `least_widening`
    max_sequences: tuple[int, ...] = (1,)
    batch_tokens: tuple[int, ...] = (2048,)
    architectures: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of a vendor, where not all
    source: str = ""
    on_request: bool = False  # planned for only where it is named


_INTEL_GRAPHICS = {  # SYCL and Vulkan, no Gaudi
    "intel": frozenset({"xe", "xe-lpg", "xe-hpg", "xe-hpc", "xe2", "xe3"})
}
# Vendors whose own build of vLLM a part names (`GpuSpec.serving_build`): vllm-ascend, vllm-musa, vLLM-metax ...
_OWN_BUILDS: Mapping[str, float] = dict.fromkeys(
    ("huawei", "hygon", "moorethreads", "metax", "cambricon", "kunlun", "biren", "iluvatar", "enflame", "thead"), 0.0
)
# llama.cpp's back ends for three of them: CANN, HIP, MUSA (docs/build.md).
_BACKENDS: Mapping[str, float] = {"huawei": 0, "hygon": 0, "moorethreads": 0}
_CANN_TYPES = frozenset({"bf16", "q8_0", "q4_0"})  # llama.cpp docs/backend/CANN.md
_GGUF = (
    "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "iq4_xs", "q3_k_m", "ud-q2_k_xl", "q2_k", "iq2_xxs", "ud-iq1_s",
)  # fmt: skip
_SERVED = ("bf16", "fp8", "nvfp4", "int4")
_WIDE = frozenset({"bf16", "fp16", "fp32"})  # published formats from which narrower ones are made
_SLOTS = (8, 32, 64, 128, 256, 512, 1024)

CAPABILITIES: Mapping[Engine, Capabilities] = {
    Engine.LLAMA_CPP: Capabilities(
        Engine.LLAMA_CPP,
        "llama.cpp",
        {"nvidia": 5.0, "amd": 0, "apple": 0, "intel": 0, **_BACKENDS},
        _GGUF,
        ("f16", "q8_0", "q5_1", "q4_0"),
        ("f32", "bf16", "q5_0", "q4_1", "iq4_nl"),
        layer_split=True,
        cpu_only=True,
        cpu_layers=True,
        cpu_experts=True,
        adapters=True,
        architectures=_INTEL_GRAPHICS,
        pictures=True,
        source="llama.cpp docs/build.md and tools/server/README.md",
    ),
    Engine.IK_LLAMA_CPP: Capabilities(
        Engine.IK_LLAMA_CPP,
        "ik_llama.cpp",
        {"nvidia": 7.5},
        _GGUF,
        ("f16", "q8_0", "q6_0", "q4_0"),
        ("f32", "bf16", "q5_1", "q5_0", "q4_1", "iq4_nl", "q8_kv"),
        layer_split=True,
        cpu_only=True,
        cpu_layers=True,
        cpu_experts=True,
        adapters=True,
        pictures=True,
        source="ik_llama.cpp README.md",
    ),
    Engine.VLLM: Capabilities(
        Engine.VLLM,
        "vLLM",
        {"nvidia": 7.5, "amd": 0, **_OWN_BUILDS},
        _SERVED,
        ("f16", "fp8"),
        ("bf16", "fp8_e4m3", "fp8_e5m2"),
        tensor_parallel=True,
        expert_parallel=True,
        attention_data_parallel=True,
        copies_share_experts=True,
        widens=True,
        adapters=True,
        max_sequences=_SLOTS,
        batch_tokens=(2048, 8192, 16384),
        cpu_on_request=("bf16",),
        architectures={"amd": frozenset({"cdna2", "cdna3", "cdna4", "rdna3", "rdna3.5", "rdna4"})},
        pictures=True,
        source="vLLM documentation: supported hardware (ROCm: MI200 to MI350, Radeon 7000 and 9000), quantization",
    ),
    Engine.SGLANG: Capabilities(
        Engine.SGLANG,
        "SGLang",
        {"nvidia": 8.0, "amd": 0, "huawei": 0, "hygon": 0, "moorethreads": 0, "metax": 0, "kunlun": 0},
        _SERVED,
        ("f16", "fp8"),
        ("bf16", "fp8_e4m3", "fp8_e5m2"),
        tensor_parallel=True,
        expert_parallel=True,
        attention_data_parallel=True,
        widens=True,
        adapters=True,
        max_sequences=_SLOTS,
        batch_tokens=(4096, 8192, 16384),
        architectures={"amd": frozenset({"cdna3", "cdna4"}), "huawei": frozenset({"davinci"})},
        pictures=True,
        source="SGLang documentation: server arguments, quantization, AMD GPUs (MI300 and MI350 series)",
    ),
    Engine.TENSORRT_LLM: Capabilities(
        Engine.TENSORRT_LLM,
        "TensorRT-LLM",
        {"nvidia": 8.0},
        _SERVED,
        ("f16", "fp8"),
        ("bf16", "int8", "nvfp4"),
        tensor_parallel=True,
        expert_parallel=True,
        attention_data_parallel=True,
        max_sequences=_SLOTS,
        batch_tokens=(8192, 16384),
        adapters=True,
        pictures=True,
        source="TensorRT-LLM documentation: support matrix",
    ),
    Engine.KTRANSFORMERS: Capabilities(
        Engine.KTRANSFORMERS,
        "KTransformers",
        {"nvidia": 8.0},
        ("q8_0", "q4_k_m"),
        ("f16",),
        cpu_experts=True,
        moe_only=True,
        source="KTransformers README.md",
    ),
    Engine.EXLLAMAV3: Capabilities(
        Engine.EXLLAMAV3,
        "exllamav3",
        {"nvidia": 8.0},
        (),  # what its files hold
        ("f16",),
        kv_on_request=("exl8", "exl7", "exl6", "exl5", "exl4", "exl3", "exl2"),
        layer_split=True,
        pictures=True,
        source="exllamav3 README.md (its kernels are written for Ampere and later)",
    ),
    Engine.MLX: Capabilities(
        Engine.MLX,
        "MLX",
        {"apple": 0},
        (),  # what its files hold
        ("f16",),
        layer_split=True,
        source="mlx-lm README.md",
    ),
    Engine.LMDEPLOY: Capabilities(
        Engine.LMDEPLOY,
        "LMDeploy",
        {"nvidia": 7.0},
        ("bf16", "fp8", "int4"),
        ("f16", "int8", "int4"),
        tensor_parallel=True,
        adapters=True,
        max_sequences=(8, 32, 64, 128, 256),
        batch_tokens=(8192,),
        pictures=True,
        source="LMDeploy documentation: TurboMind, supported models, KV quantisation, api_server",
        on_request=True,
    ),
    Engine.DS4: Capabilities(
        Engine.DS4,
        "ds4",
        {"apple": 0, "nvidia": 8.0, "amd": 0},
        ("q4_k_m", "iq2_xxs"),
        ("f16",),
        layer_split=True,
        source="README.md and docs/MODELS.md of antirez/ds4",
        on_request=True,
    ),
}


def reads_kv_type(capabilities: Capabilities, name: str) -> bool:
    """Whether the engine has a KV cache of this type; "q8_0/f16" names keys and values apart, which GGUF engines do."""
    keys, both, values = name.lower().partition("/")
    types = {*capabilities.kv_types, *capabilities.kv_on_request}
    if both:
        return capabilities.layer_split and keys in types and values in types
    return keys in types


def why_not(
    capabilities: Capabilities,
    model: Model,
    gpu: GpuSpec | None,
    named: bool = False,
    version: Version | None = None,
) -> str | None:
    """Why this engine cannot run `model` on `gpu` (None: on the CPU alone); None when it can.

    `named`: it was asked for by name, so that a build of its own for CPUs may be meant.
    """
    if capabilities.engine is Engine.DS4 and not ds4.runs(model.id):
        return sentence("capabilities.ds4", "runs {models} only", models=", ".join(ds4.MODELS))
    if capabilities.moe_only and not model.is_moe:
        return sentence("capabilities.runs-mixture-experts", "runs mixture-of-experts models only")
    unread = why_not_loaded(model, capabilities.engine.value)
    if unread is not None:
        return unread
    if gpu is None:
        return (
            None
            if capabilities.cpu_only or (named and capabilities.cpu_on_request)
            else sentence("capabilities.needs-gpu", "needs a GPU")
        )
    if gpu.vendor not in capabilities.vendors:
        return sentence("capabilities.does-support-gpus", "does not support {vendor} GPUs", vendor=gpu.vendor)
    if (older := why_not_on(capabilities.engine, model, gpu)) is not None:
        return older
    architectures = capabilities.architectures.get(gpu.vendor)
    if architectures is not None and gpu.architecture not in architectures:
        return sentence(
            "capabilities.does-support",
            "does not support {gpu} ({architecture})",
            gpu=gpu.name,
            architecture=gpu.architecture,
        )
    least = least_capability(version, capabilities.vendors[gpu.vendor])
    if gpu.compute_capability and float(gpu.compute_capability) < least:
        return sentence(
            "capabilities.needs-compute",
            "needs compute capability {least}, {gpu} has {compute_capability}",
            least=least,
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
        )
    return None


def usable_quantisations(
    capabilities: Capabilities, model: Model, gpu: GpuSpec | None, version: Version | None = None
) -> tuple[str, ...]:
    """The engine's formats that this GPU can compute in and this model comes in, best quality first.

    Weights are never expanded: a model published in FP8 is not offered as BF16 by the serving engines.
    """
    if gpu is None and capabilities.cpu_on_request:
        return tuple(name for name in _published(capabilities, model) if name in capabilities.cpu_on_request)
    if gpu is not None and gpu.vendor == "huawei" and capabilities.layer_split:
        return tuple(name for name in _published(capabilities, model) if name in _CANN_TYPES)
    chosen = []
    for name in _with_int8(capabilities, gpu, _published(capabilities, model)):
        widened = widens(capabilities, gpu, version)
        if name in {"fp8", "fp8-fp4-experts"} and not (widened or _knows(gpu, _FP8_CAPABILITY)):
            continue
        only = model.native_quantisation.lower() == "nvfp4"  # else INT4 is as quick, and smaller
        if name == "nvfp4" and not (_knows(gpu, _FP4_CAPABILITY, amd=False) or (widened and only)):
            continue
        chosen.append(name)
    return tuple(chosen)


def _with_int8(capabilities: Capabilities, gpu: GpuSpec | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """Vendors whose chips have no FP8 publish models in INT8 (W8A8): it stands before INT4."""
    if gpu is None or gpu.serving_build is None or not capabilities.tensor_parallel or "int4" not in names:
        return names
    at = names.index("int4")
    return (*names[:at], "int8", *names[at:])


def widens(capabilities: Capabilities, gpu: GpuSpec | None, version: Version | None) -> bool:
    """Whether FP8 and FP4 weights run here though the chip does not know them: their size is read, the rate of 16 bits
    is computed at.
    """
    return capabilities.widens and _has(gpu, least_widening(capabilities.engine, version))


def why_not_format(
    capabilities: Capabilities, name: str, gpu: GpuSpec | None, version: Version | None
) -> tuple[str, str] | None:
    """Why FP8 or FP4 weights do not run on an NVIDIA card, and what would do; None where that is not the reason."""
    narrow = {"fp8": _FP8_CAPABILITY, "fp8-fp4-experts": _FP8_CAPABILITY, "nvfp4": _FP4_CAPABILITY}
    if name not in narrow or gpu is None or gpu.vendor != "nvidia" or not gpu.compute_capability:
        return None
    least = min(narrow[name], least_widening(capabilities.engine, version) if capabilities.widens else narrow[name])
    if float(gpu.compute_capability) >= least:
        return None
    named = {"format": name.upper(), "least": least, "gpu": gpu.name, "has": gpu.compute_capability}
    if version is None:
        text = "runs {format} from compute capability {least:.1f} on, {gpu} has {has}"
        reason = sentence("capabilities.format", text, **named)
    else:
        text = "{version} runs {format} from compute capability {least:.1f} on, {gpu} has {has}"
        reason = sentence("capabilities.format-version", text, version=version.text, **named)
    newer = capabilities.widens and float(gpu.compute_capability) >= least_widening(capabilities.engine, None)
    if newer:
        return reason, sentence("capabilities.format.newer", "the newest {label} runs it", label=capabilities.label)
    return reason, sentence("capabilities.format.other", "INT4 (AWQ, GPTQ) or GGUF files run on such cards")


def reads_on_request(
    capabilities: Capabilities,
    model: Model,
    usable: tuple[str, ...],
    gpu: GpuSpec | None = None,
    version: Version | None = None,
) -> tuple[str, ...]:
    """Formats that the engine loads, too, but that nobody would choose by themselves: half precision, INT8."""
    if capabilities.engine.has_own_files:
        return ()
    if not capabilities.tensor_parallel:
        return ("bf16",)  # GGUF's own types are all read
    native = model.native_quantisation.lower()
    halves = ("fp16", "fp32") if "bf16" in usable else ()
    experts = ("mxfp4",) if native == "mxfp4-experts" else ()
    runs = widens(capabilities, gpu, version) or _knows(gpu, _FP4_CAPABILITY, amd=False)
    narrow = ("nvfp4",) if native in _WIDE and capabilities.widens and runs else ()
    return (*halves, *experts, *narrow, *(("int8",) if native in _WIDE else ()))


def _published(capabilities: Capabilities, model: Model) -> tuple[str, ...]:
    """What the model is published in and made into; files narrower than FP8 are served as they are."""
    native = model.native_quantisation.lower()
    if capabilities.engine.has_own_files:
        return (native,)
    if capabilities.layer_split and native == "mxfp4-experts":
        return ("gguf-mxfp4",)  # K-quants need rows of 256; every GGUF keeps the experts as published
    if not capabilities.tensor_parallel or native in _WIDE:
        return capabilities.quantisations
    if native == "fp8":
        return tuple(name for name in capabilities.quantisations if name != "bf16")
    return (native,)


def _has(gpu: GpuSpec | None, capability: float) -> bool:
    """Whether it is an NVIDIA GPU of at least this compute capability."""
    return gpu is not None and gpu.vendor == "nvidia" and float(gpu.compute_capability or 0) >= capability


def _knows(gpu: GpuSpec | None, capability: float, amd: bool = True) -> bool:
    if gpu is None:
        return False
    if gpu.vendor != "nvidia":
        return amd and (gpu.peak.fp8 is not None)
    return gpu.compute_capability is not None and float(gpu.compute_capability) >= capability
