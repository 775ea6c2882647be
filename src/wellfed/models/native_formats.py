"""What a publisher's own files hold: the recipe in a config's quantisation settings, whoever wrote them.

Understood: FP8 of DeepSeek's kind, ModelOpt, compressed-tensors, AWQ, GPTQ, AutoRound, bitsandbytes, HQQ, AQLM, VPTQ,
torchao, Quark, fbgemm, EXL2 and EXL3, MLX, MXFP4, BitNet, quanto, FP-Quant, W4AFP8, ParoQuant. Another method is
refused by its name: it is never taken for BF16. Sources: quantizers of huggingface/transformers,
vllm-project/compressed-tensors, NVIDIA/TensorRT-Model-Optimizer and each method's own repository (read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wellfed.errors import Unsupported, nearest
from wellfed.message import listed, sentence
from wellfed.models.native_floats import fbgemm, fp8, fp8_by_row, fp_quant, mxfp4, mxfp8
from wellfed.models.native_groups import compressed_tensors, modelopt, quark
from wellfed.models.native_integers import auto_round, awq, bitnet, gptq, int8, marlin, w4afp8
from wellfed.models.native_libraries import bitsandbytes, hqq, mlx, quanto, torchao
from wellfed.models.native_values import Settings
from wellfed.models.native_vectors import aqlm, exl, vptq
from wellfed.models.recipe import Recipe

_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float": "F32", "half": "F16"}
_PLAIN = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
_EXPERTS_4 = "MXFP4"


def native_recipe(config: Settings) -> Recipe:
    """The recipe of the repository whose config.json is `config`.

    `hf_quant_config` and `inference_config` in it stand for the files hf_quant_config.json and inference/config.json
    beside it. Raises Unsupported for a method that is not known.
    """
    wide = _wide(config)
    settings = _settings(config)
    if settings is None:
        return Recipe(_PLAIN[wide], "", "", wide)
    method = _sparse(settings) or _method(settings)
    reader = _READERS.get(method)
    if reader is None:
        near = nearest(method, _READERS)
        raise Unsupported(
            sentence(
                "native-formats.quantisation-method",
                "the quantisation method {method!r} is not known here",
                method=method[:60],
            ),
            sentence("native-formats.nearest-known", "nearest known: {near}", near=listed(near))
            if near
            else sentence("native-formats.known", "known: {readers}", readers=listed(sorted(_READERS))),
        )
    recipe = reader(settings, wide)
    return _with_small_experts(recipe, config, settings)


def native_quantisation(config: Settings) -> str:
    """What the publisher's own files hold, as a quantisation id."""
    return native_recipe(config).format


def native_kv(config: Settings) -> str | None:
    """The type that the repository wants its key-value cache in, where it says so."""
    settings = _settings(config) or {}
    algorithm = settings.get("kv_cache_quant_algo") or settings.get("kv_cache_scheme")
    if isinstance(algorithm, Mapping):
        return "fp8" if algorithm.get("num_bits") == 8 and algorithm.get("type") == "float" else None
    return str(algorithm).lower() if isinstance(algorithm, str) and algorithm else None


def _wide(config: Settings) -> str:
    """The dtype of what is not quantised."""
    inner = config.get("text_config")
    places = (config, inner if isinstance(inner, Mapping) else {})
    dtype = next((place[key] for place in places for key in ("torch_dtype", "dtype") if place.get(key)), "bfloat16")
    return _DTYPES.get(str(dtype).removeprefix("torch."), "BF16")


def _settings(config: Settings) -> Settings | None:
    """The quantisation settings, wherever the publisher keeps them; ModelOpt's own file completes config.json."""
    places = [config, *(config[key] for key in ("text_config", "language_config", "llm_config") if key in config)]
    keys = ("quantization_config", "quantization", "compression_config")
    listed = [place[key] for place in places if isinstance(place, Mapping) for key in keys if key in place]
    stated = next((entry for entry in listed if isinstance(entry, Mapping) and entry), None)
    method_name = next((entry for entry in listed if isinstance(entry, str) and entry), None)
    if stated is None and method_name is not None:  # no settings, but a method: never taken for BF16
        stated = {"quant_method": method_name}
    nested = stated.get("quantization") if stated else None
    if stated is not None and isinstance(nested, Mapping) and "quant_algo" in nested:
        stated = {**stated, **nested}
    beside = config.get("hf_quant_config")
    override = beside.get("quantization") if isinstance(beside, Mapping) else None
    if isinstance(override, Mapping):
        kind = {"quant_method": "modelopt"} if not stated or "quant_method" not in stated else {}
        return {**(stated or {}), **override, **kind}
    if stated is None and _small_experts(config, {}):
        return {"quant_method": "fp8", "weight_block_size": [128, 128]}
    return stated


def _sparse(settings: Settings) -> str | None:
    """How values left out are stored, where they are: nothing here counts such files."""
    sparsity = settings.get("sparsity_config")
    form = sparsity.get("format") if isinstance(sparsity, Mapping) else None
    return form if isinstance(form, str) and form.startswith("sparse") else None


def _method(settings: Settings) -> str:
    method = settings.get("quant_method")
    if isinstance(method, str) and method:
        return method.lower()
    producer = settings.get("producer")
    if "quant_algo" in settings or (isinstance(producer, Mapping) and producer.get("name") == "modelopt"):
        return "modelopt"
    if "config_groups" in settings:
        return "compressed-tensors"
    if "bits" in settings and "group_size" in settings:
        return "mlx"
    return sentence("native-formats.without-name", "without a name")


def _small_experts(config: Settings, settings: Settings) -> bool:
    """Whether experts are FP4 beside FP8: DeepSeek-V4 says so in one of three places."""
    inference_config = config.get("inference_config")
    places = (config, settings, inference_config if isinstance(inference_config, Mapping) else {})
    return any(place.get("expert_dtype") == "fp4" for place in places)


def _with_small_experts(recipe: Recipe, config: Settings, settings: Settings) -> Recipe:
    if not _small_experts(config, settings) or recipe.method not in {"fp8"}:
        return recipe
    label = recipe.format if recipe.rules else "fp8-fp4-experts"
    kind = "FP8-UE8M0" if recipe.default == "FP8" else recipe.default
    return Recipe(label, recipe.method, kind, recipe.wide, recipe.unquantised, recipe.rules, experts=_EXPERTS_4)


_READERS: dict[str, Callable[[Settings, str], Recipe]] = {
    "fp8": fp8, "fbgemm_fp8": fbgemm, "finegrained_fp8": fp8, "ptpc_fp8": fp8_by_row, "w8a8_fp8": fp8_by_row,
    "awq": awq, "awq_marlin": awq, "gptq": gptq, "gptq_marlin": gptq, "gptqmodel": gptq,
    "auto-round": auto_round, "auto_round": auto_round, "intel/auto-round": auto_round, "autoround": auto_round,
    "inc": auto_round,
    "bitsandbytes": bitsandbytes, "bnb": bitsandbytes, "hqq": hqq, "aqlm": aqlm, "vptq": vptq,
    "torchao": torchao, "quark": quark, "exl2": exl, "exl3": exl, "mlx": mlx, "mxfp4": mxfp4,
    "bitnet": bitnet, "eetq": int8, "w8a8_int8": int8, "experts_int8": int8, "ascend": int8,
    "compressed-tensors": compressed_tensors, "modelopt": modelopt, "modelopt_fp4": modelopt, "nvfp4": modelopt,
    "modelopt_mixed": modelopt, "mxfp8": mxfp8, "petit_nvfp4": modelopt, "moe_wna16": gptq, "paroquant": awq,
    "quanto": quanto, "fp_quant": fp_quant, "marlin": marlin, "w4afp8": w4afp8,
}  # fmt: skip
