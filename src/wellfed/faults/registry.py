"""All faults that both are seen at rest and show in what an engine does. A fault that only one side sees is its own."""

from __future__ import annotations

from wellfed.faults.fault import Fault
from wellfed.message import sentence

ALL: tuple[Fault, ...] = (
    Fault(
        "narrow-link",
        sentence("registry.title", "The GPU's way to the host carries less than it should"),
        sentence("registry.text-slot-all-lanes", "A slot with all lanes on a CPU; card, riser and BIOS settings."),
        ("pcie-width", "pcie-speed", "pcie-chipset", "pcie-shared-uplink"),
        ("pcie-bound",),
    ),
    Fault(
        "bad-hardware",
        sentence("registry.title-2", "A GPU, its memory or its link is failing"),
        sentence("registry.text-reset-reseat-cool", "Reset, reseat, cool; then replace."),
        ("gpu-xid", "gpu-ecc", "gpu-row-remap", "pcie-replay"),
        ("gpu-errors",),
    ),
    Fault(
        "heat-or-power",
        sentence("registry.title-3", "Heat or power slows the GPU"),
        sentence("registry.text-cooling-power-cables", "Cooling, power cables, the power limit."),
        ("gpu-throttle", "gpu-power-limit"),
        ("gpu-throttled",),
    ),
    Fault(
        "slow-memory-clock",
        sentence("registry.title-4", "The GPU's memory or cores are clocked down"),
        sentence("registry.text-release-clock-lock", "Release the clock lock, leave power saving."),
        ("gpu-memory-clock", "gpu-power-limit"),
        ("gpu-low-clocks",),
    ),
    Fault(
        "gpu-taken",
        sentence("registry.title-5", "Somebody else holds the GPU's memory"),
        sentence("registry.text-stop-what-holds", "Stop what holds it, or plan with what is left."),
        ("vram-free",),
        ("other-tenant-gpu",),
    ),
    Fault(
        "ram-taken",
        sentence("registry.title-6", "Main memory is not free"),
        sentence(
            "registry.text-stop-what-holds-2", "Stop what holds it, raise the container's limit, fewer weights in RAM."
        ),
        ("ram-free",),
        ("paging", "memory-runs-out"),
    ),
    Fault(
        "swapped-out",
        sentence("registry.title-7", "Memory has been swapped out"),
        sentence("registry.text-free-memory-then", "Free memory, then empty the swap."),
        ("swap",),
        ("swapping",),
    ),
    Fault(
        "cpu-rationed",
        sentence("registry.title-8", "CPU time is rationed"),
        sentence("registry.text-raise-quota-fewer", "Raise the quota, or fewer threads."),
        ("cpu-quota",),
        ("cpu-quota",),
    ),
    Fault(
        "cpu-fenced",
        sentence("registry.title-9", "The process may not use the CPUs that it needs"),
        sentence("registry.text-widen-cpu-set", "Widen the CPU set to the CPUs beside the GPUs."),
        ("cpuset", "cpu-offline", "cpu-isolated"),
        ("cpu-too-few",),
    ),
    Fault(
        "cpu-slow",
        sentence("registry.title-10", "The cores that feed the GPU are clocked low"),
        sentence("registry.text-governor-performance", "Governor performance, boost on."),
        ("cpu-governor", "cpu-boost"),
        ("cpu-clocks", "gpu-launch-bound"),
    ),
    Fault(
        "memory-far",
        sentence("registry.title-11", "Threads and their memory are on different sockets"),
        sentence("registry.text-bind-threads-memory", "Bind threads and memory to one node; NUMA balancing off."),
        ("numa-balancing", "numa-hidden", "numa-memory", "gpu-socket"),
        ("numa-remote",),
    ),
)


def of_behaviour(id: str) -> Fault | None:
    """The fault behind a diagnosis, None for what no check sees."""
    return next((fault for fault in ALL if id in fault.behaviours), None)


def of_state(id: str) -> tuple[Fault, ...]:
    """The faults that a check sees, the one it is nearest to first; empty for what no diagnosis shows."""
    mine = [fault for fault in ALL if id in fault.states]
    return tuple(sorted(mine, key=lambda fault: fault.states.index(id)))
