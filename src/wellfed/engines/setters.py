"""What one flag of an engine does to a layout: text -> a change, or ValueError where it cannot be.

Flags: tools/server/README.md of ggml-org/llama.cpp and README.md of ikawrakow/ik_llama.cpp; `vllm serve --help`; SGLang's
server arguments; trtllm-serve.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wellfed.nouns.layout import DraftKind, Layout, Speculation

DRAFTED_BY_DEFAULT = 3  # llama.cpp's --spec-draft-n-max
Change = Callable[[Layout], Layout]
Setter = Callable[[str], Change]
EXPERTS = "ffn_.*_exps"  # of every layer
# Patterns are searched in names of some 30 characters: repeats of repeats would take for ever.
_LONGEST_PATTERN, _NESTED = 2000, re.compile(r"[*+}]\)[*+{]|\.\*.*\.\*.*\.\*.*\.\*.*\.\*")
_WIDE = frozenset({"bf16", "fp16", "fp32", "f16"})


def whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


_STEPS = {"k": 1e3, "m": 1e6, "g": 1e9, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30}


def amount(text: str) -> int:
    """A count as vLLM reads it: `32768`, `32k` (thousands), `32K` (of 1024), `1.5G`."""
    step = _STEPS.get(text[-1:])
    return whole(text) if step is None else round(float(text[:-1]) * step)


def count_of(text: str) -> str:
    """The same, as an option's text."""
    return str(amount(text))


def share(text: str) -> str:
    if not 0 < float(text) <= 1:
        raise ValueError(text)
    return text


def field(name: str) -> Setter:
    """A count of the layout of at least one."""

    def setter(text: str) -> Change:
        value = amount(text)
        if value < 1:
            raise ValueError(text)
        return lambda layout: _with(layout, name, value)

    return setter


def _with(layout: Layout, name: str, value: int | bool) -> Layout:
    changes: dict[str, Any] = {name: value}
    return replace(layout, **changes)


def switch(name: str, value: bool) -> Setter:
    def setter(text: str) -> Change:
        chosen = value if _is_on(text) else not value
        return lambda layout: _with(layout, name, chosen)

    return setter


def _is_on(text: str) -> bool:
    known = {"": True, "on": True, "1": True, "true": True, "auto": True, "off": False, "0": False, "false": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def option(name: str, check: Callable[[str], str] = share) -> Setter:
    def setter(text: str) -> Change:
        value = check(text)
        return lambda layout: replace(layout, options=(*(o for o in layout.options if o[0] != name), (name, value)))

    return setter


def gpu_layers(text: str) -> Change:
    count = None if text.lower() in ("all", "auto", "-1") or whole(text) >= 99 else whole(text)
    return lambda layout: replace(layout, offload=replace(layout.offload, gpu_layers=count))


def cpu_moe(text: str) -> Change:
    """The first so many layers, those without experts too, leave their experts in RAM; without a number all."""
    count = None if text == "" else whole(text)
    pattern = EXPERTS if count is None else rf"^blk\.({'|'.join(map(str, range(count)))})\.ffn_.*_exps"
    rule = ((pattern, "CPU"),) if count is None or count else ()
    return lambda layout: replace(
        layout, offload=replace(layout.offload, cpu_expert_layers=count), overrides=(*layout.overrides, *rule)
    )


def kv(keys: bool) -> Setter:
    def setter(text: str) -> Change:
        kind = text.lower()

        def change(layout: Layout) -> Layout:
            own_keys, _, own_values = layout.kv_type.partition("/")
            own_values = own_values or own_keys
            pair = (kind, own_values) if keys else (own_keys, kind)
            return replace(layout, kv_type=pair[0] if pair[0] == pair[1] else "/".join(pair))

        return change

    return setter


_KV_NAMES = {"auto": "f16", "bfloat16": "bf16", "float16": "f16", "half": "f16", "fp8_inc": "fp8", "fp8_ds_mla": "fp8"}


def kv_dtype(text: str) -> Change:
    kind = _KV_NAMES.get(text.lower(), text.lower())
    return lambda layout: replace(layout, kv_type=kind)


def kv_bits(text: str) -> Change:
    """Bits of a cache: LMDeploy's `--quant-policy` 0, 4, 8; MLX's `--kv-bits`."""
    kind = {"0": "f16", "16": "f16", "8": "int8", "4": "int4"}[text] if text in ("0", "4", "8", "16") else None
    if kind is None:
        raise ValueError(text)
    return lambda layout: replace(layout, kv_type=kind)


# What `--quantization` and `--dtype` make of weights that are published in 16 or 32 bits; others stay what they are.
_MADE = {
    "fp8": "fp8", "w8a8_fp8": "fp8", "ptpc_fp8": "fp8", "bitsandbytes": "int4", "torchao": "int8", "int8": "int8",
    "w8a8_int8": "int8", "experts_int8": "int8", "half": "fp16", "float16": "fp16", "bfloat16": "bf16",
    "float32": "fp32", "float": "fp32", "mxfp4": "mxfp4", "mxfp8": "fp8", "nvfp4": "nvfp4",
}  # fmt: skip


def quantised(text: str) -> Change:
    """The weights as the engine makes them while it loads 16 bits; a quantised checkpoint is loaded as it is."""
    made = _MADE.get(text.lower())

    def change(layout: Layout) -> Layout:
        return replace(layout, quantisation=made) if made and layout.quantisation in _WIDE else layout

    return change


def degree(name: str) -> Setter:
    def setter(text: str) -> Change:
        value = whole(text)
        if value < 1:
            raise ValueError(text)

        def change(layout: Layout) -> Layout:
            changed = _with(layout, name, value)
            total = changed.tensor_parallel * changed.pipeline_parallel * changed.data_parallel
            return replace(changed, gpus=total)

        return change

    return setter


def split_mode(text: str) -> Change:
    """`row`: every matrix over all GPUs; `none`: one GPU; `layer`: the default."""
    mode = text.lower()
    if mode not in ("layer", "row", "none"):
        raise ValueError(text)
    if mode == "none":
        return lambda layout: replace(layout, gpus=min(1, layout.gpus), tensor_parallel=1, split=())
    return lambda layout: replace(layout, tensor_parallel=max(1, layout.gpus) if mode == "row" else 1)


def tensor_split(text: str) -> Change:
    """Proportions of layers on each GPU, as llama.cpp takes them."""
    shares = [float(part) for part in text.replace("/", ",").split(",") if part.strip()]
    if not shares or min(shares) < 0 or not sum(shares):
        raise ValueError(text)
    whole = all(share.is_integer() for share in shares)
    split = tuple(round(share if whole else 100 * share) for share in shares)
    return lambda layout: replace(layout, split=split, gpus=len(split)) if len(split) > 1 else layout


def override_tensor(text: str) -> Change:
    """`PATTERN=PLACE,...`: the first pattern that is found in a tensor's name says where it lies."""
    rules = tuple(_rule(part) for part in text.split(",") if part)
    if not rules:
        raise ValueError(text)
    experts = any(place == "CPU" and "exps" in pattern and not re.search(r"\d", pattern) for pattern, place in rules)

    def change(layout: Layout) -> Layout:
        offload = replace(layout.offload, cpu_expert_layers=None) if experts else layout.offload
        return replace(layout, overrides=(*layout.overrides, *rules), offload=offload)

    return change


def _rule(text: str) -> tuple[str, str]:
    pattern, found, place = text.rpartition("=")
    if not found or not pattern or len(pattern) > _LONGEST_PATTERN or _NESTED.search(pattern):
        raise ValueError(text)
    if not re.fullmatch(r"CPU\w*|[A-Za-z]+(_Host|_?\d+)?", place):
        raise ValueError(text)
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(text) from error
    return pattern, "CPU" if place.startswith("CPU") or place.endswith("_Host") else place


def mmproj(text: str) -> Change:
    """The file of the towers; where they lie is said apart."""
    return lambda layout: replace(layout, options=(("mmproj", "gpu"), *layout.options))


def mmproj_offload(text: str) -> Change:
    place = "gpu" if _is_on(text) else "ram"
    return lambda layout: replace(layout, options=(("mmproj", place), *layout.options))


def no_mmproj_offload(text: str) -> Change:
    return mmproj_offload("off" if _is_on(text) else "on")


def _drafting(layout: Layout, **changes: Any) -> Layout:
    """The layout with what a flag says of its drafts; what the others say stands."""
    own = layout.speculation or Speculation(DRAFTED_BY_DEFAULT, 1.0, kind=DraftKind.DRAFT)
    return replace(layout, speculation=replace(own, **changes))


def spec_type(text: str) -> Change:
    """llama.cpp's `--spec-type`, of several the first that drafts."""
    kinds = {"mtp": DraftKind.MTP, "eagle": DraftKind.EAGLE, "ngram": DraftKind.NGRAM, "simple": DraftKind.DRAFT}
    if text == "none":
        return lambda layout: replace(layout, speculation=None)
    for word, kind in kinds.items():
        if word in text:
            return lambda layout: _drafting(layout, kind=kind)
    raise ValueError(text)


def draft_tokens(text: str) -> Change:
    count = whole(text)
    return lambda layout: _drafting(layout, tokens=count)


def draft_model(text: str) -> Change:
    return lambda layout: _drafting(layout, draft=text)


def speculative_config(text: str) -> Change:
    """vLLM's `--speculative-config`: JSON with method, model, num_speculative_tokens."""
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(text) from error
    if not isinstance(told, dict):
        raise ValueError(text)
    method, count = str(told.get("method", "draft_model")).lower(), told.get("num_speculative_tokens", 1)
    kind = _kind_of_method(method)
    if not isinstance(count, int) or count < 0:
        raise ValueError(text)
    return lambda layout: _drafting(layout, kind=kind, tokens=count, draft=str(told.get("model") or ""))


def _kind_of_method(method: str) -> DraftKind:
    marks = {"mtp": DraftKind.MTP, "nextn": DraftKind.MTP, "eagle": DraftKind.EAGLE, "ngram": DraftKind.NGRAM,
             "suffix": DraftKind.NGRAM, "standalone": DraftKind.DRAFT, "draft": DraftKind.DRAFT}  # fmt: skip
    for mark, kind in marks.items():
        if mark in method:
            return kind
    raise ValueError(method)


def algorithm(text: str) -> Change:
    """SGLang's `--speculative-algorithm`: EAGLE on a model with prediction layers and no draft path is its MTP."""
    kind = _kind_of_method(text.lower())
    return lambda layout: _drafting(layout, kind=kind)


def attention_data_parallel(text: str) -> Change:
    """SGLang's `--enable-dp-attention` with `--dp-size` N: N groups inside the tensor-parallel ranks."""
    on = _is_on(text)
    return lambda layout: _with_groups(replace(layout, options=(*layout.options, ("dp_attention", "1")))) if on else layout


def sglang_copies(text: str) -> Change:
    """`--dp-size`: copies of the engine, or with `--enable-dp-attention`, before or after it, attention's groups."""
    count = whole(text)
    if count < 1:
        raise ValueError(text)
    return lambda layout: _with_groups(degree("data_parallel")(str(count))(layout))


def _with_groups(layout: Layout) -> Layout:
    data = layout.data_parallel
    if ("dp_attention", "1") not in layout.options or data == 1 or layout.tensor_parallel % data:
        return layout
    gpus = layout.tensor_parallel * layout.pipeline_parallel
    return replace(layout, data_parallel=1, attention_data_parallel=data, gpus=gpus)


def experts_over_ranks(text: str) -> Change:
    """`--enable-ep-moe` and its kin: experts divided over all tensor-parallel ranks."""
    on = _is_on(text)
    return lambda layout: replace(layout, expert_parallel=layout.tensor_parallel) if on else layout


def expert_parallel(text: str) -> Change:
    """vLLM divides experts over all ranks of the tensor- and data-parallel groups."""
    on = _is_on(text)
    return lambda layout: replace(
        layout, expert_parallel=max(1, layout.tensor_parallel * layout.data_parallel) if on else 1
    )


def kt_method(text: str) -> str:
    """kt-kernel's kernels for experts on the CPU."""
    if text.upper() not in ("AMXINT4", "AMXINT8", "FP8", "RAWINT4", "LLAMAFILE", "BF16", "FP8_PERCHANNEL", "GPTQ_INT4"):
        raise ValueError(text)
    return text.upper()


def flag(name: str) -> Setter:
    return option(name, lambda text: "1" if _is_on(text) else "0")


def unflag(name: str) -> Setter:
    """A switch that turns an option off."""
    return option(name, lambda text: "0" if _is_on(text) else "1")


def flag_of_words(name: str) -> Setter:
    """A switch that is on as soon as its flag is given, whatever the words after it."""
    return option(name, lambda text: "1")


def all_experts(text: str) -> Change:
    """`--cpu-moe`."""
    return cpu_moe("") if _is_on(text) else (lambda layout: layout)


def devices(text: str) -> Change:
    """`--device CUDA0,CUDA1`: so many GPUs; `none`: the CPU alone."""
    names = [name for name in text.split(",") if name]
    if not names:
        raise ValueError(text)
    if names == ["none"]:
        return lambda layout: replace(layout, gpus=0, offload=replace(layout.offload, gpu_layers=0))
    return lambda layout: replace(layout, gpus=min(layout.gpus, len(names)))


def gibibytes(text: str) -> str:
    """A number of GiB (or a plain ratio), not negative."""
    if not 0 <= float(text) < float("inf"):
        raise ValueError(text)
    return str(float(text))


def sizes(text: str) -> str:
    """llama.cpp's `--fit-target`: MiB, one for every GPU or one for each."""
    return ",".join(str(whole(part)) for part in text.split(","))


def prompt_cache(text: str) -> Change:
    """llama.cpp's `--cache-ram` in MiB; -1 is without limit, which is not decided here."""
    if text == "-1":
        return lambda layout: layout
    size = whole(text) * 2**20
    return lambda layout: replace(layout, prompt_cache_bytes=size)


def pages(text: str) -> str:
    """vLLM's `--num-gpu-blocks-override`: blocks of 16 tokens."""
    return str(16 * whole(text))


def drafts_and_one(text: str) -> Change:
    """SGLang counts the verified token among the drafted ones."""
    return draft_tokens(str(max(0, whole(text) - 1)))


def active_experts(text: str) -> Change:
    """ik_llama.cpp's `-ser N,T`: at most N experts a token where T is 1."""
    count = whole(text.split(",")[0])
    return lambda layout: replace(layout, active_experts=count) if count else layout


def lora_file(text: str) -> Change:
    """llama.cpp's `--lora`, repeatable: one adapter more, loaded beside the model."""

    def change(layout: Layout) -> Layout:
        before = int(dict(layout.options).get("loras", 0))
        kept = tuple(pair for pair in layout.options if pair[0] not in ("lora", "loras"))
        return replace(layout, options=(*kept, ("lora", "1"), ("loras", str(before + 1))))

    return change


def redundancy(text: str) -> Change:
    """vLLM's `--eplb-config`: JSON with num_redundant_experts."""
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(text) from error
    count = told.get("num_redundant_experts", 0) if isinstance(told, dict) else None
    if not isinstance(count, int) or count < 0:
        raise ValueError(text)
    return option("redundant_experts", count_of)(str(count))


def cache_bits(text: str) -> Change:
    """exllamav3's cache: `FP16`, `Q8`, `Q6`, `Q4`, or bits of keys and values, `8,6`."""
    named = {"FP16": "f16", "Q8": "q8_0", "Q6": "q6_0", "Q4": "q4_0"}.get(text.upper())
    if named is None:
        bits = [whole(part) for part in text.split(",")]
        if not 1 <= len(bits) <= 2 or not all(2 <= count <= 8 for count in bits):
            raise ValueError(text)
        named = "/".join(f"exl{count}" for count in dict.fromkeys(bits if bits[0] != bits[-1] else bits[:1]))
    kind = named
    return lambda layout: replace(layout, kv_type=kind)


def rows_over_gpus(text: str) -> Change:
    """exllamav3's tensor parallelism: every matrix over all GPUs."""
    on = _is_on(text)
    return lambda layout: replace(layout, tensor_parallel=max(1, layout.gpus)) if on else layout


def stage_layers(text: str) -> Change:
    """VLLM_PP_LAYER_PARTITION: layers of each pipeline stage."""
    split = tuple(whole(part) for part in text.split(","))
    if not all(split):
        raise ValueError(text)
    return lambda layout: replace(layout, split=split)
