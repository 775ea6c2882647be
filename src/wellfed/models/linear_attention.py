"""Linear attention with a gated delta rule (Qwen3-Next, Qwen3.5): a state of fixed size instead of a cache."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.models.recurrent import Recurrent
from wellfed.models.tensor import Part, Tensor


@dataclass(frozen=True, slots=True)
class LinearAttention(Recurrent):
    """Gated DeltaNet (arXiv 2412.06464): each value head keeps a key_dim x value_dim matrix."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int = 4  # of the causal convolution over q, k and v

    @property
    def _mixed(self) -> int:
        """Width of q, k and v together, which the convolution runs over."""
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """q, k, v in one; the output gate; decay and write strength; convolution; output."""
        value = self.value_heads * self.value_dim
        return (
            Tensor("attn_qkv", Part.ATTENTION, self._mixed, hidden),
            Tensor("attn_gate", Part.ATTENTION, value, hidden),
            Tensor("ssm_ba", Part.ATTENTION, 2 * self.value_heads, hidden),
            Tensor("small_conv1d", Part.ATTENTION, self._mixed, self.kernel),
            Tensor("ssm_out", Part.ATTENTION, hidden, value),
            Tensor("ssm_vectors", Part.NORM, 1, 2 * self.value_heads + self.value_dim),
        )

    def _state(self) -> int:
        """State and convolution tail, kept in FP32 and so counted as two 16-bit elements."""
        state = self.value_heads * self.key_dim * self.value_dim
        return 2 * (state + self._mixed * (self.kernel - 1))

    def score_flops(self, queries: int, context: int) -> float:
        """Decay, delta update and read-out: about 8 FLOPs per state element and token."""
        return 8.0 * queries * self.value_heads * self.key_dim * self.value_dim

    def cache_shards(self, tensor_parallel: int) -> int:
        """Parts that the state is divided into over the ranks: by value head."""
        return min(tensor_parallel, self.key_heads)
