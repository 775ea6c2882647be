"""Which layouts need no estimate, since another of the same search is never worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from wellfed.engines.capabilities import CAPABILITIES
from wellfed.frozen import dataclass, replace
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import ALL_GPU, SOME_EXPERTS, SOME_LAYERS, Engine, Layout, NumaPolicy
from wellfed.nouns.workload import Workload
from wellfed.perf.hybrid import micro_batch
from wellfed.planner.copies import copy_counts
from wellfed.planner.degrees import MICRO_BATCHES, counts

Holds = Callable[[Layout], bool]


@dataclass(slots=True)
class Dominated:
    """Of the chunks that serving engines take of prompts, the least that bounds nothing stands for larger ones, which
    only take more memory; of micro-batches that an engine does not have, the least stands for all. Where a count of
    GPUs holds the model whole, a division with the CPU only serves the comparison: the one on the most GPUs that do not
    hold it (else on one) stands for all. Of replicas, the most that have a user each: fewer have more users each.

    `gpus` of one machine, `total` of all of them. `users`: at a time; None where arrivals or many counts are asked
    for. `by_gpus`: the GPUs used count in the ranking (cost), so fewer replicas may win. `dismissed`: how many layouts
    were. `holds`: whether a layout fits its GPUs; asked once for each engine, format, cache type and count. `is_moe`:
    whether the model is a mixture of experts. `all_chunks`: whether layouts come with every chunk that their engine is
    tried with.
    """

    gpus: int
    total: int
    users: int | None
    by_gpus: bool
    holds: Holds
    is_moe: bool
    all_chunks: bool = True
    dismissed: int = 0
    _least: dict[tuple[Engine, str, str], int | None] = field(default_factory=dict)

    def worth(self, layout: Layout, load: Workload) -> bool:
        """Whether the layout is to be estimated. What is not is counted."""
        least = not self.all_chunks or _is_least_chunk(layout, load)
        worth = (
            least and self._has_most_replicas(layout) and _has_micro_batch(layout) and self._is_division_of_use(layout)
        )
        self.dismissed += not worth
        return worth

    def _has_most_replicas(self, layout: Layout) -> bool:
        if self.users is None or self.by_gpus or not CAPABILITIES[layout.engine].tensor_parallel or not layout.gpus:
            return True
        shared = self.is_moe and CAPABILITIES[layout.engine].copies_share_experts
        copy = layout.tensor_parallel * layout.pipeline_parallel
        counted = copy_counts(self.gpus, max(1, self.total // self.gpus), copy, shared_experts=shared)
        return layout.data_parallel == max(count for count in counted if count <= max(1, self.users))

    def _is_division_of_use(self, layout: Layout) -> bool:
        if layout.offload == ALL_GPU or not layout.gpus or layout.speculation is not None:
            return True
        least = self._whole_on(layout)
        if least is None:
            return True
        if layout.offload == SOME_LAYERS and layout.gpus >= least:
            return False
        if layout.gpus == least and layout.offload == SOME_EXPERTS:  # on as few GPUs as hold it, if fewer do
            return layout.numa is NumaPolicy.ONE_SOCKET
        return layout.gpus == max((count for count in counts(self.gpus) if count < least), default=1)

    def _whole_on(self, layout: Layout) -> int | None:
        """The fewest GPUs that hold it whole; None where all together do not."""
        engine = layout.engine
        if not CAPABILITIES[engine].layer_split:  # KTransformers always has a CPU part: files that llama.cpp reads, too
            if quantisation(layout.quantisation).family != "gguf":
                return None
            engine = Engine.LLAMA_CPP
        key = (engine, layout.quantisation, layout.kv_type)
        if key not in self._least:
            alone = replace(layout, engine=engine, offload=ALL_GPU, split=())
            tried = (count for count in counts(self.gpus) if self.holds(replace(alone, gpus=count)))
            self._least[key] = next(tried, None)
        return self._least[key]


def _has_micro_batch(layout: Layout) -> bool:
    """Whether the layout's micro-batch is its engine's, or the least: KTransformers' is a chunk of the prompt."""
    least = layout.ubatch_tokens <= MICRO_BATCHES[0]
    return least or micro_batch(layout) != micro_batch(replace(layout, ubatch_tokens=MICRO_BATCHES[0]))


def _is_least_chunk(layout: Layout, load: Workload) -> bool:
    """Whether no smaller chunk has room for a whole prompt, and for all that running sequences bring to a pass: their
    own tokens, and the prompts that follow theirs (`perf.serving.load.fed`).
    """
    if load.request_rate is not None or load.requests is not None:
        return True
    guess = layout.speculation
    drafts, gain = (1, 1.0) if guess is None else (1 + guess.tokens, guess.acceptance_length)
    per_token = load.prompt_tokens * gain / max(1, load.output_tokens) + drafts
    enough = max(load.prompt_tokens, load.concurrency * per_token)
    tried = CAPABILITIES[layout.engine].batch_tokens
    return not any(enough <= chunk < layout.batch_tokens for chunk in tried)
