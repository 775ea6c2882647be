"""What a publisher's own files hold: the recipe in a config's quantisation settings, whoever wrote them.

Understood: FP8 of DeepSeek's kind, ModelOpt, compressed-tensors, AWQ, GPTQ, AutoRound, bitsandbytes, HQQ, AQLM, VPTQ,
torchao, Quark, fbgemm, EXL2 and EXL3, MLX, MXFP4, BitNet, quanto, FP-Quant, W4AFP8, ParoQuant. Another method is
refused by its name: it is never taken for BF16. Sources: quantizers of huggingface/transformers,
vllm-project/compressed-tensors, NVIDIA/TensorRT-Model-Optimizer and each method's own repository (read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log2

from wellfed.errors import Unsupported, nearest
from wellfed.message import listed, sentence
from wellfed.models.native_groups import compressed_tensors, kept_in, modelopt, quark, texts
from wellfed.models.recipe import Patterns, Recipe

Settings = Mapping[str, object]
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


def _number(settings: Settings, key: str, default: float) -> float:
    value = settings.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _integer_of(settings: Settings, key: str, default: int) -> int:
    return int(_number(settings, key, default))


def integer_format(bits: int) -> str:
    """int4 and its like."""
    return f"int{bits}"


def _fp8(settings: Settings, wide: str) -> Recipe:
    """FP8 in tiles with a scale each (DeepSeek), else a scale a tensor; a list of layers may have another type."""
    base = "FP8" if settings.get("weight_block_size") else "FP8-TENSOR"
    listed = settings.get("quantized_layers")
    if isinstance(listed, Mapping) and listed:
        mixed = modelopt({**settings, "quant_algo": "MIXED_PRECISION"}, wide)
        return Recipe(mixed.format, "fp8", base, wide, Patterns(texts(settings, "modules_to_not_convert")), mixed.rules)
    return Recipe("fp8", "fp8", base, wide, kept_in(settings))


def _fbgemm(settings: Settings, wide: str) -> Recipe:
    return Recipe("fp8", "fbgemm_fp8", "FP8-ROW", wide, kept_in(settings))


def _awq(settings: Settings, wide: str) -> Recipe:
    bits, group = _integer_of(settings, "bits", _integer_of(settings, "w_bit", 4)), _group(settings, "q_group_size")
    kind = _integer(bits, group, zeros=settings.get("zero_point") is not False)
    return Recipe(integer_format(bits), "awq", kind, wide, kept_in(settings))


def _gptq(settings: Settings, wide: str) -> Recipe:
    """Zero points are stored even where the values are symmetric, and the group of each input column."""
    bits, group = _integer_of(settings, "bits", 4), _group(settings)
    kind = f"INT{bits}-G{group}X" if group > 0 else f"INT{bits}-R"
    return Recipe(
        integer_format(bits),
        "gptq",
        kind,
        wide,
        kept_in(settings),
        _dynamic(settings, group),
        head=_head(settings, kind),
    )


def _head(settings: Settings, kind: str) -> str:
    return kind if settings.get("lm_head") is True else ""


def _dynamic(settings: Settings, group: int) -> tuple[tuple[Patterns, str], ...]:
    """GPTQModel's `dynamic`: a pattern with other bits, or with "-:" one that is left alone."""
    listed = settings.get("dynamic")
    if not isinstance(listed, Mapping):
        return ()
    rules: list[tuple[Patterns, str]] = []
    for text, override in listed.items():
        if str(text).startswith("-:"):
            rules.append((Patterns(("re:" + str(text)[2:],)), "BF16"))
        elif isinstance(override, Mapping):
            bits, width = (
                _integer_of(override, "bits", _integer_of(settings, "bits", 4)),
                _integer_of(override, "group_size", group),
            )
            rules.append((Patterns(("re:" + str(text).removeprefix("+:"),)), f"INT{bits}-G{width}X"))
    return tuple(rules)


def _auto_round(settings: Settings, wide: str) -> Recipe:
    bits, group = _integer_of(settings, "bits", 4), _group(settings)
    extra = settings.get("extra_config")
    rules: list[tuple[Patterns, str]] = []
    for name, values in extra.items() if isinstance(extra, Mapping) else ():
        if isinstance(values, Mapping):
            width = _integer_of(values, "bits", bits)
            rules.append((Patterns((str(name),)), wide if width >= 16 else _integer(width, group)))
    form, kind = _AUTO_ROUND_FLOATS.get(
        (str(settings.get("data_type")), bits), (integer_format(bits), _integer(bits, group))
    )
    return Recipe(form, "auto-round", kind, wide, kept_in(settings), tuple(rules))


# data_type and bits: the format and its type
_AUTO_ROUND_FLOATS = {
    ("mx_fp", 4): ("mxfp4", "MXFP4"),
    ("mx_fp", 8): ("mxfp8", "MXFP8"),
    ("nv_fp", 4): ("nvfp4", "NVFP4-16"),
    ("fp", 8): ("fp8", "FP8-TENSOR"),
}


def _group(settings: Settings, fallback: str = "group_size") -> int:
    """Values in a group; -1 is a whole row."""
    return _integer_of(settings, "group_size", _integer_of(settings, fallback, 128))


def _integer(bits: int, group: int, zeros: bool = True) -> str:
    return f"INT{bits}-R" if group <= 0 else f"INT{bits}-G{group}{'' if zeros else 'S'}"


def _bitsandbytes(settings: Settings, wide: str) -> Recipe:
    unquantised = Patterns(texts(settings, "llm_int8_skip_modules", "modules_to_not_convert"))
    if settings.get("load_in_8bit"):
        return Recipe("int8", "bitsandbytes", "INT8", wide, unquantised)
    if settings.get("load_in_4bit") is False:
        raise Unsupported(
            sentence(
                "native-formats.bits-of-none", "bitsandbytes with neither 4 nor 8 bits: nothing is known of its types"
            )
        )
    nested = settings.get("bnb_4bit_use_double_quant") is True
    kind_name = "fp4" if settings.get("bnb_4bit_quant_type") == "fp4" else "nf4"
    kind = "NF4" if nested else "NF4-PLAIN"
    return Recipe("bnb-fp4" if kind_name == "fp4" else "nf4", "bitsandbytes", kind, wide, unquantised)


def _hqq(settings: Settings, wide: str) -> Recipe:
    inner = settings.get("quant_config")
    values = inner.get("weight_quant_params") if isinstance(inner, Mapping) else None
    weight_settings: Settings = values if isinstance(values, Mapping) else settings
    bits, group = _integer_of(weight_settings, "nbits", 4), _integer_of(weight_settings, "group_size", 64)
    unquantised = Patterns(texts(settings, "skip_modules") or ("lm_head",))
    return Recipe(integer_format(bits), "hqq", f"HQQ{bits}-G{group}", wide, unquantised)


def _aqlm(settings: Settings, wide: str) -> Recipe:
    books, width = _integer_of(settings, "num_codebooks", 1), _integer_of(settings, "nbits_per_codebook", 16)
    bits = books * width / max(1, _integer_of(settings, "in_group_size", 8))
    unquantised = Patterns(texts(settings, "linear_weights_not_to_quantize"))
    return Recipe("aqlm", "aqlm", f"AQLM{bits:g}-{books}x{width}", wide, unquantised)


_VPTQ_BITS = 3.0


def _vptq(settings: Settings, wide: str) -> Recipe:
    """Vectors of `vector_lens` values, each an index into `num_centroids` and into the rest's centroids."""
    listed = settings.get("config_for_layers") or settings.get("shared_layer_config")
    sizes = [
        _vector_bits(values)
        for values in (listed.values() if isinstance(listed, Mapping) else ())
        if isinstance(values, Mapping)
    ]
    known_bits = [bits for bits in sizes if bits]
    bits = sum(known_bits) / len(known_bits) if known_bits else _VPTQ_BITS
    notes = (
        ()
        if known_bits
        else (
            sentence(
                "native-formats.config-does-say",
                "the config does not say how many bits a weight takes: {vptq_bits:g} assumed",
                vptq_bits=_VPTQ_BITS,
            ),
        )
    )
    return Recipe("vptq", "vptq", f"VPTQ{bits:.3f}", wide, kept_in(settings), notes=notes)


def _vector_bits(values: Settings) -> float:
    length = _last(values.get("vector_lens"))
    return (
        sum(log2(n) for n in (_last(values.get("num_centroids")), _last(values.get("num_res_centroids"))) if n > 1)
        / length
        if length > 0
        else 0.0
    )


def _last(value: object) -> int:
    last = value[-1] if isinstance(value, list) and value else value
    return last if isinstance(last, int) and not isinstance(last, bool) else 0


_TORCHAO_SIGNS = ("int4", "int8", "float8", "fp8", "mxfp4", "nvfp4", "mxfp8", "mxdynamic")


def _torchao(settings: Settings, wide: str) -> Recipe:
    """By the name of torchao's own config class."""
    inner = settings.get("quant_type")
    values: object = inner.get("default", inner) if isinstance(inner, Mapping) else inner
    type_name = str(values.get("_type", "")) if isinstance(values, Mapping) else str(values)
    data = values.get("_data") if isinstance(values, Mapping) else None
    group = _integer_of(data if isinstance(data, Mapping) else settings, "group_size", 128)
    text = type_name.lower().replace("_", "")
    if not any(sign in text for sign in _TORCHAO_SIGNS):  # IntxWeightOnlyConfig and per-module configs say it inside
        text = str(values).lower().replace("_", "")
    unquantised = kept_in(settings)
    if "int4" in text:
        return Recipe(
            "int4", "torchao", f"HQQ4-G{group}", wide, unquantised
        )  # scale and zero point a group, 16 bits each
    if "int8" in text:
        return Recipe("int8", "torchao", "INT8", wide, unquantised)
    if "float8" in text or "fp8" in text:
        return Recipe("fp8", "torchao", "FP8-ROW", wide, unquantised)
    for sign, kind in (("mxfp4", "MXFP4"), ("nvfp4", "NVFP4-16"), ("mxfp8", "MXFP8")):
        if sign in text or (sign == "mxfp8" and "mxdynamic" in text):
            return Recipe(sign, "torchao", kind, wide, unquantised)
    raise Unsupported(
        sentence("native-formats.torchao-known-here", "torchao's {named!r} is not known here", named=type_name[:60])
    )


def _exl(settings: Settings, wide: str) -> Recipe:
    bits, head = _number(settings, "bits", 4.0), _number(settings, "head_bits", 6.0)
    method = str(settings.get("quant_method"))
    return Recipe(f"{bits:g}bpw" if bits % 1 else f"{bits:.1f}bpw", method, f"EXL{bits:g}", "F16", head=f"EXL{head:g}")


def _mlx(settings: Settings, wide: str) -> Recipe:
    """MLX quantises embeddings and head too; a module may have its own bits, or false."""
    default, label = _mlx_type(settings), _mlx_name(settings)
    rules = []
    for name, override in settings.items():
        if isinstance(override, Mapping):
            rules.append((Patterns((name,)), _mlx_type({**settings, **override})))
        elif override is False and "." in name:
            rules.append((Patterns((name,)), wide))
    return Recipe(label, "mlx", default, wide, rules=tuple(rules), head=default, embedding=default)


_MLX_MODES = {"mxfp4": "MXFP4", "mxfp8": "MXFP8", "nvfp4": "NVFP4-16"}


def _mlx_type(settings: Settings) -> str:
    mode = str(settings.get("mode") or "affine")
    return _MLX_MODES.get(mode) or f"MLX{_integer_of(settings, 'bits', 4)}-G{_integer_of(settings, 'group_size', 64)}"


def _mlx_name(settings: Settings) -> str:
    mode = str(settings.get("mode") or "affine")
    return mode if mode in _MLX_MODES else integer_format(_integer_of(settings, "bits", 4))


def _mxfp4(settings: Settings, wide: str) -> Recipe:
    """gpt-oss: the experts of a MoE, and nothing else that the list does not leave out anyway."""
    return Recipe("mxfp4", "mxfp4", "MXFP4", wide, kept_in(settings))


def _mxfp8(settings: Settings, wide: str) -> Recipe:
    return Recipe("mxfp8", "mxfp8", "MXFP8", wide, kept_in(settings))


def _bitnet(settings: Settings, wide: str) -> Recipe:
    return Recipe("ternary", "bitnet", "TERNARY", wide, kept_in(settings))


def _int8(settings: Settings, wide: str) -> Recipe:
    return Recipe("int8", str(settings.get("quant_method")), "INT8", wide, kept_in(settings))


def _eight(settings: Settings, wide: str) -> Recipe:
    return Recipe("fp8", str(settings.get("quant_method")), "FP8-ROW", wide, kept_in(settings))


def _quanto(settings: Settings, wide: str) -> Recipe:
    """optimum-quanto: eight bits a row, fewer with a scale and a shift for 128 weights."""
    named = str(settings.get("weights", "int8"))
    if "8" in named:
        return Recipe("fp8" if "float" in named else "int8", "quanto", "INT8", wide, kept_in(settings))
    bits = 2 if "2" in named else 4
    return Recipe(integer_format(bits), "quanto", f"HQQ{bits}-G128", wide, kept_in(settings))


def _fp_quant(settings: Settings, wide: str) -> Recipe:
    named = "nvfp4" if settings.get("forward_dtype") == "nvfp4" else "mxfp4"
    return Recipe(named, "fp_quant", _MLX_MODES[named], wide, kept_in(settings))


def _marlin(settings: Settings, wide: str) -> Recipe:
    return Recipe("int4", "marlin", _integer(4, _group(settings), zeros=False), wide, kept_in(settings))


def _w4afp8(settings: Settings, wide: str) -> Recipe:
    """SGLang's: routed experts in four bits beside FP8."""
    return Recipe("int4", "w4afp8", "FP8", wide, kept_in(settings), experts="INT4-G128S")


_READERS: dict[str, Callable[[Settings, str], Recipe]] = {
    "fp8": _fp8, "fbgemm_fp8": _fbgemm, "finegrained_fp8": _fp8, "ptpc_fp8": _eight, "w8a8_fp8": _eight,
    "awq": _awq, "awq_marlin": _awq, "gptq": _gptq, "gptq_marlin": _gptq, "gptqmodel": _gptq,
    "auto-round": _auto_round, "auto_round": _auto_round, "intel/auto-round": _auto_round, "autoround": _auto_round,
    "inc": _auto_round,
    "bitsandbytes": _bitsandbytes, "bnb": _bitsandbytes, "hqq": _hqq, "aqlm": _aqlm, "vptq": _vptq,
    "torchao": _torchao, "quark": quark, "exl2": _exl, "exl3": _exl, "mlx": _mlx, "mxfp4": _mxfp4,
    "bitnet": _bitnet, "eetq": _int8, "w8a8_int8": _int8, "experts_int8": _int8, "ascend": _int8,
    "compressed-tensors": compressed_tensors, "modelopt": modelopt, "modelopt_fp4": modelopt, "nvfp4": modelopt,
    "modelopt_mixed": modelopt, "mxfp8": _mxfp8, "petit_nvfp4": modelopt, "moe_wna16": _gptq, "paroquant": _awq,
    "quanto": _quanto, "fp_quant": _fp_quant, "marlin": _marlin, "w4afp8": _w4afp8,
}  # fmt: skip
