"""A published config.json (Hugging Face keys) as a `Model`: pure, from a mapping.

One builder per kind of architecture; a `model_type` that is not listed is `Unsupported`, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wellfed.errors import BadInput, Unsupported, nearest
from wellfed.models.config_deepseek import compressed, latent, plain_moe
from wellfed.models.config_dense import dense, gemma, gptj
from wellfed.models.config_hybrid import delta_hybrid
from wellfed.models.config_moe import (
    ernie,
    gemma4,
    glm_moe,
    gpt_oss,
    hunyuan,
    llama4,
    mimo_v2,
    minimax,
    mixtral,
    qwen_moe,
)
from wellfed.models.config_reader import Config, Shape
from wellfed.models.model import Model, runs
from wellfed.models.tensor import Part, Tensor

Builder = Callable[[Config], Shape]
_MOST_PARAMETERS = 10**14  # a hundred times the largest open model

# model_type: builder, and the family the model is shown under
BUILDERS: dict[str, tuple[Builder, str]] = {
    "llama": (dense, "llama"),
    "mistral": (dense, "mistral"),
    "ministral": (dense, "mistral"),
    "mistral3": (dense, "mistral"),
    "qwen2": (dense, "qwen"),
    "qwen3": (dense, "qwen"),
    "phi3": (dense, "phi"),
    "glm4": (dense, "glm"),
    "bitnet": (dense, "bitnet"),
    "seed_oss": (dense, "seed"),
    "smollm3": (dense, "smollm"),
    "hunyuan_v1_dense": (dense, "hunyuan"),
    "ernie4_5": (dense, "ernie"),
    "mimo": (dense, "mimo"),
    "gemma": (gemma, "gemma"),
    "gemma2": (gemma, "gemma"),
    "gemma3": (gemma, "gemma"),
    "gemma3_text": (gemma, "gemma"),
    "gemma4": (gemma4, "gemma"),
    "gemma4_text": (gemma4, "gemma"),
    "gptj": (gptj, "gptj"),
    "mixtral": (mixtral, "mistral"),
    "phimoe": (mixtral, "phi"),
    "gpt_oss": (gpt_oss, "gpt-oss"),
    "qwen2_moe": (qwen_moe, "qwen"),
    "qwen3_moe": (qwen_moe, "qwen"),
    "qwen3_vl_moe": (qwen_moe, "qwen"),
    "qwen3_vl_moe_text": (qwen_moe, "qwen"),
    "qwen3_vl": (dense, "qwen"),
    "qwen3_vl_text": (dense, "qwen"),
    "qwen3_next": (delta_hybrid, "qwen"),
    "qwen3_5": (delta_hybrid, "qwen"),
    "qwen3_5_text": (delta_hybrid, "qwen"),
    "qwen3_5_moe": (delta_hybrid, "qwen"),
    "qwen3_5_moe_text": (delta_hybrid, "qwen"),
    "llama4": (llama4, "llama"),
    "llama4_text": (llama4, "llama"),
    "glm4_moe": (glm_moe, "glm"),
    "glm4_moe_lite": (latent, "glm"),
    "glm_moe_dsa": (latent, "glm"),
    "minimax_m2": (minimax, "minimax"),
    "dots1": (plain_moe, "dots"),
    "ernie4_5_moe": (ernie, "ernie"),
    "hunyuan_v1_moe": (hunyuan, "hunyuan"),
    "mimo_v2_flash": (mimo_v2, "mimo"),
    "deepseek": (plain_moe, "deepseek"),
    "deepseek_v2": (latent, "deepseek"),
    "deepseek_v3": (latent, "deepseek"),
    "deepseek_v32": (latent, "deepseek"),
    "deepseek_v4": (compressed, "deepseek"),
    "kimi_k2": (latent, "kimi"),
    "kimi_k25": (latent, "kimi"),
}


def from_config(config: Mapping[str, object], identity: str, name: str | None = None) -> Model:
    """The model that `config` (the content of a config.json) describes.

    Raises `Unsupported` for an architecture without a builder, `BadInput` for missing or impossible values.
    """
    kind, settings = _text_settings(config)
    if kind not in BUILDERS:
        near = nearest(kind, BUILDERS)
        known = f"nearest known: {', '.join(near)}" if near else f"known: {', '.join(sorted(BUILDERS))}"
        raise Unsupported(f"no description of the architecture {kind!r}: its attention and feed-forward layers", known)
    build, family = BUILDERS[kind]
    reader = Config(settings, kind)
    shape = build(reader)
    hidden = reader.whole("hidden_size", "n_embd")
    vocabulary = reader.whole("vocab_size")
    model = Model(
        id=identity,
        name=name or identity,
        family=family,
        hidden=hidden,
        vocabulary=vocabulary,
        context_limit=reader.whole("max_position_embeddings", "n_positions", default=2048),
        layers=shape.layers,
        tied_embeddings=shape.tied,
        native_quantisation=native_quantisation(config),
        mtp_layers=shape.mtp_layers,
        extra_tensors=(*shape.extra, *_vision(config)),
    )
    parameters = sum(n * sum(t.elements for t in layer.tensors(hidden)) for layer, n in runs(model))
    if parameters > _MOST_PARAMETERS:
        raise BadInput(f"config describes {parameters:.3g} parameters", "a damaged or made-up config")
    return model


def _text_settings(config: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """The language model's part of a multimodal config, with its kind."""
    outer = config.get("model_type")
    if not isinstance(outer, str):
        raise BadInput("config has no model_type", "is it the config.json of a language model?")
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        return outer, config
    shared = {key: value for key, value in config.items() if key in {"tie_word_embeddings", "vocab_size"}}
    kind = inner.get("model_type")
    chosen = kind if isinstance(kind, str) and kind in BUILDERS else outer
    return chosen, {**shared, **inner}


def _vision(config: Mapping[str, object]) -> tuple[Tensor, ...]:
    """A vision tower, as one lump of the parameters the publisher states (catalogue key vision_parameters)."""
    count = config.get("vision_parameters")
    if not isinstance(count, int) or not 0 < count < _MOST_PARAMETERS:
        return ()
    return (Tensor("vision", Part.VISION, 1, count),)


_QUANT_METHODS = {"fp8": "fp8", "awq": "int4", "gptq": "int4", "mxfp4": "mxfp4-experts", "bitnet": "bf16"}


def native_quantisation(config: Mapping[str, object]) -> str:
    """What the publisher's own files hold, as a quantisation id."""
    if config.get("expert_dtype") == "fp4":
        return "fp8-fp4-experts"
    inner = config.get("text_config")
    found = config.get("quantization_config")
    if not isinstance(found, Mapping) and isinstance(inner, Mapping):
        found = inner.get("quantization_config")
    if isinstance(found, Mapping):
        method = str(found.get("quant_method", ""))
        if method == "compressed-tensors":
            return _compressed_tensors(found)
        if method == "modelopt":
            return "nvfp4" if "FP4" in str(found.get("quant_algo", "")) else "fp8"
        return _QUANT_METHODS.get(method, "bf16")
    dtype = str(config.get("torch_dtype") or config.get("dtype") or "bfloat16")
    return {"float32": "fp32", "float16": "fp16"}.get(dtype, "bf16")


def _compressed_tensors(found: Mapping[str, object]) -> str:
    groups = found.get("config_groups")
    first: object = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    settings = first.get("weights") if isinstance(first, Mapping) else None
    bits = settings.get("num_bits") if isinstance(settings, Mapping) else 8
    kind = settings.get("type") if isinstance(settings, Mapping) else "int"
    if bits == 4:
        return "int4-experts" if "shared_experts" in str(found.get("ignore", "")) else "int4"
    return "fp8" if kind == "float" else "int8"


def renamed(model: Model, identity: str, name: str) -> Model:
    """The same architecture under another name."""
    return replace(model, id=identity, name=name)
