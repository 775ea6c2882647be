"""What doubt about accepted drafts adds to an interval."""

from __future__ import annotations

import math

from wellfed.frozen import replace
from wellfed.message import sentence
from wellfed.nouns.estimate import Z80, Estimate, Quantity
from wellfed.nouns.layout import Speculation
from wellfed.provenance import Assumption


def with_acceptance(estimate: Estimate, guess: Speculation | None) -> Estimate:
    """The estimate with intervals of token times and rates widened by the acceptance length's own."""
    if guess is None or guess.kind is None or not guess.low:
        return estimate
    interval = sentence("acceptance.interval", "{low:.2f} to {high:.2f}", low=guess.low, high=guess.high)
    text = sentence(
        "acceptance.tokens-pass-drafted",
        "{acceptance_length:.2f} tokens a pass of {tokens} drafted ({interval})",
        acceptance_length=guess.acceptance_length,
        tokens=guess.tokens,
        interval=interval,
    )
    assumption = Assumption(
        text, sentence("acceptance.acceptance-depends", "acceptance depends on the text; name yours with --acceptance")
    )
    drift = math.log(guess.high / guess.low) / 2
    return replace(
        estimate,
        tpot_s=_wider(estimate.tpot_s, drift),
        total_tok_s=_wider(estimate.total_tok_s, drift),
        assumptions=(*estimate.assumptions, assumption),
    )


def _wider(quantity: Quantity, drift: float) -> Quantity:
    log_width = math.log(quantity.high / quantity.value)
    return Quantity.lognormal(quantity.value, math.hypot(log_width, drift) / Z80)
