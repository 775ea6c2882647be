"""`cpu-offline`: are all CPUs online?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, passed, warn
from wellfed.faults.cpus import CPU_ON
from wellfed.faults.steps import at
from wellfed.hardware.machine import Machine, Socket
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict

FEW = 8  # more missing numbers than that are nodes that the source does not show


def offline(machine: Machine) -> tuple[int, ...] | None:
    """CPUs that are there but not online; None when neither list is known.

    Where only NUMA nodes are told, a few numbers that are missing between theirs are as good a sign.
    """
    if machine.os.cpus_offline is not None:
        return machine.os.cpus_offline
    present, online = machine.os.cpus_present, machine.os.cpus_online
    if present is not None and online is not None:
        return tuple(sorted(set(present) - set(online)))
    return _gaps(machine)


def _gaps(machine: Machine) -> tuple[int, ...] | None:
    numbers = {cpu for node in machine.numa_nodes for cpu in node.cpus}
    gaps = set(range(max(numbers, default=0))) - numbers
    return tuple(sorted(gaps)) if 0 < len(gaps) <= min(FEW, len(numbers) // 8) else None


_NONE = sentence("check.cpu-offline.none", "0 offline")


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    missed = offline(machine)
    if missed is None:
        return [
            missing(
                machine, sentence("checked.offline-cpus", "offline CPUs"), "os.cpus_offline", "os.cpus_present", "cpus"
            )
        ]
    if not missed:
        return [passed(SYSTEM, sentence("check.cpu-offline.all-cpus-online", "all CPUs are online"), _NONE)]
    if machine.os.smt is False and len(missed) == len(machine.os.cpus_online or ()):
        return [
            passed(
                SYSTEM,
                sentence("check.cpu-offline.smt-off-one", "SMT is off: one thread of each core is online"),
                sentence("check.cpu-offline.offline", "{count} offline", count=len(missed)),
            )
        ]
    text = spans(missed)
    fix = [at(CPU_ON, cpu=cpu) for cpu in missed[:64]]
    why = sentence(
        "check.cpu-offline.cpu-offline-core",
        "CPU {text} is offline: its core is not used, and threads dealt out by number land beside it",
        text=text,
    )
    return [
        warn(
            SYSTEM,
            why,
            sentence("check.cpu-offline.offline-2", "{count} offline: {text}", count=len(missed), text=text),
            _NONE,
            fix,
        )
    ]


def spans(cpus: Iterable[int]) -> str:
    """0-3,8 for 0 1 2 3 8."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def repair(machine: Machine) -> Machine:
    """The machine with all CPUs online that are present."""
    missed = offline(machine)
    if not missed:
        return machine
    online = machine.os.cpus_online or ()
    settings = replace(machine.os, cpus_offline=(), cpus_online=tuple(sorted({*online, *missed})))
    if machine.os.cpus_allowed and set(machine.os.cpus_allowed) >= set(online):
        settings = replace(settings, cpus_allowed=settings.cpus_online)
    return replace(machine, os=settings, sockets=more_cores(machine.sockets, len(missed)))


def more_cores(sockets: tuple[Socket, ...], threads: int) -> tuple[Socket, ...]:
    """So many hardware threads more, dealt out evenly: cores up to the part's own number."""
    return tuple(
        replace(socket, cores=min(socket.cpu.cores, socket.cores + round(threads / len(sockets) / _per_core(socket))))
        if socket.cpu and socket.cores
        else socket
        for socket in sockets
    )


def _per_core(socket: Socket) -> float:
    return max(1.0, socket.cpu.threads / socket.cpu.cores) if socket.cpu else 1.0


CHECK = Check(
    id="cpu-offline",
    code="CPU-03",
    title=sentence("check.cpu-offline.title", "All CPUs are online"),
    severity=Verdict.WARN,
    reads=sentence("check.cpu-offline.reads", "/sys/devices/system/cpu/present and online"),
    rule=sentence("check.cpu-offline.rule", "Every CPU present is online."),
    judge=judge,
    traps=(
        sentence(
            "check.cpu-offline.trap-smt-switched-off",
            "With SMT switched off half of the CPUs are offline on purpose: pass.",
        ),
    ),
    ask=("lscpu",),
    refs=("https://docs.kernel.org/core-api/cpu_hotplug.html",),
    repair=repair,
)
