"""A machine in one line."""

from __future__ import annotations

from collections import Counter

from wellfed.hardware.machine import Machine, Origin
from wellfed.message import joined, sentence
from wellfed.units import format_bandwidth, format_bytes


def machine_line(machine: Machine) -> str:
    """GPUs, CPUs, memory with its theoretical bandwidth; unknown is `?`."""
    line = joined(", ", [*_gpus(machine), *_cpus(machine), _memory(machine)])
    if machine.count == 1:
        return line
    if machine.network_bytes_per_s is None:
        text = "{count} machines, joined by an unknown network, each {one}"
        return sentence("machine-line.several-unjoined", text, count=machine.count, one=line)
    return sentence("machine-line.several", "{count} machines, each {one}", count=machine.count, one=line)


def _memory(machine: Machine) -> str:
    size, bandwidth = format_bytes(machine.memory_usable_bytes), machine.memory_bandwidth_bytes_per_s
    if bandwidth is None:
        return sentence("machine-line.memory", "{size} RAM", size=size)
    rate = format_bandwidth(bandwidth)
    return sentence("machine-line.memory-at", "{size} RAM at {rate}", size=size, rate=rate)


def _gpus(machine: Machine) -> list[str]:
    unknown = sentence("machine-line.unknown-gpu", "unknown GPU")
    names = Counter(gpu.spec.name if gpu.spec else gpu.name or unknown for gpu in machine.gpus)
    return [f"{count}x " + name if count > 1 else name for name, count in names.items()] or [_no_gpu(machine)]


def _no_gpu(machine: Machine) -> str:
    """Words for no GPU; `GPU ?` where the source does not show all."""
    if machine.origin is Origin.DUMP and not machine.pci_complete:
        return "GPU ?"
    return sentence("machine-line.no-gpu", "no GPU")


def _cpus(machine: Machine) -> list[str]:
    names = Counter(_cpu_name(machine, index) for index in range(len(machine.sockets)))
    return [f"{count}x " + name if count > 1 else name for name, count in names.items()]


def _cpu_name(machine: Machine, index: int) -> str:
    socket = machine.sockets[index]
    name = socket.cpu.name if socket.cpu else socket.name or sentence("machine-line.unknown-cpu", "unknown CPU")
    if not socket.cores or (socket.cpu and socket.cpu.stands_for_unknown):  # whose name says how many
        return name
    return sentence("machine-line.cores", "{name} ({cores} cores)", name=name, cores=socket.cores)
