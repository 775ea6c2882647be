"""What a right value of a flag looks like: kinds of values with samples, tried on the flag's own setter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wellfed.engines.flags import CONTEXT, SETTINGS
from wellfed.engines.setters import Change, Setter, amount
from wellfed.message import Listing, Message, message
from wellfed.nouns.layout import Engine

# Of each kind that is no number or switch: samples that a setter may take.
_KINDS: tuple[tuple[Message, tuple[str, ...]], ...] = (
    (message("set.kind.sizes", "sizes of memory"), ("24GiB,12GiB",)),
    (message("set.kind.addresses", "addresses with ports"), ("10.0.0.2:50052,10.0.0.3:50052",)),
    (message("set.kind.places", "patterns of tensors and their places"), ("exps=CPU",)),
    (message("set.kind.words", "a word"), (
        "all", "auto", "none", "layer", "row", "prefill", "decode", "AMXINT4", "FP8", "draft-mtp", "ngram-simple",
        "EAGLE", "NEXTN", "Q8", "cuda", "vulkan", "bfloat16", "float16", "float32",
    )),
)  # fmt: skip
# Objects are told by their flag: one takes another's keys, too.
_OBJECT = message("set.kind.object", "an object in JSON")
_OBJECTS: Mapping[str, str] = {
    "kv-transfer-config": '{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}',
    "speculative-config": '{"method": "mtp", "num_speculative_tokens": 2}',
    "eplb-config": '{"num_redundant_experts": 32}',
    "mm-processor-kwargs": '{"max_pixels": 1003520}',
    "limit-mm-per-prompt": '{"image": 2, "video": 0}',
}


def right_values(engine: Engine, key: str) -> Message | None:
    """Kinds of values that an engine's flag takes, each with samples; None where nothing is known of it."""
    setter = _context if key in CONTEXT else SETTINGS[engine].get(key)
    kinds = [] if setter is None else list(_kinds(key, setter))
    return message("set.value.hint.kinds", "{kinds}", kinds=Listing(tuple(kinds))) if kinds else None


def _kinds(key: str, setter: Setter) -> Iterator[Message]:
    if key in _OBJECTS:
        yield _with_samples(_OBJECT, (_OBJECTS[key],))
        return
    if takes(setter, "?"):
        yield _with_samples(message("set.kind.names", "names with commas between them"), ("CUDA0,CUDA1",))
    elif takes(setter, "on"):
        yield _with_samples(message("set.kind.switch", "on or off"), ("on", "off"))
    elif takes(setter, "0.9") and not takes(setter, "8"):
        yield _with_samples(message("set.kind.share", "a number above 0, at most 1"), ("0.9",))
    else:
        if takes(setter, "3,1"):
            yield _with_samples(message("set.kind.numbers", "numbers with commas between them"), ("3,1",))
        elif takes(setter, "8"):
            yield _with_samples(*_number(setter))
        for kind, samples in _KINDS:
            taken = tuple(sample for sample in samples if takes(setter, sample))
            if taken:
                yield _with_samples(kind, taken)


def _number(setter: Setter) -> tuple[Message, tuple[str, ...]]:
    """The kind of number, of a setter that takes 8."""
    if not takes(setter, "7"):
        return message("set.kind.bits", "a number of bits"), ("4", "8")
    if takes(setter, "0.5"):
        return message("set.kind.number", "a number"), ("8", "0.5")
    return message("set.kind.count", "a whole number"), ("8", "32k") if takes(setter, "32k") else ("8",)


def _context(text: str) -> Change:
    """Tokens of context, which pin the workload, or what the engine takes by itself."""
    if text != "auto":
        amount(text)
    return lambda layout: layout


def _with_samples(kind: Message, samples: tuple[str, ...]) -> Message:
    return message("set.kind.samples", "{kind} ({samples})", kind=kind, samples=Listing(samples))


def takes(setter: Setter, text: str) -> bool:
    """Whether a setter takes the value."""
    try:
        setter(text)
    except ValueError:
        return False
    return True
