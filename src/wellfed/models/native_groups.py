"""Quantisation settings that sort modules into groups: compressed-tensors, ModelOpt, Quark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from wellfed.errors import Unsupported
from wellfed.models.recipe import Patterns, Recipe

Settings = Mapping[str, object]
_KEPT = ("modules_to_not_convert", "ignore", "ignored_layers", "exclude_modules", "exclude", "skip_modules",
         "llm_int8_skip_modules")  # fmt: skip
_EVERYTHING = {"Linear", "MoE", "re:.*"}


def texts(settings: Settings, *keys: str) -> tuple[str, ...]:
    """The lists of names under `keys`, together."""
    listed = (settings.get(key) for key in keys)
    return tuple(str(name) for names in listed if isinstance(names, list | tuple) for name in names)


def kept_in(settings: Settings) -> Patterns:
    """The modules that stay as they are, under any of the keys that say so."""
    return Patterns(tuple(dict.fromkeys(texts(settings, *_KEPT))))


def weight_type(values: Settings) -> tuple[str, str]:
    """The quantisation id and weight type of a group's `weights`: bits, type, group size, symmetry."""
    bits, kind, group = values.get("num_bits"), values.get("type"), values.get("group_size")
    width = group if isinstance(group, int) and not isinstance(group, bool) else 0
    by_channel = values.get("strategy") == "channel" or width <= 0
    if kind == "float" and bits == 4:
        return ("mxfp4", "MXFP4") if width == 32 else ("nvfp4", "NVFP4-16")
    if kind == "float" and bits == 8:
        if values.get("strategy") == "block":
            return "fp8", "FP8"
        if width == 32:
            return "mxfp8", "MXFP8"
        return "fp8", "FP8-ROW" if values.get("strategy") == "channel" else "FP8-TENSOR"
    if kind == "float" and bits == 6:
        return "mxfp6", "MXFP6"
    if kind in ("int", None) and isinstance(bits, int) and 1 <= bits <= 8:
        zeros = "S" if values.get("symmetric") is not False else ""
        return f"int{bits}", f"INT{bits}-R" if by_channel else f"INT{bits}-G{width}{zeros}"
    raise Unsupported(f"a quantisation group of {bits} bits of type {str(kind)[:20]!r} is not known here")


def compressed_tensors(settings: Settings, wide: str) -> Recipe:
    """Each group's targets are a kind of module ("Linear") or names; `ignore` stays as it is."""
    groups = settings.get("config_groups")
    members = (
        [member for member in groups.values() if isinstance(member, Mapping)] if isinstance(groups, Mapping) else []
    )
    default, labels, rules = "", Counter[str](), []
    for group in members:
        values = group.get("weights")
        if not isinstance(values, Mapping):
            continue
        label, kind = weight_type(values)
        targets = texts(group, "targets") or ("Linear",)
        names = tuple(name for name in targets if name not in _EVERYTHING)
        labels[label] += 1000 if len(names) < len(targets) else len(names)
        if len(names) < len(targets):
            default = kind
        if names:
            rules.append((Patterns(names), kind))
    if not labels:
        raise Unsupported("compressed-tensors without a group that has weights: nothing is known of its types")
    unquantised = kept_in(settings)
    kept_first = ((unquantised, wide),) if unquantised.texts else ()
    head = default if default and not unquantised.matches(("lm_head",), None) else ""
    return Recipe(
        labels.most_common(1)[0][0], "compressed-tensors", default, wide, unquantised, (*kept_first, *rules), head=head
    )


_ALGORITHMS: dict[str, tuple[str, str]] = {
    "FP8": ("fp8", "FP8-TENSOR"),
    "FP8_PER_CHANNEL_PER_TOKEN": ("fp8", "FP8-ROW"),
    "FP8_PB_WO": ("fp8", "FP8"),
    "FP8_PB_REAL": ("fp8", "FP8"),
    "NVFP4": ("nvfp4", "NVFP4-16"),
    "NVFP4_AWQ": ("nvfp4", "NVFP4-16"),
    "W4A16_NVFP4": ("nvfp4", "NVFP4-16"),
    "W4A8_NVFP4_FP8": ("nvfp4", "NVFP4-16"),
    "MXFP4": ("mxfp4", "MXFP4"),
    "W4A8_MXFP4_FP8": ("mxfp4", "MXFP4"),
    "W4A16_MXFP4": ("mxfp4", "MXFP4"),
    "MXFP8": ("mxfp8", "MXFP8"),
    "W8A8_SQ_PER_CHANNEL": ("int8", "INT8"),
    "W8A16": ("int8", "INT8"),
    "INT8": ("int8", "INT8"),
}
_BY_SIGN = (("NVFP4", ("nvfp4", "NVFP4-16")), ("MXFP4", ("mxfp4", "MXFP4")), ("MXFP8", ("mxfp8", "MXFP8")))
_BY_GROUP = {"W4A16_AWQ": 4, "W4A8_AWQ": 4, "INT4_AWQ": 4, "W4A16": 4, "W8A16_AWQ": 8}


def _algorithm(name: object, group: object) -> tuple[str, str]:
    text = str(name).upper()
    if text in _BY_GROUP:
        width = group if isinstance(group, int) and group > 0 else 128
        return f"int{_BY_GROUP[text]}", f"INT{_BY_GROUP[text]}-G{width}S"
    for sign, scheme in _BY_SIGN:
        if sign in text and text not in _ALGORITHMS:
            return scheme
    if text not in _ALGORITHMS:
        raise Unsupported(f"ModelOpt's quantisation {str(name)[:40]!r} is not known here")
    return _ALGORITHMS[text]


def modelopt(settings: Settings, wide: str) -> Recipe:
    """One algorithm but for `exclude_modules`, or with MIXED_PRECISION one for each of `quantized_layers`."""
    listed = settings.get("quantized_layers")
    algorithm = settings.get("quant_algo") or settings.get("quant_method")
    unquantised = kept_in(settings)
    if not isinstance(listed, Mapping) or not listed:
        groups = settings.get("config_groups")
        if str(algorithm).upper() in {"MIXED_PRECISION", "MODELOPT", "NONE"} and isinstance(groups, Mapping):
            weight_recipe = compressed_tensors(settings, wide)
            return Recipe(
                weight_recipe.format,
                "modelopt",
                weight_recipe.default,
                wide,
                weight_recipe.unquantised,
                weight_recipe.rules,
            )
        label, kind = _algorithm(algorithm, settings.get("group_size"))
        return Recipe(label, "modelopt", kind, wide, unquantised)
    by_type: dict[str, list[str]] = {}
    labels: Counter[str] = Counter()
    for name, values in listed.items():
        own_values: Settings = values if isinstance(values, Mapping) else {}
        label, kind = _algorithm(own_values.get("quant_algo"), own_values.get("group_size"))
        by_type.setdefault(kind, []).append(str(name))
        labels[label] += _share(str(name))
    rules = tuple((Patterns(tuple(names)), kind) for kind, names in by_type.items())
    return Recipe(labels.most_common(1)[0][0], "modelopt", "", wide, unquantised, rules)


def _share(name: str) -> int:
    """About how much of a model a module is: routed experts nearly all, else the feed-forward most of it."""
    return 1000 if "expert" in name else 5 if any(word in name for word in ("mlp", "ffn", "feed_forward")) else 1


_QUARK_INTEGERS = {"int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int3": 3, "int2": 2}


def _quark_type(values: Settings) -> tuple[str, str]:
    weight = values.get("weight")
    inner: object = weight[0] if isinstance(weight, list) and weight else weight
    tensor_settings: Settings = inner if isinstance(inner, Mapping) else {}
    kind, group = str(tensor_settings.get("dtype", "")), tensor_settings.get("group_size")
    width = group if isinstance(group, int) and not isinstance(group, bool) else 0
    if kind == "fp4":
        return ("nvfp4", "NVFP4-16") if width == 16 else ("mxfp4", "MXFP4")
    if kind in {"fp6_e2m3", "fp6_e3m2", "fp6"}:
        return "mxfp6", "MXFP6"
    if kind.startswith("fp8"):
        rowwise = tensor_settings.get("qscheme") == "per_channel"
        return ("mxfp8", "MXFP8") if width == 32 else ("fp8", "FP8-ROW" if rowwise else "FP8-TENSOR")
    if kind in _QUARK_INTEGERS:
        bits = _QUARK_INTEGERS[kind]
        zeros = "S" if tensor_settings.get("symmetric") is not False else ""
        return f"int{bits}", f"INT{bits}-G{width}{zeros}" if width > 0 else f"INT{bits}-R"
    raise Unsupported(f"Quark's weight type {kind[:40]!r} is not known here")


def quark(settings: Settings, wide: str) -> Recipe:
    """AMD's Quark: one type, others for `layer_quant_config`'s patterns, `exclude` stays as it is."""
    global_config = settings.get("global_quant_config")
    label, kind = _quark_type(global_config if isinstance(global_config, Mapping) else {})
    layers = settings.get("layer_quant_config")
    rules = []
    for name, values in layers.items() if isinstance(layers, Mapping) else ():
        if isinstance(values, Mapping):
            rules.append((Patterns((str(name),)), _quark_type(values)[1]))
    return Recipe(label, "quark", kind, wide, kept_in(settings), tuple(rules))
