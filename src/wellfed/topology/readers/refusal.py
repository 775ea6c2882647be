"""What is said of a paste of which nothing is understood, and of one that shows no GPU."""

from __future__ import annotations

from wellfed.errors import BadInput
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import Listing, Message, message
from wellfed.topology.readers import READERS

# What to paste, in the order of how much it tells for how little work
BEST = (
    "nvidia-smi -q (AMD: amd-smi static; amd-smi metric; Intel: xpu-smi discovery)", "nvidia-smi topo -m", "lscpu",
    "numactl -H", "free -b", "sudo lspci -nnvv", "sudo dmidecode -t 17",
)  # fmt: skip
GPU_COMMANDS = ("nvidia-smi -q", "rocm-smi", "amd-smi static", "xpu-smi discovery", "npu-smi info", "lspci -nn")


class NotUnderstood(BadInput):
    """A paste that no reader understands, or an empty one; the hint lists the kinds that are read."""

    kind = "not-understood"


def refuse_unread(machine: Machine, name: str) -> None:
    """Raise NotUnderstood for a dump of which nothing was read."""
    if machine.origin is not Origin.DUMP or machine.kinds_read:
        return
    reasons = tuple(
        f"{key.removeprefix('dump ')}: " + why for key, why in machine.unknown.items() if key.startswith("dump ")
    )
    text = message(
        "dump.not-understood", "nothing in {name} is understood ({reasons})", name=name, reasons=Listing(reasons[:5])
    )
    raise NotUnderstood(text, kinds_and_commands())


def kinds_and_commands() -> Message:
    """The kinds that are read, and what to paste."""
    return message(
        "dump.kinds",
        "paste the output of: {commands}. Kinds that are read: {kinds}",
        commands=Listing(BEST),
        kinds=Listing(tuple(reader.title for reader in READERS)),
    )


def without_gpu(machine: Machine) -> Message | None:
    """What the header says of a dump without a GPU in it: what to paste for that."""
    if machine.origin is not Origin.DUMP or machine.gpus or machine.pci_complete:
        return None
    return message(
        "dump.no-gpu", "no GPU is in this dump; for that, add the output of: {commands}", commands=Listing(GPU_COMMANDS)
    )
