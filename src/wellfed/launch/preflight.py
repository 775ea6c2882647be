"""Before anything is started: does the ledger fit what is free now?"""

from __future__ import annotations

from wellfed.errors import WellfedError
from wellfed.message import sentence
from wellfed.nouns.plan import Plan
from wellfed.units import format_bytes


class DoesNotFit(WellfedError):
    """The plan needs more memory than is free now."""

    exit_code = 1


def ensure_fits(plan: Plan) -> None:
    """Raises DoesNotFit when a device's ledger exceeds what is free, naming the largest terms."""
    for device in plan.estimate.memory.devices:
        if device.spare_bytes is None or device.spare_bytes >= 0:
            continue
        largest = sorted(device.terms, key=lambda term: -term.bytes)[:2]
        parts = " and ".join(f"{term.name} {format_bytes(term.bytes)}" for term in largest)
        needed, free = format_bytes(device.needed_bytes), format_bytes(device.available_bytes)
        hint = sentence(
            "preflight.wellfed-plan-shows",
            "`wellfed plan` shows what fits; a shorter --context or a smaller quantisation needs less",
        )
        raise DoesNotFit(
            sentence(
                "preflight.would-need-free",
                "{device} would need {needed} ({parts}), {free} are free",
                device=device.device,
                needed=needed,
                parts=parts,
                free=free,
            ),
            hint,
        )
