"""Cards without fans of their own."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Machine
from wellfed.message import Listing, Message, message

_FANLESS = re.compile(
    r"(A2|A10G?|A16|A30|A40|A[18]00 PCIe|H[12]00 (PCIe|NVL)|H20|L2|L4|L20|L40S?|Tesla|(Radeon )?Instinct|Atlas|"
    r".*Server Edition)\b", re.IGNORECASE,
)  # fmt: skip


def cooling_words(machine: Machine) -> Message | None:
    """What must be known before a card without fans of its own goes into this machine; None for cards with fans.

    Cards of data centres, by name: their makers' product briefs say that the server's fans move their air.
    """
    names = {gpu.spec.name for gpu in machine.gpus if gpu.spec and gpu.spec.form not in {"sxm", "oam"}}
    fanless = sorted(name for name in names if _FANLESS.match(name))
    if not fanless:
        return None
    return message(
        "market.passive", "{card} has no fan: it needs a server's air stream, or a blower of its own in a desktop",
        card=Listing(tuple(fanless)),
    )  # fmt: skip
