"""`nic-link`: has each network card the PCIe link it needs?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, missing, passed, reason, skip, unread, warn
from wellfed.checks.mend import with_devices
from wellfed.checks.pcie_path import Hop, by_address, hops, loaded
from wellfed.checks.places import cards
from wellfed.faults.network import ADD_NIC, MOVE_NIC
from wellfed.hardware.machine import Machine, Nic, Origin
from wellfed.hardware.pcie import PcieLink
from wellfed.message import message, sentence
from wellfed.nouns.finding import Finding, Verdict

SLOW_BYTES_PER_S = 10e9 / 8  # 10 Gb/s: from here a card is fast enough to be judged
MANY_GPUS = 8  # of one machine: so many are usually one of several machines (assumed)


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per fast network card."""
    fast = [nic for nic in machine.nics if _is_fast(nic)]
    return [_judge_nic(machine, nic) for nic in fast] or [_judge_slow(machine)]


def _is_fast(nic: Nic) -> bool:
    rate = nic.bytes_per_s or 0
    return nic.physical and bool(nic.pci_address) and (nic.kind == "infiniband" or rate >= SLOW_BYTES_PER_S)


def _too_slow(machine: Machine) -> str | None:
    """The fastest network card of a machine that is one of several, or as large as those are, where all are slow."""
    rates = {nic.name: nic.bytes_per_s for nic in machine.nics if nic.physical and nic.pci_address and nic.bytes_per_s}
    if not rates or max(rates.values()) >= SLOW_BYTES_PER_S:
        return None
    if machine.count == 1 and len(cards(machine)) < MANY_GPUS:
        return None
    return max(rates, key=lambda nic_name: rates[nic_name])


def _judge_slow(machine: Machine) -> Finding:
    """No fast card with an address: too slow, not told, or not needed."""
    best = _too_slow(machine)
    if best is not None:
        rate = max(nic.bytes_per_s or 0 for nic in machine.nics if nic.name == best)
        text = message(
            "nic-link.slow",
            "the fastest network card is too slow to share a model with other machines, and slow to load one",
        )
        return warn(
            best, text, f"{rate * 8e-9:g} Gb/s", sentence("check.nic-link.10-gb-s", "10 Gb/s or more"), [ADD_NIC]
        )
    unrated = any(nic.physical and nic.bytes_per_s is None and nic.up is not False for nic in machine.nics)
    if reason(machine, "nics") or (machine.origin is Origin.DUMP and (unrated or not machine.pci_complete)):
        return missing(
            machine, sentence("check.nic-link.network-cards-their", "network cards with their links"), "nics"
        )
    return skip(message("nic-link.none", "no network card of 10 Gb/s or more"))


def _judge_nic(machine: Machine, nic: Nic) -> Finding:
    path = hops(by_address(machine), nic.pci_address)
    if not path or path[0].current is None:
        return unread(machine, sentence("checked.pcie-link", "PCIe link"), "nics", "pci", subject=nic.name)
    slow = next((hop for hop in path if hop.below_both_ends), None)
    if slow and slow.current:
        text = sentence(
            "check.nic-link.link-less-both", "the link at {place} is less than both ends can do", place=slow.place
        )
        wanted = f"Gen{slow.wanted_generation} x{slow.wanted_width}"
        return warn(nic.name, text, str(slow.current), wanted, [MOVE_NIC])
    rates = [link for hop in path if (link := loaded(hop)) is not None]
    least = min(rates, key=lambda link: link.bytes_per_s, default=None)
    if least and nic.bytes_per_s and least.bytes_per_s < nic.bytes_per_s * 0.98:
        text = sentence("check.nic-link.pcie-carries-less", "PCIe carries less than the network does")
        return warn(
            nic.name, text, f"{least.bytes_per_s * 8e-9:.0f} Gb/s", f"{nic.bytes_per_s * 8e-9:.0f} Gb/s", [MOVE_NIC]
        )
    return passed(
        nic.name,
        sentence("check.nic-link.card-link-needs", "the card has the link it needs"),
        str(least) if least else None,
    )


def effect(machine: Machine) -> Machine:
    """a network between machines that is no faster than its cards' PCIe links."""
    network = machine.network_bytes_per_s
    cards = [(nic, _carried(machine, nic)) for nic in machine.nics if _is_fast(nic)]
    if network is None or machine.count < 2 or not cards or any(carried is None for _, carried in cards):
        return machine
    rated_all = sum(nic.bytes_per_s or network for nic, _ in cards)
    carried_all = sum(min(nic.bytes_per_s or network, carried or 0.0) for nic, carried in cards)
    return replace(machine, network_bytes_per_s=network * carried_all / rated_all)


def _carried(machine: Machine, nic: Nic) -> float | None:
    path = hops(by_address(machine), nic.pci_address)
    return min((link.bytes_per_s for hop in path if (link := loaded(hop)) is not None), default=None)


def repair(machine: Machine) -> Machine:
    """Every network card's hops at what both ends can do, and wide enough for its rate; no card below 10 Gb/s."""
    if _too_slow(machine) is not None:
        nics = (replace(n, bytes_per_s=max(n.bytes_per_s or 0, SLOW_BYTES_PER_S)) for n in machine.nics)
        machine = replace(machine, nics=tuple(nics))
    for nic in machine.nics:
        for hop in hops(by_address(machine), nic.pci_address):
            machine = _widened(machine, hop, nic.bytes_per_s or 0)
    return machine


def _widened(machine: Machine, hop: Hop, rate: float) -> Machine:
    if hop.current is None or not hop.wanted_generation or not hop.wanted_width:
        return machine
    able = PcieLink(hop.wanted_generation, hop.wanted_width)
    more = (PcieLink(g, w) for g in range(able.generation, 7) for w in (able.width, 16) if w >= able.width)
    link = next((candidate for candidate in more if candidate.bytes_per_s >= rate), able)
    ends = [end for end in (hop.lower, hop.upper) if end]
    return with_devices(
        machine,
        {end.address: replace(end, link_current=link, link_max=_wider_link(end.link_max, link)) for end in ends},
    )


def _wider_link(maximum: PcieLink | None, link: PcieLink) -> PcieLink | None:
    return PcieLink(max(maximum.generation, link.generation), max(maximum.width, link.width)) if maximum else None


CHECK = Check(
    id="nic-link",
    code="NIC-02",
    title=sentence("check.nic-link.title", "Network cards have the PCIe link they need"),
    severity=Verdict.WARN,
    reads=sentence("check.nic-link.reads", "current and maximum links of network cards' hops; their rate"),
    rule=sentence(
        "check.nic-link.rule",
        "Every hop at what both ends can do, and not less than the network's own rate. Eight "
        "GPUs, or several machines, with less than 10 Gb/s: warn.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.nic-link.trap-dual-port-card",
            "A dual-port card may be sold with a slot for one port's rate: each port is judged alone.",
        ),
    ),
    ask=("sudo lspci -nnvv",),
    refs=("https://docs.kernel.org/PCI/sysfs-pci.html",),
    repair=repair,
    effect=effect,
)
