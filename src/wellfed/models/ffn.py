"""Feed-forward kinds: dense, and mixture of experts."""

from __future__ import annotations

import math

from wellfed.frozen import dataclass
from wellfed.models.tensor import Part, Tensor


@dataclass(frozen=True, slots=True)
class DenseFfn:
    """up, (gate,) down; gated is SwiGLU and its kin. `intermediate` 0 is a block without a feed-forward."""

    intermediate: int
    gated: bool = True
    bias: bool = False

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """gate, up and down."""
        if not self.intermediate:
            return ()
        names = ("ffn_gate", "ffn_up") if self.gated else ("ffn_up",)
        ups = tuple(Tensor(name, Part.DENSE_FFN, self.intermediate, hidden) for name in names)
        bias = (Tensor("ffn_bias", Part.NORM, 1, self.intermediate * len(names) + hidden),) if self.bias else ()
        return (*ups, Tensor("ffn_down", Part.DENSE_FFN, hidden, self.intermediate), *bias)


@dataclass(frozen=True, slots=True)
class MoeFfn:
    """`active` of `experts` per token, plus `shared` experts that every token passes.

    With `latent`, tokens are projected to that width before the routed experts and back after them. `idle_experts`
    are rows of the router that stand for no weights (LongCat's zero experts).
    """

    experts: int
    active: int
    intermediate: int
    shared: int = 0
    shared_intermediate: int | None = None  # of all shared experts together; None: shared x intermediate
    gated: bool = True
    router_bias: bool = False
    bias: bool = False
    shared_gate: bool = False
    latent: int | None = None
    latent_norm: bool = False
    idle_experts: int = 0

    @property
    def shared_width(self) -> int:
        """Intermediate width of all shared experts together."""
        return self.shared * self.intermediate if self.shared_intermediate is None else self.shared_intermediate

    def tensors(self, hidden: int) -> tuple[Tensor, ...]:
        """Router, routed experts, shared experts."""
        names = ("ffn_gate", "ffn_up") if self.gated else ("ffn_up",)
        width = self.latent or hidden
        routed = [Tensor(f"{n}_exps", Part.ROUTED_EXPERTS, self.intermediate, width, self.experts) for n in names]
        routed.append(Tensor("ffn_down_exps", Part.ROUTED_EXPERTS, width, self.intermediate, self.experts))
        shared: list[Tensor] = []
        if self.shared_width:
            shared = [Tensor(f"{n}_shexp", Part.SHARED_EXPERTS, self.shared_width, hidden) for n in names]
            shared.append(Tensor("ffn_down_shexp", Part.SHARED_EXPERTS, hidden, self.shared_width))
        if self.latent:
            shared.append(Tensor("ffn_latent_down", Part.SHARED_EXPERTS, self.latent, hidden))
            shared.append(Tensor("ffn_latent_up", Part.SHARED_EXPERTS, hidden, self.latent))
        choices = self.experts + self.idle_experts
        small = [Tensor("ffn_gate_inp", Part.ROUTER, choices, hidden)]
        if self.latent and self.latent_norm:
            small.append(Tensor("ffn_latent_norm", Part.NORM, 1, self.latent))
        if self.router_bias:
            small.append(Tensor("exp_probs_b", Part.NORM, 1, choices))
        if self.bias:
            small.append(Tensor("exps_bias", Part.NORM, self.experts, self.intermediate * len(names) + hidden))
        if self.shared_gate:
            small.append(Tensor("ffn_gate_inp_shexp", Part.NORM, 1, hidden))
        return (*small, *routed, *shared)

    def touched(self, tokens: float) -> float:
        """Experts that `tokens` independent tokens reach, expected: E (1 - (1 - k/E)^n)."""
        return self.experts * (1 - math.pow(1 - self.active / self.experts, tokens))


Ffn = DenseFfn | MoeFfn
