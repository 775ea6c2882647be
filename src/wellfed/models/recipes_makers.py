"""What makers of GGUF files do differently from llama.cpp's own mixes, where it is known; Ollama: `recipes_ollama`."""

from __future__ import annotations

from wellfed.models.tensor import Part, Tensor


def kept_type(architecture: str, tensor: Tensor) -> str | None:
    """What every maker leaves as its publisher made it: gpt-oss' experts, MXFP4 in files of any name.

    Source: the cards of bartowski/openai_gpt-oss-20b-GGUF and unsloth/gpt-oss-20b-GGUF (read 2026-11-29).
    """
    return "MXFP4" if architecture == "gpt_oss" and tensor.role.endswith("_exps") and tensor.is_matrix else None


_PER_LAYER = "per_layer_token_embd"
# by the first letters of the mix; sizes of unsloth's Gemma 4 E2B and E4B files (janhq/model-catalog, 2026-05-05)
_UNSLOTH_PER_LAYER = (("IQ4", "Q5_K"), ("IQ", "Q4_K"), ("Q2", "Q4_K"), ("Q3", "Q4_K"), ("Q4", "Q5_K"), ("Q5", "Q5_K"))


_UNSLOTH_PER_LAYER_XL = {"UD-Q3_K_XL": "Q5_K", "UD-Q5_K_XL": "Q8_0"}


def unsloth_type(recipe: str, mix: str, tensor: Tensor) -> str | None:
    """The type that Unsloth gives `tensor` in a file of `recipe` instead of the mix's own, where it is another."""
    if recipe == "Q2_K_L":  # not the wide head and embedding of others
        return {Part.EMBEDDING: "Q4_K", Part.OUTPUT: "Q6_K"}.get(tensor.part)
    if tensor.role != _PER_LAYER or mix in {"F32", "F16", "BF16"}:
        return None
    if recipe in _UNSLOTH_PER_LAYER_XL:
        return _UNSLOTH_PER_LAYER_XL[recipe]
    return next((kind for start, kind in _UNSLOTH_PER_LAYER if mix.startswith(start)), "Q8_0")


def ds4_type(mix: str, tensor: Tensor) -> str | None:
    """The type that antirez's files for ds4 give `tensor`: routed experts in IQ2_XXS, their down matrices in Q2_K, or
    all in Q4_K; the other matrices in eight bits (docs/MODELS.md of antirez/ds4: about 81 GiB of DeepSeek-V4-Flash).
    """
    if tensor.part is Part.ROUTED_EXPERTS and mix.startswith("IQ2"):
        return "Q2_K" if tensor.role == "ffn_down_exps" else "IQ2_XXS"
    if tensor.part is Part.ROUTED_EXPERTS:
        return "Q4_K" if mix.startswith("Q4") else None
    return "F16" if tensor.part is Part.EMBEDDING else "Q8_0" if tensor.is_matrix else None
