"""Libraries that write several types: bitsandbytes, HQQ, torchao, quanto, MLX."""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.errors import Unsupported
from wellfed.message import sentence
from wellfed.models.native_floats import BLOCK_FLOATS
from wellfed.models.native_groups import kept_in, texts
from wellfed.models.native_values import Settings, integer_format, integer_of
from wellfed.models.recipe import Patterns, Recipe


def bitsandbytes(settings: Settings, wide: str) -> Recipe:
    """bitsandbytes: INT8, NF4 or FP4; with double quantisation the scales are quantised, too."""
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


def hqq(settings: Settings, wide: str) -> Recipe:
    """HQQ: `nbits` and `group_size`, of the weights where settings tell parts apart; the head stays as it is."""
    inner = settings.get("quant_config")
    values = inner.get("weight_quant_params") if isinstance(inner, Mapping) else None
    weight_settings: Settings = values if isinstance(values, Mapping) else settings
    bits, group = integer_of(weight_settings, "nbits", 4), integer_of(weight_settings, "group_size", 64)
    unquantised = Patterns(texts(settings, "skip_modules") or ("lm_head",))
    return Recipe(integer_format(bits), "hqq", f"HQQ{bits}-G{group}", wide, unquantised)


_TORCHAO_SIGNS = ("int4", "int8", "float8", "fp8", "mxfp4", "nvfp4", "mxfp8", "mxdynamic")


def torchao(settings: Settings, wide: str) -> Recipe:
    """By the name of torchao's own config class."""
    inner = settings.get("quant_type")
    values: object = inner.get("default", inner) if isinstance(inner, Mapping) else inner
    type_name = str(values.get("_type", "")) if isinstance(values, Mapping) else str(values)
    data = values.get("_data") if isinstance(values, Mapping) else None
    group = integer_of(data if isinstance(data, Mapping) else settings, "group_size", 128)
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


def quanto(settings: Settings, wide: str) -> Recipe:
    """optimum-quanto: eight bits a row, fewer with a scale and a shift for 128 weights."""
    named = str(settings.get("weights", "int8"))
    if "8" in named:
        return Recipe("fp8" if "float" in named else "int8", "quanto", "INT8", wide, kept_in(settings))
    bits = 2 if "2" in named else 4
    return Recipe(integer_format(bits), "quanto", f"HQQ{bits}-G128", wide, kept_in(settings))


def mlx(settings: Settings, wide: str) -> Recipe:
    """MLX quantises embeddings and head too; a module may have its own bits, or false."""
    default, label = _mlx_type(settings), _mlx_name(settings)
    rules = []
    for name, override in settings.items():
        if isinstance(override, Mapping):
            rules.append((Patterns((name,)), _mlx_type({**settings, **override})))
        elif override is False and "." in name:
            rules.append((Patterns((name,)), wide))
    return Recipe(label, "mlx", default, wide, rules=tuple(rules), head=default, embedding=default)


def _mlx_type(settings: Settings) -> str:
    mode = str(settings.get("mode") or "affine")
    return BLOCK_FLOATS.get(mode) or f"MLX{integer_of(settings, 'bits', 4)}-G{integer_of(settings, 'group_size', 64)}"


def _mlx_name(settings: Settings) -> str:
    mode = str(settings.get("mode") or "affine")
    return mode if mode in BLOCK_FLOATS else integer_format(integer_of(settings, "bits", 4))
