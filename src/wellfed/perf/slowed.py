"""An estimate with one more part in each phase."""

from __future__ import annotations

from wellfed.frozen import replace
from wellfed.nouns.estimate import Estimate, Quantity, Term, total_seconds
from wellfed.nouns.plan import Request
from wellfed.provenance import Assumption


def slowed(
    estimate: Estimate, step: Term, prompt: Term, request: Request, assumption: Assumption, sigma: float
) -> Estimate:
    """The estimate with `step` in a decode step and `prompt` in a whole prompt, each with a log error of `sigma`; it
    limits where it takes longer than all else.
    """
    before, tokens = total_seconds(estimate.decode), request.workload.prompt_tokens
    slower = (before + step.seconds) / before if before else 1.0
    prefill = tokens / (tokens / estimate.prefill_tok_s.value + prompt.seconds)
    return replace(
        estimate,
        decode=(*estimate.decode, step),
        prefill=(*estimate.prefill, prompt),
        tpot_s=Quantity.lognormal(estimate.tpot_s.value * slower, sigma),
        ttft_s=Quantity.lognormal(estimate.ttft_s.value + prompt.seconds, sigma),
        prefill_tok_s=Quantity.lognormal(prefill, sigma),
        total_tok_s=Quantity.lognormal(estimate.total_tok_s.value / slower, sigma),
        limited_by=step.limited_by if step.seconds > before else estimate.limited_by,
        assumptions=(*estimate.assumptions, assumption),
    )
