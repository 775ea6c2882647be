"""Which type each tensor of a GGUF gets: llama.cpp's quantisation mixes, as a table.

A rule reads left to right, the first condition that holds decides: "gqa4:Q4_K Q3_K" is Q4_K where at least four
query heads share a key-value head, else Q3_K; a rule that decides nothing leaves the mix's own type.

Source: `llama_tensor_get_type` in src/llama-quant.cpp of ggml-org/llama.cpp and src/llama-quantize.cpp of
ikawrakow/ik_llama.cpp (read 2026-11-23). The IQ mixes are taken as made with an importance matrix, the others as made
without, which is how they are published.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache

from wellfed.frozen import dataclass, replace
from wellfed.models.gguf_types import TYPES, plain
from wellfed.models.tensor import MEMORY, Part, Tensor


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a model the mixes look at."""

    layers: int
    experts: int = 0
    group: int = 1  # query heads per key-value head
    vocabulary: int = 0
    hidden: int = 0
    tied: bool = False
    gqa_70b: bool = False  # the 80-layer Llama-2/3 and Qwen shapes
    fused: bool = False  # the GGUF holds query, key and value as one matrix, though the config's layers do not
    fused_as_values: bool = True  # attn_qkv as attn_v: since llama.cpp #19770, of March 2026


@dataclass(frozen=True, slots=True)
class Mix:
    """A mix: the common type and its exceptions by role; `resident` is for all but routed experts of a MoE."""

    base: str
    output: str = "Q6_K"
    embedding: str = ""
    v: str = ""
    fused: str = ""  # of attn_qkv, where it is not treated as attn_v
    k: str = ""
    q: str = ""
    o: str = ""
    down: str = ""
    up: str = ""
    shared: str = ""
    routed: str = ""
    routed_down: str = ""
    resident: str = ""


_O8 = "moe8=:Q5_K "  # the eight-expert models (Mixtral) get a better attention output
_V8 = "moe8=:Q8_0 "
_LOW = {"output": "Q5_K", "embedding": "Q2_K", "k": "moe8=:Q4_K", "down": "eighth:Q2_K"}

MIXES: dict[str, Mix] = {
    "F32": Mix("F32", output="F32"),
    "F16": Mix("F16", output="F16"),
    "BF16": Mix("BF16", output="BF16"),
    "Q8_0": Mix("Q8_0", output="Q8_0"),
    "Q4_0": Mix("Q4_0"),
    "Q4_1": Mix("Q4_1"),
    "Q5_0": Mix("Q5_0"),
    "Q5_1": Mix("Q5_1"),
    "Q6_K": Mix("Q6_K", v=_V8, k=_V8),
    "Q5_K_M": Mix("Q5_K", fused="Q6_K", v=_V8 + "more:Q6_K", k=_V8, down="more:Q6_K"),
    "Q5_K_S": Mix("Q5_K", v=_V8, k=_V8),
    "Q4_K_M": Mix("Q4_K", fused="Q5_K", v=_V8 + "more:Q6_K 70b:Q5_K", k=_V8, down="more:Q6_K", o=_O8),
    "Q4_K_S": Mix("Q4_K", v=_V8 + "first4:Q5_K 70b:Q5_K", k=_V8, down="eighth:Q5_K", o=_O8),
    "Q3_K_L": Mix("Q3_K", fused="Q4_K", v=_V8 + "Q5_K", k=_V8, down="Q5_K", o="moe8=:Q3_K Q5_K"),
    "Q3_K_M": Mix(
        "Q3_K", fused="Q4_K", v=_V8 + "first2:Q5_K 70b:Q5_K Q4_K", k=_V8, down="sixteenth:Q5_K Q4_K", o=_O8 + "Q4_K"
    ),
    "Q3_K_S": Mix("Q3_K", v=_V8 + "70b:Q5_K", k=_V8, o=_O8),
    "Q2_K": Mix("Q2_K", v=_V8 + "70b:Q5_K gqa4:Q4_K Q3_K", k=_V8, down="Q3_K", o=_O8 + "Q3_K"),
    "Q2_K_S": Mix("Q2_K", v=_V8 + "70b:Q5_K gqa4:Q4_K", k=_V8, down="eighth:Q4_K"),
    "IQ4_NL": Mix("IQ4_NL", v=_V8 + "gqa4:Q5_K", k=_V8, o=_O8),
    "IQ4_XS": Mix("IQ4_XS", v=_V8 + "gqa4:Q5_K", k=_V8, o=_O8),
    "IQ3_M": Mix("IQ3_S", fused="Q4_K", v=_V8 + "70b:Q5_K Q4_K", k=_V8, down="eighth:Q4_K", o=_O8 + "Q4_K"),
    "IQ3_S": Mix("IQ3_S", v=_V8 + "70b:Q5_K gqa4:Q4_K", k=_V8, o=_O8),
    "IQ3_XS": Mix(
        "IQ3_S",
        v=_V8 + "70b:Q5_K gqa4:Q4_K",
        k=_V8 + "IQ3_XXS",
        q="IQ3_XXS",
        o=_O8,
        down="",
        up="middle:IQ3_XXS",
    ),
    "IQ3_XXS": Mix(
        "IQ3_XXS",
        output="Q5_K",
        embedding="IQ3_S",
        v=_V8 + "70b:Q5_K gqa4:Q4_K",
        k=_V8 + "IQ2_S",
        q="IQ2_S",
        o=_O8 + "IQ3_S",
    ),
    "IQ2_M": Mix(
        "IQ2_S",
        output="Q5_K",
        embedding="IQ3_S",
        v="gqa4:Q4_K moe4:Q4_K IQ3_S",
        k="moe8=:Q4_K",
        down="eighth:IQ3_S",
        o=_O8 + "IQ3_S",
    ),
    "IQ2_S": Mix(
        "IQ2_XS",
        output="Q5_K",
        embedding="IQ3_S",
        v="gqa4:Q4_K moe4:Q4_K IQ3_S",
        k="moe8=:Q4_K",
        down="eighth:IQ3_S",
        o=_O8 + "IQ3_S",
    ),
    "IQ2_XS": Mix("IQ2_XS", v="gqa4:Q4_K moe4:Q4_K Q2_K", o=_O8, **_LOW),
    "IQ2_XXS": Mix("IQ2_XXS", v="gqa4:Q4_K moe4:Q4_K Q2_K", o=_O8, **_LOW),
    "IQ1_M": Mix("IQ1_M", v="gqa4:Q4_K moe4:Q4_K Q2_K", o=_O8 + "IQ2_XXS", **_LOW),
    "IQ1_S": Mix("IQ1_S", v="gqa4:Q4_K moe4:Q4_K Q2_K", o=_O8 + "IQ2_XXS", **_LOW),
    "TQ1_0": Mix("TQ1_0", embedding="Q4_K"),
    "TQ2_0": Mix("TQ2_0", embedding="Q4_K"),
    # as PrismML publishes Bonsai: head and embedding too
    "Q1_0": Mix("Q1_0", output="Q1_0"),
    "Q2_0": Mix("Q2_0", output="Q2_0"),
    "MXFP4": Mix("Q8_0", output="Q8_0", routed="MXFP4"),
    # ik_llama.cpp
    "Q6_0": Mix("Q6_0"),
    "IQ1_BN": Mix("IQ1_BN", embedding="IQ4_NL"),
    "IQ2_BN": Mix("IQ2_BN", embedding="IQ4_NL"),
    "IQ6_K": Mix("IQ6_K", output="IQ6_K", v="moe4:Q8_0", k="moe4:Q8_0"),
    "IQ5_K": Mix("IQ5_K", v="moe4:Q8_0 wide8b:IQ6_K gqa4:IQ6_K", k="moe4:Q8_0", q="wide8b:IQ4_K"),
    "IQ5_KS": Mix("IQ5_KS", v="moe4:Q8_0 wide8b:IQ6_K gqa4:IQ6_K", k="moe4:Q8_0", q="wide8b:IQ4_KS", o="moe4:Q5_K"),
    "IQ4_K": Mix("IQ4_K", v="moe4:Q8_0 gqa2:IQ5_K", k="moe4:Q8_0", o="moe4:Q5_K"),
    "IQ4_KS": Mix("IQ4_KS", v="moe4:Q8_0 gqa2:IQ5_K", k="moe4:Q8_0", o="moe4:Q5_K"),
    "IQ4_KSS": Mix("IQ4_KSS", v="moe4:Q8_0 gqa2:IQ5_K", k="moe4:Q8_0", o="moe4:Q5_K"),
    "IQ4_KT": Mix("IQ4_KT", v="moe4:Q8_0 gqa4:IQ5_K IQ4_K", k="moe4:Q8_0"),
    "IQ3_KL": Mix(
        "IQ3_K",
        v="moe4:Q8_0 gqa2:IQ5_K IQ4_K",
        k="moe4:Q8_0",
        down="more:IQ4_KS",
        up="more:IQ4_KS",
        o="moe4:Q5_K IQ4_KS",
    ),
    "IQ3_K": Mix("IQ3_K", output="Q5_K", v="moe4:Q8_0 gqa2:IQ4_K", k="moe4:Q8_0", o="moe4:Q5_K"),
    "IQ3_KS": Mix("IQ3_KS", output="Q5_K", v="moe4:Q8_0 gqa2:IQ4_KS", k="moe4:Q8_0", o="moe4:Q5_K"),
    "IQ3_KT": Mix(
        "IQ3_KT",
        output="Q5_K",
        embedding="IQ3_S",
        v="moe4:Q8_0 gqa4:IQ4_K IQ3_K",
        k="moe4:Q8_0",
        o="moe4:Q5_K gqa4:IQ3_K",
    ),
    "IQ2_KL": Mix("IQ2_KL", output="Q5_K", v="moe4:Q8_0 gqa2:IQ4_KS", k="moe4:Q8_0", o="moe4:IQ4_KS"),
    "IQ2_K": Mix("IQ2_K", output="Q5_K", v="moe4:Q8_0 gqa2:IQ4_K IQ3_K", k="moe4:Q8_0", o="moe4:Q5_K IQ3_K"),
    "IQ2_KS": Mix(
        "IQ2_KS",
        output="Q5_K",
        v="gqa4:IQ4_K moe4:IQ4_K gqa2:IQ3_K Q2_K",
        k="moe8:Q4_K",
        q="moe8:Q4_K",
        down="eighth:Q2_K",
        o="moe4:Q5_K",
    ),
    "IQ2_KT": Mix(
        "IQ2_KT",
        output="Q5_K",
        v="moe4:IQ4_K gqa4:IQ4_K gqa2:IQ3_K Q2_K",
        k="moe8:Q4_K",
        q="moe8:Q4_K",
        down="eighth:IQ3_K",
        shared="IQ4_K",
        o="moe4:Q5_K IQ3_K",
    ),
    "IQ1_KT": Mix("IQ1_KT", output="Q5_K"),
    "IQ1_S_R4": Mix(
        "IQ1_S_R4",
        output="Q5_K",
        embedding="Q2_K",
        v="moe4:IQ4_K gqa4:IQ4_K gqa2:IQ3_K Q2_K",
        k="moe8:Q4_K",
        q="moe8:Q4_K",
        down="eighth:Q2_K",
        shared="IQ4_K",
        o="moe4:Q5_K IQ2_K",
    ),
}
# a mix with embedding and head in Q8_0, as bartowski and Unsloth publish it
for _wide, _plain in {"Q2_K_L": "Q2_K", "Q3_K_XL": "Q3_K_L", "Q4_K_L": "Q4_K_M", "Q5_K_L": "Q5_K_M",
                      "Q6_K_L": "Q6_K"}.items():  # fmt: skip
    MIXES[_wide] = replace(MIXES[_plain], output="Q8_0", embedding="Q8_0")
MIXES["IQ1_M_R4"] = replace(MIXES["IQ1_S_R4"], base="IQ1_M_R4")
MIXES["Q8_KV"] = Mix("Q8_KV", output="Q8_KV")
MIXES["Q8_K_R8"] = Mix("Q8_K_R8", output="Q8_K_R8")

# Q2_K until llama.cpp #4773 of January 2024: all feed-forward matrices in Q3_K (Llama-2-7B takes 2.83 GB)
OLD_Q2_K = replace(MIXES["Q2_K"], up="Q3_K")
OLD_Q2_K_UNTIL = date(2024, 1, 1)
SINCE_2024 = frozenset({"mradermacher", "bartowski", "unsloth", "lmstudio-community", "ggml-org"})  # who began later

# What a row that does not divide into blocks of 256 gets instead.
_FALLBACK = {
    "IQ1": "IQ4_NL", "IQ2": "IQ4_NL", "IQ3": "IQ4_NL", "IQ4": "IQ4_NL", "IQ5": "Q5_0", "IQ6": "Q8_0",
    "Q2_": "Q4_0", "Q3_": "Q4_0", "TQ1": "Q4_0", "TQ2": "Q4_0", "Q4_": "Q5_0", "Q5_": "Q5_1", "Q6_": "Q8_0",
    "Q8_": "Q8_0",
}  # fmt: skip


def _more_bits(index: int, layers: int) -> bool:
    """The first and last eighth, and every third layer between."""
    return index < layers // 8 or index >= 7 * layers // 8 or (index - layers // 8) % 3 == 2


def _holds(condition: str, index: int, facts: Facts) -> bool:
    layers = facts.layers
    match condition:
        case "more":
            return _more_bits(index, layers)
        case "eighth":
            return index < layers // 8
        case "sixteenth":
            return index < layers // 16
        case "middle":
            return layers // 8 <= index < 7 * layers // 8
        case "first2":
            return index < 2
        case "first4":
            return index < 4
        case "gqa4":
            return facts.group >= 4
        case "gqa2":
            return facts.group >= 2
        case "moe4":
            return facts.experts >= 4
        case "moe8":
            return facts.experts >= 8
        case "moe8=":
            return facts.experts == 8
        case "70b":
            return facts.gqa_70b
        case "wide8b":
            eight = facts.layers == 32 and facts.hidden == 4096
            return facts.vocabulary >= 127_999 and (eight or facts.gqa_70b)
    raise ValueError(f"no such condition: {condition}")


@cache
def _parse(rule: str) -> tuple[tuple[str, str], ...]:
    pairs = (word.rpartition(":") for word in rule.split())
    return tuple((condition, kind) for condition, _, kind in pairs)


def layer_kinds(mix: Mix, facts: Facts) -> Callable[[int], tuple[bool, ...]]:
    """What of the mix's conditions holds of a layer: equal answers, equal types."""
    rules = (mix.embedding, mix.v, mix.k, mix.q, mix.o, mix.down, mix.up, mix.shared, mix.routed_down)
    conditions = sorted({condition for rule in rules for condition, _ in _parse(rule) if condition})

    @cache
    def kind(index: int) -> tuple[bool, ...]:
        return tuple(_holds(condition, index, facts) for condition in conditions)

    return kind


def _decide(rule: str, default: str, index: int, facts: Facts) -> str:
    for condition, kind in _parse(rule):
        if not condition or _holds(condition, index, facts):
            return kind
    return default


_RULE_OF_ROLE = {
    "attn_v": "v", "attn_qkv": "v", "attn_kv_b": "v", "attn_k": "k", "attn_q": "q", "attn_output": "o",
    "ffn_down": "down", "ffn_down_exps": "down", "ffn_down_shexp": "down",
    "ffn_up": "up", "ffn_gate": "up", "ffn_up_exps": "up", "ffn_gate_exps": "up", "ffn_up_shexp": "up",
    "ffn_gate_shexp": "up", "ffn_gate_up_exps": "up",
}  # fmt: skip
FUSED = frozenset({"chatglm", "qwen"})
_JOINED = frozenset({"attn_q", "attn_k", "attn_v"})
_UNQUANTISED = {Part.NORM, Part.ROUTER}
_LEFT_ALONE = {"laurel_l", "laurel_r", "altup_proj", "per_layer_model_proj", "indexer_q"}  # small, and not quantised
_PER_LAYER = "per_layer_token_embd"


def gguf_type(mix: Mix, tensor: Tensor, facts: Facts) -> str:
    """The name of the weight type that `mix` gives `tensor`. Norms, biases and routers stay F32."""
    if tensor.part in _UNQUANTISED or not tensor.is_matrix or tensor.role.startswith("small_"):
        return "F32"
    if mix.base in {"F32", "F16", "BF16"}:
        return mix.base
    if tensor.role == MEMORY:
        return "Q8_0"
    if tensor.role in _LEFT_ALONE or (tensor.part is Part.LOOKUP and tensor.role != _PER_LAYER):
        return "F16"
    return _fitting(_mixed(mix, tensor, facts), tensor.columns)


def _mixed(mix: Mix, tensor: Tensor, facts: Facts) -> str:
    index = tensor.layer or 0
    embeds = tensor.part in (Part.EMBEDDING, Part.LOOKUP)
    if tensor.part is Part.OUTPUT or (embeds and facts.tied):
        return mix.output if tensor.columns % 256 == 0 or TYPES[mix.base].block < 256 else "Q8_0"
    if embeds:
        return _decide(mix.embedding, plain(mix.base), index, facts)
    default = mix.base
    if tensor.part is Part.ROUTED_EXPERTS:
        default = mix.routed or mix.base
    elif facts.experts and mix.resident:
        default = mix.resident
    if tensor.part is Part.SHARED_EXPERTS and mix.shared:
        return _decide(mix.shared, default, index, facts)
    if tensor.role == "ffn_down_exps" and mix.routed_down:
        return _decide(mix.routed_down, default, index, facts)
    role = "attn_qkv" if facts.fused and tensor.role in _JOINED else tensor.role
    if role == "attn_qkv" and not facts.fused_as_values:
        return mix.fused or default
    field = _RULE_OF_ROLE.get(role)
    return _decide(getattr(mix, field), default, index, facts) if field else default


def _fitting(kind: str, columns: int) -> str:
    if TYPES[kind].fits(columns):
        return kind
    fallback = _FALLBACK.get(kind[:3], "F16")
    return fallback if TYPES[fallback].fits(columns) else "F16"
