"""Which engines load a checkpoint in which format, by the method that its config names.

Sources: vLLM's and SGLang's tables of supported quantisation methods, TensorRT-LLM's support matrix, READMEs of
exllamav3 and mlx-lm (read 2026-11-29). Engines by their names in `wellfed.layout.Engine`; those that wellfed does not
plan for stand here too, so that a refusal can say where the files would run.
"""

from __future__ import annotations

from wellfed.message import sentence
from wellfed.models.model import Model

_VLLM, _SGLANG, _TENSORRT = "vllm", "sglang", "tensorrt-llm"
_LLAMA = frozenset({"llama.cpp", "ik_llama.cpp", "ktransformers", "ollama", "ds4"})
_BOTH = frozenset({_VLLM, _SGLANG})
_LMDEPLOY = "lmdeploy"
_SERVING = _BOTH | {_TENSORRT, _LMDEPLOY}

# quant_method: who loads it
ENGINES_OF: dict[str, frozenset[str]] = {
    "": _SERVING,  # not quantised
    "fp8": _SERVING,
    "modelopt": _SERVING,
    "mxfp4": _SERVING,
    "compressed-tensors": _BOTH,
    "fbgemm_fp8": _BOTH,
    "awq": _BOTH | {_LMDEPLOY},
    "gptq": _BOTH | {_LMDEPLOY},
    "auto-round": _BOTH,
    "bitsandbytes": _BOTH,
    "torchao": _BOTH,
    "quark": _BOTH,
    "w8a8_int8": frozenset({_SGLANG}),
    "w8a8_fp8": frozenset({_SGLANG}),
    "mxfp8": _BOTH,
    "ptpc_fp8": frozenset({_VLLM}),
    "experts_int8": frozenset({_VLLM}),
    "hqq": frozenset({_VLLM}),
    "ascend": frozenset({"vllm-ascend"}),
    "exl2": frozenset({"exllamav2"}),
    "exl3": frozenset({"exllamav3"}),
    "mlx": frozenset({"mlx"}),
    "aqlm": frozenset({"transformers"}),
    "vptq": frozenset({"transformers"}),
    "eetq": frozenset({"transformers"}),
    "bitnet": frozenset({"bitnet.cpp", "transformers"}),
}
_OWN = {"exllamav3": "EXL3", "mlx": "MLX's format"}
GGUF, SAFETENSORS = "gguf", "safetensors"


def loaders(model: Model) -> frozenset[str]:
    """The engines that load what `model` was read from: GGUF files, or safetensors in the format of its config."""
    if model.files == GGUF:
        return _LLAMA
    method = model.native_recipe.method if model.native_recipe else ""
    return ENGINES_OF.get(method, frozenset())


def why_not_loaded(model: Model, engine: str) -> str | None:
    """Why `engine` cannot load what the model was read from; None where it can, or where nothing binds it.

    Files at hand bind a plan. A config alone binds only the engines that read safetensors, to formats they know.
    """
    method = model.native_recipe.method if model.native_recipe else ""
    if engine in _OWN and (model.files == GGUF or engine not in ENGINES_OF.get(method, ())):
        return sentence("checkpoint-formats.loads-files-only", "loads files in {own} only", own=_OWN[engine])
    if not model.files and (engine in _LLAMA or model.native_recipe is None):
        return None
    able = loaders(model)
    if engine in able:
        return None
    formats = (
        sentence("checkpoint-formats.gguf-file", "a GGUF file")
        if model.files == GGUF
        else sentence(
            "checkpoint-formats.safetensors",
            "safetensors in {native_quantisation}",
            native_quantisation=model.native_quantisation,
        )
    )
    where = (
        sentence("checkpoint-formats.which-load", ", which {able} load", able=" and ".join(sorted(able)))
        if able
        else ""
    )
    return sentence("checkpoint-formats.does-load", "does not load {held}{where}", held=formats, where=where)
