"""Models as logs and published tables name them: read leniently, by size, layers and cache where the name is short.

Only tables meet this reading; what users ask for is read strictly, in `wellfed.catalog.model_names`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from wellfed.catalog.model_formats import adapted
from wellfed.catalog.model_names import resolve as strictly_read
from wellfed.catalog.model_tables import key, model_ids, names
from wellfed.catalog.models import architecture, by_id, unknown
from wellfed.catalog.name_words import is_size, parse
from wellfed.errors import UnknownName, Unsupported
from wellfed.frozen import dataclass
from wellfed.models.counts import counts
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation
from wellfed.models.quantisation_names import quantisation, sized_gguf
from wellfed.provenance import Assumption
from wellfed.units import parse_bytes


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """What a text names. `quantisation` is None where none is said; `assumptions` tell what was guessed."""

    model: Model
    quantisation: Quantisation | None = None
    assumptions: tuple[Assumption, ...] = ()


_QUANT = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-|smol-|mix-)?(?:I?Q[1-8]_[A-Z0-9]+(?:_[A-Z0-9]+)*|TQ[12]_0|I2_S|UD-I?Q[1-8]\w*)"
    r"(?: - (?:Small|Medium|Large|[0-9.]+ bpw))?"
    r"|(?:BF|FP|F)(?:16|32)|FP[48]|INT[48]|[NM][XV]FP4|AWQ|GPTQ|W[48]A(?:16|[48]))"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
# what llama.cpp and its forks call a model in logs and llama-bench tables: architecture and size
_LOGGED: Mapping[str, str] = {
    "glm4 9B": "glm-4-9b-0414",
    "glm4 32B": "glm-4-32b-0414",
    "glm4moe 106B.A12B": "glm-4.5-air",
    "glm4moe 355B.A32B": "glm-4.5",
    "llama 8x7B": "mixtral-8x7b",
    "llama 7B": "llama-2-7b",
    "llama 13B": "llama-2-13b",
    "llama 34B": "codellama-34b",
    "llama 8B": "llama-3.1-8b",
    "llama 70B": "llama-3.1-70b",
    "llama 405B": "llama-3.1-405b",
    "llama 1B": "llama-3.2-1b",
    "llama 3B": "llama-3.2-3b",
    "qwen2 14B": "qwen2.5-14b",
    "qwen2 32B": "qwen2.5-32b",
    "qwen2moe 57B.A14B": "qwen2-57b-a14b",
    "qwen3moe 30B.A3B": "qwen3-30b-a3b",
    "qwen3moe 30B": "qwen3-30b-a3b",
    "qwen3moe 235B.A22B": "qwen3-235b-a22b",
    "deepseek2 16B": "deepseek-v2-lite",
    "deepseek2 236B": "deepseek-v2",
    "deepseek2 671B": "deepseek-v3",
    "256x20b": "deepseek-v3",
    "deepseek-256x21b-v3-0324": "deepseek-v3-0324",
    "deepseek-256x21b-r1-0528": "deepseek-r1-0528",
    "deepseek4 284B": "deepseek-v4-flash",
    "deepseek2 1T": "kimi-k2",
    "deepseek2 1.0T": "kimi-k2",
    "gptj-99": "gpt-j-6b",
    "gptj-99.9": "gpt-j-6b",
    "dots1 142B": "dots.llm1",
    "ernie4_5-moe 21B.A3B": "ernie-4.5-21b-a3b",
    "ernie4_5-moe 300B.A47B": "ernie-4.5-300b-a47b",
    "hunyuan-moe A13B": "hunyuan-a13b",
    "qwen35 9B": "qwen3.5-9b",
    "qwen35 27B": "qwen3.5-27b",
    "qwen35moe 35B.A3B": "qwen3.5-35b-a3b",
    "qwen35moe 122B.A10B": "qwen3.5-122b-a10b",
    "qwen35moe 397B.A17B": "qwen3.5-397b-a17b",
    "nemotron_h_moe 31B.A3.5B": "nemotron-3-nano-30b-a3b",
    "nemotron_h_moe 120B.A12B": "nemotron-3-super-120b-a12b",
    "lfm2moe 8B.A1B": "lfm2-8b-a1b",
    "granitehybrid 32B": "granite-4.0-h-small",
    "mistral3 24B": "mistral-small-3.2-24b",
    "step35 196B.A11B": "step-3.5-flash",
}
_SHARD = re.compile(r"-\d{5}-of-\d{5}|\.(?:gguf|safetensors)\b", re.IGNORECASE)
_PARAMETERS = re.compile(r"(?<![0-9.x])(?<!\bA)([0-9]+(?:\.[0-9]+)?)\s*([BMT])(?![A-Za-z0-9])", re.IGNORECASE)
_TIMES = {"M": 1e6, "B": 1e9, "T": 1e12}
_MOST_WORDS = 8


def resolve(
    text: str,
    params: str | None = None,
    quant: str | None = None,
    notes: str = "",
    kv_bytes_per_token: float | None = None,
) -> ResolvedModel:
    """The model that `text` names, with the help of its parameter count, quantisation and notes as published.

    `notes` may carry a log's `mtype=70B`, `nlay=62/62`, `msize=307.2 GiB`, or `section: file.gguf`.
    Raises UnknownName with near matches; a name that fits nothing is never guessed.
    """
    hints = _hints(text, params, notes, kv_bytes_per_token)
    try:
        model, assumptions = _model(_base_name(text), hints)
    except UnknownName:
        model, assumptions = _strictly(text, None if _count(params or "") is None else hints)
    chosen, more = _quantisation(model, text, quant, hints)
    return ResolvedModel(model, chosen, (*assumptions, *more))


@dataclass(frozen=True, slots=True)
class _Hints:
    parameters: float | None
    layers: int | None
    file_bytes: int | None
    kv_bytes_per_token: float | None
    section: str
    in_name: bool = False  # the count is from the name itself


def _hints(text: str, params: str | None, notes: str, kv: float | None) -> _Hints:
    stated = re.search(r"\bmtype=([0-9.]+ ?[BMT])", notes)
    layers = re.search(r"\bnlay=\d+/(\d+)", notes)
    size = re.search(r"\b(?:msize|size)=([0-9.]+) ?([GMK]i?B)", notes)
    section = re.search(r"section: ([^;]+)", notes)
    beside = _count(stated[1] if stated else "") or _count(params or "")
    number = beside or _count(text)
    return _Hints(
        parameters=number,
        layers=int(layers[1]) - 1 if layers else None,  # logs count the output layer
        file_bytes=parse_bytes(size[1] + size[2]) if size else None,
        kv_bytes_per_token=kv,
        section=section[1] if section else "",
        in_name=beside is None,
    )


def _count(text: str) -> float | None:
    """Parameters in '671B', '32.76 B', '1_8b', '1T'; None when there is no such number."""
    match = _PARAMETERS.search(re.sub(r"(?<=\d)_(?=\d)", ".", text))
    return float(match[1]) * _TIMES[match[2].upper()] if match else None


def _base_name(text: str) -> str:
    """A file's name without folders, shard numbers and extension; other texts unchanged."""
    if re.search(r"\.gguf$", text, re.IGNORECASE):
        text = re.split(r"[\\/]", text)[-1]
    return _SHARD.sub("", text)


def _words(text: str) -> list[str]:
    """Lower-case words; a dot stays only between digits."""
    return re.findall(r"[a-z0-9]+(?:(?<=\d)\.(?=\d)[0-9a-z]+)*", text.lower())


_VERSION = re.compile(r"[a-z]?\d+(?:\.\d+)*")


def _spans(words: list[str]) -> Iterator[tuple[int, str]]:
    """Runs of neighbouring words, joined, with how long they are; none that cuts a version off a bare family name."""
    for start in range(len(words)):
        for end in range(start + 1, min(start + _MOST_WORDS, len(words)) + 1):
            joined = "".join(words[start:end])
            bare = not any(letter.isdecimal() for letter in joined)
            if not (bare and end < len(words) and _VERSION.fullmatch(words[end])):
                yield len(joined), joined


_TOO_SHORT = 4  # names like r1 and v3 count only when they are the whole text


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    """Every exact name of a model whose layers are known, those of logs among them."""
    described = set(model_ids())
    users = {name: identity for name, identity in names().items() if identity in described}
    return {**{key(name): identity for name, identity in _LOGGED.items()}, **users}


def _model(text: str, hints: _Hints) -> tuple[Model, tuple[Assumption, ...]]:
    names = _names()
    sizes = ("", f" {hints.parameters / 1e9:g}B") if hints.parameters else ("",)
    for size in sizes:
        exact = names.get(key(text + size))
        if exact is not None and _plausible(exact, hints):
            return by_id(exact), ()
    hits = [(length, names[span]) for length, span in _spans(_words(text)) if span in names and length >= _TOO_SHORT]
    hits.sort(key=lambda hit: -hit[0])
    for _, identity in hits:
        if _plausible(identity, hints):
            return by_id(identity), ()
    if hits and hints.parameters is not None:
        return _explained(text, hints) or _of_size(text, hits[0][1], hints)
    if hints.section:
        try:
            return _model(hints.section, replace(hints, section="", layers=None, kv_bytes_per_token=None))
        except UnknownName:
            return _by_facts(text, hints)
    return _by_facts(text, hints)


def _explained(text: str, hints: _Hints) -> tuple[Model, tuple[Assumption, ...]] | None:
    """The model whose name explains the size in `text`, where that is all that is known of its size."""
    try:
        return _strictly(text, None) if hints.in_name else None
    except UnknownName:
        return None


def _strictly(text: str, stated: _Hints | None) -> tuple[Model, tuple[Assumption, ...]]:
    """As users are understood, so that tables know at least what they do; `stated` has a count given beside the name.

    A size in the name itself may be no count: Llama-4-Scout-17B-16E has 109 billion parameters. Raises UnknownName.
    """
    try:
        identity_read = strictly_read(text)
    except Unsupported:
        raise unknown(text) from None
    if (
        identity_read.model is None
        or _lacks_size(text, identity_read.entry.id)
        or (stated is not None and not _plausible(identity_read.entry.id, stated))
    ):
        raise unknown(text)
    return identity_read.model, identity_read.assumptions


def _lacks_size(text: str, identity: str) -> bool:
    """Whether the model's own name tells a size and `text` none: a log's "LLaMA v2" may be any of that family."""
    own_words = parse(identity).distinguishing
    tells_size = _count(text) is not None or any(map(is_size, parse(text).distinguishing))
    return any(map(is_size, own_words)) and not tells_size


def _plausible(identity: str, hints: _Hints) -> bool:
    """Whether the model has about as many parameters as the text says: names round, 3B is 3.8 and 1B is 1.2."""
    if hints.parameters is None:
        return True
    ratio = hints.parameters / _parameters(identity)
    return 0.75 < ratio < 1.3


def _of_size(text: str, identity: str, hints: _Hints) -> tuple[Model, tuple[Assumption, ...]]:
    """A brother of `identity` with the right number of parameters: 'DeepSeek-R1-Distill-8B', 'llama ?B' of 3.99 B."""
    family = by_id(identity).family
    brothers = [
        model for model in map(by_id, model_ids()) if model.family == family and _distance(model, hints) < 0.085
    ]
    if not brothers:
        return _by_facts(text, hints)
    words = set(_words(text))
    best = max(brothers, key=lambda model: (len(words & set(_words(model.name))), -_distance(model, hints)))
    return best, (Assumption(f"{text} is {best.name}", "nearest in size among its family"),)


def _distance(model: Model, hints: _Hints) -> float:
    counted = _parameters(model.id)
    return abs(counted / (hints.parameters or counted) - 1)


@lru_cache(maxsize=4096)
def _parameters(identity: str) -> int:
    return counts(by_id(identity)).parameters


# what llama.cpp calls an architecture: the model_types it covers
_ARCHITECTURES = {
    "llama": {"llama", "mistral", "mixtral"}, "qwen2": {"qwen2"}, "qwen3": {"qwen3"}, "qwen2moe": {"qwen2_moe"},
    "qwen3moe": {"qwen3_moe"}, "deepseek2": {"deepseek_v2", "deepseek_v3", "kimi_k2"}, "gemma2": {"gemma2"},
    "gemma3": {"gemma3_text"}, "phi3": {"phi3"}, "glm4": {"glm4"}, "glm4moe": {"glm4_moe"}, "bitnet": {"bitnet"},
}  # fmt: skip
_BENCH = re.compile(r"^\s*\w+ (?:\?|[0-9.]+)B\b")  # how llama-bench names a model: 'qwen2 ?B Q4_K - Medium'
_BARE_SIZE = re.compile(r"^\s*([0-9.]+)B\b", re.IGNORECASE)
_BARE = {"8": "llama-3.1-8b", "70": "llama-3.1-70b", "7": "llama-2-7b", "13": "llama-2-13b"}


def _by_facts(text: str, hints: _Hints) -> tuple[Model, tuple[Assumption, ...]]:
    """By layers, cache and parameters alone; only where they leave one shape."""
    bare = _BARE_SIZE.match(text)
    if bare and bare[1] in _BARE:
        catalogued = by_id(_BARE[bare[1]])
        return catalogued, (Assumption(f"a {bare[1]}B model is {catalogued.name}", "no family is named"),)
    bench = _BENCH.match(text)
    kinds = {kind for word in _words(text) for kind in _ARCHITECTURES.get(word, ())}
    facts = (hints.layers, hints.kv_bytes_per_token, hints.parameters if kinds and bench else None)
    if all(fact is None for fact in facts):
        raise unknown(text)
    fitting = [by_id(identity) for identity in model_ids() if _fits(identity, kinds, hints)]
    shapes = {(model.layers, model.vocabulary if hints.parameters else 0) for model in fitting}
    if not fitting or (len(shapes) > 1 and hints.parameters is None):
        raise unknown(text)
    # of equals the family's own model, not one that was made from it: it has other names, its id is the shortest
    best = min(fitting, key=lambda model: (_distance(model, hints), *_kinship(model)))
    return best, (Assumption(f"{text!r} is {best.name}", "the only shape with the logged layers, cache or size"),)


def _kinship(model: Model) -> tuple[bool, bool, bool, int]:
    """Orders models of one shape: Llama's own first, then those with other names and a short id."""
    return model.family != "llama", not model.id.startswith("llama-"), not model.aliases, len(model.id)


def _fits(identity: str, kinds: set[str], hints: _Hints) -> bool:
    if kinds and architecture(identity) not in kinds:
        return False
    model = by_id(identity)
    if hints.layers is not None and len(model.layers) != hints.layers:
        return False
    if hints.parameters is not None and _distance(model, hints) > 0.02:
        return False
    return hints.kv_bytes_per_token is None or abs(_cache_growth(identity) / hints.kv_bytes_per_token - 1) < 0.005


@lru_cache(maxsize=4096)
def _cache_growth(identity: str) -> float:
    """Bytes that a token more adds to the KV cache, in 16 bits, between contexts of 512 and 1,024."""
    model = by_id(identity)
    return 2 * (model.cache_elements(1024) - model.cache_elements(512)) / 512


_UNSTATED = {"", "unset", "unknown", "unknown, may not work", "n/a", "-"}


def _quantisation(
    model: Model, text: str, stated: str | None, hints: _Hints
) -> tuple[Quantisation | None, tuple[Assumption, ...]]:
    stated_quant = None if stated is None or stated.strip().lower() in _UNSTATED else stated
    written = stated_quant or _in_text(text) or _in_text(hints.section)
    if written is None:
        if hints.file_bytes is None:
            return None, ()
        chosen = sized_gguf(model.parameters, hints.file_bytes)
        return chosen, (Assumption(f"quantised like {chosen.recipe}", "only the file's size is known"),)
    try:
        chosen = quantisation(written)
    except UnknownName:
        if hints.file_bytes is None:
            raise
        chosen = sized_gguf(model.parameters, hints.file_bytes)
    return adapted(model, written, chosen, hints.file_bytes)


def _in_text(text: str) -> str | None:
    match = _QUANT.search(text)
    return match[1] if match else None


def model(name: str) -> Model:
    """The model called `name` in a table: an exact name first, then read leniently. Raises UnknownName."""
    exact = _names().get(key(name))
    return by_id(exact) if exact else resolve(name).model
