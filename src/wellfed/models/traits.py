"""Ordinary architectures as data: what a config.json leaves to the code that reads it.

All of them are grouped-query attention and a dense or routed feed-forward; they differ in the small things below.
Sources: modeling and configuration files of huggingface/transformers, ml-explore/mlx-lm and ggml-org/llama.cpp
(read 2026-11-29).
"""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.message import sentence


@dataclass(frozen=True, slots=True)
class Traits:
    """What is not in the config. `norms` counts hidden-wide vectors of a layer, biases of norms included."""

    family: str
    bias: bool = False  # on q, k, v where `attention_bias` is not given
    output_bias: bool = False  # on the output projection where q, k, v have one
    qk_norm: str = (
        ""  # "" none, "head" one for all heads, "all" over the heads together, "never" none whatever is given
    )
    norms: int = 2
    final_norms: int = 1
    tied: bool = False  # where `tie_word_embeddings` is not given
    gated: bool = True
    ffn_bias: bool = False
    fused: bool = False
    window_period: int = 0  # every so many layers one is full; 0: all have the window that is given
    sinks: bool = False  # on windowed layers
    router_bias: bool = False
    expert_bias: bool = False
    shared_gate: bool = False
    shared: int = 0  # shared experts where the config gives none
    expert_width: str = "moe_intermediate_size"
    dense_width: str = "intermediate_size"
    dense_layers: int = 0  # leading dense layers where the config gives none
    gate: str = ""  # "" none, "head" a row a head, "channel" a row a channel; by `gating_key` where given
    mtp_copies: bool = False
    mtp_dense: bool = False  # the MTP layers are like the first layer, not like the last
    note: str = ""


_LLAMA = Traits("llama", output_bias=True)
_QWEN3 = Traits("qwen", qk_norm="head")
_QWEN3_MOE = Traits("qwen", qk_norm="head", shared_gate=True)
_GLM4V = Traits("glm", bias=True, norms=4)
_GLM_MOE = Traits("glm", bias=True, router_bias=True, mtp_copies=True)
_GEMMA3 = Traits("gemma", qk_norm="head", norms=4, tied=True, window_period=6)
_GPT_OSS = Traits(
    "gpt-oss",
    bias=True,
    output_bias=True,
    window_period=2,
    sinks=True,
    router_bias=True,
    expert_bias=True,
    expert_width="intermediate_size",
)
_STEP = Traits("step", qk_norm="head", router_bias=True, shared=1, dense_layers=1, gate="head", mtp_dense=True)

_MLA = Traits("deepseek", mtp_copies=True)

TRAITS: dict[str, Traits] = {
    # Llama and what is built like it
    "llama": _LLAMA,
    "mllama_text_model": _LLAMA,
    "nanochat": Traits("nanochat", gated=False, norms=0, final_norms=0),
    "mistral": Traits("mistral"),
    "ministral": Traits("mistral"),
    "ministral3": Traits("mistral"),
    "mistral3": Traits("mistral"),
    "mixtral": Traits("mistral", expert_width="intermediate_size"),
    "phimoe": Traits("phi", bias=True, norms=4, final_norms=2, expert_width="intermediate_size"),
    "phi3": Traits("phi", fused=True),
    "phi3_v": Traits("phi", fused=True),
    "phi4mm": Traits(
        "phi",
        fused=True,
        note=sentence("traits.lora-adapters", "LoRA adapters for pictures and speech are not counted"),
    ),
    "phi": Traits("phi", bias=True, output_bias=True, norms=2, final_norms=2, gated=False, ffn_bias=True),
    "qwen2": Traits("qwen", bias=True),
    "qwen2_vl": Traits("qwen", bias=True),
    "qwen2_vl_text": Traits("qwen", bias=True),
    "qwen2_5_vl": Traits("qwen", bias=True),
    "qwen2_5_vl_text": Traits("qwen", bias=True),
    "qwen2_5_omni_text": Traits("qwen", bias=True),
    "qwen2_audio_encoder": Traits("qwen", bias=True),
    "dots_ocr": Traits("dots", bias=True),
    "qwen3": _QWEN3,
    "qwen3_vl": _QWEN3,
    "qwen3_vl_text": _QWEN3,
    "qwen3_moe": _QWEN3_MOE,
    "qwen3_vl_moe": _QWEN3_MOE,
    "qwen3_vl_moe_text": _QWEN3_MOE,
    "qwen3_omni_moe_text": _QWEN3_MOE,
    "qwen2_moe": Traits("qwen", bias=True, shared_gate=True),
    "mellum": Traits("mellum", qk_norm="head"),
    "klear": Traits("klear", qk_norm="head", router_bias=True),
    "seed_oss": Traits("seed", bias=True),
    "smollm3": Traits("smollm", tied=True),
    "mimo": Traits("mimo", bias=True),
    "ernie4_5": Traits("ernie"),
    "ernie4_5_text": Traits("ernie"),
    "paddleocr_vl": Traits("ernie"),
    "paddleocr_vl_text": Traits("ernie"),
    "ernie4_5_moe": Traits("ernie", router_bias=True),
    "hunyuan_v1_dense": Traits("hunyuan", qk_norm="head"),
    "hunyuan": Traits("hunyuan", qk_norm="head"),
    "hunyuan_vl": Traits("hunyuan", qk_norm="head", tied=True),
    "hunyuan_vl_text": Traits("hunyuan", qk_norm="head", tied=True),
    "hunyuan_v1_moe": Traits("hunyuan", qk_norm="head"),
    "hy_v3": Traits("hunyuan", qk_norm="head", router_bias=True, dense_layers=1),
    "internlm2": Traits("internlm"),
    "internlm3": Traits("internlm"),
    "baichuan": Traits("baichuan", fused=True),
    "telechat3": Traits("telechat"),
    "solar": Traits("solar"),
    "xverse": Traits("xverse"),
    "arcee": Traits("arcee", gated=False),
    "helium": Traits("helium"),
    "minicpm": Traits("minicpm", tied=True),
    "iquestcoder": Traits("iquest"),
    "bitnet": Traits("bitnet", norms=3),
    "apertus": Traits("apertus", qk_norm="head", gated=False),
    "granite": Traits("granite"),
    "granitemoe": Traits("granite", expert_width="intermediate_size"),
    "granitemoeshared": Traits("granite", expert_width="intermediate_size"),
    "stablelm": Traits("stablelm", norms=4, final_norms=2),
    "starcoder2": Traits(
        "starcoder", bias=True, output_bias=True, norms=4, final_norms=2, gated=False, ffn_bias=True, tied=True
    ),
    "nemotron": Traits("nemotron", norms=4, final_norms=2, gated=False),
    "gptj": Traits("gptj", norms=2, final_norms=2, gated=False, ffn_bias=True),
    "gpt_neox": Traits(
        "gpt-neox", bias=True, output_bias=True, fused=True, norms=4, final_norms=2, gated=False, ffn_bias=True
    ),
    "exaone": Traits("exaone"),
    "exaone4": Traits("exaone", qk_norm="head"),
    "exaone_moe": Traits("exaone", qk_norm="head", router_bias=True),
    "cohere": Traits("cohere", norms=1, tied=True),
    "cohere2": Traits("cohere", norms=1, tied=True, window_period=4),
    "olmo": Traits("olmo", norms=0, final_norms=0),
    "olmo2": Traits("olmo", qk_norm="all"),
    "olmo3": Traits("olmo", qk_norm="all", window_period=4),
    "olmoe": Traits("olmo", qk_norm="all", expert_width="intermediate_size"),
    "flex_olmo": Traits("olmo", qk_norm="all", expert_width="intermediate_size"),
    # GLM
    "chatglm": Traits("glm", bias=True),
    "glm": Traits("glm", bias=True),
    "glm4": Traits("glm", norms=4),
    "glm4v": _GLM4V,
    "glm4v_text": _GLM4V,
    "glm_ocr": Traits("glm", norms=4),
    "glm_ocr_text": Traits("glm", norms=4),
    "glm4_moe": _GLM_MOE,
    "glm4v_moe": _GLM_MOE,
    "glm4v_moe_text": _GLM_MOE,
    "solar_open": Traits("solar", router_bias=True),
    "dots1": Traits("dots", qk_norm="head", router_bias=True),
    "deepseek": Traits("deepseek"),
    # windows, gates, other small things
    "gemma": Traits("gemma", tied=True),
    "gemma2": Traits("gemma", norms=4, tied=True, window_period=2),
    "gemma3": _GEMMA3,
    "gemma3_text": _GEMMA3,
    "gpt_oss": _GPT_OSS,
    "llama4": Traits(
        "llama", qk_norm="never", shared=1, expert_width="intermediate_size", dense_width="intermediate_size_mlp"
    ),
    "llama4_text": Traits(
        "llama", qk_norm="never", shared=1, expert_width="intermediate_size", dense_width="intermediate_size_mlp"
    ),
    "mimo_v2_flash": Traits("mimo", sinks=True, router_bias=True),
    "mimo_v2": Traits("mimo", sinks=True, router_bias=True),
    "minimax_m2": Traits("minimax", qk_norm="all", router_bias=True, expert_width="intermediate_size"),
    "minimax_m3": Traits("minimax", qk_norm="head", router_bias=True, dense_width="dense_intermediate_size"),
    "bailing_moe": Traits("bailing", fused=True),
    "bailing_moe_v2": Traits("bailing", fused=True),
    "afmoe": Traits("afmoe", qk_norm="head", norms=4, router_bias=True, gate="channel"),
    "laguna": Traits("laguna", qk_norm="head", router_bias=True, dense_layers=1, gate="head"),
    "step3p5": _STEP,
    "step3p7": _STEP,
    # latent attention: only the feed-forward is read from here
    "deepseek_v2": Traits("deepseek"),
    "deepseek_v3": _MLA,
    "deepseek_v32": _MLA,
    "kimi_k2": Traits("kimi", mtp_copies=True),
    "glm_moe_dsa": Traits("glm", router_bias=True),
    "glm4_moe_lite": Traits("glm", router_bias=True, mtp_copies=True),
    "mistral4": Traits("mistral"),
    "minicpm3": Traits("minicpm", tied=True),
    "youtu_llm": Traits("youtu", tied=True),
    "kimi_linear": Traits("kimi", router_bias=True),
    "grok": Traits("grok", norms=4),
    "git": Traits("grok", norms=4),
}
