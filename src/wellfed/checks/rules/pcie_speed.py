"""`pcie-speed`: does every hop run at the generation both ends can do?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import LOAD, Check, fail, no_gpus, passed, unknown, unread, warn
from wellfed.checks.mend import full_link, relinked, with_devices
from wellfed.checks.pcie_path import Hop, awake, gpu_hops, narrowest
from wellfed.checks.places import name
from wellfed.checks.tools import UNDER_LOAD
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.message import listed, message, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU: switches' uplinks first, then the card's own link."""
    if not machine.gpus:
        return [no_gpus(machine)]
    return [_judge_gpu(machine, gpu) for gpu in machine.gpus]


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    path = gpu_hops(machine, gpu)
    if not path:
        return _by_driver(machine, gpu) if gpu.link_generation else _by_spec(machine, gpu)
    for hop in path[1:]:
        if _slow(hop):
            return _fault(gpu, hop)
    edge = path[0]
    if edge.current is None or edge.wanted_generation is None:
        keys = (f"{name(gpu)}.generation", f"{name(gpu)}.width", "pci")
        return unread(machine, sentence("check.pcie-speed.link-speed", "link speed"), *keys, subject=name(gpu))
    if _slow(edge):
        generation = edge.current.generation
        return _fault(gpu, edge) if _awake_enough(gpu, generation) else _asleep(gpu, generation)
    blind = [hop.place for hop in path[1:] if hop.current is None]
    if blind:
        return unknown(
            sentence(
                "check.pcie-speed.speed-could-read", "the speed at {blind} could not be read", blind=listed(blind)
            ),
            name(gpu),
            f"Gen{edge.current.generation}",
        )
    return _link_finding(gpu, path)


def _link_finding(gpu: Gpu, path: tuple[Hop, ...]) -> Finding:
    edge, slowest = path[0], narrowest(path)
    current, able = edge.current, edge.card
    offered = min((hop.wanted_generation for hop in path if hop.wanted_generation), default=None)
    if able and offered and offered < able.generation:
        text = sentence(
            "check.pcie-speed.fast-platform-goes",
            "as fast as the platform goes; the card could do Gen{generation}",
            generation=able.generation,
        )
        return passed(name(gpu), text, f"Gen{offered}", f"Gen{offered}")
    return passed(
        name(gpu), sentence("check.pcie-speed.full-speed-every", "full speed on every hop"), f"{slowest or current}"
    )


def _slow(hop: Hop) -> bool:
    current, wanted = hop.current, hop.wanted_generation
    return current is not None and wanted is not None and current.generation < wanted


def _awake_enough(gpu: Gpu, generation: int) -> bool:
    """Awake, or a card whose driver tells no state and whose link is not at its idle speed."""
    state = awake(gpu)
    return state if state is not None else gpu.vendor == "amd" and generation > 1


def _fault(gpu: Gpu, hop: Hop) -> Finding:
    measured, wanted = f"Gen{hop.current.generation if hop.current else '?'}", f"Gen{hop.wanted_generation}"
    if not hop.both_ends_told:
        text = message(
            "pcie-speed.slot-unseen",
            "slower than the card can, at {place}; what the slot can do is not visible",
            place=hop.place,
        )
        return warn(name(gpu), text, measured, wanted, places=[hop.place])
    text = message("pcie-speed.slow", "slower than both ends can, at {place}", place=hop.place)
    return fail(name(gpu), text, measured, wanted, places=[hop.place])


def _asleep(gpu: Gpu, generation: int) -> Finding:
    text = message(
        "pcie-speed.perhaps-idle",
        "inconclusive: the GPU may be idle, and an idle GPU lets its link drop; look under load",
    )
    if gpu.performance_state is not None:
        text = message(
            "pcie-speed.idle",
            "inconclusive: the GPU is in P{state}, and an idle GPU lets its link drop; look under load",
            state=gpu.performance_state,
        )
    return unknown(text, name(gpu), f"Gen{generation}", [LOAD])


def _by_driver(machine: Machine, gpu: Gpu) -> Finding:
    """Generations from a table of the driver's, without widths and ports."""
    able, offered = gpu.link_generation_max, gpu.link_host_generation
    wanted = min((generation for generation in (able, offered) if generation), default=None)
    current = gpu.link_generation or 1
    if wanted is None:
        return unread(
            machine,
            sentence("check.pcie-speed.link-maximum", "the link's maximum"),
            f"{name(gpu)}.link",
            subject=name(gpu),
        )
    if current >= wanted:
        return passed(name(gpu), message("pcie-speed.full", "full speed"), f"Gen{current}", f"Gen{wanted}")
    if not _awake_enough(gpu, current):
        return _asleep(gpu, current)
    text = message("pcie-speed.slower-told", "slower than the card and, as far as its driver tells, the slot can")
    return warn(name(gpu), text, f"Gen{current}", f"Gen{wanted}")


def _by_spec(machine: Machine, gpu: Gpu) -> Finding:
    full = full_link(gpu)
    if gpu.link is None or full is None or machine.origin is not Origin.PARTS:
        return unread(
            machine, sentence("checked.pcie-link", "PCIe link"), f"{name(gpu)}.generation", "pci", subject=name(gpu)
        )
    if gpu.link.generation < full.generation:
        text = sentence(
            "check.pcie-speed.fast-platform-goes",
            "as fast as the platform goes; the card could do Gen{generation}",
            generation=full.generation,
        )
        return passed(name(gpu), text, f"Gen{gpu.link.generation}")
    return passed(name(gpu), sentence("check.pcie-speed.full-speed", "full speed"), f"Gen{gpu.link.generation}")


def repair(machine: Machine) -> Machine:
    """Every slow hop at the generation both ends can do."""
    for gpu in machine.gpus:
        if _judge_gpu(machine, gpu).verdict not in (Verdict.WARN, Verdict.FAIL):
            continue
        for hop in gpu_hops(machine, gpu):
            if not _slow(hop):
                continue
            ends = [end for end in (hop.lower, hop.upper) if end and end.link_current]
            generation = hop.wanted_generation or 0
            machine = with_devices(
                machine,
                {
                    end.address: replace(end, link_current=replace(end.link_current, generation=generation))
                    for end in ends
                    if end.link_current
                },
            )
    return relinked(machine)


CHECK = Check(
    id="pcie-speed",
    code="PCI-02",
    title=sentence("check.pcie-speed.title", "Every PCIe hop runs at its full generation"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.pcie-speed.reads",
        "current_link_speed and max_link_speed of every function from the GPU to its root port; "
        "NVML's generation, performance state and host maximum",
    ),
    rule=sentence(
        "check.pcie-speed.rule",
        "At every hop the generation must be the lesser of what both ends can do; the slowest hop counts.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.pcie-speed.trap-idle-gpu-drops",
            "An idle GPU drops its own link to Gen1: below its maximum it is judged only in P0 or "
            "under load (`--load`), otherwise unknown. Switches' uplinks do not drop and are judged "
            "at any time.",
        ),
        sentence(
            "check.pcie-speed.trap-gen4-card-gen3",
            "A Gen4 card in a Gen3 platform is as fast as the platform goes: said, not failed.",
        ),
    ),
    ask=(
        UNDER_LOAD,
        "sudo lspci -nnvv",
    ),
    refs=("https://docs.kernel.org/PCI/sysfs-pci.html", "PCI Express Base Specification 5.0, 7.5.3"),
    repair=repair,
)
