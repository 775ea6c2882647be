"""Vectors in codebooks and trellises: AQLM, VPTQ, EXL2 and EXL3."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

from wellfed.message import sentence
from wellfed.models.native_groups import kept_in, texts
from wellfed.models.native_values import Settings, integer_of, number_of
from wellfed.models.recipe import Patterns, Recipe


def aqlm(settings: Settings, wide: str) -> Recipe:
    """AQLM: `num_codebooks` indices of `nbits_per_codebook` bits for `in_group_size` weights."""
    books, width = integer_of(settings, "num_codebooks", 1), integer_of(settings, "nbits_per_codebook", 16)
    bits = books * width / max(1, integer_of(settings, "in_group_size", 8))
    unquantised = Patterns(texts(settings, "linear_weights_not_to_quantize"))
    return Recipe("aqlm", "aqlm", f"AQLM{bits:g}-{books}x{width}", wide, unquantised)


_VPTQ_BITS = 3.0  # bits a weight where the config does not say, assumed


def vptq(settings: Settings, wide: str) -> Recipe:
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


def exl(settings: Settings, wide: str) -> Recipe:
    """EXL2 and EXL3: `bits` a weight on average, `head_bits` in the output head."""
    bits, head = number_of(settings, "bits", 4.0), number_of(settings, "head_bits", 6.0)
    method = str(settings.get("quant_method"))
    return Recipe(f"{bits:g}bpw" if bits % 1 else f"{bits:.1f}bpw", method, f"EXL{bits:g}", "F16", head=f"EXL{head:g}")
