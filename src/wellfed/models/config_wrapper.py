"""The language model inside a config that wraps one: pictures, sound, several models in one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from wellfed.errors import BadInput, Unsupported
from wellfed.message import sentence

_INNER = ("text_config", "language_config", "llm_config", "language_model_config")
_SHARED = ("tie_word_embeddings", "vocab_size")

# What the inner config of a wrapper is where it does not say so itself.
_DEFAULT_KIND = {
    "gemma3": "gemma3_text", "gemma3n": "gemma3n_text", "gemma4": "gemma4_text", "kimi_k25": "kimi_k2",
    "mistral3": "mistral", "llava": "llama", "llava_next": "llama", "pixtral": "mistral", "mllama": "mllama_text_model",
    "llama4": "llama4_text", "multi_modality": "llama", "deepseek_vl_v2": "deepseek_v2",
    "qwen2_5_vl": "qwen2_5_vl_text", "qwen2_vl": "qwen2_vl_text", "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "glm5_next": "glm5_next_text", "qwen4_exp": "qwen4_exp_text", "qwen3_8_flash_next": "qwen3_8_flash_next_text",
    "qwen3_5": "qwen3_5_text", "qwen3_5_moe": "qwen3_5_moe_text", "glm4v": "glm4v_text", "glm4v_moe": "glm4v_moe_text",
    "paligemma": "gemma", "voxtral": "llama", "minimax_m3_vl": "minimax_m3",
}  # fmt: skip
_KIND_OF_ARCHITECTURE = {
    "DeepseekV2ForCausalLM": "deepseek_v2", "DeepseekV3ForCausalLM": "deepseek_v3", "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe", "GemmaForCausalLM": "gemma", "Gemma2ForCausalLM": "gemma2",
    "InternLM2ForCausalLM": "internlm2", "NemotronHForCausalLM": "nemotron_h", "KimiLinearForCausalLM": "kimi_linear",
    "DeepseekForCausalLM": "deepseek", "GptOssForCausalLM": "gpt_oss", "DeepseekV32ForCausalLM": "deepseek_v32",
    "DeepseekV4ForCausalLM": "deepseek_v4", "GlmMoeDsaForCausalLM": "glm_moe_dsa", "Glm4MoeForCausalLM": "glm4_moe",
    "MiniMaxM2ForCausalLM": "minimax_m2", "Gemma3ForCausalLM": "gemma3_text", "Phi3ForCausalLM": "phi3",
    "MixtralForCausalLM": "mixtral", "Qwen2MoeForCausalLM": "qwen2_moe", "Qwen3NextForCausalLM": "qwen3_next",
    "CohereForCausalLM": "cohere", "Cohere2ForCausalLM": "cohere2", "FalconH1ForCausalLM": "falcon_h1",
    "Lfm2ForCausalLM": "lfm2", "JambaForCausalLM": "jamba", "GraniteForCausalLM": "granite", "BertModel": "bert",
    "XLMRobertaModel": "xlm-roberta",
}  # fmt: skip

# What transformers fills in where an inner config leaves it out (its classes' defaults), which publishers rely on.
_LLAMA = {
    "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
    "vocab_size": 32000, "max_position_embeddings": 2048,
}  # fmt: skip
_DEFAULTS: dict[str, Mapping[str, object]] = {
    "llama": _LLAMA,
    "mistral": {**_LLAMA, "intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072},
    "qwen2": {**_LLAMA, "intermediate_size": 22016, "vocab_size": 151936, "max_position_embeddings": 32768},
    "gemma3_text": {
        "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4096,
        "max_position_embeddings": 131072,
    },
    "gemma": {"head_dim": 256, "max_position_embeddings": 8192, "vocab_size": 257216},
    "gemma2": {"head_dim": 256, "max_position_embeddings": 8192, "sliding_window": 4096, "vocab_size": 257216},
    "gemma3n_text": {
        "vocab_size": 262400, "vocab_size_per_layer_input": 262144, "hidden_size": 2048, "intermediate_size": 16384,
        "hidden_size_per_layer_input": 256, "num_hidden_layers": 35, "num_attention_heads": 8,
        "num_key_value_heads": 2, "head_dim": 256, "sliding_window": 512, "num_kv_shared_layers": 15,
        "altup_num_inputs": 4, "laurel_rank": 64, "max_position_embeddings": 32768,
    },
}  # fmt: skip

# Kinds that are not language models, and what they are.
NOT_LANGUAGE_MODELS = {
    "whisper": "speech recognition", "wav2vec2": "speech recognition", "parakeet": "speech recognition",
    "qwen3_asr": "speech recognition", "glmasr": "speech recognition", "clip": "matching pictures and words",
    "siglip": "matching pictures and words", "vits": "speech synthesis", "speecht5": "speech synthesis",
    "qwen3_tts": "speech synthesis", "musicgen": "sound synthesis", "vit": "picture classification",
    "detr": "detection", "yolos": "detection", "sam": "segmentation", "stable_diffusion": "picture synthesis",
}  # fmt: skip


def language_model(config: Mapping[str, object], families: Collection[str]) -> tuple[str, Mapping[str, object]]:
    """The language model's kind and settings, out of a config that may wrap them.

    An inner config that says what it is is that, whether known or not. Raises BadInput where nothing says what the
    model is, Unsupported for what is no language model.
    """
    if "_class_name" in config or "_diffusers_version" in config:
        raise Unsupported(
            sentence("config-wrapper.diffusion-pipeline", "a diffusion pipeline, no language model"),
            "wellfed plans language models",
        )
    outer = config.get("model_type")
    inner = _inner(config)
    if inner is None:
        kind = outer if isinstance(outer, str) else _by_architecture(config)
        if kind is None:
            raise BadInput(
                sentence("config-wrapper.config-model-type", "config has no model_type"),
                sentence("config-wrapper.config-json-language", "is it the config.json of a language model?"),
            )
        if families and kind not in families:
            kind = _by_architecture(config) or kind  # a converter's own name for what it says it is
        if kind in NOT_LANGUAGE_MODELS:
            raise Unsupported(
                sentence(
                    "config-wrapper.language-model",
                    "{kind} is for {not_language_models}, no language model",
                    kind=kind,
                    not_language_models=NOT_LANGUAGE_MODELS[kind],
                )
            )
        return kind, config
    shared = {key: value for key, value in config.items() if key in _SHARED and value is not None}
    model_type = inner.get("model_type")
    kind = (
        model_type
        if isinstance(model_type, str) and model_type
        else _by_architecture(inner) or _DEFAULT_KIND.get(str(outer))
    )
    if kind is None and isinstance(outer, str) and outer in families:
        kind = outer
    if kind is None:
        raise BadInput(
            sentence("config-wrapper.config-inner-model", "the config's inner model has no model_type"),
            sentence("config-wrapper.config-json-language", "is it the config.json of a language model?"),
        )
    return kind, {**_DEFAULTS.get(kind, {}), **shared, **{key: v for key, v in inner.items() if v is not None}}


def _inner(config: Mapping[str, object]) -> Mapping[str, object] | None:
    thinker = config.get("thinker_config")
    source = thinker if isinstance(thinker, Mapping) else config
    for key in _INNER:
        inner = source.get(key)
        if isinstance(inner, Mapping) and inner:
            return inner
    return None


def _by_architecture(values: Mapping[str, object]) -> str | None:
    listed = values.get("architectures")
    first = listed[0] if isinstance(listed, list) and listed else None
    return _KIND_OF_ARCHITECTURE.get(str(first))


_SEEING = ("vision_config", "visual", "vision_encoder", "img_processor")
_HEADLESS = frozenset({"MistralModel", "Qwen2Model", "Qwen3Model", "Qwen3MoeModel", "LlamaModel", "GemmaModel",
                       "Gemma2Model", "Phi3Model", "MiniCPMModel", "LlamaBidirectionalModel"})  # fmt: skip


def has_no_head(config: Mapping[str, object]) -> bool:
    """Whether the files hold a decoder without its head: what embedding models are published as."""
    listed = config.get("architectures")
    return isinstance(listed, list) and bool(listed) and str(listed[0]) in _HEADLESS


def task_of(
    kind: str, config: Mapping[str, object], encoders: Collection[str], encoder_decoders: Collection[str]
) -> str:
    """What the model is for, by its config: text, vision-language, audio-language, omni, embedding, reranker ..."""
    architectures = str(config.get("architectures", ""))
    if "SequenceClassification" in architectures:
        return "reranker"
    if has_no_head(config):
        return "embedding"
    if kind in encoders:
        return "embedding"
    if kind in encoder_decoders:
        return "encoder-decoder"
    if isinstance(config.get("thinker_config"), Mapping):
        return "omni"
    sees = any(
        isinstance(config.get(key), Mapping) for key in ("vision_config", "visual", "vision_encoder", "img_processor")
    )
    hears = isinstance(config.get("audio_config"), Mapping)
    sees = sees or "vision_parameters" in config
    return "omni" if sees and hears else "vision-language" if sees else "audio-language" if hears else "text"
