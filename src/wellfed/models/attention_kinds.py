"""What some attention kinds have and others have not: heads, a window, norms of queries and keys."""

from __future__ import annotations

from wellfed.models.attention import Attention, FullAttention, LatentAttention
from wellfed.models.compressed_attention import CompressedAttention
from wellfed.models.joint_attention import CrossAttention
from wellfed.models.state_space import KimiDelta, LightningAttention, Mamba2
from wellfed.models.stream_attention import StreamAttention

_WITH_HEADS = (
    FullAttention,
    LatentAttention,
    CompressedAttention,
    StreamAttention,
    CrossAttention,
    Mamba2,
    KimiDelta,
    LightningAttention,
)
_WITH_WINDOW = (FullAttention, CompressedAttention, StreamAttention)
_WITH_QK_NORM = (FullAttention, CrossAttention)


def heads_of(attention: Attention) -> int | None:
    """The number of query heads; None for kinds that have no one number of them."""
    return attention.heads if isinstance(attention, _WITH_HEADS) else None


def window_of(attention: Attention) -> int | None:
    """How many tokens back it looks; None: as far as the context goes."""
    return attention.window if isinstance(attention, _WITH_WINDOW) else None


def has_qk_norm(attention: Attention) -> bool:
    """Whether queries and keys are normalised."""
    return isinstance(attention, _WITH_QK_NORM) and attention.qk_norm


def has_wide_norm(attention: Attention) -> bool:
    """Whether they are normalised over all heads together."""
    return isinstance(attention, FullAttention) and attention.wide_norm
