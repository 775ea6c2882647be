"""Formats that a name tells and that only certain engines load: MLX, EXL2 and EXL3, HQQ, GPTQ of few bits, GGUF.

The model gets the recipe that a config of such a repository has, so that its bytes and its engines are the same as if
its files were at hand. Sources: the configs that mlx-lm, exllamav3, HQQ and GPTQModel write by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wellfed.catalog.name_words import Name
from wellfed.frozen import replace
from wellfed.models.checkpoint_formats import GGUF
from wellfed.models.model import Model
from wellfed.patterns import regex

MLX_OWNERS = frozenset({"mlx-community", "lmstudio-community"})
_MLX_MODES = {"mxfp4": 4, "mxfp8": 8, "nvfp4": 4}
# converters that leave multi-token-prediction layers out of what they write
_WITHOUT_PREDICTORS = frozenset({"mlx", "exl2", "exl3"})
# converters that quantise a head of its own beside embeddings in 16 bits where the model has one matrix for both
# (exllamav3/architecture: `alt_key` of lm_head)
_OWN_HEAD = frozenset({"exl2", "exl3"})
_HEAD_BITS = 6  # exllama's default
_GROUP = {"mlx": 64, "hqq": 64, "gptq": 128}


def as_published(model: Model, name: Name) -> Model:
    """`model` as a repository of that name holds it; itself where the name tells no such format."""
    if name.is_gguf:
        return _untied(model) if name.owner == "qwen" else replace(model, files=GGUF)
    settings = _settings(name)
    if settings is None:
        return model
    from wellfed.models.native_formats import native_recipe

    recipe = native_recipe({"quantization_config": settings})
    ahead = () if recipe.method in _WITHOUT_PREDICTORS else model.mtp_layers
    if recipe.method in _OWN_HEAD and model.tied_embeddings:
        counted = (model.parameters, model.total_parameters)
        model = replace(model, tied_embeddings=False, counted_parameters=counted)
    return replace(model, native_quantisation=recipe.format, native_recipe=recipe, mtp_layers=ahead)


def _untied(model: Model) -> Model:
    """Qwen's own GGUF files of Qwen2 and Qwen2.5 hold the tied head twice: Qwen2.5-Coder-1.5B in Q8_0 is 1.8 GiB."""
    if model.architecture != "qwen2" or not model.tied_embeddings:
        return replace(model, files=GGUF)
    counted = (model.parameters, model.total_parameters)
    return replace(model, files=GGUF, tied_embeddings=False, counted_parameters=counted)


def _settings(name: Name) -> Mapping[str, Any] | None:
    """The quantisation settings that its config would have."""
    parts = (name.format or "").split("-")
    bits = next((float(match[1]) for part in parts if (match := _BITS.fullmatch(part))), None)
    method = next((part for part in parts if part in _SETTINGS), None)
    mode = next((part for part in parts if part in _MLX_MODES), None)
    if method == "mlx" or (method is None and name.owner in MLX_OWNERS and (bits or mode)):
        rest = next((int(part[1]) for part in parts if _REST.fullmatch(part)), None)
        return _mlx(bits, mode) if mode is None or rest is None else _mlx_beside(mode, rest)
    if vectors := _VECTORS.search(name.format or ""):
        return _vptq(*(int(number) for number in vectors.groups()))
    if name.owner == "meta-llama" and "fp8" in parts:
        return _META_FP8
    if method is None or (bits is None and method != "hqq"):
        return None
    return _SETTINGS[method](bits or 4.0)


# Llama 3.1 405B as Meta publishes it in FP8: feed-forward layers alone, without those of the first and last block
# (arXiv 2407.21783, section 6.2).
_META_FP8: Mapping[str, Any] = {
    "quant_method": "fbgemm_fp8",
    "modules_to_not_convert": ["re:.*self_attn.*", "re:.*layers\\.0\\.mlp.*", "re:.*layers\\.125\\.mlp.*", "lm_head"],
}
_BITS = regex(r"(?:int)?(\d(?:\.\d+)?)(?:bit|bpw)?")


def _mlx(bits: float | None, mode: str | None) -> Mapping[str, Any] | None:
    if mode is not None:
        return {"quant_method": "mlx", "mode": mode, "bits": _MLX_MODES[mode], "group_size": 32}
    return None if bits is None or bits % 1 else {"quant_method": "mlx", "bits": int(bits), "group_size": _GROUP["mlx"]}


_REST = regex(r"q([468])")  # MXFP4-Q8: experts in MXFP4, all else in 8 bits


def _mlx_beside(mode: str, bits: int) -> Mapping[str, Any]:
    """Experts as they were trained, attention, embedding and head in whole bits."""
    own = {"bits": bits, "group_size": _GROUP["mlx"], "mode": "affine"}
    modules = ("re:.*self_attn.*", "re:.*embed_tokens.*", "re:.*lm_head.*")
    return {
        "quant_method": "mlx",
        "mode": mode,
        "bits": _MLX_MODES[mode],
        "group_size": 32,
        **dict.fromkeys(modules, own),
    }


def _exl(method: str, bits: float) -> Mapping[str, Any]:
    return {"quant_method": method, "bits": bits, "head_bits": _HEAD_BITS}


def _hqq(bits: float) -> Mapping[str, Any]:
    group = {"nbits": int(bits), "group_size": _GROUP["hqq"]}
    return {"quant_method": "hqq", "quant_config": {"weight_quant_params": group}}


_VECTORS = regex(r"v(\d{1,2})-k(\d{2,6})-(\d{1,6})-woft")  # the makers' own: vectors of 8, 65,536 centroids


def _vptq(length: int, centroids: int, rest: int) -> Mapping[str, Any]:
    layer = {"vector_lens": [-1, length], "num_centroids": [-1, centroids], "num_res_centroids": [-1, rest]}
    return {"quant_method": "vptq", "shared_layer_config": {"all": layer}}


def _gptq(bits: float) -> Mapping[str, Any]:
    return {"quant_method": "gptq", "bits": int(bits), "group_size": _GROUP["gptq"], "sym": True}


_SETTINGS = {
    "mlx": lambda bits: _mlx(bits, None),
    "exl2": lambda bits: _exl("exl2", bits),
    "exl3": lambda bits: _exl("exl3", bits),
    "hqq": _hqq,
    "gptq": _gptq,
}
