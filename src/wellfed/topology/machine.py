"""From raw texts to a Machine: the system's own files, the GPU driver's answers, pasted dumps, joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wellfed.hardware.machine import Cpu, Gpu, Machine, NumaNode, Socket
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.message import sentence
from wellfed.partial_sums import total_if_all_known
from wellfed.topology import cgroup, cpu, gpu_amd, memory, numa, smbios
from wellfed.topology.cgroup import Limits
from wellfed.topology.collect import collect
from wellfed.topology.cpu import Cpus
from wellfed.topology.disks import read_disks
from wellfed.topology.finish import Resolve, ResolveCpu, finish
from wellfed.topology.gpu_nvml import read_nvml
from wellfed.topology.merge import merge
from wellfed.topology.nic import read_nics
from wellfed.topology.numa import Node
from wellfed.topology.os_settings import HostFacts, read_meta, read_os
from wellfed.topology.pci import read_pci
from wellfed.topology.pci_tree import gpus_on_pci
from wellfed.topology.readers import read_dumps
from wellfed.topology.snapshot import NVML, Snapshot, Tree

DMI = "/sys/firmware/dmi/tables/DMI"


def no_gpu_spec(name: str, memory_bytes: int | None) -> GpuSpec | None:
    """Stands for a catalogue that knows no card."""
    return None


def no_cpu_spec(name: str, cores: int | None) -> CpuSpec | None:
    """Stands for a catalogue that knows no CPU."""
    return None


def live(gpu_spec: Resolve = no_gpu_spec, cpu_spec: ResolveCpu = no_cpu_spec) -> Machine:
    """The machine this runs on."""
    return parse(collect(Path("/"), redacted=False), gpu_spec, cpu_spec)


def parse(snapshot: Snapshot, gpu_spec: Resolve = no_gpu_spec, cpu_spec: ResolveCpu = no_cpu_spec) -> Machine:
    """The Machine a snapshot describes. What it does not tell is None, with a reason in `Machine.unknown`.

    `gpu_spec(name, memory_bytes)` and `cpu_spec(name, cores)` look parts up in a catalogue.
    """
    tree = Tree(snapshot)
    parts = [replace(part, origin=snapshot.origin) for part in _parts(snapshot, tree)]
    merged = merge(parts)
    unknown = {**merged.unknown, **({"snapshot": "; ".join(snapshot.notes)} if snapshot.notes else {})}
    machine = replace(merged, name=merged.name or snapshot.name, origin=snapshot.origin, unknown=unknown)
    return finish(machine, gpu_spec, cpu_spec)


def _parts(snapshot: Snapshot, tree: Tree) -> list[Machine]:
    parts = list(read_dumps(snapshot.dumps))
    if snapshot.files:
        system = _system(snapshot, tree)
        nvml = read_nvml(tree.text(NVML))
        parts = [system, *([nvml] if nvml is not None else []), *parts]
    return parts or [
        Machine(
            "",
            snapshot.origin,
            unknown={
                "machine": sentence("topology.machine.source-tells-nothing", "the source tells nothing we can read")
            },
        )
    ]


def _system(snapshot: Snapshot, tree: Tree) -> Machine:
    """The machine as far as /sys and /proc describe it."""
    limits = cgroup.read_limits(tree)
    cpus = cpu.read_cpus(tree)
    nodes = numa.read_nodes(tree, cpus.online or ())
    pci = read_pci(tree)
    allowed = _allowed(cpus, limits)
    permitted = frozenset(limits.memory_nodes or ()) & {node.os_index for node in nodes}
    usable_nodes = tuple(node for node in nodes if not permitted or node.os_index in permitted)
    table = tree.data(DMI) or b""
    return Machine(
        name=_name(tree),
        origin=snapshot.origin,
        sockets=_sockets(tree, allowed, cpus, usable_nodes),
        numa_nodes=tuple(_node(node, allowed) for node in usable_nodes),
        gpus=_amd(tree, gpus_on_pci(pci)),
        gpu_links=gpu_amd.xgmi_links(tree, gpus_on_pci(pci)),
        pci=pci,
        nics=read_nics(tree),
        memory_bytes=_memory(tree, usable_nodes, narrowed=len(usable_nodes) < len(nodes)),
        os=read_os(tree, HostFacts(cpus.online, cpus.present, nodes, limits)),
        unknown=_reasons(snapshot, tree, cpus),
        cpus=_cpus(tree, allowed, nodes),
        dimms=memory.dimms(smbios.memory_devices(table)),
        pci_complete=bool(pci),
        disks=read_disks(read_meta(tree).get("disks")),
    )


def _name(tree: Tree) -> str:
    base = "/sys/class/dmi/id"
    words = [tree.text(f"{base}/sys_vendor"), tree.text(f"{base}/product_name")]
    name = " ".join(word for word in words if word) or tree.text("/proc/device-tree/model")
    return name or smbios.system_name(tree.data(DMI) or b"") or ""


def _allowed(cpus: Cpus, limits: Limits) -> Cpus:
    """Only threads the cpuset permits; renumbered packages and cores stay distinct."""
    if limits.cpus is None:
        return cpus
    permitted = frozenset(limits.cpus)
    if permitted.isdisjoint(thread.cpu for thread in cpus.threads):
        return cpus  # a capture that has none of the permitted CPUs: the set says nothing of those it has
    return replace(cpus, threads=tuple(t for t in cpus.threads if t.cpu in permitted))


def _sockets(tree: Tree, allowed: Cpus, all_cpus: Cpus, nodes: tuple[Node, ...]) -> tuple[Socket, ...]:
    """Packages with a thread or memory that this process may use (a cpuset may leave only the memory)."""
    homes = {t.cpu: t.package for t in all_cpus.threads}
    used = {t.package for t in allowed.threads} | {homes.get(number) for node in nodes for number in node.cpus}
    names, flags = cpu.model_names(tree), cpu.isa(tree)
    by_package: dict[int, list[cpu.Thread]] = {}
    for thread in all_cpus.threads:
        if thread.package is not None and thread.package in used:
            by_package.setdefault(thread.package, []).append(thread)
    permitted = frozenset(t.cpu for t in allowed.threads)
    return tuple(
        _socket(tree, index, threads, permitted, names, flags) for index, threads in sorted(by_package.items())
    )


def _socket(
    tree: Tree,
    index: int,
    threads: list[cpu.Thread],
    permitted: frozenset[int],
    names: dict[int | None, str],
    flags: frozenset[str],
) -> Socket:
    usable_threads = [t for t in threads if t.cpu in permitted]
    cores = {t.core for t in usable_threads if t.core is not None}
    return Socket(
        index=index,
        name=names.get(threads[0].cpu) or names.get(None),
        cores=len(cores) if cores or not usable_threads else None,
        threads=len(usable_threads),
        l3_bytes=max((t.l3_bytes for t in threads if t.l3_bytes), default=None),
        isa=flags,
        clock_max_hz=cpu.clock_max_hz(tree, threads[0].cpu),
        signature=cpu.signature(tree),
    )


def _node(node: Node, allowed: Cpus) -> NumaNode:
    permitted = frozenset(t.cpu for t in allowed.threads) or frozenset(node.cpus)
    return NumaNode(
        os_index=node.os_index,
        cpus=tuple(number for number in node.cpus if number in permitted),
        memory_bytes=node.memory_bytes,
        memory_free_bytes=node.free_bytes,
        distances=node.distances,
        gpu_memory=node.gpu_memory,
    )


def _cpus(tree: Tree, cpus: Cpus, nodes: tuple[Node, ...]) -> tuple[Cpu, ...]:
    homes = {number: node.os_index for node in reversed(nodes) for number in node.cpus}
    small = cpu.efficiency_cpus(tree)
    return tuple(
        Cpu(t.cpu, t.package, t.core, homes.get(t.cpu), t.l3, None if small is None else t.cpu in small)
        for t in cpus.threads
    )


def _memory(tree: Tree, nodes: tuple[Node, ...], narrowed: bool) -> int | None:
    """MemTotal; the permitted nodes' sum where a cpuset narrows them or MemTotal counts GPUs' memory too."""
    total = numa.meminfo(tree).get("MemTotal")
    if total is not None and not narrowed and not any(node.gpu_memory for node in nodes):
        return total
    of_nodes = total_if_all_known(node.memory_bytes for node in nodes if not node.gpu_memory)
    return total if of_nodes is None else of_nodes


def _amd(tree: Tree, gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """The AMD cards, with what their driver tells; others follow from PCI and NVML."""
    units = gpu_amd.compute_units(tree)
    cards = []
    for gpu in gpus:
        if gpu.vendor == "amd":
            cards.append(gpu_amd.filled(tree, replace(gpu, compute_units=units.get(gpu.pci_address or ""))))
    return tuple(cards)


def _reasons(snapshot: Snapshot, tree: Tree, cpus: Cpus) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if not tree.data(DMI):
        reasons["dimms"] = tree.why(DMI)
    if cpus.contradictions:
        reasons["sockets"] = sentence(
            "topology.machine.kernel-contradicts",
            "the kernel contradicts itself about the package of CPU {contradictions}",
            contradictions=cpus.contradictions[0],
        )
    if cpus.threads and all(t.core is None for t in cpus.threads):
        reasons["cores"] = sentence(
            "topology.machine.kernel-does-tell", "the kernel does not tell which threads share a core"
        )
    if not cpus.threads:
        reasons["cpus"] = tree.why(cpu.CPU)
    for need in read_meta(tree).get("needs_root", []):
        reasons.setdefault(f"root: {str(need).partition(' (')[0]}", str(need))
    return reasons
