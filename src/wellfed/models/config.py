"""A published config.json (Hugging Face's field names) as a `Model`: pure, from a mapping.

One builder per kind of architecture; a `model_type` that is not listed is `Unsupported`, never guessed, and so is a
config that gives a size its builder does not ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wellfed.errors import BadInput, Unsupported, nearest
from wellfed.models.config_encoder import bert, bidirectional, gte, mllama, modern_bert, nomic_bert, t5
from wellfed.models.config_gemma import gemma3n, gemma4
from wellfed.models.config_hybrid import bailing_hybrid, delta_hybrid, kimi_linear, lightning
from wellfed.models.config_latent import compressed, latent, longcat
from wellfed.models.config_mamba import falcon_h1, granite_hybrid, jamba, lfm2, nemotron_h, searched
from wellfed.models.config_ordinary import ordinary
from wellfed.models.config_reader import Config, Shape
from wellfed.models.config_towers import NOTE, towers
from wellfed.models.config_wrapper import language_model, task_of
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Model, runs
from wellfed.models.native_formats import native_kv, native_recipe
from wellfed.models.recipe import Recipe
from wellfed.models.traits import TRAITS

Builder = Callable[[Config], Shape]
_MOST_PARAMETERS = 10**14  # a hundred times the largest open model

_LATENT = ("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm_moe_dsa", "glm4_moe_lite", "mistral4",
           "minicpm3", "youtu_llm")  # fmt: skip

# model_type: builder, and the family the model is shown under
BUILDERS: dict[str, tuple[Builder, str]] = {
    **{kind: (ordinary, traits.family) for kind, traits in TRAITS.items()},
    **{kind: (latent, TRAITS[kind].family) for kind in _LATENT},
    "deepseek_v4": (compressed, "deepseek"),
    "longcat_flash": (longcat, "longcat"),
    "longcat_flash_ngram": (longcat, "longcat"),
    "qwen3_next": (delta_hybrid, "qwen"),
    "qwen3_5": (delta_hybrid, "qwen"),
    "qwen3_5_text": (delta_hybrid, "qwen"),
    "qwen3_5_moe": (delta_hybrid, "qwen"),
    "qwen3_5_moe_text": (delta_hybrid, "qwen"),
    "kimi_linear": (kimi_linear, "kimi"),
    "minimax": (lightning, "minimax"),
    "minimax_m1": (lightning, "minimax"),
    "minimax_text_01": (lightning, "minimax"),
    "bailing_moe_linear": (bailing_hybrid, "bailing"),
    "bailing_hybrid": (bailing_hybrid, "bailing"),
    "bailing_moe_v2_5": (bailing_hybrid, "bailing"),
    "bailing_moe_v3": (bailing_hybrid, "bailing"),
    "nemotron_h": (nemotron_h, "nemotron"),
    "nemotron-nas": (searched, "nemotron"),
    "granitemoehybrid": (granite_hybrid, "granite"),
    "jamba": (jamba, "jamba"),
    "falcon_h1": (falcon_h1, "falcon"),
    "lfm2": (lfm2, "lfm"),
    "lfm2_moe": (lfm2, "lfm"),
    "gemma3n": (gemma3n, "gemma"),
    "gemma3n_text": (gemma3n, "gemma"),
    "gemma4": (gemma4, "gemma"),
    "gemma4_text": (gemma4, "gemma"),
    "mllama_text_model": (mllama, "llama"),
    "t5": (t5, "t5"),
    "mt5": (t5, "t5"),
    "umt5": (t5, "t5"),
    "bert": (bert, "bert"),
    "roberta": (bert, "bert"),
    "xlm-roberta": (bert, "bert"),
    "camembert": (bert, "bert"),
    "nomic_bert": (nomic_bert, "bert"),
    "new": (gte, "bert"),
    "modernbert": (modern_bert, "bert"),
    "llama_bidirec": (bidirectional(lambda config: ordinary(Config(config.values, "llama", config.asked))), "llama"),
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
    build, family = BUILDERS[kind]
    reader = Config(settings, kind)
    shape = build(reader)
    unread = reader.unread()
    if unread:
        raise Unsupported(
            f"a {kind} model with {', '.join(unread)}: its description here does not know that part",
            "the files themselves (.safetensors or .gguf) tell the sizes of any architecture",
        )
    return from_layers(config, reader, shape, identity, name, family)


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
    hidden = reader.whole("hidden_size")
    beside = towers(config, hidden)
    stated = "vision_parameters" in config
    recipe = native_recipe(config)
    model = Model(
        id=identity,
        name=name or identity,
        family=family or kind,
        architecture=kind,
        hidden=hidden,
        vocabulary=reader.whole("vocab_size"),
        context_limit=reader.whole("max_position_embeddings", default=2048),
        layers=shape.layers,
        tied_embeddings=shape.tied,
        native_quantisation=_native(recipe, shape),
        native_recipe=recipe if recipe.default or recipe.rules else None,
        native_kv=native_kv(config),
        mtp_layers=shape.mtp_layers,
        mtp_copies=shape.mtp_copies,
        extra_tensors=(*shape.extra, *beside),
        task=task_of(kind, config, ENCODERS, ENCODER_DECODERS),
        notes=(*shape.notes, *((NOTE,) if beside and not stated else ()), *recipe.notes),
    )
    parameters = sum(n * sum(t.elements for t in layer.tensors(hidden)) for layer, n in runs(model))
    if parameters > _MOST_PARAMETERS:
        raise BadInput(f"config describes {parameters:.3g} parameters", "a damaged or made-up config")
    return model


def _native(recipe: Recipe, shape: Shape) -> str:
    """The recipe's id; experts in 4 bits beside attention in 16 are named so."""
    routed = any(isinstance(layer.ffn, MoeFfn) for layer in shape.layers)
    return "mxfp4-experts" if recipe.method == "mxfp4" and routed else recipe.format


def _unknown(kind: str) -> Unsupported:
    near = nearest(kind, BUILDERS)
    hint = "the files themselves (.safetensors or .gguf) tell the sizes of any architecture"
    nearest_known = f"; nearest known: {', '.join(near)}" if near else ""
    return Unsupported(
        f"no description of the architecture {kind[:60]!r}: its attention and feed-forward layers",
        hint + nearest_known,
    )


def renamed(model: Model, identity: str, name: str) -> Model:
    """The same architecture under another name."""
    return replace(model, id=identity, name=name)
