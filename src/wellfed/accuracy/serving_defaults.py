"""What serving engines do unless they are told otherwise: the limits that a table of measurements leaves out."""

from __future__ import annotations

from wellfed.hardware.parts import GpuSpec
from wellfed.nouns.layout import Engine
from wellfed.units import GIB

_LARGE_BYTES = 70 * GIB  # GPUs from this size on get larger defaults from vLLM


def served_defaults(engine: Engine, gpu: GpuSpec, tensor_parallel: int) -> tuple[int, int]:
    """Running sequences and tokens of a pass, at most, as servers are started.

    vLLM (arg_utils, 0.11): 1,024 sequences and 8,192 tokens on GPUs of 70 GiB or more, else 256 and 2,048, and the
    latter on A100s of any size. SGLang (server_args, 0.5): at least 2,048 sequences; tokens by memory. TensorRT-LLM
    (llm_args, 1.0): 2,048 and 8,192.
    """
    if engine is Engine.VLLM:
        large = gpu.memory_bytes >= _LARGE_BYTES and "A100" not in gpu.name.upper()
        return (1024, 8192) if large else (256, 2048)
    if engine is Engine.SGLANG:
        gib = gpu.memory_bytes / GIB
        chunk = 2048 if gib < 35 else 4096 if gib < 60 else 8192 if gib < 160 else 16384
        return 2048, chunk
    return 2048, 8192
