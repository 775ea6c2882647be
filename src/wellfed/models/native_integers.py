"""Integers with a scale for each group: AWQ, GPTQ and its kin, AutoRound, Marlin, W4AFP8, INT8, BitNet."""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.models.native_groups import kept_in
from wellfed.models.native_values import Settings, group_size, integer_format, integer_of, integer_type
from wellfed.models.recipe import Patterns, Recipe


def awq(settings: Settings, wide: str) -> Recipe:
    """AWQ: 4 bits, groups of 128 unless the settings say otherwise; zero points stored unless `zero_point` is false."""
    bits, group = integer_of(settings, "bits", integer_of(settings, "w_bit", 4)), group_size(settings, "q_group_size")
    kind = integer_type(bits, group, zeros=settings.get("zero_point") is not False)
    return Recipe(integer_format(bits), "awq", kind, wide, kept_in(settings))


def gptq(settings: Settings, wide: str) -> Recipe:
    """Zero points are stored even where the values are symmetric, and the group of each input column."""
    bits, group = integer_of(settings, "bits", 4), group_size(settings)
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
                integer_of(override, "bits", integer_of(settings, "bits", 4)),
                integer_of(override, "group_size", group),
            )
            rules.append((Patterns(("re:" + str(text).removeprefix("+:"),)), f"INT{bits}-G{width}X"))
    return tuple(rules)


def auto_round(settings: Settings, wide: str) -> Recipe:
    """AutoRound: integers in groups, or the floats of `data_type`; modules of `extra_config` have bits of their own."""
    bits, group = integer_of(settings, "bits", 4), group_size(settings)
    extra = settings.get("extra_config")
    rules: list[tuple[Patterns, str]] = []
    for name, values in extra.items() if isinstance(extra, Mapping) else ():
        if isinstance(values, Mapping):
            width = integer_of(values, "bits", bits)
            rules.append((Patterns((str(name),)), wide if width >= 16 else integer_type(width, group)))
    form, kind = _AUTO_ROUND_FLOATS.get(
        (str(settings.get("data_type")), bits), (integer_format(bits), integer_type(bits, group))
    )
    return Recipe(form, "auto-round", kind, wide, kept_in(settings), tuple(rules))


# data_type and bits: the format and its type
_AUTO_ROUND_FLOATS = {
    ("mx_fp", 4): ("mxfp4", "MXFP4"),
    ("mx_fp", 8): ("mxfp8", "MXFP8"),
    ("nv_fp", 4): ("nvfp4", "NVFP4-16"),
    ("fp", 8): ("fp8", "FP8-TENSOR"),
}


def marlin(settings: Settings, wide: str) -> Recipe:
    """Marlin's GPTQ files: four bits, symmetric."""
    return Recipe("int4", "marlin", integer_type(4, group_size(settings), zeros=False), wide, kept_in(settings))


def w4afp8(settings: Settings, wide: str) -> Recipe:
    """SGLang's: routed experts in four bits beside FP8."""
    return Recipe("int4", "w4afp8", "FP8", wide, kept_in(settings), experts="INT4-G128S")


def int8(settings: Settings, wide: str) -> Recipe:
    """A byte a weight, a scale a row: EETQ, W8A8, vllm-ascend."""
    return Recipe("int8", str(settings.get("quant_method")), "INT8", wide, kept_in(settings))


def bitnet(settings: Settings, wide: str) -> Recipe:
    """BitNet: weights of -1, 0 and 1."""
    return Recipe("ternary", "bitnet", "TERNARY", wide, kept_in(settings))
