"""A published config.json (Hugging Face's field names) as a `Model`: pure, from a mapping.

One builder per kind of architecture; a `model_type` that is not listed is `Unsupported`, never guessed, and so is a
config that gives a size its builder does not ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from wellfed.errors import BadInput, Unsupported, nearest
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
from wellfed.models.config_reader import Config, Shape
from wellfed.models.config_towers import NOTE, towers
from wellfed.models.config_wrapper import has_no_head, language_model, task_of
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model, runs
from wellfed.models.traits import TRAITS

if TYPE_CHECKING:
    from wellfed.models.recipe import Recipe

Builder = Callable[[Config], Shape]
_MOST_PARAMETERS = 10**14  # a hundred times the largest open model

_LATENT = ("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm_moe_dsa", "glm4_moe_lite", "mistral4",
           "minicpm3", "youtu_llm")  # fmt: skip

# model_type: module and name of its builder, and the family the model is shown under
BUILDERS: dict[str, tuple[str, str]] = {
    **{kind: ("ordinary.ordinary", traits.family) for kind, traits in TRAITS.items()},
    **{kind: ("latent.latent", TRAITS[kind].family) for kind in _LATENT},
    "deepseek_v4": ("latent.compressed", "deepseek"),
    "deepseek_v41": ("latent.streamed", "deepseek"),
    "deepseek_v41_text": ("latent.streamed", "deepseek"),
    "longcat_flash": ("latent.longcat", "longcat"),
    "longcat_flash_ngram": ("latent.longcat", "longcat"),
    "qwen3_next": ("hybrid.delta_hybrid", "qwen"),
    "qwen3_5": ("hybrid.delta_hybrid", "qwen"),
    "qwen3_5_text": ("hybrid.delta_hybrid", "qwen"),
    "qwen3_5_moe": ("hybrid.delta_hybrid", "qwen"),
    "qwen3_5_moe_text": ("hybrid.delta_hybrid", "qwen"),
    "kimi_linear": ("hybrid.kimi_linear", "kimi"),
    "minimax": ("hybrid.lightning", "minimax"),
    "minimax_m1": ("hybrid.lightning", "minimax"),
    "minimax_text_01": ("hybrid.lightning", "minimax"),
    "bailing_moe_linear": ("hybrid.bailing_hybrid", "bailing"),
    "bailing_hybrid": ("hybrid.bailing_hybrid", "bailing"),
    "bailing_moe_v2_5": ("hybrid.bailing_hybrid", "bailing"),
    "bailing_moe_v3": ("hybrid.bailing_hybrid", "bailing"),
    "solar_open2": ("next.solar_open2", "solar"),
    "glm5_next": ("next.glm5_next", "glm"),
    "glm5_next_text": ("next.glm5_next", "glm"),
    "hy_v4": ("next.hy_v4", "hunyuan"),
    "qwen4_exp": ("next.qwen4_exp", "qwen"),
    "qwen4_exp_text": ("next.qwen4_exp", "qwen"),
    "qwen3_8_flash_next": ("next.qwen4_exp", "qwen"),
    "qwen3_8_flash_next_text": ("next.qwen4_exp", "qwen"),
    "nemotron_h": ("mamba.nemotron_h", "nemotron"),
    "nemotron-nas": ("mamba.searched", "nemotron"),
    "granitemoehybrid": ("mamba.granite_hybrid", "granite"),
    "jamba": ("mamba.jamba", "jamba"),
    "falcon_h1": ("mamba.falcon_h1", "falcon"),
    "lfm2": ("mamba.lfm2", "lfm"),
    "lfm2_moe": ("mamba.lfm2", "lfm"),
    "gemma3n": ("gemma.gemma3n", "gemma"),
    "gemma3n_text": ("gemma.gemma3n", "gemma"),
    "gemma4": ("gemma.gemma4", "gemma"),
    "gemma4_text": ("gemma.gemma4", "gemma"),
    "mllama_text_model": ("encoder.mllama", "llama"),
    "gpt2": ("classic.gpt2", "gpt2"),
    "gpt_bigcode": ("classic.gpt2", "starcoder"),
    "opt": ("classic.opt", "opt"),
    "bloom": ("classic.bloom", "bloom"),
    "mpt": ("classic.mpt", "mpt"),
    "falcon": ("classic.falcon", "falcon"),
    "RefinedWeb": ("classic.falcon", "falcon"),
    "RefinedWebModel": ("classic.falcon", "falcon"),
    "qwen": ("classic.qwen", "qwen"),
    "dbrx": ("classic.dbrx", "dbrx"),
    "mamba": ("classic.mamba", "mamba"),
    "falcon_mamba": ("classic.mamba", "falcon"),
    "t5": ("encoder.t5", "t5"),
    "mt5": ("encoder.t5", "t5"),
    "umt5": ("encoder.t5", "t5"),
    "bert": ("encoder.bert", "bert"),
    "roberta": ("encoder.bert", "bert"),
    "xlm-roberta": ("encoder.bert", "bert"),
    "camembert": ("encoder.bert", "bert"),
    "nomic_bert": ("encoder.nomic_bert", "bert"),
    "new": ("encoder.gte", "bert"),
    "modernbert": ("encoder.modern_bert", "bert"),
    "llama_bidirec": ("encoder.two_way_llama", "llama"),
}
ENCODERS = frozenset(
    {"bert", "roberta", "xlm-roberta", "camembert", "nomic_bert", "new", "modernbert", "llama_bidirec"}
)
ENCODER_DECODERS = frozenset({"t5", "mt5", "umt5"})


def from_config(config: Mapping[str, object], identity: str, name: str | None = None) -> Model:
    """The model that `config` (the content of a config.json) describes.

    Raises `Unsupported` for an architecture without a builder or with a part that its builder does not know,
    `BadInput` for missing or impossible values.
    """
    kind, settings = language_model(config, BUILDERS)
    if kind not in BUILDERS:
        raise _unknown(kind)
    builder, family = BUILDERS[kind]
    reader = Config(settings, kind)
    shape = _builder(builder)(reader)
    unread = reader.unread()
    if unread:
        raise Unsupported(
            sentence(
                "models.config.model-description",
                "a {kind} model with {unread}: its description here does not know that part",
                kind=kind,
                unread=listed(unread),
            ),
            sentence(
                "models.config.files-themselves",
                "the files themselves (.safetensors or .gguf) tell the sizes of any architecture",
            ),
        )
    return from_layers(config, reader, shape, identity, name, family)


def _builder(path: str) -> Builder:
    """The builder at `path`, imported when a model of its kind is met: start-up pays for no other."""
    module, _, name = path.partition(".")
    builder: Builder = getattr(import_module(f"wellfed.models.config_{module}"), name)
    return builder


def _shared(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers, equal ones as one object: planners ask of each which of the distinct ones it is."""
    distinct: dict[Layer, Layer] = {}
    return tuple(distinct.setdefault(layer, layer) for layer in layers)


def from_layers(
    config: Mapping[str, object],
    reader: Config,
    shape: Shape,
    identity: str,
    name: str | None = None,
    family: str | None = None,
) -> Model:
    """The model of the layers that were found, with what else its config says. Raises as `from_config` does."""
    kind = reader.kind
    hidden = reader.integer("hidden_size")
    beside = towers(config, hidden)
    stated = "vision_parameters" in config
    stored = _stored(config, shape)
    model = Model(
        id=identity,
        name=name or identity,
        family=family or kind,
        architecture=kind,
        wrapper=str(config.get("model_type") or ""),
        hidden=hidden,
        vocabulary=reader.integer("vocab_size"),
        context_limit=reader.integer("max_position_embeddings", default=2048),
        layers=_shared(shape.layers),
        tied_embeddings=shape.tied or has_no_head(config),
        native_quantisation=stored.format,
        native_recipe=stored.recipe,
        native_kv=stored.kv,
        mtp_layers=shape.mtp_layers,
        mtp_copies=shape.mtp_copies,
        extra_tensors=(*shape.extra, *beside),
        task=task_of(kind, config, ENCODERS, ENCODER_DECODERS),
        notes=(*shape.notes, *((NOTE,) if beside and not stated else ()), *stored.notes),
    )
    parameters = sum(n * sum(t.elements for t in layer.tensors(hidden)) for layer, n in runs(model))
    if parameters > _MOST_PARAMETERS:
        raise BadInput(
            sentence(
                "models.config.config-describes", "config describes {parameters:.3g} parameters", parameters=parameters
            ),
            sentence("models.config.damaged-made-up", "a damaged or made-up config"),
        )
    return model


@dataclass(frozen=True, slots=True)
class _Stored:
    """How a repository's files hold their weights, and the cache they ask for."""

    format: str
    recipe: Recipe | None = None
    kv: str | None = None
    notes: tuple[str, ...] = ()


_INNER = ("text_config", "language_config", "llm_config")
_TELLS = ("quantization_config", "quantization", "compression_config", "hf_quant_config", "inference_config",
          "expert_dtype")  # fmt: skip
_PLAIN = {"float32": "fp32", "float": "fp32", "float16": "fp16", "half": "fp16"}


def _stored(config: Mapping[str, object], shape: Shape) -> _Stored:
    """By the quantisation settings of the config and the files beside it, where there are any; else by its dtype."""
    places = [config, *(inner for key in _INNER if isinstance(inner := config.get(key), Mapping))]
    if not any(key in place for place in places for key in _TELLS):
        dtype = next((place[key] for place in places for key in ("torch_dtype", "dtype") if place.get(key)), "bfloat16")
        return _Stored(_PLAIN.get(str(dtype).removeprefix("torch."), "bf16"))
    from wellfed.models.native_formats import native_kv, native_recipe

    recipe = native_recipe(config)
    routed = any(isinstance(layer.ffn, MoeFfn) for layer in shape.layers)
    label = "mxfp4-experts" if recipe.method == "mxfp4" and routed else recipe.format
    return _Stored(label, recipe if recipe.default or recipe.rules else None, native_kv(config), recipe.notes)


def _unknown(kind: str) -> Unsupported:
    near = nearest(kind, BUILDERS)
    hint = sentence(
        "models.config.files-themselves",
        "the files themselves (.safetensors or .gguf) tell the sizes of any architecture",
    )
    nearest_known = (
        sentence("models.config.nearest-known", "; nearest known: {near}", near=listed(near)) if near else ""
    )
    return Unsupported(
        sentence(
            "models.config.no-description",
            "no description of the architecture {kind!r}: its attention and feed-forward layers",
            kind=kind[:60],
        ),
        hint + nearest_known,
    )
