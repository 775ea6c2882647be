"""Counts of GPUs, micro-batches and degrees of parallelism that are tried, and those that a model's shapes allow."""

from __future__ import annotations

from functools import cache

from wellfed.models.attention import Attention, FullAttention
from wellfed.models.attention_kinds import heads_of
from wellfed.models.ffn import Ffn
from wellfed.models.joint_attention import JointAttention
from wellfed.models.linear_attention import LinearAttention
from wellfed.models.model import Model

MICRO_BATCHES = (512, 2048)  # tokens of a prompt that a hybrid layout is tried with
_FEW = 8  # every count up to so many is tried


def divides(model: Model, tensor: int) -> bool:
    """Whether tensor parallelism of this degree divides every layer: whole heads, whole columns for each rank."""
    return all(_heads_divide(layer.attention, tensor) and _columns(layer.ffn) % tensor == 0 for layer in model.layers)


def _heads_divide(attention: Attention, tensor: int) -> bool:
    if isinstance(attention, FullAttention):
        shared = attention.kv_heads % tensor == 0 or tensor % attention.kv_heads == 0  # fewer heads than ranks: copies
        return attention.heads % tensor == 0 and shared
    if isinstance(attention, LinearAttention):
        return attention.key_heads % tensor == 0 and attention.value_heads % tensor == 0
    if isinstance(attention, JointAttention):
        return all(_heads_divide(part, tensor) for part in attention.parts)
    heads = heads_of(attention)
    return heads is None or heads % tensor == 0


def _columns(ffn: Ffn) -> int:
    return ffn.intermediate


def counts(total: int) -> list[int]:
    """How many GPUs to try beside a CPU: 1, 2, 4 ... and all."""
    return sorted({*_powers(total), total})


def every_count(total: int) -> list[int]:
    """How many GPUs to try where they hold all: each up to eight, as fewer wait less, then 16, 32 ... and all."""
    return sorted({*range(1, min(total, _FEW) + 1), *_powers(total), total} - {0})


@cache
def group_sizes(total: int) -> tuple[int, ...]:
    """Degrees of parallelism to try among `total` GPUs: all up to eight, then powers of two and what divides them (12
    of 24), so that more GPUs never take a degree away.
    """
    few = range(1, min(total, _FEW) + 1)
    return tuple(sorted({*few, *_powers(total), *(size for size in range(1, total + 1) if total % size == 0)}))


def _powers(limit: int) -> list[int]:
    return [2**n for n in range(limit.bit_length()) if 2**n <= limit]
