"""What an engine's version decides: `--engine vllm@0.11`, `llama.cpp@b9842`, `llama.cpp@2026-07`.

A version becomes switches of the layout that memory and speed read. Versions that change nothing here are said all the
same: an answer is for one version. Without one, the answer is for `CURRENT`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from wellfed.errors import BadInput
from wellfed.frozen import dataclass, replace
from wellfed.message import Listing, message
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.budget import MOE_CHUNK
from wellfed.perf.memory.compute import INPUTS, LOGITS, MASK
from wellfed.perf.memory.ktransformers import EMBEDDING
from wellfed.perf.memory.pools import GROUP_RULE, WINDOWS_SINCE
from wellfed.perf.memory.serving import BY_GROUPS
from wellfed.perf.memory.static_share import RULE, StaticRule

# The versions whose sources and logs the engines' rooms were written from.
CURRENT: Mapping[Engine, str] = {
    Engine.LLAMA_CPP: "2026-10",
    Engine.IK_LLAMA_CPP: "2026-08",
    Engine.VLLM: "0.32",
    Engine.SGLANG: "0.5.23",
    Engine.TENSORRT_LLM: "1.2",
    Engine.KTRANSFORMERS: "0.7",
    Engine.EXLLAMAV3: "1.4",
    Engine.MLX: "0.32",
    Engine.LMDEPLOY: "0.10",
    Engine.DS4: "2026-09",
}
# llama.cpp's builds at the starts of months, from the dates of public logs and issues that name both.
_BUILDS = (
    (date(2023, 12, 1), 1600), (date(2024, 5, 1), 2800), (date(2025, 4, 1), 5100), (date(2025, 10, 1), 6700),
    (date(2026, 2, 1), 7950), (date(2026, 4, 1), 8600), (date(2026, 5, 1), 8950), (date(2026, 7, 1), 9800),
    (date(2026, 8, 1), 10200), (date(2026, 10, 1), 10900),
)  # fmt: skip
_LATENT_BUILD = 5137  # MLA's latents are cached (pull request 12801, April 2025); before: expanded keys and values
_AUTO_SLOTS_BUILD = 7400  # four slots over one cache where none are named (December 2025)
# The head goes to a GPU before any layer, not after all (pull request 18148, December 2025).
_HEAD_FIRST_BUILD = 7467
_FLASH_BUILD = 6325  # flash attention where nobody names it (pull request 15434, end of August 2025)
# The lightning indexer as one operation (pull request 24231, open until July 2026; the month of its merge is assumed).
_FUSED_INDEXER_BUILD = 10_200
# The second engine serves by default since 0.8, but for FP8 caches and pipelines until 0.9 (`_is_v1_supported_oracle`
# of vllm/engine/arg_utils.py, 0.8.5); VLLM_USE_V1 chooses. The first one profiled prompts whole.
_FIRST_V1, _ALWAYS_V1 = (0, 8, 0), (0, 9, 0)
CHOSEN_ENGINE = "v1"  # the option: what VLLM_USE_V1 says
# FlashInfer's sampler, which sorts nothing, by default in 0.11.0 (2.12 GiB of Mistral-Small-3.2 in llm-d-planner's
# logs; 5.5 of Qwen3 in others); which others have it only where somebody installs it.
_UNSORTED, _FIRST_LATENT = (0, 11, 0), (0, 7, 0)
# Tokens that experts take at a time: 64k before 0.6 (pull request 7995), then 32k, 16k since December 2025; all since
# the spring of 2026 (issues 30620, 47127; both versions: assumed).
_MOE_32K, _MOE_16K, _MOE_WHOLE = (0, 6, 0), (0, 14, 0), (0, 18, 0)
# Room for graphs and 0.92 of the memory: in the sources of 0.20.2, not in those of 0.19.1. Since then the log's tokens
# are a request's, as often as it fits; before, the pool's blocks divided by groups of layers.
_GRAPHS_IN_BUDGET = (0, 20, 0)
# Kinds of layers whose counts are nearly alike share one size of group: by 25 % in 0.13.0, by 50 % in 0.19.1.
_NEARLY_ALIKE, _MORE_ALIKE = (0, 13, 0), (0, 18, 0)
# Sampling without sorting (pull request 33538: 5.64 GiB in 0.16, 2.23 in 0.17 of Qwen3-14B), and what is beside torch.
# With more than two ranks it has what a reducing switch needs before, too (issue 21348: 8.11 GiB of cache in 0.9).
# Two passes in flight are kept apart (pull request 47728 of summer 2026, after 0.23; vllm-ascend, pull request 13518).
_PASSES_APART = (0, 24, 0)
_NOTHING_SORTED, _MORE_BESIDE_TORCH = (0, 17, 0), (0, 18, 0)
_FIRST_CHUNKS = (0, 5, 4)  # long contexts are prefilled in chunks unasked
_KT_IN_SGLANG = (0, 4, 0)  # KTransformers' own server before kept the token embedding in RAM; SGLang's is on the GPU
TOWER = "mmproj"  # the option that says where the tower lies: Ollama's library has it in the model's own file
# Layers that see a window cache all of a context before (issue 16118, 0.8.3: 24.00 GiB of each of eight ranks for a
# million tokens of Llama 4); since when each keeps its window is assumed.
_WINDOWS_APART = (0, 9, 1)
# Gemma 4's windows and full layers have heads of two widths: apart since 0.21 (issue 43308: 55k tokens became 525k).
_TWO_WIDTHS_APART = (0, 21, 0)
# llama.cpp kept windows' whole context before (pull request 13194, May 2025).
_WINDOWS_BUILD = 5429
# llama.cpp's server reserves logits of one token a sequence, not of a whole batch (pull request 23861, commit 1e0363f8b
# of June 2026); masks of flash attention come in F16 (pull request 23764, commit 4c14d451f of May 2026). A build's
# number is the count of commits up to it.
_ROWS_OF_SEQUENCES_BUILD, _NARROW_MASK_BUILD = 9460, 9410
_EMBEDDINGS_TOO_BUILD = 7774  # a graph has room for embeddings that come in place of tokens (18550, January 2026)
_PARALLEL_DRAFTS_BUILD = 9109  # prediction layers draft for several sequences at once (22838, May 2026)
ALL_LOGITS, WIDE_MASK, TOKENS_ALONE = (LOGITS, "all"), (MASK, "f32"), (INPUTS, "one")
WHOLE_WINDOWS = ("swa_full", "always")  # no flag says it: these builds know no other way
OLLAMA = "ollama"
FRONT = "front"  # the option that names a program around llama.cpp with defaults of its own
_AMPERE_MARLIN, _TURING_MARLIN = (0, 5, 1), (0, 14, 0)
_NO_VOLTA = (0, 11, 0)  # vLLM's last engine for compute capability 7.0 went with V0
VOLTA = 7.0
LAST_FOR_VOLTA: Mapping[Engine, str] = {Engine.VLLM: "0.10"}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an engine; `numbers` compare within an engine, llama.cpp's are (build,).

    `options`: switches of a program around the engine, which has versions of its own.
    """

    engine: Engine
    text: str
    numbers: tuple[int, ...]
    options: tuple[tuple[str, str], ...] = ()

    @property
    def is_front(self) -> bool:
        """Whether it is a version of a program around the engine, such as Ollama."""
        return any(name == FRONT for name, _ in self.options)

    def applied(self, layout: Layout, model: Model) -> Layout:
        """The layout with the switches this version decides for `model`; what was pinned by a flag stands."""
        if self.is_front:
            return self._in_front(layout, model)
        set_options = {key for key, _ in layout.options}
        switches = tuple(pair for pair in _switches(self, model, layout) if pair[0] not in set_options)
        changed = replace(layout, version=self.text, options=(*layout.options, *switches))
        return replace(changed, latent_cache=False) if _expands_latents(self) else changed

    def _in_front(self, layout: Layout, model: Model) -> Layout:
        from wellfed.engines.ollama_place import is_flash, keeps_windows_whole

        switches = tuple(pair for pair in self.options if pair not in layout.options)
        switches += (WHOLE_WINDOWS,) if keeps_windows_whole(self.numbers, model) else ()
        flash = layout.flash_attention and is_flash(self.numbers, model)
        switches += (
            () if any(name == TOWER for name, _ in layout.options) else ((TOWER, "gpu" if layout.gpus else "ram"),)
        )
        return replace(layout, version=self.text, options=(*layout.options, *switches), flash_attention=flash)


def is_ollama(layout: Layout) -> bool:
    """Whether a layout is run by Ollama."""
    return (FRONT, OLLAMA) in layout.options


def version(engine: Engine, text: str) -> Version:
    """A version as it is written. Raises BadInput for text that is none of this engine's."""
    local = engine in (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP)
    build, month = re.fullmatch(r"b(\d{3,6})", text), re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", text)
    release = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?[\w.+-]*", text)
    if local and build and engine is Engine.LLAMA_CPP:
        return Version(engine, text, (int(build[1]),))
    if local and month:
        return Version(engine, text, (build_of_month(_first_day(text)),))
    if not local and release:
        return Version(engine, text, (int(release[1]), int(release[2]), int(release[3] or 0)))
    examples = ("b9842", "2026-07") if engine is Engine.LLAMA_CPP else ("2026-07",) if local else ("0.17", "0.11.2")
    if text:
        problem = message("version.unread", "{text} is no version of {engine}", text=text, engine=engine.value)
    else:
        problem = message("version.empty", "no version of {engine} stands behind the @", engine=engine.value)
    raise BadInput(problem, message("version.hint", "for example {examples}", examples=Listing(examples)))


def _first_day(month: str) -> date:
    """Of a month as a version names it, "2026-07"."""
    return date.fromisoformat(f"{month}-01")


def build_of_month(month: date) -> int:
    """The number of llama.cpp's build at a month's start, between the months that are known."""
    wanted = _months(month)
    before, after = _BUILDS[0], _BUILDS[-1]
    for pair in _BUILDS:
        if _months(pair[0]) <= wanted:
            before = pair
        else:
            after = pair
            break
    span = _months(after[0]) - _months(before[0])
    share = (wanted - _months(before[0])) / span if span > 0 else 0.0
    return round(before[1] + share * (after[1] - before[1]))


def _months(day: date) -> int:
    """Months since year 0: what builds are counted by."""
    return 12 * day.year + day.month


def _switches(version: Version, model: Model, layout: Layout) -> tuple[tuple[str, str], ...]:
    if version.engine is Engine.LLAMA_CPP:
        return _llama_switches(version.numbers[0])
    if version.engine is Engine.IK_LLAMA_CPP:
        return (("built", _first_day(version.text).isoformat()),)
    if version.engine is Engine.SGLANG:
        return _sglang_switches(version.numbers)
    if version.engine is Engine.KTRANSFORMERS:
        return ((EMBEDDING, "ram"),) if version.numbers < _KT_IN_SGLANG else ()
    return _vllm_switches(version.numbers, model, layout) if version.engine is Engine.VLLM else ()


# From which version on SGLang reserves by which rule; where a version between two that were read changed it is assumed.
_STATIC_RULES = (
    ((0, 5, 20), StaticRule.NOW), ((0, 5, 16), StaticRule.DRAFTS_COUNTED), ((0, 5, 10), StaticRule.PREFILL),
    ((0, 5, 3), StaticRule.CHUNKS), ((0, 4, 7), StaticRule.CARDS), ((0, 0, 0), StaticRule.RANKS),
)  # fmt: skip


def static_rule(chosen: Version | None) -> StaticRule:
    """By which rule a version of SGLang reserves memory."""
    if chosen is None or chosen.engine is not Engine.SGLANG:
        return StaticRule.NOW
    return next(rule for since, rule in _STATIC_RULES if chosen.numbers >= since)


def _sglang_switches(numbers: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    rule = next(rule for since, rule in _STATIC_RULES if numbers >= since)
    return ((RULE, rule.value), (WINDOWS_SINCE, ".".join(map(str, numbers))))


def _llama_switches(build: int) -> tuple[tuple[str, str], ...]:
    indexer = (("indexer", "unfused"),) if build < _FUSED_INDEXER_BUILD else ()
    rows = (ALL_LOGITS,) if build < _ROWS_OF_SEQUENCES_BUILD else ()
    masks: tuple[tuple[str, str], ...] = (WIDE_MASK,) if build < _NARROW_MASK_BUILD else ()
    masks += (TOKENS_ALONE,) if build < _EMBEDDINGS_TOO_BUILD else ()
    return (("build", f"b{build}"), *rows, *masks, *indexer, *((WHOLE_WINDOWS,) if build < _WINDOWS_BUILD else ()))


def is_first_engine(numbers: tuple[int, ...], layout: Layout) -> bool:
    """Whether vLLM serves by its first engine (V0), in so old a version or as told."""
    said = dict(layout.options).get(CHOSEN_ENGINE)
    if said is not None and numbers < _NO_VOLTA:
        return said != "1"
    second = numbers >= _FIRST_V1 and layout.pipeline_parallel == 1 and not layout.kv_type.startswith("fp8")
    return numbers < _ALWAYS_V1 and not second


def _vllm_switches(numbers: tuple[int, ...], model: Model, layout: Layout) -> tuple[tuple[str, str], ...]:
    options: list[tuple[str, str]] = []
    if numbers < _GRAPHS_IN_BUDGET:
        options += [("graphs_in_budget", "0"), ("gpu_memory_utilization", "0.9"), (BY_GROUPS, "1")]
    if numbers < _MORE_ALIKE:
        options.append((GROUP_RULE, "125" if numbers >= _NEARLY_ALIKE else "100"))
    two_widths = model.architecture.startswith("gemma4")
    if numbers < (_TWO_WIDTHS_APART if two_widths else _WINDOWS_APART):
        options.append(("swa_full", "1"))
    first = is_first_engine(numbers, layout)
    if first:  # profiled with 256 sequences, their logits sorted on the first rank
        options += [("max_num_seqs", "256"), ("sampler_bytes", "38.3"), ("nccl_gib", "0.1")]
        options.append(("v0", "chunks" if numbers >= _FIRST_CHUNKS else "whole"))
    elif numbers < _NOTHING_SORTED:
        options.append(("sampler_bytes", "17" if numbers == _UNSORTED else "38.3"))
    if numbers < _MOE_WHOLE:
        chunk = 16_384 if numbers >= _MOE_16K else 32_768 if numbers >= _MOE_32K else 65_536
        options.append((MOE_CHUNK, str(chunk)))
    if numbers < _PASSES_APART:
        options.append(("passes_in_flight", "1"))
    if numbers < _MORE_BESIDE_TORCH:
        options += [
            ("non_torch_gib", "0.13"),
            *((("nccl_gib", "0.42"),) if layout.tensor_parallel <= 2 and not first else ()),
        ]
    return tuple(options)


def with_head(layout: Layout) -> Layout:
    """The layout with its layers on GPUs as this build of llama.cpp counts them; Ollama counted itself before 0.30."""
    from wellfed.engines.ollama_place import runs_llama_server

    build = next((value for name, value in layout.options if name == "build"), None)
    counts = layout.engine is Engine.LLAMA_CPP and (not is_ollama(layout) or runs_llama_server(layout))
    first = counts and (build is None or int(build[1:]) >= _HEAD_FIRST_BUILD) and (layout.offload.gpu_layers or 0) > 0
    if first is layout.offload.head_first:
        return layout
    return replace(layout, offload=replace(layout.offload, head_first=first))


def is_flash_by_itself(chosen: Version) -> bool:
    """Whether llama.cpp computes attention in one kernel where no flag says so."""
    if ("flash", "0") in chosen.options:
        return False
    return chosen.engine is not Engine.LLAMA_CPP or chosen.is_front or chosen.numbers[0] >= _FLASH_BUILD


def _expands_latents(version: Version) -> bool:
    if version.engine is Engine.LLAMA_CPP:
        return version.numbers[0] < _LATENT_BUILD
    return version.engine is Engine.VLLM and version.numbers < _FIRST_LATENT


def least_capability(chosen: Version | None, usual: float) -> float:
    """The least compute capability of NVIDIA cards that a version runs on: vLLM before 0.11 ran on V100 (7.0)."""
    if chosen is not None and chosen.engine is Engine.VLLM and chosen.numbers < _NO_VOLTA:
        return min(usual, VOLTA)
    return usual


def is_newer(chosen: Version) -> bool:
    """Whether a version is newer than what is known here of its engine."""
    current = CURRENT[chosen.engine]
    return not chosen.is_front and chosen.numbers > version(chosen.engine, current).numbers


def least_widening(engine: Engine, chosen: Version | None) -> float:
    """The least compute capability on which FP8 and FP4 weights are widened to 16 bits on their way (Marlin, W8A16 and
    W4A16) where the chip does not know them. vLLM: Ampere since 0.5.1 (pull request 5975), Turing since 0.14 (29901;
    `get_min_capability` of its quantisation methods in 0.13.0 and 0.14.1). SGLang 0.5.23: Ampere.
    """
    if engine is not Engine.VLLM:
        return 8.0
    numbers = None if chosen is None else chosen.numbers
    if numbers is None or numbers >= _TURING_MARLIN:
        return 7.5
    return 8.0 if numbers >= _AMPERE_MARLIN else float("inf")


def has_auto_slots(chosen: Version | None, drafts: bool = False) -> bool:
    """Whether llama.cpp's server takes four slots over one cache where nobody names a number; with prediction layers
    that draft (`drafts`) since these do so for several.
    """
    if chosen is not None and chosen.is_front:
        return False
    least = _PARALLEL_DRAFTS_BUILD if drafts else _AUTO_SLOTS_BUILD
    return chosen is None or (chosen.engine is Engine.LLAMA_CPP and chosen.numbers[0] >= least)
