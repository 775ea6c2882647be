"""CPUs that a cloud names by half ("AMD EPYC", "Intel Xeon Processor"): their core by CPUID, a usual part around it.

A virtual machine's CPU has the cores and flags that it shows; caches, memory and clocks are those of the middle part of
its generation. It stands for an unknown part, so what is said with it is said with a wide interval.
"""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.catalog.generations import middle_part
from wellfed.hardware.machine import CpuSignature, Machine, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import sentence

# (vendor, family) -> (first model, last model, core). AMD: bsp_init_amd in arch/x86/kernel/cpu/amd.c of Linux.
# Intel: server models in arch/x86/include/asm/intel-family.h of Linux, which gives stepping 7 for Cascade Lake
# (github.com/intel-lab-lkp/linux/blob/145356b437d5/arch/x86/include/asm/intel-family.h, read 2026-11-30).
_CORES: dict[tuple[str, int], tuple[tuple[int, int, str], ...]] = {
    ("AuthenticAMD", 0x17): (
        (0x00, 0x2F, "zen1"), (0x50, 0x5F, "zen1"), (0x30, 0x4F, "zen2"), (0x60, 0x7F, "zen2"), (0x90, 0x91, "zen2"),
        (0xA0, 0xAF, "zen2"),
    ),
    ("AuthenticAMD", 0x19): ((0x00, 0x0F, "zen3"), (0x20, 0x5F, "zen3"), (0x10, 0x1F, "zen4"), (0x60, 0xAF, "zen4")),
    ("AuthenticAMD", 0x1A): ((0x00, 0x2F, "zen5"), (0x40, 0x4F, "zen5"), (0x60, 0x7F, "zen5")),
    ("GenuineIntel", 6): (
        (0x3F, 0x3F, "haswell"), (0x4F, 0x4F, "broadwell"), (0x55, 0x55, "skylake-sp"), (0x6A, 0x6A, "ice-lake"),
        (0x6C, 0x6C, "ice-lake"), (0x8F, 0x8F, "sapphire-rapids"), (0xCF, 0xCF, "emerald-rapids"),
        (0xAD, 0xAD, "granite-rapids"), (0xAE, 0xAE, "granite-rapids"), (0xAF, 0xAF, "sierra-forest"),
    ),
}  # fmt: skip
_BRANDS = {"AuthenticAMD": "EPYC", "GenuineIntel": "Xeon"}
_CASCADE_LAKE_STEPPING = 5  # of model 0x55: Skylake-SP below, Cascade Lake from here on (Linux, microcode lists)


def core_of(signature: CpuSignature) -> str | None:
    """The catalogue's name of a server's core; None for a signature that is in no list."""
    ranges = _CORES.get((signature.vendor, signature.family), ())
    core = next((core for first, last, core in ranges if first <= signature.model <= last), None)
    newer = core == "skylake-sp" and signature.stepping >= _CASCADE_LAKE_STEPPING
    return "cascade-lake" if newer else core


def with_known_cores(machine: Machine) -> Machine:
    """A virtual machine whose unnamed CPUs have the usual part of their core's generation."""
    if machine.os.virtualised is not True:
        return machine
    return replace(machine, sockets=tuple(_with_core(socket) for socket in machine.sockets))


def _with_core(socket: Socket) -> Socket:
    core = core_of(socket.signature) if socket.cpu is None and socket.signature is not None else None
    part = None if core is None or socket.signature is None else middle_part(core, _BRANDS[socket.signature.vendor])
    return socket if part is None or core is None else replace(socket, cpu=_shown(part, core, socket))


def _title(core: str) -> str:
    """`zen5` as people write it: Zen 5."""
    return re.sub(r"(?<=[a-z])(?=\d)", " ", core).replace("-", " ").title().replace(" Sp", "-SP")


def _shown(part: CpuSpec, core: str, socket: Socket) -> CpuSpec:
    """The part as far as a virtual machine sees it: its cores, on as few core complexes as hold them."""
    cores = socket.cores or part.cores
    name = sentence(
        "core-signatures.name",
        "{name} ({core}, {cores} cores)",
        name=socket.name or sentence("core-signatures.unnamed", "unnamed CPU"),
        core=_title(core),
        cores=cores,
    )
    dies = None if part.dies is None else max(1, min(part.dies, -(-cores * part.dies // part.cores)))
    return replace(
        part, id="unknown-cpu", name=name, cores=cores, threads=socket.threads or cores, dies=dies,
        isa=socket.isa or part.isa, graphics_id=None, power_w=None, stands_for_unknown=True, aliases=(), sources=(),
    )  # fmt: skip
