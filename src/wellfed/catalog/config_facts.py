"""What of a published config.json describes the architecture: sizes, counts, patterns, number formats.

Everything that only steers training, text generation, tokens or rotary angles is left out. What is not known to be
such is left in: a key that gives a size must not be lost because nobody here has heard of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NEVER = re.compile(
    r"_tokens?_(?:id|ids|index|embed|size)|dropout|_pdrop$|initializer|_eps$|epsilon|_act$"
    r"|activation|_coef$|_loss_|jitter|multiplier|_alpha$|_beta$|_limit$|_func$|scaling_factor|softcapping"
    r"|^rope_|^rotary_emb|_rope_theta$|mrope|^attn_implementation|^_|_prob$|_penalty$|_placeholder"
)
_STEERING = """
    architectures auto_map transformers_version use_cache torchscript return_dict output_attentions
    output_hidden_states output_scores output_router_logits return_dict_in_generate do_sample temperature top_k
    top_p typical_p num_beams num_beam_groups num_return_sequences max_length min_length length_penalty
    early_stopping no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids suppress_tokens
    begin_suppress_tokens prefix problem_type finetuning_task id2label label2id task_specific_params pruned_heads
    tokenizer_class remove_invalid_values add_cross_attention is_decoder chunk_size_feed_forward
    cross_attention_hidden_size tie_encoder_decoder tf_legacy_loss use_bfloat16 pretraining_tp ep_size seq_aux
    norm_topk_prob topk_group n_group scoring_func routed_scaling_factor use_flash_attn use_dynamic_ntk
    use_logn_attn bf16 fp16 fp32 gradient_checkpointing time_step_floor time_step_limit time_step_max time_step_min
    rescale_prenorm_residual residual_in_fp32 onnx_safe image_aspect_ratio image_grid_pinpoints
    candidate_resolutions prompts model_name cache_implementation use_mamba_kernels num_logits_to_keep
    partial_rotary_factor query_pre_attn_scalar ignore_index freeze_mm_mlp_adapter freeze_mm_vision_resampler
    tune_mm_mlp_adapter tune_mm_vision_resampler unfreeze_mm_vision_tower for_llm_compressor standardize
    similarity_fn_name default_prompt_name dim_model_base scale_depth scale_emb hc_sinkhorn_iters torch_dtype dtype
"""
_NEVER_WHOLE = frozenset(_STEERING.split())
_KEPT = frozenset({"max_position_embeddings", "tie_word_embeddings", "mm_tokens_per_image", "num_img_tokens"})
_SAID_ELSEWHERE = frozenset({"quantization_config", "compression_config"})  # the entry's `native`


def facts(config: Mapping[str, object]) -> dict[str, object]:
    """The architecture's keys of a config.json, nested parts likewise, nulls and empty parts left out."""
    described_facts: dict[str, object] = {}
    for key, value in config.items():
        if value is None or key in _SAID_ELSEWHERE or not _describes(key):
            continue
        described = _inner(value)
        if described not in ({}, []):
            described_facts[key] = described
    return described_facts


def _inner(value: object) -> object:
    if isinstance(value, Mapping):
        return facts(value)
    return [_inner(item) for item in value] if isinstance(value, list) else value


def _describes(key: str) -> bool:
    return key in _KEPT or not (key in _NEVER_WHOLE or _NEVER.search(key))
