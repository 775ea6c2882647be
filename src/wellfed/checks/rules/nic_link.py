"""`nic-link`: has each network card the PCIe link it needs?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, missing, passed, reason, skip, unread, warn
from wellfed.checks.mend import with_devices
from wellfed.checks.pcie_path import Hop, by_address, hops, loaded
from wellfed.checks.places import cards
from wellfed.finding import Finding, Verdict
from wellfed.hardware.machine import Machine, Nic
from wellfed.hardware.pcie import PcieLink

SLOW_BYTES_PER_S = 10e9 / 8
MANY_GPUS = 8
MOVE = "# Move the card to a slot with all its lanes and generation; see the board's manual."


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per fast network card."""
    fast = [
        nic
        for nic in machine.nics
        if nic.physical and nic.pci_address and (nic.kind == "infiniband" or (nic.bytes_per_s or 0) >= SLOW_BYTES_PER_S)
    ]
    return [_judge_nic(machine, nic) for nic in fast] or [_judge_slow(machine)]


def _judge_slow(machine: Machine) -> Finding:
    """A machine that is one of several, or as large as those are, with nothing but slow network cards."""
    rates = {nic.name: nic.bytes_per_s for nic in machine.nics if nic.physical and nic.pci_address and nic.bytes_per_s}
    if not machine.nics and reason(machine, "nics"):
        return missing(machine, "network cards", "nics")
    if not rates or (machine.count == 1 and len(cards(machine)) < MANY_GPUS):
        return skip("no network card of 10 Gb/s or more")
    best = max(rates, key=lambda each: rates[each])
    text = "the fastest network card is too slow to share a model with other machines, and slow to load one"
    return warn(best, text, f"{rates[best] * 8e-9:g} Gb/s", "10 Gb/s or more", ["# Add a network card."])


def _judge_nic(machine: Machine, nic: Nic) -> Finding:
    path = hops(by_address(machine), nic.pci_address)
    if not path or path[0].current is None:
        return unread(machine, "PCIe link", "nics", "pci", subject=nic.name)
    slow = next((hop for hop in path if _short(hop)), None)
    if slow and slow.current:
        text = f"the link at {slow.place} is less than both ends can do"
        wanted = f"Gen{slow.wanted_generation} x{slow.wanted_width}"
        return warn(nic.name, text, str(slow.current), wanted, [MOVE])
    rates = [link for hop in path if (link := loaded(hop)) is not None]
    least = min(rates, key=lambda link: link.bytes_per_s, default=None)
    if least and nic.bytes_per_s and least.bytes_per_s < nic.bytes_per_s * 0.98:
        text = "PCIe carries less than the network does"
        return warn(
            nic.name, text, f"{least.bytes_per_s * 8e-9:.0f} Gb/s", f"{nic.bytes_per_s * 8e-9:.0f} Gb/s", [MOVE]
        )
    return passed(nic.name, "the card has the link it needs", str(least) if least else None)


def _short(hop: Hop) -> bool:
    seen, width, generation = hop.current, hop.wanted_width, hop.wanted_generation
    if seen is None or width is None or generation is None:
        return False
    return seen.width < width or seen.generation < generation


def repair(machine: Machine) -> Machine:
    """Every network card's hops at what both ends can do."""
    for nic in machine.nics:
        for hop in hops(by_address(machine), nic.pci_address):
            if _short(hop) and hop.wanted_generation and hop.wanted_width:
                link = PcieLink(hop.wanted_generation, hop.wanted_width)
                ends = [end for end in (hop.lower, hop.upper) if end]
                machine = with_devices(machine, {end.address: replace(end, link_current=link) for end in ends})
    return machine


CHECK = Check(
    id="nic-link",
    title="Network cards have the PCIe link they need",
    severity=Verdict.WARN,
    reads="current and maximum links of network cards' hops; their rate",
    why="Between machines the slowest part is the network; a card in the wrong slot makes it slower still.",
    rule="Every hop at what both ends can do, and not less than the network's own rate. Eight "
    "GPUs, or several machines, with less than 10 Gb/s: warn.",
    judge=judge,
    traps=("A dual-port card may be sold with a slot for one port's rate: each port is judged alone.",),
    refs=("https://docs.kernel.org/PCI/sysfs-pci.html",),
    repair=repair,
)
