"""Quantisations by name, as people and logs write them."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from wellfed.errors import UnknownName, nearest
from wellfed.frozen import replace
from wellfed.models.gguf_types import TYPES, gguf_type_names, plain
from wellfed.models.quantisation import ALL_MIXES, Quantisation
from wellfed.patterns import regex
from wellfed.units import parse_bytes

_SAFETENSORS = (
    Quantisation("fp32", "FP32", "safetensors", "fp32", 32, aliases=("float32",)),
    Quantisation("bf16", "BF16", "safetensors", "bf16", 16, aliases=("bfloat16", "original", "native")),
    Quantisation("fp16", "FP16", "safetensors", "fp16", 16, aliases=("float16", "half")),
    Quantisation("fp8", "FP8", "safetensors", "fp8", 8, aliases=("f8", "e4m3", "fp8-block", "fp8-dynamic")),
    Quantisation("int8", "INT8", "safetensors", "int8", 8, aliases=("w8a8", "w8a16", "amx-int8", "gptq-int8")),
    Quantisation(
        "int4",
        "INT4 (AWQ, GPTQ)",
        "safetensors",
        "int4",
        4.16,
        aliases=("awq", "gptq", "w4a16", "awq-int4", "gptq-int4", "int4-g128", "amx-int4"),
    ),
    Quantisation("nvfp4", "NVFP4", "safetensors", "nvfp4", 4.5, aliases=("fp4", "w4a4")),
    Quantisation("nvfp4-ffn", "NVFP4, attention in BF16", "safetensors", "nvfp4-ffn", 4.6),
    Quantisation("nvfp4-ffn-output", "NVFP4, attention but its output in BF16", "safetensors", "nvfp4-ffn-output", 4.5),
    Quantisation("mxfp4", "MXFP4", "safetensors", "mxfp4", 4.25),
    Quantisation("mxfp4-experts", "MXFP4 experts, rest BF16", "safetensors", "mxfp4-experts", 4.25),
    Quantisation("fp8-fp4-experts", "FP4 experts, rest FP8", "safetensors", "fp8-fp4-experts", 4.5),
    Quantisation("int2", "INT2", "safetensors", "int2", 2.2, aliases=("gptq-int2", "w2a16", "2bit")),
    Quantisation("int3", "INT3", "safetensors", "int3", 3.2, aliases=("gptq-int3", "w3a16", "3bit")),
    Quantisation("int5", "INT5", "safetensors", "int5", 5.5, aliases=("5bit",)),
    Quantisation("int6", "INT6", "safetensors", "int6", 6.5, aliases=("6bit",)),
    Quantisation("nf4", "NF4 (bitsandbytes)", "safetensors", "nf4", 4.13, aliases=("bnb-4bit", "bnb-nf4")),
    Quantisation("bnb-fp4", "FP4 (bitsandbytes)", "safetensors", "bnb-fp4", 4.5),
    Quantisation("aqlm", "AQLM", "safetensors", "aqlm", 2.3, aliases=("aqlm-2bit",)),
    Quantisation("vptq", "VPTQ", "safetensors", "vptq", 3.0),
    Quantisation("mxfp6", "MXFP6", "safetensors", "mxfp6", 6.25),
    Quantisation("mxfp8", "MXFP8", "safetensors", "mxfp8", 8.25),
    Quantisation("ternary", "ternary (BitNet)", "safetensors", "ternary", 2, aliases=("1.58bit",)),
    Quantisation("int4-experts", "INT4 experts, rest BF16", "safetensors", "int4-experts", 4.5),
)  # fmt: skip

_BITS = {"Q3_K_L": 4.0, "Q3_K_M": 3.8, "Q3_K_S": 3.44, "Q4_K_M": 4.8, "Q4_K_S": 4.55, "Q5_K_M": 5.67, "Q2_K": 2.96,
         "Q2_K_S": 2.7, "IQ3_M": 3.66, "IQ3_XS": 3.3, "IQ2_M": 2.7, "IQ2_S": 2.5,
         "MXFP4": 4.25, "IQ3_KL": 4.0,
         "Q2_K_L": 3.0, "Q3_K_XL": 4.1, "Q4_K_L": 4.9, "Q5_K_L": 5.7, "Q6_K_L": 6.6}  # fmt: skip
_GGUF_ALIASES = {
    "Q3_K_M": ("q3_k", "q3_k-medium"),
    "Q4_K_M": ("q4_k", "q4_k-medium", "q4km", "q4"),
    "Q5_K_M": ("q5_k", "q5_k-medium", "q5"),
    "Q8_0": ("q8",),
    "Q6_K": ("q6",),
    "Q3_K_L": ("q3_k-large",),
    "Q2_K": ("q2_k-medium", "q2_k_m", "q2"),
    "Q4_0": ("q4_0_4_4", "q4_0_4_8", "q4_0_8_8"),
    "F32": ("gguf-f32",),
    "F16": ("f16", "gguf-f16"),
    "BF16": ("gguf-bf16",),
    "IQ2_BN": ("i2_s", "bitnet"),
    "TQ2_0": ("iq2_tn",),
    "UD-Q4_K_XL": ("ud-q4", "q4_k_xl"),
    "UD-Q2_K_XL": ("ud-q2", "q2_k_xl"),
    "UD-Q3_K_XL": ("ud-q3", "q3_k_xl"),
    "UD-Q5_K_XL": ("ud-q5", "q5_k_xl"),
    "UD-Q6_K_XL": ("ud-q6", "q6_k_xl"),
    "UD-Q8_K_XL": ("ud-q8", "q8_k_xl"),
    "UD-IQ1_S": ("iq1_s-1.58b",),
    "IQ4_KS_R4": ("iq4_ks_r",),
    "IQ3_M": ("iq3_s-mix",),
    "Q5_K_S": ("q5_k-small",),
    "Q4_K_S": ("q4_k-small",),
    "Q3_K_S": ("q3_k-small",),
    "Q2_K_S": ("q2_k-small",),
    "MXFP4": ("mxfp4-moe", "gguf-mxfp4"),
}


@cache
def quantisations() -> tuple[Quantisation, ...]:
    """All named quantisations: safetensors' first, then GGUF's, in order of bits."""
    listed = [_gguf(name) for name in ALL_MIXES]
    labels = {quant.label for quant in listed}
    # repacked types are made by requantising whole files: every tensor of the plain mix, interleaved
    repacked = [n for n in gguf_type_names() if plain(n) != n and n not in labels]
    listed += [
        replace(_gguf(_mix_of(plain(n))), id=n.lower(), label=n, aliases=_GGUF_ALIASES.get(n, ())) for n in repacked
    ]
    return (*_SAFETENSORS, *sorted(listed, key=lambda quant: -quant.bits))


def _gguf(name: str) -> Quantisation:
    bits = _BITS.get(name) or _BITS.get(ALL_MIXES[name].base) or TYPES[ALL_MIXES[name].base].bits
    identity = {
        "F32": "gguf-f32",
        "F16": "f16",
        "BF16": "gguf-bf16",
        "MXFP4": "gguf-mxfp4",
        "Q3_K_XL": "q3_k_xl-q8",
    }.get(name, name.lower())
    label = "Q3_K_XL, Q8_0 head" if name == "Q3_K_XL" else name  # Q3_K_XL alone is short for Unsloth's
    return Quantisation(identity, label, "gguf", name, bits, aliases=_GGUF_ALIASES.get(name, ()))


def _mix_of(kind: str) -> str:
    """The mix a file labelled with a bare type usually has."""
    return {"Q2_K": "Q2_K", "Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "IQ2_S": "IQ2_M"}.get(kind, kind)


@cache
def _by_name() -> dict[str, Quantisation]:
    names: dict[str, Quantisation] = {}
    for quant in quantisations():
        for name in (quant.id, quant.label, *quant.aliases):
            names.setdefault(_key(name), quant)
    return names


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "", name.lower())


_SIZE = regex(r"([0-9.]+)\s*([GMT]i?B)\b", re.IGNORECASE, of=("gb", "mb", "tb", "gib", "mib", "tib"))
_BPW = regex(r"~?\s*([0-9]+(?:\.[0-9]+)?)\s*(?:bpw|bits? per weight)", re.IGNORECASE, of=("bpw", "per weight"))
_NOISE = regex(
    r"\(.*?\)|\bmostly\b|\bsmol-?|\bmix(?:ed)?\b|\bCPU\b|\bGPU\b|\bternary\b|\bbitnet\b",
    re.IGNORECASE,
    of=("(", "mostly", "smol", "mix", "cpu", "gpu", "ternary", "bitnet"),
)


@lru_cache(maxsize=1024)
def quantisation(name: str) -> Quantisation:
    """The quantisation called `name`, loosely: 'Q4_K - Medium', 'IQ3_K - 3.4325 bpw', 'mixed ~3.9 bpw (307.2 GiB)'.

    A size in GiB is taken over; bits per weight only where nothing else is known. Raises UnknownName.
    """
    text = name.strip()
    trellis = _EXL.fullmatch(text)
    if trellis is not None:
        return exl(float(trellis[1]))
    size, bits = _SIZE.search(text), _BPW.search(text)
    bare = _SIZE.sub("", _BPW.sub("", text))
    chosen = _find(bare)
    if chosen is None and bits is None and size is None:
        raise UnknownName("quantisation", name, nearest(text, (quant.id for quant in quantisations())))
    if chosen is None:
        chosen = _by_bits(float(bits[1])) if bits else replace(_by_name()["q4km"], id="gguf-sized")
    return chosen.sized(parse_bytes(size[1] + size[2])) if size else chosen


_EXL = regex(
    r"(?:exl[23][-_ ]?)?(\d{1,2}(?:\.\d{1,2})?)\s?bpw(?:[-_ ]?h\d)?(?:[-_ ]exl[23])?", re.IGNORECASE, of=("bpw",)
)


def exl(bits: float) -> Quantisation:
    """EXL2 or EXL3 with `bits` per weight, embeddings in FP16. Raises UnknownName for a number nobody publishes."""
    if not 1 <= bits <= 8.5:
        raise UnknownName("quantisation", f"{bits:g}bpw")
    label = f"{bits:g}bpw" if bits % 1 else f"{bits:.1f}bpw"
    return Quantisation(label, f"EXL {label}", "safetensors", label, bits)


def _find(text: str) -> Quantisation | None:
    by_name = _by_name()
    for candidate in (text, _NOISE.sub(" ", text)):
        exact = by_name.get(_key(candidate))
        if exact:
            return exact
    words = re.split(r"[\s/,]+", _NOISE.sub(" ", text))
    hits = [by_name[_key(word)] for word in words if _key(word) in by_name]
    return hits[0] if hits else None


def sized_gguf(parameters: float, file_bytes: float) -> Quantisation:
    """A GGUF of unknown recipe that holds `parameters` in `file_bytes`."""
    return _by_bits(round(8 * file_bytes / parameters, 2)).sized(file_bytes)


def _by_bits(bits: float) -> Quantisation:
    """A GGUF mix of unknown recipe, `bits` per weight over the whole file."""
    if not 0.5 <= bits <= 32:
        raise UnknownName("quantisation", f"{bits} bpw")
    ggufs = [quant for quant in quantisations() if quant.family == "gguf" and not quant.label.startswith("UD-")]
    near = min(ggufs, key=lambda quant: abs(quant.bits - bits))
    return replace(near, id=f"gguf-{bits:g}bpw", label=f"GGUF, {bits:g} bits per weight", bits=bits, file_bits=bits)
