"""What is asked of the machine: how many users, how long their prompts and answers, how quick it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wellfed.frozen import dataclass

if TYPE_CHECKING:
    from wellfed.models.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Workload:
    """`concurrency` sequences at a time, or `request_rate` requests a second that arrive at random.

    `context_tokens` is the longest sequence to make room for; None means prompt + output.
    `depth_tokens` are already in the cache when the prompt arrives (later turns of a chat). `requests` come in all,
    the first `concurrency` of them at once; None: so many that the start does not count. `length_spread`: 0 when
    lengths are alike, 1 when they are drawn evenly between nothing and twice the mean; `equal_lengths`: they are one
    length, as some load generators ask, so that requests that came together end together. `shared_prefix_tokens` of
    every prompt are the same (a system prompt): engines that keep them compute only the rest.
    """

    name: str = "chat"
    concurrency: int = 1
    prompt_tokens: int = 1024
    output_tokens: int = 512
    context_tokens: int | None = None
    depth_tokens: int = 0
    request_rate: float | None = None
    ttft_target_s: float | None = None
    tpot_target_s: float | None = None
    requests: int | None = None
    length_spread: float = 0.0
    equal_lengths: bool = False
    shared_prefix_tokens: int = 0  # with which every prompt begins, of its prompt_tokens
    pictures: Pictures | None = None  # in every prompt; their tokens are among its prompt_tokens

    @property
    def context(self) -> int:
        """Tokens of KV cache each sequence needs."""
        return self.context_tokens or self.depth_tokens + self.prompt_tokens + self.output_tokens

    @property
    def mean_decode_context(self) -> float:
        """Context of the average decode step: everything before the output, and half of it."""
        return self.depth_tokens + self.prompt_tokens + self.output_tokens / 2


PRESETS: Mapping[str, Workload] = {
    "chat": Workload("chat", prompt_tokens=1024, output_tokens=512, context_tokens=8192),
    "batch": Workload("batch", concurrency=256, prompt_tokens=1024, output_tokens=1024),
    "rag": Workload("rag", concurrency=8, prompt_tokens=8192, output_tokens=512, context_tokens=16384),
    "agent": Workload("agent", concurrency=2, prompt_tokens=16384, output_tokens=1024, context_tokens=65536),
}
