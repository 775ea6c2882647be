"""Settings that a person pins, by the engine's own flag names: `--set ubatch-size=2048`, or a whole command line.

Flags: tools/server/README.md of ggml-org/llama.cpp; `vllm serve --help`; SGLang's server arguments; trtllm-serve. Each
flag becomes a typed value of the layout or the workload; a flag that nothing here models is told, not dropped in
silence.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from wellfed.errors import BadInput, nearest
from wellfed.message import Listing, message
from wellfed.nouns.layout import DraftKind, Engine, Layout, Speculation

DRAFTED_BY_DEFAULT = 3  # llama.cpp's --spec-draft-n-max
Change = Callable[[Layout], Layout]
Setter = Callable[[str], Change]


@dataclass(frozen=True, slots=True)
class Pins:
    """What is pinned of a layout, in the order given, and of the workload. `ignored`: flags without an effect here."""

    changes: tuple[Change, ...] = ()
    context: int | None = None
    slots: int | None = None
    ignored: tuple[str, ...] = ()
    speculates: bool = False  # how tokens are drafted is pinned

    def applied(self, layout: Layout) -> Layout:
        """The layout with everything pinned."""
        for change in self.changes:
            layout = change(layout)
        return layout


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _share(text: str) -> str:
    if not 0 < float(text) <= 1:
        raise ValueError(text)
    return text


def _field(name: str) -> Setter:
    def setter(text: str) -> Change:
        value = _whole(text)
        if value < 1:
            raise ValueError(text)
        return lambda layout: _with(layout, name, value)

    return setter


def _with(layout: Layout, name: str, value: int | bool) -> Layout:
    changes: dict[str, Any] = {name: value}
    return replace(layout, **changes)


def _switch(name: str, value: bool) -> Setter:
    def setter(text: str) -> Change:
        chosen = value if _is_on(text) else not value
        return lambda layout: _with(layout, name, chosen)

    return setter


def _is_on(text: str) -> bool:
    known = {"": True, "on": True, "1": True, "true": True, "auto": True, "off": False, "0": False, "false": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def _option(name: str, check: Callable[[str], str] = _share) -> Setter:
    def setter(text: str) -> Change:
        value = check(text)
        return lambda layout: replace(layout, options=(*(o for o in layout.options if o[0] != name), (name, value)))

    return setter


def _gpu_layers(text: str) -> Change:
    count = None if text.lower() in ("all", "auto", "-1") or _whole(text) >= 99 else _whole(text)
    return lambda layout: replace(layout, offload=replace(layout.offload, gpu_layers=count))


def _cpu_moe(text: str) -> Change:
    count = None if text == "" else _whole(text)
    return lambda layout: replace(layout, offload=replace(layout.offload, cpu_expert_layers=count))


def _kv(keys: bool) -> Setter:
    def setter(text: str) -> Change:
        kind = text.lower()

        def change(layout: Layout) -> Layout:
            own_keys, _, own_values = layout.kv_type.partition("/")
            own_values = own_values or own_keys
            pair = (kind, own_values) if keys else (own_keys, kind)
            return replace(layout, kv_type=pair[0] if pair[0] == pair[1] else "/".join(pair))

        return change

    return setter


def _kv_dtype(text: str) -> Change:
    kind = {"auto": "f16", "bfloat16": "bf16", "float16": "f16", "half": "f16"}.get(text.lower(), text.lower())
    return lambda layout: replace(layout, kv_type=kind)


def _degree(name: str) -> Setter:
    def setter(text: str) -> Change:
        value = _whole(text)
        if value < 1:
            raise ValueError(text)

        def change(layout: Layout) -> Layout:
            changed = _with(layout, name, value)
            total = changed.tensor_parallel * changed.pipeline_parallel * changed.data_parallel
            return replace(changed, gpus=total)

        return change

    return setter


def _split_mode(text: str) -> Change:
    """`row`: every matrix over all GPUs; `none`: one GPU; `layer`: the default."""
    mode = text.lower()
    if mode not in ("layer", "row", "none"):
        raise ValueError(text)
    if mode == "none":
        return lambda layout: replace(layout, gpus=min(1, layout.gpus), tensor_parallel=1, split=())
    return lambda layout: replace(layout, tensor_parallel=max(1, layout.gpus) if mode == "row" else 1)


def _tensor_split(text: str) -> Change:
    """Proportions of layers on each GPU, as llama.cpp takes them."""
    shares = [float(part) for part in text.replace("/", ",").split(",") if part.strip()]
    if not shares or min(shares) < 0 or not sum(shares):
        raise ValueError(text)
    whole = all(share.is_integer() for share in shares)
    split = tuple(round(share if whole else 100 * share) for share in shares)
    return lambda layout: replace(layout, split=split, gpus=len(split)) if len(split) > 1 else layout


def _override_tensor(text: str) -> Change:
    """`exps=CPU` (a pattern that names experts without layers) leaves all experts in RAM; others are not modelled."""
    for part in text.split(","):
        pattern, _, place = part.rpartition("=")
        if place.upper() == "CPU" and "exps" in pattern and not any(mark.isdigit() for mark in pattern):
            return lambda layout: replace(layout, offload=replace(layout.offload, cpu_expert_layers=None))
    return lambda layout: replace(layout, options=(*layout.options, ("override_tensor", text)))


def _mmproj(text: str) -> Change:
    """The file of the towers; where they lie is said apart."""
    return lambda layout: replace(layout, options=(("mmproj", "gpu"), *layout.options))


def _mmproj_offload(text: str) -> Change:
    place = "gpu" if _is_on(text) else "ram"
    return lambda layout: replace(layout, options=(("mmproj", place), *layout.options))


def _no_mmproj_offload(text: str) -> Change:
    return _mmproj_offload("off" if _is_on(text) else "on")


def _drafting(layout: Layout, **changes: Any) -> Layout:
    """The layout with what a flag says of its drafts; what the others say stands."""
    own = layout.speculation or Speculation(DRAFTED_BY_DEFAULT, 1.0, kind=DraftKind.DRAFT)
    return replace(layout, speculation=replace(own, **changes))


def _spec_type(text: str) -> Change:
    """llama.cpp's `--spec-type`, of several the first that drafts."""
    kinds = {"mtp": DraftKind.MTP, "eagle": DraftKind.EAGLE, "ngram": DraftKind.NGRAM, "simple": DraftKind.DRAFT}
    if text == "none":
        return lambda layout: replace(layout, speculation=None)
    for word, kind in kinds.items():
        if word in text:
            return lambda layout: _drafting(layout, kind=kind)
    raise ValueError(text)


def _draft_tokens(text: str) -> Change:
    count = _whole(text)
    return lambda layout: _drafting(layout, tokens=count)


def _draft_model(text: str) -> Change:
    return lambda layout: _drafting(layout, draft=text)


def _speculative_config(text: str) -> Change:
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


def _algorithm(text: str) -> Change:
    """SGLang's `--speculative-algorithm`: EAGLE on a model with prediction layers and no draft path is its MTP."""
    kind = _kind_of_method(text.lower())
    return lambda layout: _drafting(layout, kind=kind)


def _expert_parallel(text: str) -> Change:
    """vLLM divides experts over all ranks of the tensor- and data-parallel groups."""
    on = _is_on(text)
    return lambda layout: replace(
        layout, expert_parallel=max(1, layout.tensor_parallel * layout.data_parallel) if on else 1
    )


def _flag(name: str) -> Setter:
    return _option(name, lambda text: "1" if _is_on(text) else "0")


_LLAMA: Mapping[str, Setter] = {
    "ubatch-size": _field("ubatch_tokens"), "ub": _field("ubatch_tokens"),
    "batch-size": _field("batch_tokens"), "b": _field("batch_tokens"),
    "flash-attn": _switch("flash_attention", True), "fa": _switch("flash_attention", True),
    "parallel": _field("max_sequences"), "np": _field("max_sequences"),
    "threads": _field("threads"), "t": _field("threads"),
    "n-gpu-layers": lambda text: _gpu_layers(text), "ngl": lambda text: _gpu_layers(text),
    "gpu-layers": lambda text: _gpu_layers(text),
    "n-cpu-moe": lambda text: _cpu_moe(text), "ncmoe": lambda text: _cpu_moe(text),
    "cpu-moe": lambda text: _cpu_moe(""), "cmoe": lambda text: _cpu_moe(""),
    "split-mode": lambda text: _split_mode(text), "sm": lambda text: _split_mode(text),
    "tensor-split": lambda text: _tensor_split(text), "ts": lambda text: _tensor_split(text),
    "override-tensor": lambda text: _override_tensor(text), "ot": lambda text: _override_tensor(text),
    "kv-unified": _flag("kv_unified"), "kvu": _flag("kv_unified"),
    "no-kv-offload": _flag("no_kv_offload"), "nkvo": _flag("no_kv_offload"),
    "spec-type": lambda text: _spec_type(text),
    "spec-draft-n-max": lambda text: _draft_tokens(text), "draft-max": lambda text: _draft_tokens(text),
    "draft": lambda text: _draft_tokens(text), "draft-n": lambda text: _draft_tokens(text),
    "spec-ngram-simple-size-m": lambda text: _draft_tokens(text),
    "spec-draft-model": lambda text: _draft_model(text), "model-draft": lambda text: _draft_model(text),
    "md": lambda text: _draft_model(text),
    "mmproj": lambda text: _mmproj(text), "mmproj-offload": lambda text: _mmproj_offload(text),
    "no-mmproj-offload": lambda text: _no_mmproj_offload(text),
    "cache-type-k": _kv(True), "ctk": _kv(True), "cache-type-v": _kv(False), "ctv": _kv(False),
}  # fmt: skip
_VLLM: Mapping[str, Setter] = {
    "gpu-memory-utilization": _option("gpu_memory_utilization"),
    "max-num-seqs": _field("max_sequences"), "max-num-batched-tokens": _field("batch_tokens"),
    "enforce-eager": _switch("cuda_graphs", False), "kv-cache-dtype": lambda text: _kv_dtype(text),
    "tensor-parallel-size": _degree("tensor_parallel"), "tp": _degree("tensor_parallel"),
    "pipeline-parallel-size": _degree("pipeline_parallel"), "pp": _degree("pipeline_parallel"),
    "data-parallel-size": _degree("data_parallel"), "dp": _degree("data_parallel"),
    "speculative-config": lambda text: _speculative_config(text),
    "enable-expert-parallel": lambda text: _expert_parallel(text),
    "decode-context-parallel-size": _option("decode_context_parallel", lambda text: str(_whole(text))),
    "cpu-offload-gb": _option("cpu_offload_gb", lambda text: str(float(text))),
}  # fmt: skip
_SGLANG: Mapping[str, Setter] = {
    "mem-fraction-static": _option("mem_fraction_static"),
    "max-running-requests": _field("max_sequences"), "chunked-prefill-size": _field("batch_tokens"),
    "disable-cuda-graph": _switch("cuda_graphs", False), "kv-cache-dtype": lambda text: _kv_dtype(text),
    "tp-size": _degree("tensor_parallel"), "tensor-parallel-size": _degree("tensor_parallel"),
    "tp": _degree("tensor_parallel"), "pp-size": _degree("pipeline_parallel"), "dp-size": _degree("data_parallel"),
    "ep-size": _field("expert_parallel"),
    "speculative-algorithm": lambda text: _algorithm(text),
    "speculative-num-draft-tokens": lambda text: _draft_tokens(str(max(0, _whole(text) - 1))),
    "speculative-draft-model-path": lambda text: _draft_model(text),
    "kt-num-gpu-experts": _option("kt_num_gpu_experts", lambda text: str(_whole(text))),
}  # fmt: skip
_TENSORRT: Mapping[str, Setter] = {
    "tp_size": _degree("tensor_parallel"), "pp_size": _degree("pipeline_parallel"),
    "ep_size": _field("expert_parallel"),
    "max_batch_size": _field("max_sequences"), "max_num_tokens": _field("batch_tokens"),
    "kv_cache_free_gpu_memory_fraction": _option("free_gpu_memory_fraction"),
}  # fmt: skip
SETTINGS: Mapping[Engine, Mapping[str, Setter]] = {
    Engine.LLAMA_CPP: _LLAMA,
    Engine.IK_LLAMA_CPP: _LLAMA,
    Engine.VLLM: _VLLM,
    Engine.SGLANG: _SGLANG,
    Engine.KTRANSFORMERS: _SGLANG,
    Engine.TENSORRT_LLM: _TENSORRT,
}
_SWITCHES = frozenset({
    "enforce-eager", "disable-cuda-graph", "cpu-moe", "cmoe", "kv-unified", "kvu", "no-kv-offload", "nkvo",
    "mmproj-offload", "no-mmproj-offload", "enable-expert-parallel", "enable-dp-attention",
})  # fmt: skip
_CONTEXT = frozenset({"ctx-size", "c", "max-model-len", "context-length", "max_seq_len"})
_MODEL = frozenset({"model", "m", "hf", "hf-repo", "hfr", "model-path", "hf-file", "hff"})
# Flags that change neither memory nor speed as they are modelled here.
_QUIET = frozenset({
    "host", "port", "alias", "a", "metrics", "served-model-name", "api-key", "api-key-file", "trust-remote-code",
    "enable-metrics", "log-requests", "jinja", "chat-template", "temp", "top-p", "top-k", "min-p", "seed", "numa",
    "no-mmap", "mlock", "cont-batching", "no-webui", "verbose", "v", "backend", "enable-auto-tool-choice",
    "tool-call-parser", "reasoning-parser", "download-dir", "slots", "cache-ram", "distributed-executor-backend",
})  # fmt: skip


def pins(engine: Engine, settings: Iterable[str]) -> Pins:
    """`KEY=VALUE` settings for one engine. Raises BadInput for keys that it lacks and values that it does not take."""
    found = [_parted(text) for text in settings]
    return _pinned(engine, found, strict=True)


def pins_by_engine(engines: Iterable[Engine], settings: Sequence[str]) -> dict[Engine, Pins]:
    """The settings for each of `engines` that has all of them. Raises BadInput where none has."""
    made, first_error = {}, None
    for engine in engines:
        try:
            made[engine] = pins(engine, settings)
        except BadInput as error:
            first_error = first_error or error
    if not made and first_error is not None:
        raise first_error
    return made


def _parted(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip().lstrip("-"), value.strip()


def _pinned(engine: Engine, pairs: Iterable[tuple[str, str]], strict: bool) -> Pins:
    known, changes, ignored = SETTINGS[engine], [], []
    context: int | None = None
    read = tuple(pairs)
    for key, value in read:
        try:
            if key in _CONTEXT:
                context = _whole(value) or None
            elif key in known:
                changes.append(known[key](value))
            elif strict:
                raise _unknown(engine, key)
            elif key not in _QUIET and key not in _MODEL:
                ignored.append(key)
        except ValueError as error:
            said = message("set.value", "{key} cannot be {value}", key=key, value=value or "empty")
            raise BadInput(said, message("set.value.hint", "as the engine's own help has it")) from error
    applied = Pins(tuple(changes)).applied(Layout(engine, ""))
    named = any(key in ("parallel", "np", "max-num-seqs", "max-running-requests", "max_batch_size") for key, _ in read)
    slots = applied.max_sequences if applied.max_sequences > 1 or named else None
    return Pins(tuple(changes), context, slots, tuple(ignored), applied.speculation is not None)


def _unknown(engine: Engine, key: str) -> BadInput:
    near = nearest(key, [*SETTINGS[engine], *_CONTEXT]) or tuple(sorted(SETTINGS[engine]))
    said = message("set.unknown", "{engine} has no setting {key} that is modelled", engine=engine.value, key=key)
    return BadInput(said, message("set.unknown.hint", "settings: {names}", names=Listing(near)))


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that somebody runs, read: engine, model as it names it, what it pins."""

    engine: Engine
    model: str
    pins: Pins
    words: tuple[str, ...] = field(default=())


_PROGRAMS = {
    "llama-server": Engine.LLAMA_CPP, "llama-cli": Engine.LLAMA_CPP, "server": Engine.LLAMA_CPP,
    "vllm": Engine.VLLM, "trtllm-serve": Engine.TENSORRT_LLM,
}  # fmt: skip
_MODULES = {"sglang.launch_server": Engine.SGLANG, "vllm.entrypoints.openai.api_server": Engine.VLLM,
            "wellfed.launch.embedded": Engine.LLAMA_CPP}  # fmt: skip


def command(text: str) -> Command:
    """A command line as it is typed (numactl, docker, environment in front of it are passed over).

    Raises BadInput where no engine's program or no model is in it, and for values that cannot be.
    """
    try:
        words = shlex.split(text.replace("\\\n", " "))
    except ValueError as error:
        raise BadInput(message("command.quotes", "the command line's quotes do not match")) from error
    engine, rest = _engine(words)
    pairs, positional = _flags(rest, SETTINGS[engine])
    named = {key: value for key, value in pairs if key in _MODEL}
    model = next((named[key] for key in ("model", "m", "model-path", "hf", "hf-repo", "hfr") if named.get(key)), None)
    model = model or next((word for word in positional if word != "serve"), None)
    if model is None:
        raise BadInput(message("command.no-model", "the command line names no model"))
    if any(key.startswith("kt-") for key, _ in pairs):
        engine = Engine.KTRANSFORMERS
    return Command(engine, model, _pinned(engine, pairs, strict=False), tuple(words))


def _engine(words: list[str]) -> tuple[Engine, list[str]]:
    for index, word in enumerate(words):
        if PurePath(word).name in _PROGRAMS:
            return _PROGRAMS[PurePath(word).name], words[index + 1 :]
        if word in _MODULES:
            return _MODULES[word], words[index + 1 :]
    said = message("command.no-engine", "no engine's program is in the command line")
    programs = Listing(tuple(sorted({*_PROGRAMS, *_MODULES})))
    raise BadInput(said, message("command.no-engine.hint", "programs that are read: {programs}", programs=programs))


def _flags(words: list[str], known: Mapping[str, Setter]) -> tuple[list[tuple[str, str]], list[str]]:
    """(flag, value) pairs and words that belong to none. A flag's value is the next word that is no flag itself."""
    pairs, positional = [], []
    rest = iter(enumerate(words))
    for index, word in rest:
        if not word.startswith("-") or _number(word):
            positional.append(word)
            continue
        name, has_value, value = word.lstrip("-").partition("=")
        after = words[index + 1] if index + 1 < len(words) else None
        if (
            not has_value
            and after is not None
            and (not after.startswith("-") or _number(after))
            and name not in _SWITCHES
        ):
            value = after
            next(rest, None)
        pairs.append((name, value))
    return pairs, positional


def _number(word: str) -> bool:
    return word.lstrip("-").replace(".", "", 1).isdigit()


def variants(layouts: Iterable[Layout], pinned: Mapping[Engine, Pins]) -> Iterator[Layout]:
    """The layouts with their engine's pins, each once; engines without pins stay as they are."""
    seen: set[Layout] = set()
    for layout in layouts:
        own = pinned.get(layout.engine)
        changed = layout if own is None else own.applied(layout)
        if changed not in seen:
            seen.add(changed)
            yield changed
