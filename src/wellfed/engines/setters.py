"""What one flag of an engine does to a layout: text -> a change, or ValueError where it cannot be.

Flags: tools/server/README.md of ggml-org/llama.cpp, README.md of ikawrakow/ik_llama.cpp; `vllm serve --help`; SGLang's
server arguments; trtllm-serve.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wellfed.nouns.layout import DraftKind, Layout, Speculation

DRAFTED_BY_DEFAULT = 3  # llama.cpp's --spec-draft-n-max
Change = Callable[[Layout], Layout]
Setter = Callable[[str], Change]
_WIDE = frozenset({"bf16", "fp16", "fp32", "f16"})


class NotModelled(ValueError):
    """A value that the engine takes and nothing here models; its text names it."""


def integer(text: str) -> int:
    """A whole number from 0 up; ValueError otherwise."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


# vLLM reads k, m, g as powers of 1000 and K, M, G as powers of 1024 (vllm/engine/arg_utils.py, human_readable_int)
_STEPS = {"k": 1e3, "m": 1e6, "g": 1e9, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30}


def amount(text: str) -> int:
    """A count as vLLM reads it: `32768`, `32k` (thousands), `32K` (of 1024), `1.5G`."""
    step = _STEPS.get(text[-1:])
    return integer(text) if step is None else round(float(text[:-1]) * step)


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
        return lambda layout: _with_field(layout, name, value)

    return setter


def _with_field(layout: Layout, name: str, value: int | bool) -> Layout:
    changes: dict[str, Any] = {name: value}
    return replace(layout, **changes)


def switch(name: str, value: bool) -> Setter:
    def setter(text: str) -> Change:
        chosen = value if is_on(text) else not value
        return lambda layout: _with_field(layout, name, chosen)

    return setter


def is_on(text: str) -> bool:
    values = {"": True, "on": True, "1": True, "true": True, "auto": True, "off": False, "0": False, "false": False}
    if text.lower() not in values:
        raise ValueError(text)
    return values[text.lower()]


def option(name: str, check: Callable[[str], str] = share) -> Setter:
    def setter(text: str) -> Change:
        value = check(text)
        return lambda layout: replace(layout, options=(*(o for o in layout.options if o[0] != name), (name, value)))

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
    # no engine makes these: it reads files that are so, and a wide repository's name left that out
    "gptq": "int4", "gptq_marlin": "int4", "awq": "int4", "awq_marlin": "int4", "moe_wna16": "int4",
    "auto-round": "int4", "modelopt_fp8": "fp8", "modelopt_fp4": "nvfp4",
}  # fmt: skip


def quantised(text: str) -> Change:
    """The weights as the engine makes them while it loads 16 bits; a quantised checkpoint is loaded as it is."""
    quantisation = _MADE.get(text.lower())

    def change(layout: Layout) -> Layout:
        return replace(layout, quantisation=quantisation) if quantisation and layout.quantisation in _WIDE else layout

    return change


# vllm/config/model.py (ModelDType), python/sglang/srt/server_args.py (--dtype)
_COMPUTED_IN = frozenset({"auto", "half", "float16", "bfloat16", "float", "float32"})


def computed_in(text: str) -> Change:
    """`--dtype`: what weights of 16 bits become, and the cache with them where nobody names its type."""
    if text.lower() not in _COMPUTED_IN:
        raise ValueError(text)
    made = quantised(text)

    def change(layout: Layout) -> Layout:
        wide = _MADE.get(text.lower()) == "fp32" and layout.kv_type == "f16"
        return replace(made(layout), kv_type="f32") if wide else made(layout)

    return change


def degree(name: str) -> Setter:
    def setter(text: str) -> Change:
        value = integer(text)
        if value < 1:
            raise ValueError(text)

        def change(layout: Layout) -> Layout:
            return _on_all(_with_field(layout, name, value))

        return change

    return setter


def _on_all(layout: Layout) -> Layout:
    """The layout on as many GPUs as its degrees multiply to."""
    prompts = int(dict(layout.options).get("prefill_context_parallel", 1))
    return replace(layout, gpus=layout.tensor_parallel * layout.pipeline_parallel * layout.data_parallel * prompts)


def helix_ranks(text: str) -> Change:
    """TensorRT-LLM's `context_parallel_size`: so many times attention's ranks, over which the cache is divided."""
    change, count = option("decode_context_parallel", count_of)(text), integer(text)
    if count < 1:
        raise ValueError(text)
    return lambda layout: _on_all(change(replace(layout, tensor_parallel=_of_attention(layout) * count)))


def helix_tensor(text: str) -> Change:
    """TensorRT-LLM's `tp_size`: ranks of attention, before or after those that divide the cache."""
    count = integer(text)
    if count < 1:
        raise ValueError(text)
    return lambda layout: _on_all(
        replace(layout, tensor_parallel=count * (layout.tensor_parallel // _of_attention(layout)))
    )


def _of_attention(layout: Layout) -> int:
    return max(1, layout.tensor_parallel // int(dict(layout.options).get("decode_context_parallel", 1)))


def prompt_ranks(text: str) -> Change:
    """vLLM's `--prefill-context-parallel-size`."""
    change = option("prefill_context_parallel", count_of)(text)
    if integer(text) < 1:
        raise ValueError(text)
    return lambda layout: _on_all(change(layout))


def _drafting(layout: Layout, **changes: Any) -> Layout:
    """The layout with what a flag says of its drafts; what the others say stands."""
    speculation = layout.speculation or Speculation(DRAFTED_BY_DEFAULT, 1.0, kind=DraftKind.DRAFT)
    return replace(layout, speculation=replace(speculation, **changes))


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
    count = integer(text)
    return lambda layout: _drafting(layout, tokens=count)


def draft_model(text: str) -> Change:
    return lambda layout: _drafting(layout, draft=text)


def json_object(text: str) -> dict[str, Any]:
    """A flag's value that is an object in JSON. Raises ValueError for another."""
    value = json.loads(text)  # its own error is a ValueError, too
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def speculative_config(text: str) -> Change:
    """vLLM's `--speculative-config`: JSON with method, model, num_speculative_tokens."""
    config = json_object(text)
    method, count = str(config.get("method", "draft_model")).lower(), config.get("num_speculative_tokens", 1)
    kind = _kind_of_method(method)
    if not isinstance(count, int) or count < 0:
        raise ValueError(text)
    return lambda layout: _drafting(layout, kind=kind, tokens=count, draft=str(config.get("model") or ""))


def _kind_of_method(method: str) -> DraftKind:
    marks = {"mtp": DraftKind.MTP, "nextn": DraftKind.MTP, "eagle": DraftKind.EAGLE, "ngram": DraftKind.NGRAM,
             "suffix": DraftKind.NGRAM, "standalone": DraftKind.DRAFT, "draft": DraftKind.DRAFT}  # fmt: skip
    for mark, kind in marks.items():
        if mark in method:
            return kind
    raise NotModelled(method)


def algorithm(text: str) -> Change:
    """SGLang's `--speculative-algorithm`: EAGLE on a model with prediction layers and no draft path is its MTP."""
    kind = _kind_of_method(text.lower())
    return lambda layout: _drafting(layout, kind=kind)


def attention_data_parallel(text: str) -> Change:
    """SGLang's `--enable-dp-attention` with `--dp-size` N: N groups inside the tensor-parallel ranks."""
    on = is_on(text)
    return lambda layout: (
        _with_groups(replace(layout, options=(*layout.options, ("dp_attention", "1")))) if on else layout
    )


def sglang_copies(text: str) -> Change:
    """`--dp-size`: copies of the engine, or with `--enable-dp-attention`, before or after it, attention's groups."""
    count = integer(text)
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
    on = is_on(text)
    return lambda layout: replace(layout, expert_parallel=layout.tensor_parallel) if on else layout


def expert_parallel(text: str) -> Change:
    """vLLM divides experts over all ranks of the tensor- and data-parallel groups."""
    on = is_on(text)
    return lambda layout: replace(
        layout, expert_parallel=max(1, layout.tensor_parallel * layout.data_parallel) if on else 1
    )


def kt_method(text: str) -> str:
    """kt-kernel's kernels for experts on the CPU: kt-kernel/README.md and the guides of kvcache-ai/ktransformers."""
    if text.upper() not in _KT_METHODS:
        raise ValueError(text)
    return text.upper()


_KT_METHODS = frozenset({
    "AMXINT4", "AMXINT8", "FP8", "RAWINT4", "LLAMAFILE", "BF16", "FP8_PERCHANNEL", "GPTQ_INT4", "MOE_INT4", "MOE_INT8",
    "MXFP4", "MXFP8", "SYCL_GPTQ_INT4",
})  # fmt: skip


def flag(name: str) -> Setter:
    return option(name, lambda text: "1" if is_on(text) else "0")


def unflag(name: str) -> Setter:
    """A switch that turns an option off."""
    return option(name, lambda text: "0" if is_on(text) else "1")


def flag_of_words(name: str) -> Setter:
    """A switch that is on as soon as its flag is given, whatever the words after it."""
    return option(name, lambda text: "1")


def gibibytes(text: str) -> str:
    """A number of GiB (or a plain ratio), not negative."""
    if not 0 <= float(text) < float("inf"):
        raise ValueError(text)
    return str(float(text))


def pages(text: str) -> str:
    """vLLM's `--num-gpu-blocks-override`: blocks of 16 tokens."""
    return str(16 * integer(text))


def drafts_and_one(text: str) -> Change:
    """SGLang counts the verified token among the drafted ones."""
    return draft_tokens(str(max(0, integer(text) - 1)))


def redundancy(text: str) -> Change:
    """vLLM's `--eplb-config`: JSON with num_redundant_experts."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(text) from error
    count = config.get("num_redundant_experts", 0) if isinstance(config, dict) else None
    if not isinstance(count, int) or count < 0:
        raise ValueError(text)
    return option("redundant_experts", count_of)(str(count))


def stage_layers(text: str) -> Change:
    """VLLM_PP_LAYER_PARTITION: layers of each pipeline stage."""
    split = tuple(integer(part) for part in text.split(","))
    if not all(split):
        raise ValueError(text)
    return lambda layout: replace(layout, split=split)


def media_bounds(text: str) -> Change:
    """vLLM's `--limit-mm-per-prompt`: JSON or `image=0,video=0`; where no media may come the towers are not loaded."""
    if text.lstrip().startswith("{"):
        counts = [kind.get("count", 1) if isinstance(kind, dict) else kind for kind in json_object(text).values()]
    else:
        counts = [int(pair.partition("=")[2]) for pair in text.split(",")]
    if not counts or any(counts):
        limits, loaded = option("media_limits", str)(_as_json(text)), option("language_only", str)("0")
        return lambda layout: limits(loaded(layout))
    return option("language_only", str)("1")


def _as_json(text: str) -> str:
    """`image=2,video=0` as newer versions write it."""
    if text.lstrip().startswith("{"):
        return text
    return json.dumps({pair.partition("=")[0]: int(pair.partition("=")[2]) for pair in text.split(",")})


def tower_mode(text: str) -> Change:
    """vLLM's `--mm-encoder-tp-mode`: `data` has the tower whole on every rank."""
    return option("tower_by_data", str)("1") if text == "data" else lambda layout: layout


def picture_bounds(text: str) -> Change:
    """vLLM's `--mm-processor-kwargs`: JSON, of which the most pixels of a picture count here."""
    config = json_object(text)
    size = config.get("size")
    pixels = config.get("max_pixels") or (size.get("longest_edge") if isinstance(size, dict) else None)
    if pixels is None:
        return lambda layout: layout
    return option("image_max_pixels", count_of)(str(pixels))
