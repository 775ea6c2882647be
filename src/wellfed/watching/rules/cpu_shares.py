"""Who makes the engine's threads wait for a CPU: they themselves, or others."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.watching.view import View

WAITS = 0.15  # of the time its hot threads want a CPU
_SWITCHES_PER_S = 30.0  # of the most preempted thread; assumed: a thread with a CPU of its own shows a few


@dataclass(frozen=True, slots=True)
class Wait:
    """The share of the hot threads' wanted time that they wait, split by cause."""

    oversubscription: float  # waiting for the engine's own surplus threads
    contention: float  # waiting for other processes
    threads: int
    cpus: int
    foreign_cores: float


def wait(view: View) -> Wait | None:
    """None where it cannot be told, or where nothing waits.

    Of n hot threads on k CPUs, n - k must always wait for each other; others take what they use of these CPUs. The
    wait is split in that proportion. Where the kernel does not count waiting, being switched out often on CPUs that
    are all busy stands for it.
    """
    process, host = view.process, view.host
    if process is None or host is None or not host.cpus or host.foreign_cores is None or not process.wanting:
        return None
    share = process.waiting_share
    if share is None:
        share = _guess(view)
    if share is None or share < WAITS:
        return None
    excess = float(max(0, len(process.wanting) - host.cpus))
    claimants = excess + host.foreign_cores
    if claimants <= 0:
        return None
    return Wait(share * excess / claimants, share * host.foreign_cores / claimants, len(process.wanting), host.cpus,
                host.foreign_cores)  # fmt: skip


def _guess(view: View) -> float | None:
    process, host = view.process, view.host
    if process is None or host is None or not host.cpus:
        return None
    switched = [thread.involuntary_per_s for thread in process.wanting if thread.involuntary_per_s is not None]
    allowed = process.cpus_allowed or tuple(host.busy_by_cpu)
    busy = [host.busy_by_cpu[cpu] for cpu in allowed if cpu in host.busy_by_cpu]
    if not switched or not busy or max(switched) < _SWITCHES_PER_S or min(busy) < 0.95:
        return None
    claimants = len(process.wanting) + (host.foreign_cores or 0.0)
    return 1 - host.cpus / claimants if claimants > host.cpus else None
