"""Which CPU kernel multiplies a type of weights, and the cycles it takes. docs/decisions/cpu-kernels.md says why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from wellfed.models.gguf_types import plain
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.numa import CpuShare

# llama.cpp interleaves the rows of these types when it loads them (ggml-cpu/repack.cpp), since (x86, Arm).
REPACKED: Mapping[str, tuple[date, date]] = {
    "Q4_0": (date(2024, 12, 1), date(2024, 12, 1)),
    "Q4_K": (date(2025, 3, 20), date(2025, 3, 20)),
    "IQ4_NL": (date(2025, 3, 20), date(2024, 12, 1)),
}
_IK_UNPACKS = date(2025, 6, 16)  # ik_llama.cpp unpacks plain types of large batches once
_IK_FLASH_LATENTS = date(
    2025, 3, 3
)  # ik_llama.cpp's flash attention for DeepSeek's models on CPUs (its pull request 240)
_BLAS = frozenset({"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_0", "IQ4_NL"})  # llama.cpp tiles these on x86 (sgemm.cpp)
_X86_WIDE = frozenset({"avx512", "avx512_vnni", "amx"})

# Families of weight types by how their values are unpacked on a CPU.
_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "float": ("F32", "F16", "BF16", "FP8", "FP8-UE8M0", "FP8-TENSOR"),
    "plain": (
        "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q6_0", "Q8_0", "Q8_1", "Q8_KV", "Q8_K", "IQ4_NL", "MXFP4", "NVFP4", "INT8",
        "INT4-G128", "INT4-G32", "IQ1_BN", "IQ2_BN", "TQ1_0", "TQ2_0", "Q1_0", "Q2_0",
    ),
    "k": ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"),
    "iqk": (
        "IQ2_K", "IQ3_K", "IQ4_K", "IQ5_K", "IQ6_K", "IQ2_KS", "IQ3_KS", "IQ4_KS", "IQ5_KS", "IQ4_KSS", "IQ2_KL",
    ),
    "codebook2": ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S"),
    "codebook3": ("IQ3_XXS", "IQ3_S"),
    "trellis": ("IQ1_KT", "IQ2_KT", "IQ3_KT", "IQ4_KT"),
}  # fmt: skip
_FAMILY = {name: family for family, names in _FAMILIES.items() for name in names}
WEIGHT_TYPES = tuple(_FAMILY)


# Vector instructions of llama.cpp's AVX2 dot products for each weight: the loops of ggml_vec_dot_* (ggml-cpu/arch/x86/
# quants.c) as compiled for xllamacpp 2026.10.11549, counted in its disassembly (2026-11-30), over a round's weights.
_VECTOR_OPS: Mapping[str, float] = {
    "Q4_0": 16 / 32, "Q4_1": 15 / 32, "Q5_0": 21 / 32, "Q5_1": 21 / 32, "Q8_0": 13 / 32, "IQ4_NL": 36 / 64,
    "MXFP4": 36 / 64, "NVFP4": 46 / 64, "Q1_0": 54 / 128, "TQ1_0": 114 / 256, "TQ2_0": 58 / 256, "Q2_K": 91 / 256,
    "Q3_K": 129 / 256, "Q4_K": 90 / 256, "Q5_K": 127 / 256, "Q6_K": 116 / 256, "IQ4_XS": 132 / 256,
}  # fmt: skip


def family(weight_type: str) -> str:
    """The unpacking family of a weight type."""
    return _FAMILY.get(plain(weight_type), "k")


def cycles_of(kind: str, work: str, share: CpuShare, layout: Layout, calibration: Calibration) -> tuple[float, float]:
    """Cycles of a core per element read and per multiply-add, for weights of type `kind` in the work named `work`.

    With tiles of t rows, u elements unpacked and m multiplied a cycle: unpacked = elements (1 - 1/t) + macs / t, and
    cycles = unpacked / u + (macs - unpacked) / m.
    """
    engine, tile = cpu_engine(layout), tile_scope(layout, work, kind, share.isa)
    again = 1 / calibration.value("cpu", tile, "tile_rows")
    unpack = 1 / _unpack_per_cycle(kind, share, engine, tile, calibration)
    multiply = 1 / calibration.value("cpu", *_mac_scope(kind, share, engine))
    return (1 - again) * (unpack - multiply), again * unpack + (1 - again) * multiply


def _unpack_per_cycle(kind: str, share: CpuShare, engine: str, tile: str, calibration: Calibration) -> float:
    """Interleaved rows take the engine's usual share of a family's rate, whatever the family's own loop does; loops of
    llama.cpp on x86 what their vector instructions take.
    """
    width = calibration.value("cpu", _code(share.isa, engine), engine, "unpack_width")
    interleaved = tile.endswith("repacked")
    if engine == "llama.cpp" and _side(share.isa) == "x86" and kind in _VECTOR_OPS and not interleaved:
        ops = calibration.value("cpu", "llama.cpp", "x86", "vector_ops_per_cycle") * share.pipes
        return ops / _VECTOR_OPS[kind] * width
    rate = calibration.value("cpu", family(kind), "unpack_per_cycle")
    return rate * calibration.value("cpu", engine, "unpack_fraction") * width


def _code(isa: str, engine: str) -> str:
    """The instructions that an engine's kernels are written in.

    llama.cpp's on x86 are AVX2, nearly all of them; the others' wide ones need VNNI (HAVE_FANCY_SIMD of iqk_config.h).
    """
    return "avx2" if engine == "llama.cpp" and isa in _X86_WIDE else isa


def _side(isa: str) -> str:
    return "arm" if isa.startswith("neon") else isa if isa == "riscv" else "x86"


def _mac_scope(kind: str, share: CpuShare, engine: str) -> tuple[str, str, str]:
    """Integer products for quantised weights, FP32 for floats but native BF16.

    AMX only in KTransformers and for its own INT8, INT4 and BF16 weights: GGUF types run llamafile's kernels there.
    """
    tiles = engine == "ktransformers" and (kind.startswith("INT") or kind == "BF16")
    isa = "avx512_vnni" if share.isa == "amx" and not tiles else share.isa
    sixteen = kind == "BF16" or (engine == "ktransformers" and kind.startswith("FP8"))  # its FP8 is widened to BF16
    native = sixteen and share.bf16 and engine != "llama.cpp"
    return (
        _code(isa, engine),
        engine,
        "float_macs_per_cycle" if family(kind) == "float" and not native else "macs_per_cycle",
    )


def cpu_engine(layout: Layout) -> str:
    """Whose CPU kernels run: SGLang's hybrid mode borrows KTransformers'."""
    return {
        Engine.LLAMA_CPP: "llama.cpp",
        Engine.IK_LLAMA_CPP: "ik_llama.cpp",
    }.get(layout.engine, "ktransformers")


def attention_scope(layout: Layout, share: CpuShare) -> str:
    """Whose attention runs: ik_llama.cpp multiplies heads and queries by tiles since its flash attention on latents."""
    engine = cpu_engine(layout)
    if engine == "ik_llama.cpp" and layout.is_built_before(_IK_FLASH_LATENTS):
        return "ik_llama.cpp.early"
    return "wide" if engine != "llama.cpp" and share.isa in ("avx512_vnni", "amx") else engine


def tile_scope(layout: Layout, name: str, kind: str, isa: str) -> str:
    """Which tile size applies to weights of type `kind` in the work `name`.

    ik_llama.cpp unpacks large batches once since June 2025, repacked types always. llama.cpp has tiles for interleaved
    rows and for plain types on x86; the dot products of all others take one row at a time.
    """
    engine = cpu_engine(layout)
    if engine == "ik_llama.cpp" and layout.is_built_before(_IK_UNPACKS) and plain(kind) == kind:
        return "ik_llama.cpp.old"
    if engine != "llama.cpp":
        return engine
    since = REPACKED.get(kind)
    if name != "routed experts" and since is not None and not layout.is_built_before(since[_side(isa) == "arm"]):
        return "llama.cpp.repacked"
    return "llama.cpp.blas" if kind in _BLAS and _side(isa) == "x86" else engine
