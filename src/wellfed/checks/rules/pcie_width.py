"""`pcie-width`: does every hop run with all its lanes?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, unknown, unread, warn
from wellfed.checks.mend import full_link, relinked, with_devices, with_gpus
from wellfed.checks.pcie_path import Hop, by_address, gpu_hops, root_port
from wellfed.checks.places import name
from wellfed.faults.links import MOVE_TO_LANES, RESEAT_CARD
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PcieLink
from wellfed.message import Listing, counted, message, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU, about its worst hop."""
    if not machine.gpus:
        return [no_gpus(machine)]
    return [_judge_gpu(machine, gpu) for gpu in machine.gpus]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    path = gpu_hops(machine, gpu)
    if not path:
        return _by_spec(machine, gpu)
    for hop in path:
        if (shortage := _short_of_lanes(gpu, hop)) is not None:
            return shortage
    edge = path[0]
    current, card = edge.current, edge.card
    if current is None:
        return _shape(machine, gpu)
    able = max((link.width for link in (card, full_link(gpu)) if link), default=None)
    if able and current.width < able:
        text = message("pcie-width.slot", "the slot has fewer lanes than the card: bifurcated, or wired that way")
        return warn(name(gpu), text, f"x{current.width}", f"x{able}", [MOVE_TO_LANES], [edge.place])
    blind = [hop.place for hop in path if hop.current is None or (hop.wanted_width is None and not (hop.edge and able))]
    if blind and (len(blind) > 1 or current.width < 16):
        text = message("pcie-width.blind", "widths at {places} could not be read", places=Listing(tuple(blind)))
        return unknown(text, name(gpu), f"x{current.width}")
    text = counted("pcie-width.whole", "all lanes on {count} hop", "all lanes on {count} hops", len(path))
    return passed(name(gpu), text, f"x{current.width}")


def _short_of_lanes(gpu: Gpu, hop: Hop) -> Finding | None:
    current, wanted = hop.current, hop.wanted_width
    if current is None or wanted is None or current.width >= wanted:
        return None
    if hop.edge and hop.slot is None:
        text = message(
            "pcie-width.slot-unseen",
            "fewer lanes than the card has, at {place}; how many the slot has is not visible",
            place=hop.place,
        )
        return warn(name(gpu), text, f"x{current.width}", f"x{wanted}", [RESEAT_CARD], [hop.place])
    text = message("pcie-width.short", "fewer lanes than both ends have, at {place}", place=hop.place)
    return fail(name(gpu), text, f"x{current.width}", f"x{wanted}", [RESEAT_CARD], [hop.place])


def _by_spec(machine: Machine, gpu: Gpu) -> Finding:
    full = full_link(gpu)
    blind = gpu.link is None or _most_only(machine, gpu)
    if blind and gpu.link_width is not None:
        return _by_driver(gpu, gpu.link_width)
    if gpu.link is None or full is None or blind:
        return unread(
            machine, sentence("checked.pcie-link", "PCIe link"), f"{name(gpu)}.width", "pci", subject=name(gpu)
        )
    if gpu.link.width < full.width:
        text = message("pcie-width.planned", "the slot has fewer lanes than the card")
        return warn(name(gpu), text, f"x{gpu.link.width}", f"x{full.width}", [MOVE_TO_LANES])
    return passed(name(gpu), sentence("check.pcie-width.all-lanes-card", "all lanes of the card"), f"x{gpu.link.width}")


def _by_driver(gpu: Gpu, lanes: int) -> Finding:
    """Lanes from a table of the driver's, without generations and ports: they do not change when a card idles."""
    full = full_link(gpu)
    able = max((width for width in (gpu.link_width_max, full.width if full else None) if width), default=None)
    if able is None:
        return unknown(message("pcie-width.no-most", "how many lanes the card has is not told"), name(gpu), f"x{lanes}")
    if lanes < able:
        text = message("pcie-width.told-short", "fewer lanes than the card has; how many the slot has is not visible")
        return warn(name(gpu), text, f"x{lanes}", f"x{able}", [RESEAT_CARD])
    return passed(name(gpu), sentence("check.pcie-width.all-lanes-card", "all lanes of the card"), f"x{lanes}")


def _most_only(machine: Machine, gpu: Gpu) -> bool:
    """Whether only what the card could do is told."""
    function = by_address(machine).get(gpu.pci_address or "")
    return function is not None and function.link_current is None and function.link_max is not None


def _as_told(machine: Machine) -> Machine:
    """Cards of which only the lanes are told, with their own generation on these lanes."""
    gpus = []
    for gpu in machine.gpus:
        full = full_link(gpu)
        blind = gpu.link is None or _most_only(machine, gpu)
        if blind and full and gpu.link_width and not gpu_hops(machine, gpu):
            gpus.append(replace(gpu, link=replace(full, width=min(full.width, gpu.link_width))))
    return with_gpus(machine, gpus)


def effect(machine: Machine) -> Machine:
    """cards of which only the lanes are told on so many lanes of their own generation."""
    return _as_told(machine)


def _shape(machine: Machine, gpu: Gpu) -> Finding:
    """Without widths, neighbouring functions of one root device still tell that cards share its lanes."""
    devices = by_address(machine)
    own_port = root_port(devices, gpu.pci_address)
    desktop = any(device.chipset for device in machine.pci)
    for neighbour in machine.gpus:
        port = root_port(devices, neighbour.pci_address)
        near = port and own_port and port.address[:-2] == own_port.address[:-2] and port.address != own_port.address
        if near and desktop and not own_port.chipset if own_port else False:
            text = message(
                "pcie-width.shape",
                "shares the lanes of root device {device} with {other}",
                device=own_port.address[:-2] if own_port else None,
                other=name(neighbour),
            )
            return warn(
                name(gpu),
                text,
                sentence("check.pcie-width.x8-most-shape", "x8 at most, by the shape of the tree"),
                "x16",
                [MOVE_TO_LANES],
            )
    return unread(
        machine, sentence("check.pcie-width.link-width", "link width"), f"{name(gpu)}.width", "pci", subject=name(gpu)
    )


def repair(machine: Machine) -> Machine:
    """Every hop of every GPU with all lanes of its lower end."""
    for gpu in machine.gpus:
        if _judge_gpu(machine, gpu).verdict not in (Verdict.WARN, Verdict.FAIL):
            continue
        path = gpu_hops(machine, gpu)
        full = full_link(gpu)
        if not path and gpu.link_width and full:
            machine = with_gpus(machine, [replace(gpu, link_width=full.width)])
        elif not path and gpu.link and full:
            machine = with_gpus(machine, [replace(gpu, link=replace(gpu.link, width=full.width))])
        for hop in path:
            machine = _widened(machine, gpu, hop)
    return relinked(machine)


def _widened(machine: Machine, gpu: Gpu, hop: Hop) -> Machine:
    full = full_link(gpu) if hop.edge else None
    width = max((link.width for link in (hop.card, full) if link), default=None)
    if width is None:
        return machine
    ends = [end for end in (hop.lower, hop.upper) if end is not None]
    changed = {
        end.address: replace(end, link_current=_wide(end.link_current, width), link_max=_wide(end.link_max, width))
        for end in ends
    }
    return with_devices(machine, changed)


def _wide(link: PcieLink | None, width: int) -> PcieLink | None:
    return replace(link, width=max(width, link.width)) if link else None


CHECK = Check(
    id="pcie-width",
    code="PCI-01",
    title=sentence("check.pcie-width.title", "Every PCIe hop runs with all its lanes"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.pcie-width.reads",
        "current_link_width and max_link_width of every function from the GPU to its root port; NVML",
    ),
    rule=sentence(
        "check.pcie-width.rule",
        "At every hop the width must be the lesser of what both ends can do. Fewer: fail (warn "
        "when the slot's side is not visible). A slot with fewer lanes than the card: warn.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.pcie-width.trap-switch-radeon-arc",
            "The switch on a Radeon's or Arc's board is part of the card: its links always look "
            "whole. The card is judged at its edge connector.",
        ),
        sentence(
            "check.pcie-width.trap-width-does-drop",
            "Width does not drop when a GPU idles, so it can be judged at any time.",
        ),
        sentence(
            "check.pcie-width.trap-cards-cloud-slots",
            "Cards in cloud slots (a T4 on x8) are often wired that way: the finding is a warning with a price.",
        ),
    ),
    ask=(
        "sudo lspci -nnvv",
        "nvidia-smi -q",
    ),
    refs=("https://docs.kernel.org/PCI/sysfs-pci.html", "PCI Express Base Specification 5.0, 7.5.3"),
    repair=repair,
    effect=effect,
)
