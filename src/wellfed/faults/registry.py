"""All faults that both are seen at rest and show in what an engine does. A fault that only one side sees is its own."""

from __future__ import annotations

from wellfed.faults.fault import Fault

ALL: tuple[Fault, ...] = (
    Fault(
        "narrow-link", "The GPU's way to the host carries less than it should",
        "A slot with all lanes on a CPU; card, riser and BIOS settings.",
        ("pcie-width", "pcie-speed", "pcie-chipset", "pcie-shared-uplink"), ("pcie-bound",),
    ),
    Fault(
        "bad-hardware", "A GPU, its memory or its link is failing",
        "Reset, reseat, cool; then replace.",
        ("gpu-xid", "gpu-ecc", "gpu-row-remap", "pcie-replay"), ("gpu-errors",),
    ),
    Fault(
        "heat-or-power", "Heat or power slows the GPU",
        "Cooling, power cables, the power limit.",
        ("gpu-throttle", "gpu-power-limit"), ("gpu-throttled",),
    ),
    Fault(
        "slow-memory-clock", "The GPU's memory or cores are clocked down",
        "Release the clock lock, leave power saving.",
        ("gpu-memory-clock", "gpu-power-limit"), ("gpu-low-clocks",),
    ),
    Fault(
        "gpu-taken", "Somebody else holds the GPU's memory",
        "Stop what holds it, or plan with what is left.",
        ("vram-free",), ("other-tenant-gpu",),
    ),
    Fault(
        "ram-taken", "Main memory is not free",
        "Stop what holds it, raise the container's limit, fewer weights in RAM.",
        ("ram-free",), ("paging", "memory-runs-out"),
    ),
    Fault("swapped-out", "Memory has been swapped out", "Free memory, then empty the swap.", ("swap",), ("swapping",)),
    Fault(
        "cpu-rationed", "CPU time is rationed", "Raise the quota, or fewer threads.", ("cpu-quota",), ("cpu-quota",)
    ),
    Fault(
        "cpu-fenced", "The process may not use the CPUs that it needs",
        "Widen the CPU set to the CPUs beside the GPUs.",
        ("cpuset", "cpu-offline", "cpu-isolated"), ("cpu-too-few",),
    ),
    Fault(
        "cpu-slow", "The cores that feed the GPU are clocked low",
        "Governor performance, boost on.",
        ("cpu-governor", "cpu-boost"), ("cpu-clocks", "gpu-launch-bound"),
    ),
    Fault(
        "memory-far", "Threads and their memory are on different sockets",
        "Bind threads and memory to one node; NUMA balancing off.",
        ("numa-balancing", "numa-hidden", "numa-memory", "gpu-socket"), ("numa-remote",),
    ),
)  # fmt: skip


def of_behaviour(id: str) -> Fault | None:
    """The fault behind a diagnosis, None for what no check sees."""
    return next((fault for fault in ALL if id in fault.behaviours), None)


def of_state(id: str) -> tuple[Fault, ...]:
    """The faults that a check sees, the one it is nearest to first; empty for what no diagnosis shows."""
    mine = [fault for fault in ALL if id in fault.states]
    return tuple(sorted(mine, key=lambda fault: fault.states.index(id)))
