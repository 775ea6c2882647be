"""Recurrent mixers: a state of fixed size a sequence instead of a cache that grows.

States are kept in FP32 by most engines and so counted as two 16-bit elements; a convolution's tail is 16-bit.
"""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.models.recurrent import Recurrent
from wellfed.models.tensor import Part, Tensor


@dataclass(frozen=True, slots=True)
class Mamba2(Recurrent):
    """Mamba-2 (arXiv 2405.21060): each head keeps a head_dim x state matrix; `groups` share their B and C."""

    heads: int
    head_dim: int
    state: int
    groups: int
    kernel: int = 4
    conv_bias: bool = True
    bias: bool = False  # of the projections
    gated_norm: bool = True

    @property
    def inner(self) -> int:
        """Width of the heads together."""
        return self.heads * self.head_dim

    @property
    def _mixed(self) -> int:
        return self.inner + 2 * self.groups * self.state

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """One projection for gate, x, B, C and step; the convolution; decay, skip and step bias; output."""
        rows = self.inner + self._mixed + self.heads
        vectors = 3 * self.heads + self._mixed * self.conv_bias + self.inner * self.gated_norm
        vectors += (rows + hidden) * self.bias
        return (
            Tensor("ssm_in", Part.ATTENTION, rows, hidden),
            Tensor("small_conv1d", Part.ATTENTION, self._mixed, self.kernel),
            Tensor("ssm_out", Part.ATTENTION, hidden, self.inner),
            Tensor("ssm_vectors", Part.NORM, 1, vectors),
        )

    def _state(self) -> int:
        return 2 * self.inner * self.state + self._mixed * (self.kernel - 1)

    def score_flops(self, queries: int, context: int) -> float:
        """Decay, update and read-out: about 6 FLOPs per state element and token."""
        return 6.0 * queries * self.inner * self.state

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the state is divided into over the ranks: by head."""
        return min(tensor_parallel, self.heads)


@dataclass(frozen=True, slots=True)
class Mamba1(Recurrent):
    """Mamba (arXiv 2312.00752) as in Jamba: each channel keeps `state` numbers; the step has a low rank."""

    inner: int
    state: int
    rank: int
    kernel: int = 4
    conv_bias: bool = True
    bias: bool = False
    inner_norms: bool = True  # on step, B and C (Jamba)

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """x and gate; convolution; step, B and C from x; the step's up projection; output."""
        vectors = 2 * self.inner + self.inner * self.conv_bias + (2 * self.inner + hidden) * self.bias
        vectors += (self.rank + 2 * self.state) * self.inner_norms
        return (
            Tensor("ssm_in", Part.ATTENTION, 2 * self.inner, hidden),
            Tensor("small_conv1d", Part.ATTENTION, self.inner, self.kernel),
            Tensor("ssm_x", Part.ATTENTION, self.rank + 2 * self.state, self.inner),
            Tensor("ssm_dt", Part.ATTENTION, self.inner, self.rank),
            Tensor("small_a", Part.ATTENTION, self.inner, self.state),
            Tensor("ssm_out", Part.ATTENTION, hidden, self.inner),
            Tensor("ssm_vectors", Part.NORM, 1, vectors),
        )

    def _state(self) -> int:
        return 2 * self.inner * self.state + self.inner * (self.kernel - 1)

    def score_flops(self, queries: int, context: int) -> float:
        """About 6 FLOPs per state element and token."""
        return 6.0 * queries * self.inner * self.state

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the state is divided into over the ranks: by channel."""
        return tensor_parallel


@dataclass(frozen=True, slots=True)
class ShortConvolution(Recurrent):
    """LFM2's operator: two gates around a causal convolution over `kernel` tokens."""

    width: int
    kernel: int = 3
    bias: bool = False

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """Both gates and the input in one; convolution; output."""
        bias = (Tensor("shortconv_bias", Part.NORM, 1, 4 * self.width + hidden),) if self.bias else ()
        return (
            Tensor("shortconv_in", Part.ATTENTION, 3 * self.width, hidden),
            Tensor("small_shortconv", Part.ATTENTION, self.width, self.kernel),
            Tensor("shortconv_out", Part.ATTENTION, hidden, self.width),
            *bias,
        )

    def _state(self) -> int:
        return self.width * (self.kernel - 1)

    def score_flops(self, queries: int, context: int) -> float:
        """The convolution and two products."""
        return 2.0 * queries * self.width * (self.kernel + 1)

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the state is divided into over the ranks: by channel."""
        return tensor_parallel


@dataclass(frozen=True, slots=True)
class KimiDelta(Recurrent):
    """Kimi Delta Attention (arXiv 2510.26692): a delta rule whose decay differs by channel.

    `decay_rank` and `gate_rank` are the low ranks of decay and output gate, None where they have full rank.
    """

    heads: int
    head_dim: int
    decay_rank: int | None
    gate_rank: int | None
    kernel: int = 4

    @property
    def _width(self) -> int:
        return self.heads * self.head_dim

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """q, k, v with a convolution each; decay, gate and write strength; output."""
        width = self._width
        return (
            *(Tensor(f"attn_{name}", Part.ATTENTION, width, hidden) for name in ("q", "k", "v")),
            Tensor("small_conv1d", Part.ATTENTION, 3 * width, self.kernel),
            *_through("ssm_f", self.decay_rank, width, hidden),
            *_through("ssm_g", self.gate_rank, width, hidden),
            Tensor("ssm_beta", Part.ATTENTION, self.heads, hidden),
            Tensor("attn_output", Part.ATTENTION, hidden, width),
            Tensor("ssm_vectors", Part.NORM, 1, self.heads + width + self.head_dim),
        )

    def _state(self) -> int:
        return 2 * self._width * self.head_dim + 3 * self._width * (self.kernel - 1)

    def score_flops(self, queries: int, context: int) -> float:
        """Decay, delta update and read-out: about 8 FLOPs per state element and token."""
        return 8.0 * queries * self._width * self.head_dim

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the state is divided into over the ranks: by head."""
        return min(tensor_parallel, self.heads)


def _through(role: str, rank: int | None, rows: int, columns: int) -> tuple[Tensor, ...]:
    """A projection, through a low rank where it has one."""
    if rank is None:
        return (Tensor(f"{role}_a", Part.ATTENTION, rows, columns),)
    return (Tensor(f"{role}_a", Part.ATTENTION, rank, columns), Tensor(f"{role}_b", Part.ATTENTION, rows, rank))


@dataclass(frozen=True, slots=True)
class LightningAttention(Recurrent):
    """Linear attention with a fixed decay a head (MiniMax-M1, Ling 2.5): each head keeps a square matrix."""

    heads: int
    head_dim: int
    qk_norm: bool = False

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """q, k, v in one; output gate; output; the norm before it."""
        width = self.heads * self.head_dim
        norm = 2 * self.head_dim if self.qk_norm else 0
        return (
            Tensor("attn_qkv", Part.ATTENTION, 3 * width, hidden),
            Tensor("attn_gate", Part.ATTENTION, width, hidden),
            Tensor("attn_output", Part.ATTENTION, hidden, width),
            Tensor("ssm_vectors", Part.NORM, 1, width + norm),
        )

    def _state(self) -> int:
        return 2 * self.heads * self.head_dim * self.head_dim

    def score_flops(self, queries: int, context: int) -> float:
        """Update and read-out: about 4 FLOPs per state element and token."""
        return 4.0 * queries * self.heads * self.head_dim * self.head_dim

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the state is divided into over the ranks: by head."""
        return min(tensor_parallel, self.heads)
