"""vLLM on CPUs: the CPU model's terms for BF16 weights, with a wide interval, since no measurement backs them.

Every rank reads its shard from its own node's memory, as engines do that keep a copy of the weights on each socket;
that is the policy whose achieved bandwidth is taken. Left out: the ranks' reductions over shared memory.
"""

from __future__ import annotations

from dataclasses import replace

from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity, Speeds
from wellfed.nouns.layout import NumaPolicy
from wellfed.nouns.plan import Request
from wellfed.perf.local import estimate_local, local_speeds
from wellfed.perf.memory import memory
from wellfed.provenance import Assumption

_SIGMA = 0.7  # a factor of two and a half either way: assumed, nothing was measured
_UNVERIFIED = Assumption(
    sentence("served-cpu.vllm-computes-cpus", "vLLM computes on CPUs as fast as other engines' BF16 kernels do"),
    sentence(
        "served-cpu.no-measurement-vllm",
        "no measurement of vLLM on CPUs is in the calibration: a factor of two and a half either way",
    ),
)


def estimate_served_cpu(request: Request, calibration: Calibration) -> Estimate:
    """Speed and memory of vLLM on CPUs."""
    local = estimate_local(_read_locally(request), calibration)
    return replace(
        local,
        memory=memory(request),
        ttft_s=_wide(local.ttft_s),
        tpot_s=_wide(local.tpot_s),
        prefill_tok_s=_wide(local.prefill_tok_s),
        total_tok_s=_wide(local.total_tok_s),
        assumptions=(*local.assumptions, _UNVERIFIED),
    )


def served_cpu_speeds(request: Request, calibration: Calibration) -> Speeds:
    """The middle values of `estimate_served_cpu`."""
    return local_speeds(_read_locally(request), calibration)


def _read_locally(request: Request) -> Request:
    """As a local engine would read it: a rank's copy on each node."""
    layout = request.layout
    return (
        replace(request, layout=replace(layout, numa=NumaPolicy.DUPLICATE)) if layout.tensor_parallel > 1 else request
    )


def _wide(quantity: Quantity) -> Quantity:
    return Quantity.lognormal(quantity.value, _SIGMA)
