"""What one flag of llama.cpp and other local engines does to a layout: which layers, experts and tensors lie where."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

from wellfed.engines.setters import Change, Setter, integer, is_on, option
from wellfed.nouns.layout import BackEnd, Layout
from wellfed.patterns import regex
from wellfed.perf.memory.remote import ADDRESSES, RPC, local_gpus
from wellfed.units import parse_bytes

EXPERTS = "ffn_.*_exps"  # of every layer


# Patterns are searched in names of some 30 characters: repeats of repeats would take for ever.
_LONGEST_PATTERN, _NESTED = 2000, regex(r"[*+}]\)[*+{]|\.\*.*\.\*.*\.\*.*\.\*.*\.\*")


def gpu_layers(text: str) -> Change:
    count = None if text.lower() in ("all", "auto", "-1") or integer(text) >= 99 else integer(text)
    return lambda layout: replace(layout, offload=layout.offload.with_gpu_layers(count))


def cpu_moe(text: str) -> Change:
    """The first so many layers, those without experts too, leave their experts in RAM; without a number all."""
    count = None if text == "" else integer(text)
    pattern = EXPERTS if count is None else rf"^blk\.({'|'.join(map(str, range(count)))})\.ffn_.*_exps"
    rule = ((pattern, "CPU"),) if count is None or count else ()
    return lambda layout: replace(
        layout, offload=layout.offload.with_cpu_expert_layers(count), overrides=(*layout.overrides, *rule)
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
    integral = all(share.is_integer() for share in shares)
    split = tuple(round(share if integral else 100 * share) for share in shares)
    return lambda layout: replace(layout, split=split, gpus=len(split)) if len(split) > 1 else layout


def override_tensor(text: str) -> Change:
    """`PATTERN=PLACE,...`: the first pattern that is found in a tensor's name says where it lies."""
    rules = tuple(_rule(part) for part in text.split(",") if part)
    if not rules:
        raise ValueError(text)
    experts = any(place == "CPU" and "exps" in pattern and not re.search(r"\d", pattern) for pattern, place in rules)

    def change(layout: Layout) -> Layout:
        offload = layout.offload.with_cpu_expert_layers(None) if experts else layout.offload
        return replace(layout, overrides=(*layout.overrides, *rules), offload=offload)

    return change


def _rule(text: str) -> tuple[str, str]:
    pattern, equals, place = text.rpartition("=")
    if not equals or not pattern or len(pattern) > _LONGEST_PATTERN or _NESTED.search(pattern):
        raise ValueError(text)
    if not re.fullmatch(r"CPU\w*|[A-Za-z]+(_Host|_?\d+)?", place):
        raise ValueError(text)
    try:
        with warnings.catch_warnings(action="ignore"):  # what later versions of Python may read otherwise
            re.compile(pattern)
    except re.error as error:
        raise ValueError(text) from error
    return pattern, "CPU" if place.startswith("CPU") or place.endswith("_Host") else place


def mmproj(text: str) -> Change:
    """The file of the towers; where they lie is said apart."""

    def change(layout: Layout) -> Layout:
        other_options = tuple(pair for pair in layout.options if pair[0] != "mmproj_file")
        placed = any(name == "mmproj" for name, _ in other_options)
        return replace(
            layout, options=(*other_options, *(() if placed else (("mmproj", "gpu"),)), ("mmproj_file", text))
        )

    return change


def mmproj_offload(text: str) -> Change:
    place = "gpu" if is_on(text) else "ram"
    return option("mmproj", lambda _: place)(text)


def no_mmproj_offload(text: str) -> Change:
    return mmproj_offload("off" if is_on(text) else "on")


def all_experts(text: str) -> Change:
    """`--cpu-moe`: all routed experts on the CPU."""
    return cpu_moe("") if is_on(text) else (lambda layout: layout)


def devices(text: str) -> Change:
    """`--device CUDA0,CUDA1`: so many GPUs, and the back end; `none`: the CPU alone."""
    names = [name for name in text.split(",") if name]
    if not names:
        raise ValueError(text)
    if names == ["none"]:
        return lambda layout: replace(layout, gpus=0, offload=layout.offload.with_gpu_layers(0))
    prefix = re.sub(r"\d+$", "", names[0]).lower()
    back_end = BackEnd(prefix) if prefix in {kind.value for kind in BackEnd} else None
    return lambda layout: replace(layout, gpus=min(layout.gpus, len(names)), back_end=back_end or layout.back_end)


def sizes(text: str) -> str:
    """llama.cpp's `--fit-target`: MiB, one for every GPU or one for each."""
    return ",".join(str(integer(part)) for part in text.split(","))


def prompt_cache(text: str) -> Change:
    """llama.cpp's `--cache-ram` in MiB; -1 is without limit, which is not decided here."""
    if text == "-1":
        return lambda layout: layout
    size = integer(text) * 2**20
    return lambda layout: replace(layout, prompt_cache_bytes=size)


def active_experts(text: str) -> Change:
    """ik_llama.cpp's `-ser N,T`: at most N experts a token where T is 1."""
    count = integer(text.split(",")[0])
    return lambda layout: replace(layout, active_experts=count) if count else layout


def lora_file(text: str) -> Change:
    """llama.cpp's `--lora`, repeatable: one adapter more, loaded beside the model."""

    def change(layout: Layout) -> Layout:
        before = int(dict(layout.options).get("loras", 0))
        other_options = tuple(pair for pair in layout.options if pair[0] not in ("lora", "loras"))
        return replace(layout, options=(*other_options, ("lora", "1"), ("loras", str(before + 1))))

    return change


def cache_bits(text: str) -> Change:
    """exllamav3's cache: `FP16`, `Q8`, `Q6`, `Q4`, or bits of keys and values, `8,6`."""
    kv_type = {"FP16": "f16", "Q8": "q8_0", "Q6": "q6_0", "Q4": "q4_0"}.get(text.upper())
    if kv_type is None:
        bits = [integer(part) for part in text.split(",")]
        if not 1 <= len(bits) <= 2 or not all(2 <= count <= 8 for count in bits):
            raise ValueError(text)
        kv_type = "/".join(f"exl{count}" for count in dict.fromkeys(bits if bits[0] != bits[-1] else bits[:1]))
    kind = kv_type
    return lambda layout: replace(layout, kv_type=kind)


def rows_over_gpus(text: str) -> Change:
    """exllamav3's tensor parallelism: every matrix over all GPUs."""
    on = is_on(text)
    return lambda layout: replace(layout, tensor_parallel=max(1, layout.gpus)) if on else layout


def rpc_servers(text: str) -> Change:
    """`--rpc HOST:PORT,...`, or how many servers, or the memory of each: `2`, `24GiB,12GiB`.

    Servers on this host show GPUs that are here anyway: they count for none.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError(text)
    if text.strip().isdecimal():
        told, addresses = str(integer(text.strip())), ""
    elif all(_ADDRESS.fullmatch(part) for part in parts):
        away = [part for part in parts if not _HERE.match(part)]
        told, addresses = str(len(away)), ",".join(parts)
    elif all(part[-1:].isalpha() for part in parts):
        told, addresses = ",".join(str(parse_bytes(part)) + "B" for part in parts), ""
    else:
        raise ValueError(text)

    def change(layout: Layout) -> Layout:
        kept = tuple(pair for pair in layout.options if pair[0] not in (RPC, ADDRESSES))
        added = ((RPC, told), *(((ADDRESSES, addresses),) if addresses else ()))
        here = local_gpus(layout)
        there = int(told) * here if told.isdecimal() else len(parts)
        return replace(layout, gpus=here + there, options=(*kept, *(added if told != "0" else ())))

    return change


_ADDRESS = regex(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}", of=(":",))
_HERE = regex(r"(localhost|127\.|\[::1\])")


def back_end(text: str) -> Change:
    """What the build computes with, which no flag says: cuda, rocm, vulkan, sycl, metal, cann."""
    kind = BackEnd(text.lower())
    return lambda layout: replace(layout, back_end=kind)
