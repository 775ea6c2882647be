"""The GPUs' part of a view."""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.watching.sample import Gpu, Sample
from wellfed.watching.series import growth, last, mean, middle, share
from wellfed.watching.view import GpuView

# One lane, one direction, after line coding (PCI Express base specifications, generations 1 to 6)
_LANE_BYTES_PER_S = {1: 0.25e9, 2: 0.5e9, 3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.563e9}
_ACHIEVED = 0.85  # what copies reach of it: headers and acknowledgements take the rest


def gpus(samples: Sequence[Sample]) -> tuple[GpuView, ...] | None:
    """Each GPU over the window; None where no sample tells of GPUs."""
    readings = [s for s in samples if s.gpus is not None]
    if not readings:
        return None
    indices = sorted({gpu.index for s in readings for gpu in s.gpus or ()})
    engine_pids = _own_pids(samples)
    return tuple(_gpu(index, readings, engine_pids) for index in indices)


def _own_pids(samples: Sequence[Sample]) -> set[int] | None:
    """None also when the driver names none of them: in a container it counts processes differently."""
    processes = [s.process for s in samples if s.process is not None]
    pids = {process.pid for process in processes} | {t.pid for process in processes for t in process.threads or ()}
    listed = {process.pid for s in samples for gpu in s.gpus or () for process in gpu.processes or ()}
    uses_gpu = last(process.uses_gpu for process in processes)
    return pids if pids & listed or (pids and uses_gpu is False) else None


def _gpu(index: int, samples: Sequence[Sample], engine_pids: set[int] | None) -> GpuView:
    series = [(s.t, gpu) for s in samples for gpu in s.gpus or () if gpu.index == index]
    states = [gpu for _, gpu in series]
    newest = states[-1]
    total = last(gpu.memory_total_bytes for gpu in states)
    used = last(gpu.memory_used_bytes for gpu in states)
    owners = last(gpu.processes for gpu in states)
    strangers = (
        [owner for owner in owners if owner.pid not in engine_pids]
        if owners is not None and engine_pids is not None
        else None
    )
    return GpuView(
        index=index,
        busy=_share(mean(gpu.busy for gpu in states)),
        memory_busy=_share(mean(gpu.memory_busy for gpu in states)),
        memory_share=used / total if used is not None and total else None,
        memory_total_bytes=total,
        clock_share=middle(_ratio(gpu.clock_hz, gpu.clock_max_hz) for gpu in states),
        power_share=mean(_ratio(gpu.power_w, gpu.power_limit_w) for gpu in states),
        temperature_c=middle(gpu.temperature_c for gpu in states),
        pstate=last(gpu.pstate for gpu in states),
        reasons=_reasons(states),
        link_share=mean(_link_share(gpu) for gpu in states),
        link=_link(newest),
        link_lost=_link_lost(states),
        foreign_pids=None if strangers is None else tuple(sorted(owner.pid for owner in strangers)),
        foreign_bytes=None if strangers is None else sum(owner.memory_bytes or 0 for owner in strangers),
        replays=growth([(t, float(gpu.replays)) for t, gpu in series if gpu.replays is not None]),
        ecc_uncorrected=growth([(t, float(g.ecc_uncorrected)) for t, g in series if g.ecc_uncorrected is not None]),
        xids=tuple(sorted({xid for gpu in states for xid in gpu.xids or ()})),
        node=last(gpu.node for gpu in states),
        address=last(gpu.address for gpu in states),
        engine_here=None
        if owners is None or engine_pids is None
        else any(owner.pid in engine_pids for owner in owners),
    )


def _reasons(states: Sequence[Gpu]) -> dict[str, float]:
    reason_sets = [gpu.reasons for gpu in states if gpu.reasons is not None]
    names = {name for reasons in reason_sets for name in reasons}
    return {name: sum(name in reasons for reasons in reason_sets) / len(reason_sets) for name in sorted(names)}


def _link_share(gpu: Gpu) -> float | None:
    """Traffic in the busier direction over what the negotiated link achieves."""
    lane = _LANE_BYTES_PER_S.get(gpu.link_generation or 0)
    traffic = [rate for rate in (gpu.pcie_read_bytes_per_s, gpu.pcie_write_bytes_per_s) if rate is not None]
    return max(traffic) / (lane * gpu.link_width * _ACHIEVED) if lane and gpu.link_width and traffic else None


def _link(gpu: Gpu) -> str:
    return f"Gen{gpu.link_generation} x{gpu.link_width}" if gpu.link_generation and gpu.link_width else ""


def _link_lost(states: Sequence[Gpu]) -> float | None:
    """Lanes are never dropped to save power; fewer than at the window's beginning means the link was retrained."""
    widths = [gpu.link_width for gpu in states if gpu.link_width]
    return share(widths, lambda width: width < widths[0]) if widths else None


def _ratio(value: float | None, limit: float | None) -> float | None:
    return value / limit if value is not None and limit else None


def _share(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))
