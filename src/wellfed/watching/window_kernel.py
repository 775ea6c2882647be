"""The kernel's part of a view: errors it told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wellfed.watching.sample import Kernel, PcieErrors, Sample
from wellfed.watching.series import growth, known_points
from wellfed.watching.view import KernelView


def kernel(samples: Sequence[Sample]) -> KernelView | None:
    """Errors over the window; of counters, what grew."""
    known = [(s.t, s.kernel) for s in samples if s.kernel is not None]
    if not known:
        return None
    newest = known[-1][1]
    return KernelView(
        log_readable=newest.log_readable,
        xids=tuple((each.address, each.xid) for each in newest.xids or ()),
        log_gpu_resets=newest.log_gpu_resets or (),
        log_memory=round(growth(known_points((t, each.log_memory) for t, each in known)) or 0),
        pcie_correctable=_grown(known, lambda each: each.correctable),
        pcie_replays=_grown(known, lambda each: each.replays),
        pcie_uncorrectable=_grown(known, _uncorrectable),
        pcie_logged=_grown(known, lambda each: each.logged if each.correctable is None else None),
        memory_corrected=growth(known_points((t, each.memory_corrected) for t, each in known)),
        memory_uncorrected=growth(known_points((t, each.memory_uncorrected) for t, each in known)),
    )


def _uncorrectable(each: PcieErrors) -> int | None:
    return None if each.nonfatal is None and each.fatal is None else (each.nonfatal or 0) + (each.fatal or 0)


def _grown(known: Sequence[tuple[float, Kernel]], count: Callable[[PcieErrors], int | None]) -> dict[str, float]:
    series: dict[str, list[tuple[float, float | None]]] = {}
    for t, each in known:
        for device in each.pcie or ():
            series.setdefault(device.address, []).append((t, count(device)))
    grown = {name: growth(known_points(points)) for name, points in series.items()}
    return {name: value for name, value in grown.items() if value}
