"""`nvlink`: are all NVLinks (or xGMI links) up?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, skip, unread
from wellfed.checks.driver import queried, untold
from wellfed.checks.places import cards, linked, name
from wellfed.hardware.machine import Gpu, GpuLink, Machine, Origin
from wellfed.hardware.nvlink import nvlinks
from wellfed.message import listed, message, sentence
from wellfed.nouns.finding import Finding, Verdict

LINKS_OF_BRIDGE = 4  # NVIDIA's bridges since Ampere; of cards with fewer links, all of them
BUILT_IN = ("sxm", "oam", "superchip")


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU."""
    gpus = cards(machine)
    if len(gpus) < 2:
        return [no_gpus(machine, 2)]
    if machine.origin is Origin.PARTS and not machine.gpu_links:
        return [skip(sentence("check.nvlink.links-planned", "links of a planned machine are as good as its parts"))]
    return [_judge_gpu(machine, gpu, gpus) for gpu in gpus]


def _judge_gpu(machine: Machine, gpu: Gpu, gpus: tuple[Gpu, ...]) -> Finding:
    active, total = gpu.nvlinks_active, gpu.nvlinks_total
    if active is not None and total:
        wanted = _wanted(gpu, gpus)
        if active < wanted:
            return _down(
                gpu,
                sentence("check.nvlink.links-up", "{active} of {wanted} links up", active=active, wanted=wanted),
                f"{wanted}",
            )
        if not wanted:
            return skip(message("nvlink.no-bridge", "the card has no links, or no bridge is fitted"), name(gpu))
        text = message("nvlink.up", "all links are up")
        if active < total:
            text = message("nvlink.up-of-chip", "all links that the product uses are up")
        return passed(name(gpu), text, f"{active} of {wanted}")
    links = [link for link in machine.gpu_links if gpu.index in (link.a, link.b) and link.kind != "p2p"]
    if any(not link.active for link in links):
        return _down(
            gpu,
            sentence(
                "check.nvlink.pairs-link", "{mine} pairs have no link", mine=sum(not link.active for link in links)
            ),
            "all",
        )
    if links:
        return _by_peers(machine, gpu, gpus, links)
    return _without_links(machine, gpu, gpus)


def _wanted(gpu: Gpu, gpus: tuple[Gpu, ...]) -> int:
    """Links that should be up: what the product uses of its chip's; between cards, what the fitted bridges join.

    A bridge is an option: none is no fault, and one of three is none either, as long as both its ends agree and all of
    its links are up.
    """
    total = gpu.nvlinks_total or 0
    used = min(total, (nvlinks(gpu.spec) if gpu.spec else None) or total)
    same = [peer.nvlinks_active or 0 for peer in gpus if peer.name == gpu.name]
    most = max(same, default=0)
    if _built_in(gpu):
        return max(used, most)
    bridge = min(LINKS_OF_BRIDGE, used)
    return -(-most // bridge) * bridge if gpu.spec and bridge else most


def _by_peers(machine: Machine, gpu: Gpu, gpus: tuple[Gpu, ...], links: list[GpuLink]) -> Finding:
    """On a switch every pair has a link, and all have the same number."""
    switched = any(link.kind == "nvswitch" for link in machine.gpu_links)
    lost = [name(peer) for peer in gpus if peer.index != gpu.index and not linked(machine, gpu.index, peer.index)]
    if switched and lost:
        return _down(
            gpu,
            sentence("check.nvlink.no-link", "no link to {lost}", lost=listed(lost)),
            sentence("check.nvlink.all", "to all"),
        )
    return passed(
        name(gpu),
        sentence("check.nvlink.linked-peers", "linked to its peers"),
        sentence("check.nvlink.peers", "{count} peers", count=len(links)),
    )


def _without_links(machine: Machine, gpu: Gpu, gpus: tuple[Gpu, ...]) -> Finding:
    linked_at_all = any(link.kind != "p2p" for link in machine.gpu_links)
    shown = any(f"GPU{gpu.index}" in (path.a, path.b) for path in machine.paths) and not machine.pci
    visible = (linked_at_all and machine.origin is not Origin.DUMP) or machine.origin in (Origin.LIVE, Origin.SNAPSHOT)
    if _built_in(gpu) and (shown or visible) and queried(gpu):
        return _down(gpu, sentence("check.nvlink.no-link-up", "no link up"), "all")
    if gpu.spec is not None and (not gpu.spec.link_bytes_per_s or not _built_in(gpu)):
        return skip(message("nvlink.no-bridge", "the card has no links, or no bridge is fitted"), name(gpu))
    if any(f"GPU{gpu.index}" in (path.a, path.b) for path in machine.paths) and not machine.pci:
        return skip("nvidia-smi's matrix shows no links between GPUs", name(gpu))
    if gpu.spec is None and not gpu.name:
        return unread(
            machine,
            sentence("check.nvlink.links-between-gpus", "links between GPUs"),
            "gpus",
            "nvml",
            subject=name(gpu),
        )
    return untold(machine, gpu, sentence("check.nvlink.links-between-gpus", "links between GPUs"), "nvlinks")


def _built_in(gpu: Gpu) -> bool:
    """Baseboards link their modules; bridges between cards are an option."""
    if gpu.spec is not None:
        return gpu.spec.form in BUILT_IN and bool(gpu.spec.link_bytes_per_s)
    return any(mark in (gpu.name or "").upper() for mark in ("SXM", "HGX", "DGX"))


def _down(gpu: Gpu, measured: str, wanted: str) -> Finding:
    why = message("nvlink.down", "tensor parallelism falls back to PCIe, or runs at the pace of the weakest link")
    return fail(name(gpu), why, measured, wanted)


def repair(machine: Machine) -> Machine:
    """All links up, with the bandwidth of all of them."""
    gpus, by_index = [], {gpu.index: gpu for gpu in machine.gpus}
    for gpu in machine.gpus:
        total = _wanted(gpu, machine.gpus)
        up = replace(gpu, nvlinks_active=total, nvlinks_total=max(total, gpu.nvlinks_total or 0))
        gpus.append(up if gpu.nvlinks_total else gpu)
    links = tuple(_mended(link, by_index) for link in machine.gpu_links)
    return replace(machine, gpus=tuple(gpus), gpu_links=(*links, *_absent(machine)))


def _mended(link: GpuLink, gpus: dict[int, Gpu]) -> GpuLink:
    everyone = tuple(gpus.values())
    shares = [_up_share(gpus[end], everyone) for end in (link.a, link.b) if end in gpus]
    rate = link.bytes_per_s / min(shares, default=1.0) if link.bytes_per_s else link.bytes_per_s
    return replace(link, active=True, bytes_per_s=rate)


def _up_share(gpu: Gpu, gpus: tuple[Gpu, ...]) -> float:
    if not gpu.nvlinks_active or not gpu.nvlinks_total:
        return 1.0
    return gpu.nvlinks_active / max(_wanted(gpu, gpus), gpu.nvlinks_active)


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
    code="P2P-03",
    title=sentence("check.nvlink.title", "All links between GPUs are up"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.nvlink.reads", "NVML: NVLink states and remote ends; nvidia-smi's path matrix; NCCL topology"
    ),
    rule=sentence(
        "check.nvlink.rule",
        "Every link that the product uses is up (12 of the chip's 18 on an H100 NVL); modules of "
        "one board have equal numbers of them, on a switch every pair is joined, and both cards "
        "of a bridge agree.",
    ),
    judge=judge,
    traps=(
        sentence("check.nvlink.trap-pcie-cards-without", "PCIe cards without a bridge are complete: skip."),
        sentence(
            "check.nvlink.trap-single-gpu-board",
            "A single GPU of a board, passed through to a virtual machine, has no peers: skip.",
        ),
    ),
    ask=(
        "nvidia-smi nvlink -s",
        "nvidia-smi topo -m",
    ),
    refs=("https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",),
    repair=repair,
)
