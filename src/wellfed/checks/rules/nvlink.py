"""`nvlink`: are all NVLinks (or xGMI links) up?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, skip, unread
from wellfed.checks.driver import queried, untold
from wellfed.checks.places import cards, linked, name
from wellfed.finding import Finding, Verdict
from wellfed.hardware.machine import Gpu, GpuLink, Machine, Origin

FIX = (
    "nvidia-smi nvlink --status",
    "# Reset the GPUs; NVSwitch machines: restart the fabric manager; bridges: reseat. Again: replace.",
)
BUILT_IN = ("sxm", "oam", "superchip")


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    gpus = cards(machine)
    if len(gpus) < 2:
        return [no_gpus(machine, 2)]
    if machine.origin is Origin.PARTS and not machine.gpu_links:
        return [skip("links of a planned machine are as good as its parts")]
    return [_judge_gpu(machine, gpu, gpus) for gpu in gpus]


def _judge_gpu(machine: Machine, gpu: Gpu, gpus: tuple[Gpu, ...]) -> Finding:
    active, total = gpu.nvlinks_active, gpu.nvlinks_total
    most = max((other.nvlinks_active or 0 for other in gpus if other.name == gpu.name), default=0)
    if active is not None and total:
        wanted = max(total, most) if _built_in(gpu) else total
        if active < wanted:
            return _down(gpu, f"{active} of {wanted} links up", f"{wanted}")
        return passed(name(gpu), "all links are up", f"{active} of {total}")
    mine = [link for link in machine.gpu_links if gpu.index in (link.a, link.b) and link.kind != "p2p"]
    if any(not link.active for link in mine):
        return _down(gpu, f"{sum(not link.active for link in mine)} pairs have no link", "all")
    if mine:
        return _by_peers(machine, gpu, gpus, mine)
    return _without(machine, gpu, gpus)


def _by_peers(machine: Machine, gpu: Gpu, gpus: tuple[Gpu, ...], mine: list[GpuLink]) -> Finding:
    """On a switch every pair has a link, and all have the same number."""
    switched = any(link.kind == "nvswitch" for link in machine.gpu_links)
    lost = [name(other) for other in gpus if other.index != gpu.index and not linked(machine, gpu.index, other.index)]
    if switched and lost:
        return _down(gpu, f"no link to {', '.join(lost)}", "to all")
    return passed(name(gpu), "linked to its peers", f"{len(mine)} peers")


def _without(machine: Machine, gpu: Gpu, gpus: tuple[Gpu, ...]) -> Finding:
    others = any(link.kind != "p2p" for link in machine.gpu_links)
    if _built_in(gpu) and (others or machine.origin in (Origin.LIVE, Origin.SNAPSHOT)) and queried(gpu):
        return _down(gpu, "no link up", "all")
    if gpu.spec is not None and (not gpu.spec.link_bytes_per_s or not _built_in(gpu)):
        return skip("the card has no links, or no bridge is fitted", name(gpu))
    if any(f"GPU{gpu.index}" in (path.a, path.b) for path in machine.paths) and not machine.pci:
        return skip("nvidia-smi's matrix shows no links between GPUs", name(gpu))
    if gpu.spec is None and not gpu.name:
        return unread(machine, "links between GPUs", "gpus", "nvml", subject=name(gpu))
    return untold(machine, gpu, "links between GPUs", "nvlinks")


def _built_in(gpu: Gpu) -> bool:
    """Baseboards link their modules; bridges between cards are an option."""
    if gpu.spec is not None:
        return gpu.spec.form in BUILT_IN and bool(gpu.spec.link_bytes_per_s)
    return any(mark in (gpu.name or "").upper() for mark in ("SXM", "HGX", "DGX"))


def _down(gpu: Gpu, measured: str, wanted: str) -> Finding:
    why = "tensor parallelism falls back to PCIe, or runs at the pace of the weakest link"
    return fail(name(gpu), why, measured, wanted, FIX)


def repair(machine: Machine) -> Machine:
    """All links up, with the bandwidth of all of them."""
    gpus, whole = [], {gpu.index: gpu for gpu in machine.gpus}
    for gpu in machine.gpus:
        same = [other.nvlinks_active or 0 for other in machine.gpus if other.name == gpu.name]
        total = max([gpu.nvlinks_total or 0, *(same if _built_in(gpu) else [])])
        gpus.append(replace(gpu, nvlinks_active=total, nvlinks_total=total) if gpu.nvlinks_total else gpu)
    links = tuple(_mended(link, whole) for link in machine.gpu_links)
    return replace(machine, gpus=tuple(gpus), gpu_links=(*links, *_absent(machine)))


def _mended(link: GpuLink, gpus: dict[int, Gpu]) -> GpuLink:
    shares = [_up_share(gpus[end]) for end in (link.a, link.b) if end in gpus]
    rate = link.bytes_per_s / min(shares, default=1.0) if link.bytes_per_s else link.bytes_per_s
    return replace(link, active=True, bytes_per_s=rate)


def _up_share(gpu: Gpu) -> float:
    if not gpu.nvlinks_active or not gpu.nvlinks_total:
        return 1.0
    return gpu.nvlinks_active / gpu.nvlinks_total


def _absent(machine: Machine) -> tuple[GpuLink, ...]:
    """Links a baseboard should have between pairs that show none."""
    if any(link.kind == "nvlink" for link in machine.gpu_links):
        return ()
    board = [gpu for gpu in cards(machine) if _built_in(gpu) and gpu.spec and gpu.vendor == "nvidia"]
    have = {frozenset((link.a, link.b)) for link in machine.gpu_links}
    return tuple(
        GpuLink(a.index, b.index, "nvswitch", a.spec.link_bytes_per_s if a.spec else None)
        for i, a in enumerate(board)
        for b in board[i + 1 :]
        if frozenset((a.index, b.index)) not in have
    )


CHECK = Check(
    id="nvlink",
    title="All links between GPUs are up",
    severity=Verdict.FAIL,
    reads="NVML: NVLink states and remote ends; nvidia-smi's path matrix; NCCL topology",
    why="Each layer of a tensor-parallel model ends in an all-reduce; over PCIe it takes ten times as long.",
    rule="Every link of every GPU is up; modules of one board have equal numbers of them, and on a switch every "
    "pair is joined.",
    judge=judge,
    traps=(
        "PCIe cards without a bridge are complete: skip.",
        "A single GPU of a board, passed through to a virtual machine, has no peers: skip.",
    ),
    refs=("https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",),
    repair=repair,
    modelled=True,
)
