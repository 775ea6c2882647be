"""A weight tensor's role, shape and place: what size, speed and quantisation recipes are derived from."""

from __future__ import annotations

from enum import StrEnum

from wellfed.frozen import dataclass

SPEECH = "speech"  # the role of what a model speaks with: in its repository, but no engine here loads it


class Part(StrEnum):
    """The part of a model a tensor belongs to, as placement and speed see it."""

    EMBEDDING = "embedding"
    OUTPUT = "output"
    ATTENTION = "attention"
    INDEXER = "indexer"
    DENSE_FFN = "dense ffn"
    SHARED_EXPERTS = "shared experts"
    ROUTED_EXPERTS = "routed experts"
    ROUTER = "router"
    NORM = "norm"
    MTP = "mtp"
    VISION = "vision"
    AUDIO = "audio"
    UNUSED = "unused"  # in the files, but no computation reads it
    LOOKUP = "lookup"  # tables of which a token takes a few rows: per-layer embeddings, n-gram tables


MEMORY = "engram_embd"  # the role of DeepSeek-V4.1's n-gram tables: stored in eight bits beside any other format


@dataclass(frozen=True, slots=True)
class Tensor:
    """`count` matrices of `rows` (outputs) x `columns` (inputs); named by its GGUF role, e.g. ffn_down_exps."""

    role: str
    part: Part
    rows: int
    columns: int
    count: int = 1
    layer: int | None = None

    @property
    def elements(self) -> int:
        """Parameters in the tensor, all copies of it together."""
        return self.rows * self.columns * self.count

    @property
    def is_matrix(self) -> bool:
        """Whether it is multiplied with (vectors are added or scaled, and never quantised)."""
        return self.rows > 1 and self.columns > 1
