"""`gpu-errors`: the driver or the link reports errors."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.watch.rules.base import Kind, Rule, Sign, percent, sign
from wellfed.watch.view import GpuView, View

# NVIDIA, "XID Errors" (docs.nvidia.com/deploy/xid-errors): those that name the hardware
_HARDWARE = frozenset({48, 61, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120})
_REPLAYS = 20.0


def judge(view: View) -> Iterable[Sign]:
    """New XIDs, uncorrected ECC errors, replays, lanes lost."""
    return [each for gpu in view.gpus or () for each in _judge(gpu)]


def _judge(gpu: GpuView) -> list[Sign]:
    hardware = [xid for xid in gpu.xids if xid in _HARDWARE]
    lost = gpu.link_lost is not None and gpu.link_lost >= 0.3
    signs = (
        f"XID {', '.join(map(str, gpu.xids))}" if gpu.xids else None,
        f"{gpu.ecc_uncorrected:.0f} uncorrected memory errors" if gpu.ecc_uncorrected else None,
        f"{gpu.replays:.0f} PCIe replays" if (gpu.replays or 0.0) >= _REPLAYS else None,
        f"the link lost lanes in {percent(gpu.link_lost)} of samples: now {gpu.link}" if lost else None,
    )
    if not any(signs):
        return []
    grave = bool(hardware or gpu.ecc_uncorrected)
    why = "the hardware reports errors" if grave or lost else "errors: repeated transfers, or a program's fault"
    return sign(0.95 if grave else 0.6, gpu.subject, why, *signs)


RULE = Rule(
    id="gpu-errors",
    title="GPU or link errors",
    kind=Kind.ILL,
    reads="NVML events (XID), ECC and replay counters, link width; the kernel's log where readable",
    rule="A new XID, an uncorrected ECC error, 20 replays in a window, or fewer lanes than before.",
    judge=judge,
    fix=(
        "# Reset or reboot; reseat the card or its riser; if it comes back, replace it.",
        "nvidia-smi -q -d ECC,ROW_REMAPPER",
    ),
    then="`dmesg | grep -i -e xid -e aer`.",
    explains=("queueing", "unresponsive"),
    check="gpu-xid",
)
