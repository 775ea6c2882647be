"""What a quantisation's label means for one model: its publisher's files, published GGUF files, hand-made mixes."""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.catalog.models import published_files
from wellfed.catalog.name_words import Name
from wellfed.errors import UnknownName
from wellfed.frozen import replace
from wellfed.message import Listing, as_text, message, sentence
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights
from wellfed.models.quantisation_names import quantisation
from wellfed.patterns import regex
from wellfed.provenance import Assumption

_ATTENTION_LEFT_OUT = {"deepseek", "glm", "kimi", "minimax"}  # of nvidia's NVFP4 checkpoints


def adapted(
    model: Model, written: str, chosen: Quantisation, file_bytes: float | None = None
) -> tuple[Quantisation, tuple[Assumption, ...]]:
    """What a general label means for this model: its publisher's own files, or a file of `file_bytes`.

    `written` is the label as the name or log has it. Gives what had to be assumed too.
    """
    if "ollama" in written.lower():
        chosen = quantisation("gguf-mxfp4" if model.native_quantisation == "mxfp4-experts" else "q4_k_m")
    native = model.native_quantisation
    if native in {"mxfp4-experts", "fp8-fp4-experts"} and chosen.id in {"fp8", "nvfp4", "mxfp4"}:
        native_quantisation = quantisation(native)
        return native_quantisation, (
            Assumption(
                sentence(
                    "model-formats.weights",
                    "{written} weights are {own}",
                    written=written,
                    own=native_quantisation.label,
                ),
                sentence("model-formats.published-rest-named", "as published; the rest is named by activations"),
            ),
        )
    if native == "int4-experts" and chosen.id == "int4":
        return quantisation(native), ()
    if chosen.id == "nvfp4" and model.is_moe and model.family in _ATTENTION_LEFT_OUT:
        chosen = quantisation("nvfp4-ffn")
        return chosen, (
            Assumption(
                sentence("model-formats.attention-left-bf16", "attention is left in BF16"),
                sentence("model-formats.so-do-nvidia", "so do NVIDIA's checkpoints of this family"),
            ),
        )
    return _as_published(model, chosen, file_bytes)


def _as_published(
    model: Model, chosen: Quantisation, file_bytes: float | None
) -> tuple[Quantisation, tuple[Assumption, ...]]:
    """The file of that size, or the published file of that quantisation where its recipe is not the standard one."""
    files = published_files(model.id)
    if file_bytes is None:
        if chosen.file_bytes is not None or chosen.id not in files:
            return chosen, ()
        return _by_hand(model, chosen.sized(files[chosen.id])), ()
    for identity, size in files.items():
        if abs(size / file_bytes - 1) < 0.001:
            return _by_hand(model, quantisation(identity).sized(size)), ()
    if chosen.file_bytes is not None or abs(weights(model, chosen).total / file_bytes - 1) < 0.002:
        return chosen, ()
    text = (
        Assumption(
            sentence("model-formats.layers-scaled-file", "layers scaled to the file's size"),
            sentence("model-formats.recipe-unknown", "its recipe is unknown"),
        ),
    )
    return _by_hand(model, chosen.sized(file_bytes)), text


def _by_hand(model: Model, chosen: Quantisation) -> Quantisation:
    """ik_llama.cpp's types above their standard size: everything but the routed experts is Q8_0, by custom."""
    plain_size = weights(model, replace(chosen, file_bytes=None)).total
    of_fork = chosen.id.endswith(("_r4", "_r8")) or chosen.recipe in _OF_IK
    by_hand = model.is_moe and of_fork and chosen.file_bytes is not None and chosen.file_bytes > 1.02 * plain_size
    return replace(chosen, resident="Q8_0") if by_hand else chosen


_OF_IK = {"IQ2_K", "IQ3_K", "IQ4_K", "IQ5_K", "IQ6_K", "IQ2_KS", "IQ3_KS", "IQ4_KS", "IQ4_KSS", "IQ5_KS", "IQ2_KL",
          "IQ2_KT", "IQ3_KT", "IQ4_KT"}  # fmt: skip


def of_format(model: Model | None, name: Name) -> tuple[Quantisation | None, tuple[Assumption, ...]]:
    """The quantisation that a name's format words mean for `model`; None where there are none, or none is known."""
    written = name.format
    if written is None:
        return None, ()
    if model is not None and model.native_recipe is not None and _made_so(model.native_recipe.method, written, name):
        return by_label(model.native_quantisation), ()
    several = [part for part in written.split("-") if _GGUF_TYPE.match(part)]
    if len(several) > 1:
        problem = message(
            "resolve.formats", "the name tells several formats: {formats}", formats=Listing(tuple(several))
        )
        return None, (
            Assumption(
                as_text(problem), sentence("model-formats.which-them-meant", "which of them is meant cannot be told")
            ),
        )
    for label in _labels(_of_posts(written, model), name):
        chosen = by_label(_IN_GGUF.get(label, label) if name.is_gguf else label)
        if chosen is not None:
            if chosen.family == "gguf":
                trained = name.owner == _TRAINER and "qat" in written.split("-")
                chosen = replace(chosen.made_by(name.maker), predictors=name.predicts, trained=trained)
            return (chosen, ()) if model is None else adapted(model, written, chosen)
    text = message("resolve.format", "no recipe is known for {format} files", format=written.upper())
    return None, (
        Assumption(
            as_text(text), sentence("model-formats.their-size-cannot", "their size cannot be told from the name")
        ),
    )


# what Unsloth's posts call its dynamic mixes of the large MoE models: the bits of most experts, rounded
# (unsloth.ai/blog/deepseekr1-dynamic, and the tables of its DeepSeek-V3-0324 and R1-0528 pages)
_POSTED_BITS = {"1.58bit": "ud-iq1_s", "1.66bit": "ud-tq1_0", "1.73bit": "ud-iq1_m", "1.78bit": "ud-iq1_s",
                "1.8bit": "ud-tq1_0", "1.93bit": "ud-iq1_m", "2.06bit": "ud-iq2_xxs", "2.22bit": "ud-iq2_xxs",
                "2.42bit": "ud-iq2_xxs", "2.51bit": "ud-q2_k_xl", "2.71bit": "ud-q2_k_xl"}  # fmt: skip
_POSTED_SINCE = 200e9  # parameters: smaller models of 1.58 bits are trained so


def _of_posts(written: str, model: Model | None) -> str:
    large = model is not None and model.is_moe and model.parameters >= _POSTED_SINCE
    return _POSTED_BITS.get(written, written) if large else written


_GGUF_TYPE = regex(r"i?q[1-8](?:_|$)|tq[12]_")

# what safetensors' names mean of a GGUF file
_IN_GGUF = {"bf16": "gguf-bf16", "fp16": "f16", "fp32": "gguf-f32", "f32": "gguf-f32", "mxfp4": "gguf-mxfp4"}


def _made_so(method: str, written: str, name: Name) -> bool:
    """Whether the model's recipe came from these words of the name."""
    of_maker = method == "vptq" and written.startswith("v")
    return method in written.split("-") or of_maker or (method == "mlx" and name.owner is not None)


def _labels(written: str, name: Name) -> Iterator[str]:
    """The label whole, then what it may mean, then its parts, those that tell no bits of their own last."""
    written = _CACHE.sub("", written)
    if (plain := _TRAINED.sub("", written)) not in {"", "ct"}:
        written = plain  # QAT tells how it was trained, the type beside it what it is
    parts = written.split("-")
    of_engine = name.owner is not None or bool(_INTEGERS & set(parts))
    if of_engine and not name.is_gguf and set(parts) <= _PLAIN_BITS.keys() | _INTEGERS:
        yield from (_PLAIN_BITS[part] for part in parts if part in _PLAIN_BITS)
    if written == "q3_k_xl" and name.maker == "bartowski":
        yield "q3_k_xl-q8"
    if "mlx" in parts:
        yield from (part for part in parts if part in _WIDE)
    yield _MEANT.get(written, written)
    if len(parts) > 1 and not _OTHER_ENGINES & set(parts):
        yield "-".join(parts[:2])
        yield from (_MEANT.get(part, part) for part in sorted(parts, key=_WIDE.__contains__))


# Google's quantisation-aware checkpoints are Q4_0 files; plain bits are said of GGUF files most often
_MEANT = {"qat": "q4_0", "qat-ct": "int4", "4bit": "q4_k_m", "8bit": "q8_0", "6bit": "q6_k", "5bit": "q5_k_m",
          "3bit": "q3_k_m", "2bit": "q2_k", "nvfp4a16": "nvfp4", "mxfp4a16": "mxfp4", "bnb": "nf4",
          "bitsandbytes": "nf4"}  # fmt: skip
# of a hub repository without GGUF, alone or beside the method: AWQ-8bit is compressed-tensors with 8 bits
_PLAIN_BITS = {"8bit": "int8", "4bit": "int4", "3bit": "int3", "2bit": "int2", "int8": "int8"}
_INTEGERS = {"awq", "gptq", "autoround", "auto-round"}
_WIDE = frozenset({"bf16", "fp16", "f16", "fp32", "f32"})  # of what a quantised file was made, or leaves so
_TRAINER = "google"  # whose own QAT files differ from those that others make of the checkpoints
_TRAINED = regex(r"(?:^|-)qat(?=-)-?|-qat$", of=("qat",))
_CACHE = regex(r"(?<=w[48]a[48])c8")  # W8A8C8: the cache has eight bits as well
_OTHER_ENGINES = {"onnx", "openvino", "coreml", "litert", "tensorrt", "exl2", "exl3", "mlx", "hqq", "aqlm", "vptq",
                  "higgs", "sinq", "quip", "quipsharp", "quip-sharp", "eetq", "quanto", "paroquant",
                  "spinquant"}  # fmt: skip


def by_label(label: str) -> Quantisation | None:
    """The quantisation called so; None where none is."""
    try:
        return quantisation(label)
    except UnknownName:
        return None
