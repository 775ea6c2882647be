"""Which file Ollama's library serves for a tag that names no quantisation: mostly Q4_K_M, Q4_0 for older models.

Source: the tags of ollama.com/library that share a digest with a quantised one, as listed by
github.com/auditomatic/ollama-models-registry (2026-08-21; read 2026-11-29).
"""

from __future__ import annotations

from wellfed.catalog.model_tables import tags
from wellfed.catalog.name_words import parse, plain
from wellfed.frozen import replace
from wellfed.models.quantisation import Quantisation
from wellfed.models.quantisation_names import quantisation
from wellfed.models.recipes_ollama import MAKER
from wellfed.patterns import regex

_USUAL = "q4_k_m"
_Q4_0 = frozenset({  # models, and single tags
    "alfred", "aya", "bakllava", "codebooga", "codegeex4", "codegemma", "codellama", "codeqwen", "codestral",
    "codeup", "command-r", "command-r-plus", "dbrx", "deepseek-coder", "deepseek-coder-v2", "deepseek-llm",
    "deepseek-v2", "deepseek-v2.5", "dolphin-llama3", "dolphin-mistral", "dolphin-mixtral", "dolphin-phi",
    "dolphincoder", "duckdb-nsql", "everythinglm", "falcon", "falcon2", "firefunction-v2", "gemma", "gemma2",
    "glm4", "goliath", "granite-code", "hermes3:405b", "hermes3:70b", "hermes3:8b", "hermes3:latest",
    "internlm2", "llama-pro", "llama2", "llama2-chinese", "llama2-uncensored", "llama3", "llama3-chatqa",
    "llama3-gradient", "llama3-groq-tool-use", "llava", "llava-llama3", "llava-phi3", "magicoder", "mathstral",
    "meditron", "medllama2", "megadolphin", "minicpm-v", "mistral-nemo", "mistral-openorca",
    "mistral-small:22b", "mistral:7b-text", "mistral:text", "mistral:v0.1", "mistral:v0.2", "mistrallite",
    "mixtral", "moondream", "neural-chat", "nexusraven", "notus", "notux", "nous-hermes", "nous-hermes2",
    "nous-hermes2-mixtral", "nuextract", "open-orca-platypus2", "openchat", "openhermes", "orca-mini", "orca2",
    "phi", "phi3.5", "phi3:14b", "phi3:14b-instruct", "phi3:3.8b", "phi3:3.8b-instruct", "phi3:instruct",
    "phi3:latest", "phi3:medium", "phi3:medium-128k", "phi3:medium-4k", "phi3:mini", "phi3:mini-128k",
    "phind-codellama", "qwen", "qwen2", "qwen2-math", "reader-lm", "reflection", "samantha-mistral", "smollm",
    "solar", "sqlcoder", "stable-beluga", "stable-code", "stablelm-zephyr", "stablelm2", "starcoder",
    "starcoder2", "starling-lm", "tinydolphin", "tinyllama", "vicuna", "wizard-math", "wizard-vicuna",
    "wizard-vicuna-uncensored", "wizardcoder", "wizardlm-uncensored", "wizardlm2", "xwinlm", "yarn-llama2",
    "yarn-mistral", "yi", "yi-coder", "zephyr",
})  # fmt: skip
_OTHERS = {
    "q8_0": (
        "falcon3:1b", "functiongemma:270m", "functiongemma:latest", "gemma3:270m", "granite3-guardian:2b",
        "granite3-guardian:latest", "granite3.1-moe:1b", "granite4:1b-h", "granite4:350m-h", "llama-guard3:1b",
        "llama3.2:1b", "qwen2.5-coder:0.5b-base", "qwen3-embedding:0.6b", "qwen3.5:0.8b", "qwen3.5:2b",
        "sailor2:1b", "smallthinker:3b", "smallthinker:latest", "smollm2:1.7b", "smollm2:latest",
    ),
    "f16": (
        "all-minilm:22m", "all-minilm:33m", "all-minilm:l12", "all-minilm:l12-v2", "all-minilm:l6",
        "all-minilm:l6-v2", "all-minilm:latest", "all-minilm:v2", "bge-large:335m", "bge-large:latest",
        "bge-m3:567m", "bge-m3:latest", "cogito-2.1:671b", "cogito-2.1:latest", "deepscaler:1.5b",
        "deepscaler:latest", "granite-embedding:278m", "granite-embedding:30m", "granite-embedding:30m-en",
        "granite-embedding:latest", "mxbai-embed-large:335m", "mxbai-embed-large:latest",
        "mxbai-embed-large:v1", "nomic-embed-text:latest", "nomic-embed-text:v1.5",
        "paraphrase-multilingual:278m", "paraphrase-multilingual:latest", "smollm2:135m", "smollm2:360m",
        "snowflake-arctic-embed2:568m", "snowflake-arctic-embed2:latest", "snowflake-arctic-embed:110m",
        "snowflake-arctic-embed:137m", "snowflake-arctic-embed:22m", "snowflake-arctic-embed:335m",
        "snowflake-arctic-embed:33m", "snowflake-arctic-embed:l", "snowflake-arctic-embed:latest",
        "snowflake-arctic-embed:m", "snowflake-arctic-embed:m-long", "snowflake-arctic-embed:s",
        "snowflake-arctic-embed:xs",
    ),
    "bf16": (
        "deepseek-ocr:3b", "deepseek-ocr:latest", "embeddinggemma:300m", "embeddinggemma:latest", "granite4:1b",
        "granite4:350m",
    ),
    "q5_k_m": ("granite3-guardian:8b",),
    "q6_k": ("granite4.1-guardian:8b",),
}  # fmt: skip
# its publisher's own format, none that has a quantised twin, or several
_UNKNOWN = frozenset({
    "deepseek-r1-0528", "deepseek-v3.2", "deepseek-v4-flash", "deepseek-v4.1-flash", "glm-4.5-air", "glm-4.6",
    "glm-4.7", "glm-5", "glm-5.1", "glm-5.2", "glm-5.3", "glm-5.3-flash", "glm-ocr", "gpt-oss",
    "gpt-oss-safeguard", "kimi-k2", "kimi-k2-thinking", "kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k3",
    "minimax-m2", "minimax-m2.1", "minimax-m2.5", "minimax-m2.7", "minimax-m3", "mistral-large-3",
    "nemotron-3-ultra", "nemotron-nano", "nemotron3", "nomic-embed-text-v2-moe", "qvq", "qwen3.8-flash-next",
    "r1", "smollm3", "v3", "wizardlm",
})  # fmt: skip
_TAG = regex(r"[a-z0-9][a-z0-9._-]*:[a-z0-9][a-z0-9._-]*")
# Files of before April 2025, when llama.cpp's began to hold latent attention as latents (pull request 12801): of these
# the cache keeps expanded keys and values, whatever runs them (ollama issue 10920: 164.8 GiB for 123 GiB of weights).
_EXPANDED = frozenset({"deepseek-v2", "deepseek-v2.5", "deepseek-coder-v2", "deepseek-v3"})
_BY_TAG = {tag: name for name, listed in _OTHERS.items() for tag in listed}
_NO_FILE = ("cloud", "mlx", "qat", "mtp", "coding")


def default_of(text: str) -> str | None:
    """The quantisation that `ollama pull TAG` fetches; None where `text` is no such tag, or nobody said.

    A tag that is not listed here is one of a library that grows: its file is the usual one.
    """
    written = plain(text).lower()
    tag = next((one for one in (written, parse(text).core.lower()) if ":" in one and one in tags()), "")
    tag = tag or (written if _TAG.fullmatch(written) else "")
    if not tag or any(word in tag.partition(":")[2].split("-") for word in _NO_FILE):
        return None
    model = tag.partition(":")[0]
    if model in _UNKNOWN:
        return None
    return "q4_0" if model in _Q4_0 or tag in _Q4_0 else _BY_TAG.get(tag, _USUAL)


_GGUF_OF = {"bf16": "gguf-bf16", "fp16": "f16", "fp32": "gguf-f32"}


def as_served(chosen: Quantisation, written: str) -> Quantisation:
    """The file of a tag with that format: GGUF, but for MLX's types, which hold no prediction layers."""
    parts = written.split("-")
    if chosen.id in _GGUF_OF and "mlx" not in parts:
        chosen = quantisation(_GGUF_OF[chosen.id])
    elif chosen.family != "gguf" and not chosen.id.endswith("-experts"):
        chosen = replace(chosen, mtp_bytes=0.0)
    return replace(chosen.made_by(MAKER), trained="qat" in parts)


def tag_of(name: str) -> str:
    """What Ollama reads a name as: without a tag its `latest`, where the library has one."""
    latest = f"{plain(name).lower()}:latest"
    return latest if ":" not in name and latest in tags() else name


def expands_latents(text: str) -> bool:
    """Whether a tag's file makes llama.cpp cache expanded keys and values of latent attention."""
    return plain(text).lower().partition(":")[0] in _EXPANDED
