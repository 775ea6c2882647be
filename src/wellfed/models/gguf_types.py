"""Weight types: how many bytes a block of weights takes. GGUF's own, ik_llama.cpp's, and those of safetensors.

Sources: ggml.h, ggml-common.h and gguf-py of ggml-org/llama.cpp and ikawrakow/ik_llama.cpp (read 2026-11-23); OCP
microscaling formats 1.0 (MXFP4); NVIDIA's NVFP4 (16 values share an FP8 scale); DeepSeek-V3's checkpoint (FP8 in
tiles of 128 x 128 with an FP32 scale each).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from wellfed.frozen import dataclass
from wellfed.patterns import regex


@dataclass(frozen=True, slots=True)
class WeightType:
    """`block` weights take `block_bytes`; rows, columns, 128 x 128 tiles and whole matrices may carry more bytes."""

    name: str
    block: int
    block_bytes: float
    row_bytes: int = 0
    tile_bytes: int = 0
    column_bytes: int = 0
    matrix_bytes: int = 0

    @property
    def bits(self) -> float:
        """Bits per weight, row and tile scales excluded."""
        return 8 * self.block_bytes / self.block

    def fits(self, columns: int) -> bool:
        """Whether a row of `columns` divides into blocks."""
        return columns % self.block == 0

    def size(self, rows: int, columns: int, count: int = 1) -> float:
        """Bytes of `count` matrices of `rows` x `columns`."""
        row = columns / self.block * self.block_bytes + self.row_bytes
        tiles = ceil(rows / 128) * ceil(columns / 128) * self.tile_bytes
        return count * (rows * row + tiles + columns * self.column_bytes + self.matrix_bytes)


# name: ggml's number, weights per block, bytes per block, bytes per row
_GGUF: dict[str, tuple[int, int, int, int]] = {
    "F32": (0, 1, 4, 0),
    "F16": (1, 1, 2, 0),
    "Q4_0": (2, 32, 18, 0),
    "Q4_1": (3, 32, 20, 0),
    "Q5_0": (6, 32, 22, 0),
    "Q5_1": (7, 32, 24, 0),
    "Q8_0": (8, 32, 34, 0),
    "Q8_1": (9, 32, 36, 0),
    "Q2_K": (10, 256, 84, 0),
    "Q3_K": (11, 256, 110, 0),
    "Q4_K": (12, 256, 144, 0),
    "Q5_K": (13, 256, 176, 0),
    "Q6_K": (14, 256, 210, 0),
    "Q8_K": (15, 256, 292, 0),
    "IQ2_XXS": (16, 256, 66, 0),
    "IQ2_XS": (17, 256, 74, 0),
    "IQ3_XXS": (18, 256, 98, 0),
    "IQ1_S": (19, 256, 50, 0),
    "IQ4_NL": (20, 32, 18, 0),
    "IQ3_S": (21, 256, 110, 0),
    "IQ2_S": (22, 256, 82, 0),
    "IQ4_XS": (23, 256, 136, 0),
    "I8": (24, 1, 1, 0),
    "I16": (25, 1, 2, 0),
    "I32": (26, 1, 4, 0),
    "I64": (27, 1, 8, 0),
    "F64": (28, 1, 8, 0),
    "IQ1_M": (29, 256, 56, 0),
    "BF16": (30, 1, 2, 0),
    "Q4_0_4_4": (31, 32, 18, 0),
    "Q4_0_4_8": (32, 32, 18, 0),
    "Q4_0_8_8": (33, 32, 18, 0),
    "TQ1_0": (34, 256, 54, 0),
    "TQ2_0": (35, 256, 66, 0),
    "MXFP4": (39, 32, 17, 0),
    "NVFP4": (40, 64, 36, 0),
    "Q1_0": (41, 128, 18, 0),
    "Q2_0": (42, 64, 18, 0),  # PrismML's own llama.cpp: blocks of 128
    # ik_llama.cpp
    "Q6_0": (133, 32, 26, 0),
    "IQ1_BN": (134, 64, 13, 2),
    "IQ2_BN": (135, 64, 16, 4),
    "Q8_K64": (136, 64, 68, 0),
    "IQ2_K": (137, 256, 76, 0),
    "IQ3_K": (138, 256, 110, 0),
    "IQ4_K": (139, 256, 144, 0),
    "IQ5_K": (140, 256, 176, 0),
    "IQ6_K": (141, 256, 212, 0),
    "IQ4_KS": (144, 256, 136, 4),
    "IQ2_KS": (145, 256, 70, 2),
    "IQ4_KSS": (146, 256, 128, 4),
    "Q8_KV": (151, 32, 32, 8),
    "IQ5_KS": (152, 256, 168, 4),
    "IQ2_KT": (153, 256, 68, 4),
    "IQ3_KT": (154, 256, 100, 4),
    "IQ4_KT": (155, 256, 128, 4),
    "IQ3_KS": (156, 256, 102, 2),
    "IQ2_KL": (157, 256, 86, 2),
    "IQ1_KT": (158, 256, 56, 4),
    # rows interleaved for the CPU
    "Q4_0_R8": (202, 32, 18, 0),
    "Q5_0_R4": (206, 32, 22, 0),
    "Q8_0_R8": (208, 32, 34, 0),
    "Q2_K_R4": (210, 256, 84, 0),
    "Q3_K_R4": (211, 256, 110, 0),
    "Q4_K_R4": (212, 256, 144, 0),
    "Q5_K_R4": (213, 256, 176, 0),
    "Q6_K_R4": (214, 256, 210, 0),
    "IQ2_XXS_R4": (216, 256, 66, 0),
    "IQ2_XS_R4": (217, 256, 74, 0),
    "IQ3_XXS_R4": (218, 256, 98, 0),
    "IQ1_S_R4": (219, 32, 6, 2),  # not the 1.5625 bits of IQ1_S
    "IQ4_NL_R4": (220, 32, 18, 0),
    "IQ3_S_R4": (221, 256, 110, 0),
    "IQ2_S_R4": (222, 256, 82, 0),
    "IQ4_XS_R8": (223, 256, 136, 0),
    "IQ1_M_R4": (229, 32, 7, 2),
    "BF16_R16": (230, 1, 2, 0),
    "Q6_0_R4": (233, 32, 26, 0),
    "IQ2_BN_R4": (335, 64, 16, 4),
    "IQ2_K_R4": (337, 256, 76, 0),
    "IQ3_K_R4": (338, 256, 110, 0),
    "IQ4_K_R4": (339, 256, 144, 0),
    "IQ5_K_R4": (340, 256, 176, 0),
    "IQ4_KS_R4": (344, 256, 136, 4),
    "IQ5_KS_R4": (352, 256, 168, 4),
    "Q8_KV_R8": (398, 32, 32, 4),
    "Q8_K_R8": (399, 256, 258, 0),
}

_SAFETENSORS = (
    WeightType("FP8", 1, 1, tile_bytes=4),  # 128 x 128 tiles, FP32 scales
    WeightType("FP8-UE8M0", 1, 1, tile_bytes=1),  # the same with 8-bit exponent scales (DeepSeek-V4)
    WeightType("FP8-TENSOR", 1, 1),  # one scale a tensor or channel (ModelOpt, compressed-tensors)
    WeightType("INT8", 1, 1, row_bytes=4),
    WeightType("INT4-G128", 128, 66.5),  # 4-bit values, FP16 scale and 4-bit zero point per group (AWQ, GPTQ)
    WeightType("INT4-G32", 32, 18),  # symmetric, BF16 scale per group (compressed-tensors, Kimi-K2-Thinking)
    WeightType("NVFP4-16", 16, 9),  # E2M1 values, an E4M3 scale per 16
    WeightType("FP8-ROW", 1, 1, row_bytes=4),  # an FP32 scale a row (fbgemm, compressed-tensors by channel)
    WeightType("MXFP8", 32, 33),
    WeightType("MXFP6", 32, 25),
    WeightType("NF4", 64, 33.015625),  # bitsandbytes: a scale per 64, itself in 8 bits with one more per 256
    WeightType("NF4-PLAIN", 64, 36),  # the same without nested scales
    WeightType("TERNARY", 4, 1),  # BitNet: four values a byte
)

_AQLM_VECTOR = 8 * 2  # bytes of a codebook's vector: eight values in FP16
_AQLM_WIDTH = 16  # bits of an index where the name tells none

# Types that are told by numbers in a config: INT3-G64 (scale and zero point a group), INT4-G32S (scale only),
# INT4-G128X (GPTQ: both, and a group index a column), INT8-R (a scale a row), HQQ4-G64, MLX4-G64, EXL4.25, AQLM2 (one
# codebook of 2^16 vectors), AQLM2-2x8 (two of 2^8).
_INTEGER = regex(r"INT([1-8])-(?:G(\d{1,4})([SX]?)|R)", of=("int",))
_FLAT = regex(r"(HQQ|MLX)([1-8])-G(\d{1,4})", of=("hqq", "mlx"))
_MEAN = regex(r"(EXL|VPTQ|AQLM)(\d{1,2}(?:\.\d{1,4})?)(?:-(\d)x(\d{1,2}))?", of=("exl", "vptq", "aqlm"))


def _named_type(name: str) -> WeightType | None:
    """The type that `name` tells by its numbers."""
    if match := _INTEGER.fullmatch(name):
        bits, group, kind = int(match[1]), int(match[2] or 1), match[3] or ""
        if match[2] is None:
            return WeightType(name, 1, bits / 8, row_bytes=4)
        extra = 2.0 if kind == "S" else 2 + bits / 8
        return WeightType(name, group, group * bits / 8 + extra, column_bytes=4 if kind == "X" else 0)
    if match := _FLAT.fullmatch(name):
        bits, group = int(match[2]), int(match[3])
        return WeightType(name, group, group * bits / 8 + 4)  # scale and zero point (or bias), 16 bits each
    if match := _MEAN.fullmatch(name):
        bits_each = float(match[2])
        books = int(match[3] or 1) * 2 ** min(int(match[4] or _AQLM_WIDTH), _AQLM_WIDTH) * _AQLM_VECTOR
        row, column, matrix = {"EXL": (2, 2, 0), "VPTQ": (0, 4, 0), "AQLM": (2, 0, books)}[match[1]]
        return WeightType(name, 1, bits_each / 8, row_bytes=row, column_bytes=column, matrix_bytes=matrix)
    return None


class _Types(dict[str, WeightType]):
    """Types by name: those listed, and those that are told by their numbers."""

    def __missing__(self, name: str) -> WeightType:
        kind = _named_type(name)
        if kind is None:
            raise KeyError(name)
        return kind

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and _named_type(name) is not None)


TYPES: dict[str, WeightType] = _Types(
    {
        **{name: WeightType(name, block, size, row) for name, (_, block, size, row) in _GGUF.items()},
        **{kind.name: kind for kind in _SAFETENSORS},
    }
)

BY_NUMBER: dict[int, WeightType] = {number: TYPES[name] for name, (number, *_) in _GGUF.items()}


def gguf_type_names() -> Iterator[str]:
    """Names of all types that a GGUF file can hold."""
    return iter(_GGUF)


def plain(name: str) -> str:
    """The type whose rows a repacked type interleaves: Q4_K for Q4_K_R4; other names unchanged."""
    stem, _, suffix = name.rpartition("_")
    return stem if suffix in {"R4", "R8", "R16"} else name
