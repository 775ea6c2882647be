"""CPUs that a cloud names by half: the core by CPUID, a usual part around it, and nothing invented for others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.catalog.core_signatures import core_of, with_known_cores
from wellfed.catalog.hardware import cpu
from wellfed.hardware.machine import CpuSignature, Machine, Origin, OsSettings, Socket
from wellfed.topology.readers import read_dumps

AMD, INTEL = "AuthenticAMD", "GenuineIntel"
MILAN = CpuSignature(AMD, 0x19, 0x01, 1)
HALF_NAMED = Socket(0, name="AMD EPYC", cores=2, threads=2, isa=frozenset({"avx2"}), signature=MILAN)
GUEST = Machine("guest", Origin.LIVE, (HALF_NAMED,), os=OsSettings(virtualised=True))

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC Processor
stepping\t: 1
physical id\t: 0
siblings\t: 2
cpu cores\t: 2
flags\t\t: fpu avx2 hypervisor avx512f
"""
LSCPU = """Architecture:            x86_64
CPU(s):                  2
Vendor ID:               AuthenticAMD
Model name:              AMD EPYC
CPU family:              26
Model:                   2
Thread(s) per core:      1
Core(s) per socket:      2
Socket(s):               1
Stepping:                1
Hypervisor vendor:       KVM
Flags:                   fpu avx2
"""


@pytest.mark.parametrize(
    ("signature", "core"),
    [
        (CpuSignature(AMD, 0x17, 0x31, 0), "zen2"),
        (CpuSignature(AMD, 0x19, 0x01, 1), "zen3"),
        (CpuSignature(AMD, 0x19, 0x11, 1), "zen4"),
        (CpuSignature(AMD, 0x19, 0xA0, 2), "zen4"),
        (CpuSignature(AMD, 0x1A, 0x02, 1), "zen5"),
        (CpuSignature(INTEL, 6, 0x55, 4), "skylake-sp"),
        (CpuSignature(INTEL, 6, 0x55, 7), "cascade-lake"),
        (CpuSignature(INTEL, 6, 0x8F, 8), "sapphire-rapids"),
        (CpuSignature(AMD, 0x1A, 0x50, 0), None),
        (CpuSignature(INTEL, 6, 0x9E, 9), None),
        (CpuSignature("HygonGenuine", 0x18, 0, 1), None),
    ],
)
def test_cores_by_their_signature(signature: CpuSignature, core: str | None) -> None:
    assert core_of(signature) == core


def test_a_half_named_cpu_is_a_usual_part_of_its_generation_with_the_cores_it_shows() -> None:
    part = with_known_cores(GUEST).sockets[0].cpu
    assert part is not None and part.stands_for_unknown
    assert (part.architecture, part.cores, part.dies, part.isa) == ("zen3", 2, 1, {"avx2"})
    assert "AMD EPYC" in part.name and "Zen 3" in part.name


def test_a_named_part_a_real_machine_and_an_unlisted_core_stay_as_they_are() -> None:
    named = replace(GUEST, sockets=(replace(HALF_NAMED, cpu=cpu("EPYC 7763")),))
    bare = replace(GUEST, os=OsSettings(virtualised=False))
    other = replace(GUEST, sockets=(replace(HALF_NAMED, signature=CpuSignature(AMD, 0x10, 2, 0)),))
    for machine in (named, bare, other):
        assert with_known_cores(machine) == machine


@pytest.mark.parametrize(("dump", "core"), [(CPUINFO, "zen4"), (LSCPU, "zen5")])
def test_pasted_dumps_tell_the_signature(dump: str, core: str) -> None:
    (read,) = tuple(read_dumps({"paste.txt": dump}))
    signature = read.sockets[0].signature
    assert signature is not None and core_of(signature) == core
