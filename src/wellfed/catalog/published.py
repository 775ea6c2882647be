"""Where a model's files are published, in which format, by the catalogue and by the rules that publishers follow.

Nothing is asked of a hub. GGUF files that public lists name (data/models/gguf.toml) go before all rules. Names by rule
are said to be so: `by_rule`. Rules, as the publishers' own pages show them:
GGUF files lie in `unsloth/NAME-GGUF` as `NAME-TYPE.gguf`, those over 50 GB in parts in a folder of the type;
`bartowski/OWNER_NAME-GGUF` follows the same form; 4-bit weights of serving engines lie beside the model as `NAME-AWQ`
(Qwen) or in `RedHatAI/NAME-quantized.w4a16`, NVFP4 in `nvidia/NAME-NVFP4`, FP8 beside the model as `NAME-FP8` (Qwen
since Qwen3, GLM), else it is made from BF16 when the engine starts. MLX's lie in `mlx-community/NAME-4bit` (262 of 284
that github.com/xorbitsai/inference/blob/7ecec16/xinference/model/llm/llm_family.json lists), those of Ascend NPUs in
`vllm-ascend/NAME-W8A8` (vllm-ascend's documentation).
"""

from __future__ import annotations

import re
from math import ceil

from wellfed.frozen import dataclass
from wellfed.patterns import regex

PART_BYTES = 49.9e9  # hubs take files up to 50 GB
_OWN_FP8 = regex(r"qwen/qwen3|zai-org/glm-[4-9]", re.IGNORECASE)  # who publish FP8 beside BF16
INT8_OF_ASCEND = "int8-ascend"  # 8-bit weights and activations as ModelSlim writes them for Ascend NPUs
_OPENAI_GGUF = "ggml-org"


@dataclass(frozen=True, slots=True)
class Published:
    """Files of a repository with their sizes in bytes, by the recipe unless `exact`. `by_rule`: so is the name."""

    repository: str
    files: tuple[tuple[str, int], ...]
    exact: bool = False
    by_rule: bool = True

    @property
    def size_bytes(self) -> int:
        """Bytes of all the files together."""
        return sum(size for _, size in self.files)


def gguf_repositories(repository: str) -> tuple[str, ...]:
    """Where GGUF files of a repository's model are looked for, most usual first."""
    owner, _, name = repository.rpartition("/")
    if name.lower().endswith("-gguf"):
        return (repository,)
    first = (f"{_OPENAI_GGUF}/{name}-GGUF",) if owner == "openai" else ()
    return (*first, f"unsloth/{name}-GGUF", f"bartowski/{owner}_{name}-GGUF", f"ggml-org/{name}-GGUF")


def gguf_files(repository: str, quantisation: str, size_bytes: float, holds_gguf: bool = False) -> Published:
    """The GGUF files of a type by rule: one, or parts of at most 50 GB. `holds_gguf`: `repository` has them."""
    place = repository if holds_gguf else gguf_repositories(repository)[0]
    stem = place.rpartition("/")[2]
    stem = stem[: -len("-GGUF")] if stem.lower().endswith("-gguf") else stem
    if place.startswith(f"{_OPENAI_GGUF}/"):
        return Published(place, ((f"{stem}-mxfp4.gguf", round(size_bytes)),))
    kind = _spelt(quantisation)
    parts = ceil(size_bytes / PART_BYTES)
    if parts == 1:
        return Published(place, ((f"{stem}-{kind}.gguf", round(size_bytes)),))
    names = [f"{kind}/{stem}-{kind}-{n:05}-of-{parts:05}.gguf" for n in range(1, parts + 1)]
    return Published(place, tuple((name, round(size_bytes / parts)) for name in names))


def _spelt(quantisation: str) -> str:
    """As file names have it: Q4_K_M, UD-Q2_K_XL, BF16, MXFP4."""
    labels = {"gguf-mxfp4": "MXFP4_MOE", "gguf-f32": "F32", "f16": "F16"}
    return labels.get(quantisation.lower(), quantisation.upper())


def mlx_repository(repository: str, bits: float) -> str:
    """Where MLX files of so many bits a weight lie by rule."""
    return f"mlx-community/{repository.rpartition('/')[2]}-{bits:.0f}bit"


def served_repository(repository: str, native: str, quantisation: str) -> str:
    """The repository of a serving engine's format: the publisher's own where the format is native or made at start."""
    owner, _, name = repository.rpartition("/")
    match quantisation.lower():
        case kind if kind == native.lower():
            return repository
        case "fp8" if _OWN_FP8.match(repository):
            return f"{repository}-FP8"
        case "int4":
            return f"{repository}-AWQ" if owner.lower() == "qwen" else f"RedHatAI/{name}-quantized.w4a16"
        case kind if kind == INT8_OF_ASCEND:
            return f"vllm-ascend/{name}-W8A8"
        case "int8":
            return f"RedHatAI/{name}-quantized.w8a8"
        case "nvfp4" | "nvfp4-ffn":
            return f"nvidia/{name}-NVFP4"
        case _:
            return repository  # halves are cast, FP8 is made, when the engine starts
