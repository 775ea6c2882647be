"""Floats of eight and four bits: DeepSeek's FP8 and others', MXFP4 and MXFP8, FP-Quant."""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.models.native_groups import kept_in, modelopt, texts
from wellfed.models.native_values import Settings
from wellfed.models.recipe import Patterns, Recipe


def fp8(settings: Settings, wide: str) -> Recipe:
    """FP8 in tiles with a scale each (DeepSeek), else a scale a tensor; a list of layers may have another type."""
    base = "FP8" if settings.get("weight_block_size") else "FP8-TENSOR"
    listed = settings.get("quantized_layers")
    if isinstance(listed, Mapping) and listed:
        mixed = modelopt({**settings, "quant_algo": "MIXED_PRECISION"}, wide)
        return Recipe(mixed.format, "fp8", base, wide, Patterns(texts(settings, "modules_to_not_convert")), mixed.rules)
    return Recipe("fp8", "fp8", base, wide, kept_in(settings))


def fbgemm(settings: Settings, wide: str) -> Recipe:
    """fbgemm: FP8 with a scale for each row."""
    return Recipe("fp8", "fbgemm_fp8", "FP8-ROW", wide, kept_in(settings))


def fp8_by_row(settings: Settings, wide: str) -> Recipe:
    """FP8 with a scale for each row, whoever wrote it."""
    return Recipe("fp8", str(settings.get("quant_method")), "FP8-ROW", wide, kept_in(settings))


def mxfp4(settings: Settings, wide: str) -> Recipe:
    """gpt-oss: the experts of a MoE, and nothing else that the list does not leave out anyway."""
    return Recipe("mxfp4", "mxfp4", "MXFP4", wide, kept_in(settings))


def mxfp8(settings: Settings, wide: str) -> Recipe:
    """FP8 in blocks of 32 with an exponent each (OCP MX)."""
    return Recipe("mxfp8", "mxfp8", "MXFP8", wide, kept_in(settings))


BLOCK_FLOATS = {"mxfp4": "MXFP4", "mxfp8": "MXFP8", "nvfp4": "NVFP4-16"}


def fp_quant(settings: Settings, wide: str) -> Recipe:
    """FP-Quant: MXFP4 or NVFP4, by `forward_dtype`."""
    named = "nvfp4" if settings.get("forward_dtype") == "nvfp4" else "mxfp4"
    return Recipe(named, "fp_quant", BLOCK_FLOATS[named], wide, kept_in(settings))
