"""`gpu-errors`: the driver, the kernel or the link reports errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wellfed.faults.cards import RESEAT_OR_REPLACE, SEE_ERRORS
from wellfed.message import listed, sentence
from wellfed.watching.rules.base import Kind, Rule, Sign, percent, sign
from wellfed.watching.view import GpuView, KernelView, View

# NVIDIA, "XID Errors" (docs.nvidia.com/deploy/xid-errors): those that name the hardware
_HARDWARE = frozenset({48, 61, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120})
_REPLAYS = 20.0  # PCIe replays in a window that are more than chance (assumed)


def judge(view: View) -> Iterable[Sign]:
    """New XIDs, uncorrected ECC errors, replays, lanes lost; PCIe errors of the devices on the way to a GPU."""
    kernel = view.kernel or KernelView(log_readable=False)
    gpus = view.gpus or ()
    gpu_addresses = {gpu.address for gpu in gpus if gpu.address is not None}
    of_gpus = [item for gpu in gpus for item in _judge(gpu, kernel)]
    reporting = {place for place, _ in kernel.xids} | set(kernel.log_gpu_resets) | _noisy(kernel)
    return [*of_gpus, *(item for place in sorted(reporting - gpu_addresses) for item in _device(place, kernel))]


def _judge(gpu: GpuView, kernel: KernelView) -> list[Sign]:
    logged = {xid for place, xid in kernel.xids if place == gpu.address}
    xids = sorted({*gpu.xids, *logged})
    lost = gpu.link_lost is not None and gpu.link_lost >= 0.3
    signs = (
        _xids(xids),
        sentence(
            "watch.gpu-errors.uncorrected-memory",
            "{ecc_uncorrected:.0f} uncorrected memory errors",
            ecc_uncorrected=gpu.ecc_uncorrected,
        )
        if gpu.ecc_uncorrected
        else None,
        sentence("watch.gpu-errors.pcie-replays", "{replays:.0f} PCIe replays", replays=gpu.replays)
        if (gpu.replays or 0.0) >= _REPLAYS
        else None,
        sentence(
            "watch.gpu-errors.link-lost-lanes",
            "the link lost lanes in {link_lost} of samples: now {link}",
            link_lost=percent(gpu.link_lost),
            link=gpu.link,
        )
        if lost
        else None,
        *(_pcie(gpu.address, kernel) if gpu.address else ()),
    )
    grave = any(xid in _HARDWARE for xid in xids) or bool(gpu.ecc_uncorrected) or _fatal(gpu.address, kernel)
    return _sign(gpu.subject, grave, lost, signs)


def _device(place: str, kernel: KernelView) -> list[Sign]:
    """A GPU that no driver lists (it may have fallen off the bus), or a bridge above one."""
    xids = sorted({xid for where, xid in kernel.xids if where == place})
    grave = any(xid in _HARDWARE for xid in xids) or _fatal(place, kernel)
    return _sign(
        sentence("watch.gpu-errors.pcie-device", "PCIe device {place}", place=place),
        grave,
        False,
        (_xids(xids), *_pcie(place, kernel)),
    )


def _sign(subject: str, grave: bool, lost: bool, signs: Iterable[str | None]) -> list[Sign]:
    evidence = [item for item in signs if item]
    if not evidence:
        return []
    why = (
        sentence("watch.gpu-errors.hardware-reports", "the hardware reports errors")
        if grave or lost
        else sentence("watch.gpu-errors.errors-repeated", "errors: repeated transfers, or a program's fault")
    )
    return sign(0.95 if grave else 0.6, subject, why, *evidence)


def _xids(xids: Iterable[int]) -> str | None:
    numbers = listed(xids)
    return f"XID {numbers}" if numbers else None


def _pcie(place: str, kernel: KernelView) -> Iterable[str | None]:
    replays, errors = kernel.pcie_replays.get(place, 0.0), kernel.pcie_correctable.get(place, 0.0)
    many = (
        sentence("watch.gpu-errors.them-replays", ", {replays:.0f} of them replays", replays=replays) if replays else ""
    )
    uncorrectable = kernel.pcie_uncorrectable.get(place)
    yield (
        sentence(
            "watch.gpu-errors.pcie-errors",
            "{errors:.0f} PCIe errors that were corrected{many}",
            errors=errors,
            many=many,
        )
        if errors >= _REPLAYS
        else None
    )
    yield (
        sentence(
            "watch.gpu-errors.pcie-errors-could",
            "{uncorrectable:.0f} PCIe errors that could not be corrected",
            uncorrectable=uncorrectable,
        )
        if uncorrectable
        else None
    )
    logged = kernel.pcie_logged.get(place)
    yield (
        sentence(
            "watch.gpu-errors.lines-pcie-errors", "{logged:.0f} lines of PCIe errors in the kernel's log", logged=logged
        )
        if logged
        else None
    )
    yield (
        sentence("watch.gpu-errors.driver-reset-gpu", "the driver reset the GPU")
        if place in kernel.log_gpu_resets
        else None
    )


def _noisy(kernel: KernelView) -> set[str]:
    tables: tuple[Mapping[str, float], ...] = (kernel.pcie_correctable, kernel.pcie_uncorrectable, kernel.pcie_logged)
    return {place for table in tables for place in table}


def _fatal(place: str | None, kernel: KernelView) -> bool:
    return place is not None and (bool(kernel.pcie_uncorrectable.get(place)) or place in kernel.log_gpu_resets)


RULE = Rule(
    id="gpu-errors",
    title=sentence("watch.gpu-errors.title", "GPU or link errors"),
    kind=Kind.ILL,
    reads=sentence(
        "watch.gpu-errors.reads",
        "NVML events (XID), ECC and replay counters, link width; the kernel's log where readable "
        "(XID, AER, DPC, amdgpu resets); aer_dev_* of the GPU and of every bridge above it",
    ),
    rule=sentence(
        "watch.gpu-errors.rule",
        "A new XID or reset, an uncorrected ECC or PCIe error, 20 replays or corrected PCIe "
        "errors in a window (without counters: one in the log), or fewer lanes than before.",
    ),
    judge=judge,
    fix=(
        RESEAT_OR_REPLACE,
        SEE_ERRORS,
    ),
    then=sentence("watch.gpu-errors.then", "`dmesg | grep -i -e xid -e aer`."),
    explains=("queueing", "unresponsive"),
)
