"""The kernel's part of a view: errors it told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wellfed.watching.sample import Kernel, PcieErrors, Sample
from wellfed.watching.series import growth, known_points
from wellfed.watching.view import KernelView


def kernel(samples: Sequence[Sample]) -> KernelView | None:
    """Errors over the window; of counters, what grew."""
    readings = [(s.t, s.kernel) for s in samples if s.kernel is not None]
    if not readings:
        return None
    newest = readings[-1][1]
    return KernelView(
        log_readable=newest.log_readable,
        xids=tuple((state.address, state.xid) for state in newest.xids or ()),
        log_gpu_resets=newest.log_gpu_resets or (),
        log_memory=round(growth(known_points((t, state.log_memory) for t, state in readings)) or 0),
        pcie_correctable=_grown(readings, lambda state: state.correctable),
        pcie_replays=_grown(readings, lambda state: state.replays),
        pcie_uncorrectable=_grown(readings, _uncorrectable),
        pcie_logged=_grown(readings, lambda state: state.logged if state.correctable is None else None),
        memory_corrected=growth(known_points((t, state.memory_corrected) for t, state in readings)),
        memory_uncorrected=growth(known_points((t, state.memory_uncorrected) for t, state in readings)),
    )


def _uncorrectable(device: PcieErrors) -> int | None:
    return None if device.nonfatal is None and device.fatal is None else (device.nonfatal or 0) + (device.fatal or 0)


def _grown(readings: Sequence[tuple[float, Kernel]], count: Callable[[PcieErrors], int | None]) -> dict[str, float]:
    series: dict[str, list[tuple[float, float | None]]] = {}
    for t, state in readings:
        for device in state.pcie or ():
            series.setdefault(device.address, []).append((t, count(device)))
    grown = {name: growth(known_points(points)) for name, points in series.items()}
    return {name: value for name, value in grown.items() if value}
