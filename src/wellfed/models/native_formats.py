"""What a publisher's own files hold, as a quantisation id: from a config's `quantization_config` and dtype."""

from __future__ import annotations

from collections.abc import Mapping

_QUANT_METHODS = {"fp8": "fp8", "awq": "int4", "gptq": "int4", "mxfp4": "mxfp4-experts", "bitnet": "bf16"}


def native_quantisation(config: Mapping[str, object]) -> str:
    """What the publisher's own files hold, as a quantisation id."""
    if config.get("expert_dtype") == "fp4":
        return "fp8-fp4-experts"
    inner = config.get("text_config")
    found = config.get("quantization_config")
    if not isinstance(found, Mapping) and isinstance(inner, Mapping):
        found = inner.get("quantization_config")
    if isinstance(found, Mapping):
        method = str(found.get("quant_method", ""))
        if method == "compressed-tensors":
            return _compressed_tensors(found)
        if method == "modelopt":
            return "nvfp4" if "FP4" in str(found.get("quant_algo", "")) else "fp8"
        return _QUANT_METHODS.get(method, "bf16")
    dtype = str(config.get("torch_dtype") or config.get("dtype") or "bfloat16")
    return {"float32": "fp32", "float16": "fp16"}.get(dtype, "bf16")


def _compressed_tensors(found: Mapping[str, object]) -> str:
    groups = found.get("config_groups")
    first: object = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    settings = first.get("weights") if isinstance(first, Mapping) else None
    bits = settings.get("num_bits") if isinstance(settings, Mapping) else 8
    kind = settings.get("type") if isinstance(settings, Mapping) else "int"
    if bits == 4:
        return "int4-experts" if "shared_experts" in str(found.get("ignore", "")) else "int4"
    return "fp8" if kind == "float" else "int8"
