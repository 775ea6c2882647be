"""`model-disk`: is the disk that holds the models fast, and has it room?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, missing, passed, skip, unread, warn
from wellfed.checks.mend import with_devices
from wellfed.checks.pcie_path import by_address, hops, loaded
from wellfed.faults.memory import FAST_DISK, MOVE_DISK
from wellfed.hardware.machine import Disk, Machine, Origin
from wellfed.hardware.pcie import PcieLink
from wellfed.message import Amount, Message, message, sentence
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import Cost, Finding, Verdict
from wellfed.units import format_bytes

ROOM_BYTES = 20e9  # a small model
# Sequential reads, assumed: 7200 rpm at its outer tracks; SATA at 6 Gb/s; USB at 5 Gb/s; NVMe: 85 % of its link
BYTES_PER_S = {"hdd": 0.2e9, "ssd": 0.55e9, "usb": 0.45e9}
LINK_SHARE = 0.85  # of an NVMe link that sequential reads reach (assumed)
GOOD = PcieLink(4, 4)  # what a current NVMe disk has
SLOW: dict[str, Message] = {
    "hdd": message("model-disk.hdd", "a hard disk: weights are read at a fifth of a gigabyte a second"),
    "usb": message("model-disk.usb", "a USB disk: slow, and gone when the cable moves"),
    "network": message("model-disk.network", "a network file system: every start reads the weights over the network"),
    "overlay": message("model-disk.overlay", "the container's own layer: lost with it, and slower than a volume"),
}


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per disk that models are kept on."""
    if machine.origin is Origin.PARTS and not machine.disks:
        return [skip(message("model-disk.planned", "a planned machine has no disks listed"))]
    model_disks = [disk for disk in machine.disks if disk.holds_models]
    return [_judge_disk(machine, disk, ROOM_BYTES) for disk in model_disks] or [
        missing(machine, sentence("check.model-disk.disk-holds-models", "the disk that holds the models"), "disks")
    ]


def against(machine: Machine, estimate: Estimate) -> Iterable[Finding]:
    """As `judge`, with room for the plan's weights."""
    model_disks = [disk for disk in machine.disks if disk.holds_models]
    if not model_disks:
        return judge(machine)
    return [_judge_disk(machine, disk, max(ROOM_BYTES, weights_bytes(estimate))) for disk in model_disks]


def weights_bytes(estimate: Estimate) -> float:
    """All weights of the plan, on whatever device."""
    return sum(term.bytes for device in estimate.memory.devices for term in device.terms if term.name == "weights")


def _judge_disk(machine: Machine, disk: Disk, room_bytes: float) -> Finding:
    subject = disk.name
    if disk.free_bytes is not None and disk.free_bytes < room_bytes:
        text = message("model-disk.full", "no room for a model of {size}", size=Amount(room_bytes, "B"))
        return warn(
            subject,
            text,
            sentence("check.model-disk.free", "{free_bytes} free", free_bytes=format_bytes(disk.free_bytes)),
            format_bytes(room_bytes),
            [FAST_DISK],
        )
    if disk.kind in SLOW:
        return warn(subject, SLOW[disk.kind], disk.kind, "nvme", [FAST_DISK])
    for hop in hops(by_address(machine), disk.pci_address):
        if hop.below_both_ends:
            text = message("model-disk.link", "its link at {place} is less than both ends can do", place=hop.place)
            wanted = f"Gen{hop.wanted_generation} x{hop.wanted_width}"
            return warn(subject, text, str(hop.current), wanted, [MOVE_DISK], [hop.place])
    if disk.kind is None:
        return unread(
            machine,
            sentence("check.model-disk.kind-models-disk", "the kind of the models' disk"),
            "disks",
            subject=subject,
        )
    return passed(subject, message("model-disk.good", "models lie on a local disk with its whole link"), disk.kind)


def disk_bytes_per_s(machine: Machine, disk: Disk) -> float | None:
    """What it reads in a row, assumed from its kind, or from its link; None for what lies across a network."""
    if disk.kind != "nvme":
        return BYTES_PER_S.get(disk.kind or "")
    links = [link for hop in hops(by_address(machine), disk.pci_address) if (link := loaded(hop)) is not None]
    least = min(links or [GOOD], key=lambda link: link.bytes_per_s)
    return least.bytes_per_s * LINK_SHARE


def price(machine: Machine, estimate: Estimate) -> Cost:
    """Seconds of loading that the slowest disk with models takes more than a good one, for the plan's weights."""
    rates = [disk_bytes_per_s(machine, disk) for disk in machine.disks if disk.holds_models]
    if not rates or None in rates:
        return _noted(message("model-disk.unpriced", "not priced: how fast it reads is not told"))
    slowest = min(rate for rate in rates if rate is not None)
    size = weights_bytes(estimate)
    longer = size / slowest - size / max(slowest, GOOD.bytes_per_s * LINK_SHARE)
    return Cost(load_s=longer) if longer > 0 else _noted(message("cost.nothing", "costs nothing for this model"))


def _noted(note: Message) -> Cost:
    return Cost(note=str(note), message=note)


def repair(machine: Machine) -> Machine:
    """An NVMe disk with its whole link and room."""
    disks = tuple(
        replace(disk, kind="nvme", free_bytes=max(disk.free_bytes or 0, 1 << 42)) if disk.holds_models else disk
        for disk in machine.disks
    )
    machine = replace(machine, disks=disks)
    for disk in disks:
        for hop in hops(by_address(machine), disk.pci_address) if disk.holds_models else ():
            if hop.below_both_ends and hop.wanted_generation and hop.wanted_width:
                link = PcieLink(hop.wanted_generation, hop.wanted_width)
                ends = [end for end in (hop.lower, hop.upper) if end]
                machine = with_devices(machine, {end.address: replace(end, link_current=link) for end in ends})
    return machine


CHECK = Check(
    id="model-disk",
    code="DSK-01",
    title=sentence("check.model-disk.title", "Models lie on a fast local disk with room"),
    severity=Verdict.WARN,
    reads=sentence(
        "check.model-disk.reads",
        "/proc/self/mountinfo, /sys/dev/block, PCIe links of NVMe disks, room left; of the hub's cache folder",
    ),
    rule=sentence(
        "check.model-disk.rule",
        "The folder that the hub's cache is in: a local NVMe or SATA SSD, its PCIe link at what "
        "both ends can do, room for the plan's weights (20 GB without a plan). Hard disk, USB, "
        "network and a container's layer warn.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.model-disk.trap-rates-assumed-kind",
            "Rates are assumed by kind, or taken from the link: `wellfed bench` measures.",
        ),
    ),
    ask=("df -hT ~/.cache/huggingface; lsblk -o NAME,SIZE,ROTA,TRAN,TYPE",),
    refs=(
        "https://docs.kernel.org/filesystems/proc.html",
        "https://huggingface.co/docs/huggingface_hub/guides/manage-cache",
    ),
    repair=repair,
    against=against,
    price=price,
)
