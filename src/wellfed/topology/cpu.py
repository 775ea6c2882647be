"""CPUs: packages, cores, hardware threads, from /sys/devices/system/cpu and /proc/cpuinfo.

Packages and cores are told by their sibling masks, not by their ids, which firmware repeats at will; a mask that
contradicts an earlier one is dropped. That is hwloc's rule (linux backend), and counts equal its.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from wellfed.frozen import dataclass
from wellfed.hardware.machine import CpuSignature
from wellfed.topology.lists import cpu_list, cpu_mask, integer, keyed, kib
from wellfed.topology.snapshot import Tree

CPU = "/sys/devices/system/cpu"
# Kernel flag names that decide which CPU kernels an engine can use.
_ISA = frozenset(
    {
        "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
        "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16", "asimd", "asimddp",
        "asimdhp", "bf16", "i8mm", "sve", "sve2", "svei8mm", "svebf16", "vsx",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thread:
    """One online hardware thread; `package` and `core` are running numbers, None where the kernel is silent."""

    cpu: int
    package: int | None
    core: int | None
    l3: int | None = None
    l3_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Cpus:
    """All threads of a machine and what its masks said."""

    threads: tuple[Thread, ...]
    online: tuple[int, ...] | None
    present: tuple[int, ...] | None
    contradictions: tuple[int, ...] = ()  # CPUs whose package mask contradicts the others


def read_cpus(tree: Tree) -> Cpus:
    """Every online thread with its package and core."""
    numbers = _numbers(tree)
    online = tuple(cpu for cpu in numbers if _is_online(tree, cpu))
    online = _known_topology(tree, online)
    packages, contradictions = _groups(tree, online, ("package_cpus", "core_siblings"))
    cores = _cores(tree, online)
    l3 = {cpu: _l3(tree, cpu) for cpu in online}
    threads = tuple(Thread(cpu, packages.get(cpu), cores.get(cpu), *l3[cpu]) for cpu in online)
    return Cpus(threads, online or None, _present(tree, numbers) or None, contradictions)


def _present(tree: Tree, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """CPUs that are there. Those of which a partial capture has no directory, and which are online, are left out."""
    listed = cpu_list(tree.text(f"{CPU}/present"))
    if not listed:
        return numbers
    online = frozenset(cpu_list(tree.text(f"{CPU}/online")) or ())
    captured = frozenset(numbers)
    return tuple(cpu for cpu in listed if cpu in captured or cpu not in online)


def _numbers(tree: Tree) -> tuple[int, ...]:
    return tuple(sorted(int(name[3:]) for name in tree.names(CPU) if re.fullmatch(r"cpu\d{1,6}", name)))


def _is_online(tree: Tree, cpu: int) -> bool:
    """`cpuN/online` decides where it exists; CPU 0 and old kernels have none."""
    flag = tree.text(f"{CPU}/cpu{cpu}/online")
    if flag is not None:
        return flag != "0"
    listed = cpu_list(tree.text(f"{CPU}/online"))
    return listed is None or not listed or cpu in listed


def _known_topology(tree: Tree, cpus: tuple[int, ...]) -> tuple[int, ...]:
    """CPUs without a topology directory are offline, provided any CPU has one."""
    with_topology = tuple(cpu for cpu in cpus if tree.names(f"{CPU}/cpu{cpu}/topology"))
    return with_topology or cpus


def mask_of(tree: Tree, cpu: int, names: Collection[str]) -> tuple[int, ...] | None:
    """The first of a CPU's topology masks that is there, as CPU numbers."""
    for name in names:
        mask = cpu_mask(tree.text(f"{CPU}/cpu{cpu}/topology/{name}"))
        if mask is None:
            mask = cpu_list(tree.text(f"{CPU}/cpu{cpu}/topology/{name}_list"))
        if mask is not None:
            return mask
    return None


def _groups(tree: Tree, online: tuple[int, ...], names: Collection[str]) -> tuple[dict[int, int], tuple[int, ...]]:
    """CPU -> running group number: a group is made by the first CPU of its mask."""
    alive = frozenset(online)
    sets: list[frozenset[int]] = []
    contradictions: list[int] = []
    for cpu in online:
        mask = mask_of(tree, cpu, names)
        members = alive.intersection(mask or ())
        if not members or min(members) != cpu:
            continue
        if any(members & earlier and not (members <= earlier or earlier <= members) for earlier in sets):
            contradictions.append(cpu)
        else:
            sets.append(members)
    return {cpu: index for index, members in enumerate(sets) for cpu in members}, tuple(contradictions)


def _cores(tree: Tree, online: tuple[int, ...]) -> dict[int, int]:
    """CPU -> running core number: a core is made by the first CPU of its mask."""
    if _has_modules(tree):
        return {cpu: number for number, cpu in enumerate(online)}
    alive = frozenset(online)
    core_of: dict[int, int] = {}
    count = 0
    for cpu in online:
        members = alive.intersection(mask_of(tree, cpu, ("core_cpus", "thread_siblings")) or ())
        if not members or min(members) != cpu or cpu in core_of:
            continue
        core_of.update({member: count for member in members if member not in core_of})
        count += 1
    return core_of


def _has_modules(tree: Tree) -> bool:
    """AMD family 15h (21): the kernel's thread siblings are the two cores of a module."""
    facts = keyed((tree.text("/proc/cpuinfo") or "").partition("\n\n")[0])
    return (facts.get("vendor_id"), facts.get("cpu family")) == ("AuthenticAMD", "21")


def _l3(tree: Tree, cpu: int) -> tuple[int | None, int | None]:
    """The lowest CPU that shares this CPU's L3, and the L3's bytes."""
    for index in reversed(tree.names(f"{CPU}/cpu{cpu}/cache")):
        base = f"{CPU}/cpu{cpu}/cache/{index}"
        if tree.text(f"{base}/level") == "3":
            shared = cpu_list(tree.text(f"{base}/shared_cpu_list")) or cpu_mask(tree.text(f"{base}/shared_cpu_map"))
            return (min(shared) if shared else None), kib(tree.text(f"{base}/size"))
    return None, None


def model_names(tree: Tree) -> dict[int | None, str]:
    """CPU number -> model name, from /proc/cpuinfo; key None holds the machine-wide one (POWER, ARM)."""
    name_of: dict[int | None, str] = {}
    for block in (tree.text("/proc/cpuinfo") or "").split("\n\n"):
        facts = keyed(block)
        cpu = integer(facts.get("processor"))
        name = facts.get("model name") or facts.get("cpu") or facts.get("cpu model") or facts.get("family")
        name = name or facts.get("Model Name") or facts.get("Hardware")
        if name:
            name_of.setdefault(cpu, re.sub(r"\s+", " ", name))
    return name_of


def signature(tree: Tree) -> CpuSignature | None:
    """What CPUID tells of the first CPU, as /proc/cpuinfo prints it; None on other architectures."""
    return signature_of(keyed((tree.text("/proc/cpuinfo") or "").partition("\n\n")[0]))


def signature_of(facts: Mapping[str, str]) -> CpuSignature | None:
    """The signature by /proc/cpuinfo's keys."""
    vendor, family, model = facts.get("vendor_id"), integer(facts.get("cpu family")), integer(facts.get("model"))
    if vendor is None or family is None or model is None:
        return None
    return CpuSignature(vendor, family, model, integer(facts.get("stepping")) or 0)


def isa(tree: Tree) -> frozenset[str]:
    """The CPU flags that matter, of the first CPU."""
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", tree.text("/proc/cpuinfo") or "", re.MULTILINE)
    return kept_flags(match[1]) if match else frozenset()


def kept_flags(text: str) -> frozenset[str]:
    """The flags that matter among all the kernel prints."""
    return _ISA.intersection(text.split())


def efficiency_cpus(tree: Tree) -> frozenset[int] | None:
    """E-cores of a hybrid Intel part; None where the kernel does not tell cores apart."""
    small = cpu_list(tree.text("/sys/devices/cpu_atom/cpus"))
    return frozenset(small) if small is not None else None


def clock_max_hz(tree: Tree, cpu: int) -> float | None:
    """cpufreq's maximum of this CPU."""
    khz = integer(tree.text(f"{CPU}/cpu{cpu}/cpufreq/cpuinfo_max_freq"))
    return khz * 1e3 if khz else None
