"""Fine-tunes by what their own name says: 'OpenHermes-2.5-Mistral-7B' has the layers of Mistral-7B.

The base must stand in the name in one piece, family, generation and size ('Mistral-7B', 'Qwen2.5-Coder-7B'), and no
other size, family or word of another architecture beside it: a name that leaves this open stays unknown. Held against
the architectures of 9,358 hub ids (github.com/TransformerLensOrg/TransformerLens/blob/0c0bd3ce541c/transformer_lens/
tools/model_registry/data/supported_models.json), of which some 700 more are read, none with another architecture.
"""

from __future__ import annotations

from datetime import date
from functools import cache, lru_cache

from wellfed.catalog.model_tables import entry_ids, families, table
from wellfed.catalog.models import Entry, Task, entry
from wellfed.catalog.name_match import matched
from wellfed.catalog.name_words import NEUTRAL, Name, is_size, parse
from wellfed.patterns import regex

# families whose names tell a model by the size alone; of the others a generation must be said
_OF_ONE_GENERATION = frozenset({"mistral", "mixtral", "llama", "yi", "solar", "codellama", "tinyllama"})
_OTHER_TOWERS = (
    "vl vision visual vlm multimodal mm image video ocr omni audio speech voice tts asr s2s embed embedding embeddings "
    "embedder retriever rerank reranker colbert bert encoder t5 diffusion llava clip vla robot"
)
_TOYS = "distill distilled distillation distil random dummy test testing debug toy untrained init fake ci internal"
_OTHER_HEADS = "reward rm prm orm classifier classification regression critic judge guard value probe sae"
_OTHER_LAYERS = (
    "moe clown x2 x4 pruned prune pruning sparse sparsity wanda reap ream shrink layers layer depth upscaled upscale "
    "expanded expand stack stacked passthrough frankenmerge selfmerge dus pro mini lite small tiny nano micro big "
    "large huge super ultra plus max air flash e2b e4b base64 mamba hybrid linear rwkv gla bitnet ternary hxq vptq aqlm"
)
_OTHER_FILES = (
    "lora qlora adapter adapters peft dora delta deltas diff eagle eagle2 eagle3 medusa draft drafter mtp "
    "dflash pard spec speculator paro paroquant jang prismaquant qserve llamafied llamafy onnx openvino ov "
    "coreml litert tflite mnn rknn ncnn mlc trt tensorrt engine text textonly moh mod spinquant executorch "
    "quip quipsharp quanto eetq squeezellm omniquant smoothquant rys"
)
# tongues for which the vocabulary is often made longer: the first and the last matrix grow with it
_OTHER_VOCABULARY = (
    "ko kor korean zh cn chinese jp ja jpn japanese arabic thai hebrew persian vietnamese hindi tamil telugu russian "
    "greek turkish indic malay cantonese tokenizer vocab extended ext swallow ar th he fa vi hi ta te ru el tr sea"
)
_OTHER = frozenset(f"{_OTHER_TOWERS} {_OTHER_HEADS} {_OTHER_LAYERS} {_OTHER_FILES} {_OTHER_VOCABULARY} {_TOYS}".split())
_OTHER_FORM = regex(
    r"\d+x\d*|\d+experts?|\d+l|\d+layers?|\d+e|[wa]\d+(?:a\d+)?|\d+bits?|\d+(?:\.\d+)?bpw|nf\d|fp\d+|int\d+"
)
# of families that came out since, their makers go on publishing: an unknown word may be a new model of theirs, where
# neither a person nor a merger's packer has the repository
_CLOSED = date(2025, 1, 1)
_GENERATION = regex(r"l(2|3|3\.[123])")
_LONGEST_BASE = 6  # words: deepseek r1 distill qwen 7b


def base_of(name: Name) -> Entry | None:
    """The model whose layers a fine-tune of that name has; None where its name does not settle it.

    Asked of repositories of others than the base's publisher and of GGUF files: what people say may hold a slip.
    """
    if name.owner is None and not name.is_gguf:
        return None
    words = _in_full(tuple(word for word in name.words if word not in NEUTRAL))
    for length in range(min(_LONGEST_BASE, len(words) - 1), 1, -1):
        for start in range(len(words) - length + 1):
            base = _base(words[start : start + length])
            if base is not None:
                if (not base.released or base.released >= _CLOSED) and not _is_tuner(name, start):
                    return None
                if name.owner == (base.repository or "").partition("/")[0].lower():
                    return None  # its publisher's: another model of the family, or a slip
                if base.task is not Task.TEXT and start > 0 and not name.is_gguf:  # whose towers are apart
                    return None  # what goes before a model that sees may be another tower: Sa2VA-Qwen3-VL-4B
                return base if all(map(_says_nothing, (*words[:start], *words[start + length :]))) else None
    return _taken_apart(words, name)


def _taken_apart(words: tuple[str, ...], name: Name) -> Entry | None:
    """The Llama of a name with words between family, generation and size: 'Llama-3-Lumimaid-8B', 'L3.3-Nevoria-70b'.

    Mergers of Llama write so; of other families a word between may be a variant of the maker's.
    """
    sizes = [word for word in words if is_size(word)]
    numbers = [at for at in range(len(words)) if _is_llama_s(words, at)]
    if len(sizes) != 1 or len(numbers) != 1:
        return None
    generation = words[numbers[0]].removeprefix("l")
    base = _base(("llama", generation, sizes[0]))
    if base is None or not base.released or base.released >= _CLOSED:
        return None
    if name.owner == (base.repository or "").partition("/")[0].lower():
        return None
    rest = [word for at, word in enumerate(words) if word not in ("llama", sizes[0]) and at != numbers[0]]
    return base if all(map(_says_nothing, rest)) else None


def _is_llama_s(words: tuple[str, ...], at: int) -> bool:
    """Whether a word tells a Llama's generation: L3.3, or a number behind the family or before the size."""
    beside = words[at - 1 : at] == ("llama",) or ("llama" in words and any(map(is_size, words[at + 1 : at + 2])))
    return bool(_GENERATION.fullmatch(words[at])) or (beside and bool(_LLAMAS.fullmatch(words[at])))


_LLAMAS = regex(r"2|3|3\.[123]")


def _is_tuner(name: Name, start: int) -> bool:
    """Whether GGUF files are of somebody who publishes other people's models changed, none of a family of his own.

    Of a file without an owner: whether words stand before the base (`start`); its maker's own begin with the family.
    """
    owner = name.owner or name.maker
    return name.is_gguf and (owner not in _publishers() | _PACKERS if owner else start > 0)


@cache
def _publishers() -> frozenset[str]:
    """Owners of models that share no other one's layers."""
    apart = (entry(identity).repository for identity in entry_ids() if "like" not in table(identity))
    return frozenset(repository.partition("/")[0].lower() for repository in apart if repository)


# who packs new models on the day they come out, beside other people's fine-tunes
_PACKERS = frozenset({"unsloth", "bartowski", "lmstudio-community", "mlx-community", "ggml-org", "ubergarm", "aessedai",
                      "redhatai", "neuralmagic", "cyankiwi", "quanttrio", "amd", "intel", "lmstudio"})  # fmt: skip


def _in_full(words: tuple[str, ...]) -> tuple[str, ...]:
    """With L2, L3 and L3.1 before a size read as the Llama generations that makers of fine-tunes mean by them."""
    full: list[str] = []
    for word, following in zip(words, (*words[1:], ""), strict=False):
        short = _GENERATION.fullmatch(word)
        full += ["llama", short[1]] if short and is_size(following) else [word]
    return tuple(full)


@lru_cache(maxsize=4096)
def _base(words: tuple[str, ...]) -> Entry | None:
    """The model of text, or of text and pictures, that these words name and nothing else would."""
    generation = any(word[:1].isdigit() and not is_size(word) for word in words) or any(map(_numbered, words))
    if words[0] not in families() or not any(map(is_size, words)):
        return None
    if not generation and words[0] not in _OF_ONE_GENERATION and words[:2] != ("gpt", "oss"):
        return None
    chosen = matched(frozenset(words))
    if chosen is None or not chosen.has_config or chosen.task not in (Task.TEXT, Task.VISION_LANGUAGE):
        return None
    return chosen if any(_in_order(words, parse(spelling).words) for spelling in chosen.spellings) else None


def _in_order(words: tuple[str, ...], written: tuple[str, ...]) -> bool:
    """Whether a name of the model has all of these words in this order: open_llama_7b_v2 is no 'llama-2-7b-open'."""
    rest = iter(written)
    return all(word in rest for word in words)


def _numbered(word: str) -> bool:
    return bool(regex(r"[a-z]+\d+(?:\.\d+)?").fullmatch(word))


def _says_nothing(word: str) -> bool:
    """Whether a word beside the base may be a fine-tune's own: no size, family or other architecture."""
    other = word in families() and not _only_tunes(word)
    return not (is_size(word) or word in _OTHER or other or _OTHER_FORM.fullmatch(word))


@lru_cache(maxsize=1024)
def _only_tunes(family: str) -> bool:
    """Whether all models called so have another one's layers (Dolphin, Hermes): it names no second base."""
    return all("like" in table(identity) for identity in families()[family])
